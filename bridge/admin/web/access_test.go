//go:build !small

package web

import (
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"lorawand/bridge/admin/web/password"
)

// Files are for everybody, compressed, with a tag, and with the headers that keep the
// page safe.
func TestFiles(t *testing.T) {
	s := newStand(t)
	r := s.get("", "/robots.txt")
	if r.status != http.StatusOK || !strings.HasPrefix(r.body, "User-agent") ||
		r.header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("%+v", r)
	}
	for name, want := range map[string]string{
		"Content-Security-Policy": "default-src 'self'",
		"X-Content-Type-Options":  "nosniff",
		"Referrer-Policy":         "no-referrer",
		"Cache-Control":           "no-cache",
		"Vary":                    "Accept-Encoding",
		"X-Frame-Options":         "DENY",
	} {
		if got := r.header.Get(name); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	tag := r.header.Get("ETag")
	known := func(r *http.Request) { r.Header.Set("If-None-Match", tag) }
	r = s.ask(ask{method: "GET", path: "/robots.txt", change: known})
	if r.status != http.StatusNotModified || r.body != "" {
		t.Errorf("%q again: %+v", tag, r)
	}
	for _, tt := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/nothing.js", 404},
		{"GET", "/static", 404},
		{"GET", "/../web.go", 404},
		{"GET", "/%2e%2e/web.go", 404},
		{"POST", "/robots.txt", 405},
		{"HEAD", "/robots.txt", 200},
		{"GET", "/api/v3/applications/x", 403}, // that of the API
	} {
		if r := s.ask(ask{method: tt.method, path: tt.path}); r.status != tt.status {
			t.Errorf("%s %s: %d, want %d", tt.method, tt.path, r.status, tt.status)
		}
	}
}

// The page is off until there is a password or a key that has all rights.
func TestOff(t *testing.T) {
	s := newStand(t)
	off := func() bool { return strings.Contains(s.get("", "/api/page/session").body, `"off":true`) }
	if r := s.tryLogin(secret); r.status != http.StatusForbidden || !strings.Contains(r.body, `"off":true`) || !off() {
		t.Errorf("without a password: %+v", r)
	}
	if _, text := s.key("app1", "traffic-read"); s.tryLogin(text).status != http.StatusForbidden || !off() {
		t.Error("a key with few rights opens the page")
	}
	id, text := s.key("app1", "all")
	if off() {
		t.Error("off, with a key that has all rights")
	}
	token := s.login(text)
	if r := s.get(token, "/api/page/session"); !strings.Contains(r.body, `"in":true`) || !strings.Contains(r.body, `"application_id":"app1"`) {
		t.Errorf("%+v", r)
	}
	if r := s.tryLogin(secret); r.status != http.StatusUnauthorized {
		t.Errorf("a password where there is none: %+v", r)
	}
	s.op("key.revoke", `{"id":"`+id+`"}`)
	if r := s.get(token, "/api/page/session"); strings.Contains(r.body, `"in":true`) || !off() {
		t.Errorf("the session outlives its key: %+v", r)
	}
}

// A session begins with the password and ends by logging out, or with the password.
func TestSession(t *testing.T) {
	s := newPage(t)
	in := func(token string) bool {
		return strings.Contains(s.get(token, "/api/page/session").body, `"in":true`)
	}
	r := s.tryLogin(secret)
	cookie := r.header.Get("Set-Cookie")
	if r.status != 200 || !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Strict") ||
		!strings.Contains(cookie, "Path=/") || strings.Contains(cookie, "Secure") || len(tokenOf(r)) < 43 {
		t.Fatalf("%d, %q", r.status, cookie)
	}
	first, second, third := tokenOf(r), s.login(secret), s.login(secret)
	for token, want := range map[string]bool{
		"": false, first: true, second: true, first[1:]: false,
		strings.Repeat("x", 5000): false,
	} {
		if in(token) != want {
			t.Errorf("%q: %v", token, !want)
		}
	}
	if r := s.post(first, "/api/page/logout", `{}`); r.status != 200 || in(first) || !in(second) {
		t.Errorf("logged out: %+v", r)
	}
	if r := s.post(second, "/api/page/logout", `{"all":true}`); r.status != 200 || in(second) || in(third) {
		t.Errorf("all logged out: %+v", r)
	}
	fourth := s.login(secret)
	s.op(SetPassword, `{"password":"another password"}`)
	if in(fourth) || s.tryLogin(secret).status != http.StatusUnauthorized {
		t.Error("the old password is good for something")
	}
	fifth := s.login("another password")
	s.op(SetPassword, `{"off":true}`)
	if in(fifth) || s.tryLogin("another password").status != http.StatusForbidden {
		t.Error("the page is on without a password")
	}
}

