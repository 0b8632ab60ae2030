//go:build !small

package web

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/scrypt"

	"lorawand/bridge"
	"lorawand/bridge/access"
	"lorawand/bridge/admin"
	"lorawand/bridge/admin/api"
	"lorawand/bridge/codec"
	"lorawand/bridge/formatter"
	"lorawand/bridge/gateway"
	"lorawand/bridge/state"
	"lorawand/bridge/store"
	"lorawand/bridge/store/storetest"
	"lorawand/bridge/v3"
	"lorawand/radio"
	"lorawand/radio/region"
)

const secret = "correct horse battery"

// nobody is an outbox without clients.
type nobody struct{}

func (nobody) Publish(v3.Message) {}

// stand is the page behind the real listener of the API, in front of a store in memory.
type stand struct {
	*testing.T
	site   *Site
	admin  *admin.Admin
	base   string // http://address
	client *http.Client
	keys   map[string]string // by name
	*bridge.Bridge
}

// newStand returns one without password and keys.
func newStand(t *testing.T) *stand {
	t.Helper()
	st, err := store.Open("", store.Options{FS: storetest.NewDisk(nil)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	loaded, err := state.Load(st, 0, "ttn")
	if err != nil {
		t.Fatal(err)
	}
	plan, err := region.Lookup("EU_863_870_TTN")
	if err != nil {
		t.Fatal(err)
	}
	gateways := gateway.NewRegistry()
	if err := gateways.Add(&gateway.Gateway{ID: "gw1", EUI: radio.EUI64{1}, Plan: plan}); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	s := &stand{T: t, keys: map[string]string{}, client: &http.Client{Timeout: time.Minute, Transport: &http.Transport{}}}
	resolver := codec.NewResolver(loaded.Applications, loaded.Codecs)
	pool := formatter.New(formatter.Options{NoJavaScript: true, Logger: log})
	clock := bridge.NewClock(func(time.Time) radio.TimeQuality { return radio.TimeNTP })
	if s.Bridge, err = bridge.New(bridge.Options{
		Devices: loaded.Devices, Gateways: gateways, Store: st, Outbox: nobody{}, DefaultPlan: plan, Logger: log, Pool: pool,
		Formatters: resolver, Clock: clock, Tombstones: loaded.Tombstones,
	}); err != nil {
		t.Fatal(err)
	}
	if s.admin, err = admin.New(admin.Options{
		Bridge: s.Bridge, Keys: loaded.Keys, Store: st, Logger: log, Applications: loaded.Applications, Codecs: loaded.Codecs,
		Resolver: resolver, Plan: "EU_863_870_TTN", Formatters: pool,
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
		Admin: s.admin, Bridge: s.Bridge, Keys: loaded.Keys, Passwords: NewPasswords(s.admin, st), Calendar: clock.Calendar, Logger: log,
		Resolver: resolver, Formatters: pool, About: About{Plan: "EU_863_870_TTN", Store: "/var/lib/lorawand"},
	})
	door, err := api.Listen(api.Options{
		Listen: "127.0.0.1:0", Admin: s.admin, Bridge: s.Bridge, Keys: loaded.Keys, Calendar: clock.Calendar, Logger: log, NetID: "000000",
		MQTT: func() (string, string) { return ":1883", "127.0.0.1:8883" },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.site.Close)
	door.Mount(s.site)
	s.base = "http://" + door.Addr().String()
	t.Cleanup(s.client.CloseIdleConnections)
	s.run(s.Bridge.Run)
	s.run(pool.Run)
	s.run(door.Run)
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

func (s *stand) run(f func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := f(ctx); err != nil {
			s.Error(err)
		}
	})
	s.Cleanup(func() { cancel(); wg.Wait() })
}

// op carries out an operation as the owner.
func (s *stand) op(name, args string) (parts []string) {
	s.Helper()
	err := s.admin.Call(context.Background(), name, json.RawMessage(args), func(raw json.RawMessage) error {
		parts = append(parts, string(raw))
		return nil
	})
	if err != nil {
		s.Fatalf("%s %s: %v", name, args, err)
	}
	return parts
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
