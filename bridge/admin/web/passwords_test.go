//go:build !small

package web

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"lorawand/bridge/state"
)

// A login whose password is good when it is looked at has no session if another password, or none,
// is stored before it begins.
func TestLoginWhilePasswordsChange(t *testing.T) {
	s := newPage(t)
	p := s.site.o.Passwords
	p.hashing = make(chan struct{}) // a turn begins and ends when this test says so
	done := make(chan reply)
	go func() { done <- s.tryLogin(secret) }()
	select {
	case <-p.hashing: // the login has read what is stored
	case r := <-done:
		t.Fatalf("a login that nobody gave its turn: %+v", r)
	}
	s.op(SetPassword, `{"off":true}`)
	p.hashing <- struct{}{}
	if r := <-done; r.status == http.StatusOK || tokenOf(r) != "" {
		t.Errorf("a session with a password that is gone: %+v", r)
	}
	if n := s.site.sessions.Len(); n != 0 {
		t.Errorf("%d sessions", n)
	}
	was := "another"
	p.whileStill(was, func() { t.Error("a session of another password") })
	p.whileStill(p.stored(), func() { was = "" })
	if was != "" {
		t.Error("no session of the password that is in force")
	}
}

// A password that is set waits for those that are looked at: each takes much memory.
func TestSetWaitsForItsTurn(t *testing.T) {
	p := newPage(t).site.o.Passwords
	p.hashing <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := p.set(ctx, PasswordArgs{Password: "long enough"}, nil)
	if err == nil || !strings.Contains(err.Error(), "others log in") {
		t.Errorf("set beside another one: %v", err)
	}
	if got := p.stored(); strings.Count(got, "$") == 0 || !strings.Contains(got, "$16$1$1$") {
		t.Errorf("another password is in force: %s", got)
	}
}

// What is stored and what is in force change together, and nobody reads one of them meanwhile: of
// two passwords that are set at one time the last one that is stored is in force.
func TestStoredAndInForceTogether(t *testing.T) {
	s := newPage(t)
	p := s.site.o.Passwords
	s.op(SetPassword, `{"password":"long enough"}`)
	there := func() bool {
		for _, r := range p.store.Records(state.KindPage) {
			if r.Key == passwordKey {
				return true
			}
		}
		return false
	}
	p.mu.Lock() // somebody reads what is in force
	done := make(chan error)
	go func() { done <- p.set(t.Context(), PasswordArgs{Off: true}, nil) }()
	for end := time.Now().Add(100 * time.Millisecond); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if !there() {
			t.Error("another one is stored than the one in force")
			break
		}
	}
	p.mu.Unlock()
	if err := <-done; err != nil || there() || p.stored() != "" {
		t.Errorf("not off: %v, %q", err, p.stored())
	}
}