// A stored password is read again, and a bad one changes nothing.
func TestPasswords(t *testing.T) {
	s := newPage(t)
	for _, args := range []string{`{"password":"short"}`, `{}`, `{"password":"long enough","off":true}`, `{"pass":"x"}`} {
		if err := s.admin.Call(t.Context(), SetPassword, jsonRaw(args), nil); err == nil {
			t.Errorf("%s is taken", args)
		}
	}
	s.login(secret)
	s.op(SetPassword, `{"password":"`+secret+`"}`)
	again := NewPasswords(s.admin, s.site.o.Passwords.store)
	if again.stored() == "" || again.stored() != s.site.o.Passwords.stored() {
		t.Errorf("read again: %q", again.stored())
	}
	if strings.Contains(again.stored(), secret) {
		t.Error("the password is stored as it is")
	}
}

// Of passwords that are set at one time one is in force: the one that is stored. Logins with
// an earlier one that were looked at meanwhile have no session.
func TestPasswordsAtOnce(t *testing.T) {
	s := newPage(t)
	passwords := []string{secret, "the first of three", "the second of three", "the third of three"}
	var work sync.WaitGroup
	logins := make([]reply, len(passwords))
	for i, p := range passwords {
		work.Go(func() { logins[i] = s.tryLogin(secret) })
		if p == secret {
			continue
		}
		work.Go(func() {
			if err := s.admin.Call(t.Context(), SetPassword, jsonRaw(`{"password":"`+p+`"}`), nil); err != nil {
				t.Error(err)
			}
		})
	}
	work.Wait()
	for i, r := range logins {
		if r.status != http.StatusOK {
			continue
		}
		if got := s.get(tokenOf(r), "/api/page/session"); strings.Contains(got.body, `"in":true`) {
			t.Errorf("session %d has outlived its password", i)
		}
	}
	if again := NewPasswords(s.admin, s.site.o.Passwords.store); again.stored() != s.site.o.Passwords.stored() {
		t.Error("another one is stored than the one in force")
	}
	in := 0
	for _, p := range passwords {
		good, err := password.Matches(s.site.o.Passwords.stored(), p)
		if err != nil {
			t.Fatal(err)
		}
		if good {
			in++
		}
		if good && p == secret {
			t.Error("the old one is in force")
		}
	}
	if in != 1 {
		t.Errorf("%d passwords are in force", in)
	}
}

func twoOrigins(r *http.Request) { r.Header.Add("Origin", "http://evil.example") }

