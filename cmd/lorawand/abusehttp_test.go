package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
)

// longRequests pushes what is refused over HTTP, and makes the longest message about it.
func (a *abused) longRequests() {
	a.requests(http.StatusNotFound, http.MethodPost, "/as/applications/app2/devices/nobody/down/push", fmt.Sprintf(
		`{"downlinks":[{"f_port":1,"frm_payload":"AQ==","decoded_payload":{"x":%q}}]}`, strings.Repeat("x", 60_000)))
}

// requests sends a request of app2 to the API again and again.
func (a *abused) requests(status int, method, path, body string) {
	a.asks(status, method, "http://"+a.api+"/api/v3"+path, body)
}

// asks sends a request again and again, on as many connections as there may be. Some of the answers, at least, have
// a status.
func (a *abused) asks(status int, method, url, body string) {
	ctx, end := context.WithTimeout(a.Context(), stormLength)
	defer end()
	var wg sync.WaitGroup
	var mu sync.Mutex
	answers := map[int]int{}
	for i := range 32 {
		dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(loopback(i))}}
		client := http.Client{Transport: &http.Transport{DialContext: dialer.DialContext}}
		wg.Go(func() {
			defer client.CloseIdleConnections()
			for ctx.Err() == nil {
				r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
				if err != nil {
					a.Error(err)
					return
				}
				r.Header.Set("Authorization", "Bearer "+a.key2)
				if answer, err := client.Do(r); err == nil {
					_, _ = io.Copy(io.Discard, answer.Body)
					_ = answer.Body.Close()
					mu.Lock()
					answers[answer.StatusCode]++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	if a.Logf("answers by status: %v", answers); answers[status] == 0 {
		a.Errorf("no answer is %d", status)
	}
}

// lists asks for all devices of app2.
func (a *abused) lists() { a.requests(http.StatusOK, http.MethodGet, "/applications/app2/devices", "") }

// withDevices gives app2 so many devices that a list of them takes long.
func (a *abused) withDevices() {
	var list strings.Builder
	for i := range 100 {
		text := deviceJSON(fmt.Sprintf("more%d", i), benchAddr(10*abusedDevices+i).String())
		fmt.Fprintln(&list, strings.Replace(text, "0102030405060708", fmt.Sprintf("02020404%08X", i), 1))
	}
	a.must(list.String(), "device", "import", "-", "--application", "app2")
}

// scrapes asks for the metrics.
func (a *abused) scrapes() { a.asks(http.StatusOK, http.MethodGet, "http://"+a.http+"/metrics", "") }

// plans asks for what needs no right, and is long.
func (a *abused) plans() {
	a.requests(http.StatusOK, http.MethodGet, "/configuration/frequency-plans", "")
}

// faultyBodies pushes what is no JSON.
func (a *abused) faultyBodies() {
	a.requests(http.StatusBadRequest, http.MethodPost, "/as/applications/app2/devices/dev0/down/push",
		strings.Repeat("[", 60_000))
}
