//go:build !small

package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"
	"time"
)

// startPage is startIdle with the web page open in a browser.
func startPage(b *testing.B, binary string, devices int) *idle {
	b.Helper()
	d := newBenchDaemon(b, devices, 1)
	address := freeTCP(b)
	d.withPage("", address)
	d.must(pagePassword, "web", "password")
	i := d.startIdle(b, binary)
	openPage(b, "http://"+address)
	return i
}

// openPage loads the page, and what its screens ask for, as a browser does: at once,
// 1.5 s after the last of some events, and each minute (static/api.js).
func openPage(b *testing.B, base string) {
	b.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		b.Fatal(err)
	}
	p := &pageReader{B: b, base: base, client: &http.Client{Jar: jar}}
	p.login()
	p.load("/", "/api/page/session", "/api/page/plans", "/api/page/keys", "/api/page/clients", "/api/page/log")
	p.loadLists()
	events, err := p.get("/api/page/events?since=")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = events.Close() })
	heard := make(chan struct{}, 1)
	go func() {
		defer close(heard)
		for lines := bufio.NewScanner(events); lines.Scan(); {
			select {
			case heard <- struct{}{}:
			default:
			}
		}
	}()
	go func() {
		for wait := time.Minute; ; {
			select {
			case _, ok := <-heard:
				if !ok {
					return
				}
				wait = 1500 * time.Millisecond
			case <-time.After(wait):
				p.loadLists()
				wait = time.Minute
			}
		}
	}()
}

// pageReader is a browser that looks at the page.
type pageReader struct {
	*testing.B
	base   string
	client *http.Client
}

func (p *pageReader) login() {
	p.Helper()
	req, err := http.NewRequestWithContext(p.Context(), http.MethodPost, p.base+"/api/page/login",
		strings.NewReader(`{"password":"`+pagePassword+`"}`))
	if err != nil {
		p.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Lorawand", "1")
	r, err := p.client.Do(req)
	if err != nil {
		p.Fatal(err)
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		p.Fatalf("login: %s", r.Status)
	}
}

func (p *pageReader) get(path string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(p.Context(), http.MethodGet, p.base+path, nil)
	if err != nil {
		return nil, err
	}
	r, err := p.client.Do(req)
	if err != nil {
		return nil, err
	}
	if r.StatusCode != http.StatusOK {
		_ = r.Body.Close()
		return nil, fmt.Errorf("%s: %s", path, r.Status)
	}
	return r.Body, nil
}

func (p *pageReader) load(paths ...string) {
	for _, path := range paths {
		body, err := p.get(path)
		if err == nil {
			_, err = io.Copy(io.Discard, body)
			_ = body.Close()
		}
		if err != nil && p.Context().Err() == nil {
			p.Error(err)
		}
	}
}

func (p *pageReader) loadLists() {
	p.load("/api/page/status", "/api/page/devices", "/api/page/gateways", "/api/page/strangers", "/api/page/applications")
}
