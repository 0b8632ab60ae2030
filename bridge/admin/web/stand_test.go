//go:build !small

package web

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/scrypt"

	"lorawand/bridge/access"
	"lorawand/bridge/admin"
	"lorawand/bridge/admin/admintest"
	"lorawand/bridge/admin/api"
)

const secret = "correct horse battery"

// stand is the page behind the real listener of the API, in front of a house.
type stand struct {
	*testing.T
	*admintest.House
	site   *Site
	admin  *admin.Admin
	base   string // http://address
	client *http.Client
}

// newStand returns one without password and keys.
func newStand(t *testing.T) *stand {
	t.Helper()
	s := &stand{T: t, House: admintest.New(t), client: &http.Client{Timeout: time.Minute, Transport: &http.Transport{}}}
	var err error
	if s.admin, err = admin.New(admin.Options{
		Bridge: s.Bridge, Store: s.Store, Keys: s.State.Keys, Applications: s.State.Applications,
		Codecs: s.State.Codecs, Resolver: s.Resolver, Plan: admintest.Plan, Logger: s.Logger, Formatters: s.Pool,
	}); err != nil {
		t.Fatal(err)
	}
	s.admin.Add("problems.list", admin.Operation{
		Run: func(_ context.Context, _ json.RawMessage, reply func(any) error) error {
			return reply(map[string]string{"code": "store_full", "title": "The store is full"})
		},
		Right: admin.Right{Rights: access.All}, Limit: time.Minute,
	})
	s.site = New(Options{
		Admin: s.admin, Bridge: s.Bridge, Keys: s.State.Keys, Passwords: NewPasswords(s.admin, s.Store),
		Calendar: s.Clock.Calendar, Logger: s.Logger, Resolver: s.Resolver, Formatters: s.Pool,
		About: About{Plan: admintest.Plan, Store: "/var/lib/lorawand"},
	})
	door, err := api.Listen(api.Options{
		Listen: "127.0.0.1:0", Admin: s.admin, Bridge: s.Bridge, Keys: s.State.Keys, Calendar: s.Clock.Calendar,
		Logger: s.Logger, NetID: "000000", MQTT: func() (string, string) { return ":1883", "127.0.0.1:8883" },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.site.Close)
	door.Mount(s.site)
	s.base = "http://" + door.Addr().String()
	t.Cleanup(s.client.CloseIdleConnections)
	admintest.Run(t, door.Run)
	return s
}

// newPage returns a stand whose page has a password, which is cheap to compare.
func newPage(t *testing.T) *stand {
	t.Helper()
	s := newStand(t)
	salt := []byte("salt of this test")
	key, err := scrypt.Key([]byte(secret), salt, 16, 1, 1, 32)
	if err != nil {
		t.Fatal(err)
	}
	enc := base64.RawStdEncoding.EncodeToString
	s.site.o.Passwords.hash = "scrypt$16$1$1$" + enc(salt) + "$" + enc(key)
	return s
}

// op carries out an operation as the owner.
func (s *stand) op(name, args string) (parts []string) {
	s.Helper()
	return admintest.Op(s.T, s.admin, name, args)
}

// key makes an API key.
func (s *stand) key(application, rights string) (id, text string) {
	s.Helper()
	var k admin.NewKey
	part := s.op("key.create", `{"application_id":"`+application+`","rights":"`+rights+`","name":"a key"}`)[0]
	if err := json.Unmarshal([]byte(part), &k); err != nil {
		s.Fatal(err)
	}
	return k.ID, k.Text
}

// ask is a request as the page sends it.
type ask struct {
	method, path, body string
	cookie             string
	change             func(*http.Request)
}

// reply is its answer.
type reply struct {
	status int
	header http.Header
	body   string
}

func (s *stand) ask(a ask) reply {
	s.Helper()
	r := s.open(a)
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		s.Fatal(err)
	}
	return reply{r.StatusCode, r.Header, string(b)}
}

// open sends a request and returns its answer before that has ended.
func (s *stand) open(a ask) *http.Response {
	s.Helper()
	req, err := http.NewRequestWithContext(s.Context(), a.method, s.base+a.path, bytes.NewReader([]byte(a.body)))
	if err != nil {
		s.Fatal(err)
	}
	if a.method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("X-Lorawand", "1")
		req.Header.Set("Origin", s.base)
	}
	if a.cookie != "" {
		req.Header.Set("Cookie", cookieName+"="+a.cookie)
	}
	if a.change != nil {
		a.change(req)
	}
	r, err := s.client.Do(req)
	if err != nil {
		s.Fatal(err)
	}
	return r
}

// login logs in and returns the token of the session.
func (s *stand) login(text string) string {
	s.Helper()
	r := s.tryLogin(text)
	if r.status != http.StatusOK {
		s.Fatalf("login: %d %s", r.status, r.body)
	}
	return tokenOf(r)
}

func (s *stand) tryLogin(text string) reply {
	s.Helper()
	b, err := json.Marshal(map[string]string{"password": text})
	if err != nil {
		s.Fatal(err)
	}
	return s.ask(ask{method: "POST", path: "/api/page/login", body: string(b)})
}

func jsonRaw(s string) json.RawMessage { return json.RawMessage(s) }

func tokenOf(r reply) string {
	token, _, _ := strings.Cut(strings.TrimPrefix(r.header.Get("Set-Cookie"), cookieName+"="), ";")
	return token
}

// post sends a change with a session.
func (s *stand) post(cookie, path, body string) reply {
	s.Helper()
	return s.ask(ask{method: "POST", path: path, body: body, cookie: cookie})
}

func (s *stand) get(cookie, path string) reply {
	s.Helper()
	return s.ask(ask{method: "GET", path: path, cookie: cookie})
}