// Each request that does not come from the page itself is refused, whatever session it
// shows; so is one that changes something by GET.
func TestAccess(t *testing.T) {
	s := newPage(t)
	token := s.login(secret)
	set := func(name, value string) func(*http.Request) {
		return func(r *http.Request) {
			if r.Header.Set(name, value); value == "" {
				r.Header.Del(name)
			}
		}
	}
	const form = "application/x-www-form-urlencoded"
	otherScheme := "https" + strings.TrimPrefix(s.base, "http")
	host := func(name string) func(*http.Request) { return func(r *http.Request) { r.Host = name } }
	for _, tt := range []struct {
		name   string
		ask    ask
		status int
	}{
		{"as the page does", ask{method: "POST", path: "logout"}, 200},
		{"no cookie", ask{method: "POST", path: "logout", cookie: "none"}, 401},
		{"a foreign Origin", ask{method: "POST", path: "logout", change: set("Origin", "http://evil.example")}, 403},
		{"Origin of another port", ask{method: "POST", path: "logout", change: set("Origin", "http://127.0.0.1:1")}, 403},
		{"Origin null", ask{method: "POST", path: "logout", change: set("Origin", "null")}, 403},
		{"Origin of another scheme", ask{method: "POST", path: "logout", change: set("Origin", otherScheme)}, 403},
		{"two Origins", ask{method: "POST", path: "logout", change: twoOrigins}, 403},
		{"cross-site by metadata", ask{method: "POST", path: "logout", change: set("Sec-Fetch-Site", "cross-site")}, 403},
		{"a foreign page reads", ask{method: "GET", path: "session", change: set("Sec-Fetch-Site", "cross-site")}, 403},
		{"same site, other origin", ask{method: "GET", path: "session", change: set("Sec-Fetch-Site", "same-site")}, 403},
		{"no header", ask{method: "POST", path: "logout", change: set("X-Lorawand", "")}, 403},
		{"a form", ask{method: "POST", path: "logout", change: set("Content-Type", form)}, 415},
		{"plain text", ask{method: "POST", path: "logout", change: set("Content-Type", "text/plain")}, 415},
		{"no type", ask{method: "POST", path: "logout", change: set("Content-Type", "")}, 415},
		{"a name that was made to point here", ask{method: "POST", path: "logout", change: host("evil.example")}, 421},
		{"the same, a file", ask{method: "GET", path: "../../robots.txt", change: host("evil.example:8080")}, 421},
		{"a name that ends like ours", ask{method: "GET", path: "session", change: host("lan.evil.example")}, 421},
		{"GET that would change", ask{method: "GET", path: "logout"}, 405},
		{"GET with a body", ask{method: "GET", path: "login", body: `{"password":"` + secret + `"}`}, 405},
		{"HEAD", ask{method: "HEAD", path: "session"}, 200},
		{"PUT", ask{method: "PUT", path: "logout"}, 405},
		{"an unknown address", ask{method: "GET", path: "nothing"}, 404},
		{"too large", ask{method: "POST", path: "logout", body: `{"x":"` + strings.Repeat("x", maxLoginBody) + `"}`}, 413},
		{"not JSON", ask{method: "POST", path: "logout", body: `{`}, 400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := *s
			s.T = t
			a := tt.ask
			a.path = "/api/page/" + a.path
			if a.cookie == "" {
				a.cookie = token
			}
			if r := s.ask(a); r.status != tt.status {
				t.Errorf("%d, want %d: %s", r.status, tt.status, r.body)
			}
			if !strings.Contains(s.get(token, "/api/page/session").body, `"in":true`) {
				token = s.login(secret) // the good ones have ended it
			}
		})
	}
}

// A guesser is refused without a look at what it says, and many at once cost no more
// memory than one.
func TestGuessing(t *testing.T) {
	s := newPage(t)
	var mu sync.Mutex
	seen := map[int]int{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			r := s.tryLogin("wrong password")
			mu.Lock()
			defer mu.Unlock()
			seen[r.status]++
		})
	}
	wg.Wait()
	if seen[http.StatusUnauthorized] == 0 || seen[http.StatusUnauthorized]+seen[http.StatusTooManyRequests] != 8 {
		t.Errorf("%v", seen)
	}
	guesser, now := netip.MustParseAddr("127.0.0.1"), time.Now()
	for range 10 { // it goes on for some time
		now = now.Add(time.Minute)
		s.site.tries.Begin(guesser, now)
		s.site.tries.End(guesser, false, true, now)
	}
	r := s.tryLogin(secret)
	if r.status != http.StatusTooManyRequests || r.header.Get("Retry-After") == "" || !strings.Contains(r.body, "wait_s") {
		t.Errorf("the right one while it must wait: %+v", r)
	}
	if n := len(s.Events().Recent(nil)); n == 0 {
		t.Error("no event tells of it")
	}
}

// Another login that is looked at is waited for, not joined.
func TestParallelLogins(t *testing.T) {
	s := newPage(t)
	s.site.o.Passwords.hashing <- struct{}{}
	done := make(chan reply)
	go func() { done <- s.tryLogin(secret) }()
	for { // until it is at the password
		if s.site.tries.Len() > 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	select {
	case r := <-done:
		t.Fatalf("it did not wait: %+v", r)
	default:
	}
	<-s.site.o.Passwords.hashing
	if r := <-done; r.status != http.StatusOK {
		t.Errorf("%+v", r)
	}
}
