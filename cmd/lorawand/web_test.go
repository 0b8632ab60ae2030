//go:build !small

package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lorawand/concentrator/serial/serialtest"
)

const pagePassword = "correct horse battery"

// pagePost sends a change as the web page does, and returns the answer.
func pagePost(t *testing.T, c *http.Client, url, body string) (status int, text string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	return pageSend(t, c, req)
}

func pageSend(t *testing.T, c *http.Client, req *http.Request) (status int, text string) {
	t.Helper()
	req.Header.Set("X-Lorawand", "1")
	r, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(b)
}

// pageRestore has the page restore a backup.
func pageRestore(t *testing.T, c *http.Client, url, backup string) (status int, text string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(backup))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	req.Header.Set("X-Lorawand-Password", pagePassword)
	return pageSend(t, c, req)
}

// pageLogin logs in to the web page and returns the status of the answer.
func pageLogin(t *testing.T, base, password string) int {
	t.Helper()
	status, _ := pagePost(t, &http.Client{Timeout: time.Minute}, base+"/api/page/login", `{"password":"`+password+`"}`)
	return status
}

// withPage has a site serve the page at these addresses.
func (s *site) withPage(listen, api string) {
	s.Helper()
	conf, err := os.ReadFile(s.conf)
	if err != nil {
		s.Fatal(err)
	}
	s.write("lorawand.toml", strings.Replace(string(conf), "[http]\nlisten = \"\"",
		fmt.Sprintf("[http]\nlisten = %q\napi_listen = %q", listen, api), 1))
}

// The page is served by both listeners, and off until its password is set; that is kept
// over a restart, and set without a daemon too.
func TestWebPassword(t *testing.T) {
	s := newSite(t, "")
	s.withPage("127.0.0.1:0", "127.0.0.1:0")
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

// A backup is taken and restored by the page: the answer comes before the daemon begins
// anew, with another session and the same password.
func TestWebRestore(t *testing.T) {
	address := freeTCP(t)
	s := newSite(t, "")
	s.withPage("", address)
	s.must(deviceJSON("dev1", testAddr.String()), "device", "import", "-", "--application", "app1")
	s.must(pagePassword, "web", "password")
	stop := s.serving()
	defer stop()
	s.until("1, 0 joins", "status")
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c, base := &http.Client{Timeout: time.Minute, Jar: jar}, "http://"+address+"/api/page/"
	if status, text := pagePost(t, c, base+"login", `{"password":"`+pagePassword+`"}`); status != http.StatusOK {
		t.Fatalf("%d %s", status, text)
	}
	status, backup := pagePost(t, c, base+"backup", `{"password":"`+pagePassword+`"}`)
	if status != http.StatusOK || !strings.Contains(backup, "app1/dev1") {
		t.Fatalf("%d %s", status, backup)
	}
	s.must("", "device", "delete", "dev1", "--application", "app1")
	if status, text := pageRestore(t, c, base+"restore", backup); status != http.StatusOK || !strings.Contains(text, `"devices":1`) {
		t.Errorf("%d %s", status, text)
	}
	s.until("1, 0 joins", "status")
	if status, text := pagePost(t, c, base+"backup", "{}"); status != http.StatusUnauthorized {
		t.Errorf("the session goes on: %d %s", status, text)
	}
	if status := pageLogin(t, "http://"+address, pagePassword); status != http.StatusOK {
		t.Errorf("the password of the backup: %d", status)
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
