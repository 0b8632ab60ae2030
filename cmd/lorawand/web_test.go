//go:build !small

package main

import (
	"bytes"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lorawand/concentrator/serial/serialtest"
)

const pagePassword = "correct horse battery"

// pageLogin logs in to the web page and returns the status of the answer.
func pageLogin(t *testing.T, base, password string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/api/page/login",
		strings.NewReader(`{"password":"`+password+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Lorawand", "1")
	r, err := (&http.Client{Timeout: time.Minute}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Body.Close()
	return r.StatusCode
}

// The page is served by both listeners, and off until its password is set; that is kept
// over a restart, and set without a daemon too.
func TestWebPassword(t *testing.T) {
	s := newSite(t, "")
	conf, err := os.ReadFile(s.conf)
	if err != nil {
		t.Fatal(err)
	}
	s.write("lorawand.toml", strings.Replace(string(conf), "[http]\nlisten = \"\"",
		"[http]\nlisten = \"127.0.0.1:0\"\napi_listen = \"127.0.0.1:0\"", 1))
	r := s.start()
	bases := []string{"http://" + r.d.http.Addr().String(), "http://" + r.d.api.Addr().String()}
	for _, base := range bases {
		if status := pageLogin(t, base, pagePassword); status != http.StatusForbidden {
			t.Errorf("%s: %d before a password is set", base, status)
		}
	}
	contains(t, "too short", s.fails("short\n", "web", "password"), "too short")
	contains(t, "none", s.fails("\n", "web", "password"), "no password")
	s.must(pagePassword+"\nmore\n", "web", "password")
	for _, base := range bases {
		if status := pageLogin(t, base, pagePassword); status != http.StatusOK {
			t.Errorf("%s: %d", base, status)
		}
	}
	r.stop()
	s.must("another password", "web", "password")
	r = s.start()
	base := "http://" + r.d.api.Addr().String()
	if status := pageLogin(t, base, pagePassword); status != http.StatusUnauthorized {
		t.Errorf("the old password after a restart: %d", status)
	}
	if status := pageLogin(t, base, "another password"); status != http.StatusOK {
		t.Errorf("the new one: %d", status)
	}
	s.must("", "web", "password", "--off")
	if status := pageLogin(t, base, "another password"); status != http.StatusForbidden {
		t.Errorf("switched off: %d", status)
	}
}

// A terminal does not show what is typed, and asks twice.
func TestAskPassword(t *testing.T) {
	for _, tt := range []struct{ name, typed, want, err string }{
		{"the same twice", "secret words\nsecret words\n", "secret words", ""},
		{"a slip", "secret words\nsecret word\n", "", "differ"},
		{"nothing", "\n", "", "no password"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			keyboard, err := serialtest.OpenPTY()
			if err != nil {
				t.Fatal(err)
			}
			defer keyboard.Close()
			terminal, err := os.OpenFile(keyboard.Device, os.O_RDWR|unix.O_NOCTTY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer terminal.Close()
			if _, err := keyboard.Write([]byte(tt.typed)); err != nil {
				t.Fatal(err)
			}
			var prompt bytes.Buffer
			got, err := askPassword(terminal, &prompt)
			switch {
			case tt.err == "" && (err != nil || got != tt.want):
				t.Errorf("%q, %v", got, err)
			case tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)):
				t.Errorf("%q, %v, want %s", got, err, tt.err)
			}
			if !strings.Contains(prompt.String(), "Password") {
				t.Errorf("it asks %q", prompt.String())
			}
			state, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
			if err != nil || state.Lflag&unix.ECHO == 0 {
				t.Errorf("the echo stays off: %v", err)
			}
		})
	}
}
