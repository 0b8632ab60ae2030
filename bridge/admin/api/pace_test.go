//go:build !small

package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"lorawand/bridge/access"
	"lorawand/bridge/admin/sharing"
	"lorawand/bridge/broker/pace"
	"lorawand/bridge/v3"
)

// Where an application has spent what there is for refused requests, such ones wait for another answer. What
// succeeds goes on, and so do other applications.
func TestTooManyRefused(t *testing.T) {
	s := newStand(t)
	const device, unknown = "/as/applications/app1/devices/dev1", "/as/applications/app1/devices/dev9"
	for _, tt := range []struct {
		name, key, method, path, body string
		status                        int // as long as there are few
		limited                       bool
	}{
		{"a push to no device", "app", "POST", unknown + "/down/push", `{"downlinks":[]}`, 404, true},
		{"a push that is not valid", "app", "POST", device + "/down/replace", `{"downlinks":[{}]}`, 400, true},
		{
			"a push of a webhook", "app", "POST", "/as/applications/app1/webhooks/w/devices/dev9/down/push",
			`{"downlinks":[]}`, 404, true,
		},
		{"no right to it", "read-only", "POST", device + "/down/push", `{}`, 403, true},
		{"an uplink that is not valid", "app", "POST", device + "/up/simulate", `{}`, 400, true},
		{"no device", "app", "GET", unknown, "", 404, true},
		{"an application of others", "foreign", "GET", device, "", 403, false},
		{"a device", "app", "GET", device, "", 200, false},
		{"a push", "app", "POST", device + "/down/push", `{"downlinks":[{"f_port":1,"frm_payload":"AQ=="}]}`, 200, false},
		{"a stranger", "", "GET", device, "", 403, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := *s
			s.T = t
			s.api.futile.Budgets = pace.Budgets{}
			s.wants(tt.key, tt.method, tt.path, tt.body, tt.status)
			s.api.futile.Spend("app1", pace.Most, time.Now().Add(time.Second)) // of what is earned meanwhile, too
			began := time.Now()
			r := s.ask(tt.key, tt.method, tt.path, strings.NewReader(tt.body))
			if limited := r.StatusCode == http.StatusTooManyRequests; limited != tt.limited ||
				!limited && r.StatusCode != tt.status {
				t.Errorf("status %d", r.StatusCode)
			}
			if took := time.Since(began); tt.limited != (took >= pace.FloodPause) {
				t.Errorf("the answer takes %v", took)
			}
			for name, want := range map[string]string{
				"X-Rate-Limit-Limit": "6000", "X-Rate-Limit-Available": "0", "X-Rate-Limit-Reset": "10",
				"X-Rate-Limit-Retry": "1", "Retry-After": "1",
			} {
				if got := r.Header.Get(name); tt.limited && got != want || !tt.limited && got != "" {
					t.Errorf("%s: %q", name, got)
				}
			}
		})
	}
	s.api.futile.Spend("app1", pace.Most, time.Now().Add(time.Second))
	s.wants("app", "GET", unknown, "", 404) // it is the first one for a while
	s.wants("app", "GET", unknown, "", 429, `"code":8`, `"namespace":"pkg/ratelimit","name":"rate_limit_exceeded"`,
		"rate limit of `6000` accesses per minute exceeded for resource `http:application:app1`", `"rate":6000`)
}

// Requests that come without a pause take as long as the packets that they count as, also what is no route and what
// needs no key; a body counts before anything is made of it. Those of others do not wait for them.
func TestRequestsArePaced(t *testing.T) {
	const packet, free = time.Second / 8000, 32 // packets that go at once
	const push = "/as/applications/app1/devices/dev1/down/push"
	for _, tt := range []struct {
		name, key, method, path string
		body                    int  // bytes
		chunked                 bool // it does not say how many
		packets                 int
	}{
		{"no route", "app", "GET", "/nowhere", 0, false, 4},
		{"no method", "app", "DELETE", "/auth_info", 0, false, 4},
		{"of another origin", "", "OPTIONS", "/auth_info", 0, false, 4},
		{"a question that needs no key", "", "GET", "/configuration/frequency-plans", 0, false, 4},
		{"without a right", "", "GET", "/applications/app1", 0, false, 4},
		{"a short body", "app", "POST", push, 10, false, 8},
		{"a long one", "app", "POST", push, 60 << 10, false, 68},
		{"a long one of unknown length", "app", "POST", push, 60 << 10, true, 68},
		{"for events", "app", "POST", "/events", 60 << 10, false, 68},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStand(t)
			calls := 10 + 100/tt.packets
			body := strings.Repeat("[", tt.body)
			ask := func() {
				s.direct(tt.key, tt.method, prefix+tt.path, func(r *http.Request) {
					if r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(tt.body); tt.chunked {
						r.ContentLength = -1
					}
				})
			}
			began := time.Now()
			for range calls {
				ask()
			}
			if took, least := time.Since(began), time.Duration((calls-1)*tt.packets-free)*packet; took < least {
				t.Errorf("%d requests took %v, want %v at least", calls, took, least)
			}
			began = time.Now()
			s.direct("foreign", "GET", prefix+"/auth_info", nil)
			if took := time.Since(began); took > time.Second {
				t.Errorf("another application waits for %v", took)
			}
		})
	}
}

// A key that is refused something seldom has no part in what others of its application do.
func TestSeldomRefused(t *testing.T) {
	var f futile
	now := time.Now()
	flooder, other := access.Login{Application: "app1", KeyID: "A"}, access.Login{Application: "app1", KeyID: "B"}
	floods := 0
	for i := range 2 * pace.Most {
		if f.floods(flooder, 0, now) {
			floods++
		}
		if i%100 == 0 {
			now = now.Add(2 * time.Second)
			if f.floods(other, 0, now) {
				t.Errorf("after %d of the other one a client has to wait", i)
			}
			f.Spend("app1", pace.Most, now)
		}
	}
	if floods < pace.Most {
		t.Errorf("%d of %d have to wait", floods, 2*pace.Most)
	}
	for i := range 2 * mostRefused {
		f.floods(access.Login{Application: "app1", KeyID: strconv.Itoa(i)}, 0, now)
	}
	if n := len(f.last); n > mostRefused+1 {
		t.Errorf("%d keys are remembered", n)
	}
}

// Long requests cost more.
func TestLongRefused(t *testing.T) {
	s := newStand(t)
	body := `{"downlinks":[],"x":"` + strings.Repeat("x", maxBody-100) + `"}`
	refused := 0
	for range 2 * pace.Most / pace.Cost(maxBody) {
		if status, _ := s.get("app", "POST", "/as/applications/app1/devices/dev9/down/push", body); status != 404 {
			break
		}
		refused++
	}
	if most := pace.Most / pace.Cost(maxBody-1); refused < most || refused > most+5 { // what is earned meanwhile
		t.Errorf("%d of %d bytes are refused before one has to wait, want %d", refused, len(body), most)
	}
}

// What is not the doing of the client does not count, but for the scripts of its application.
func TestIsRefusal(t *testing.T) {
	s := newStand(t)
	r, _ := http.NewRequest(http.MethodPost, "/", http.NoBody)
	c := &call{api: s.api, r: r, route: &routes[0]}
	for _, tt := range []struct {
		err  error
		want bool
	}{
		{v3.QueueFull(), true},
		{fmt.Errorf("around: %w", v3.QueueFull()), true},
		{&v3.Error{Name: "not_stored", Code: codeUnavailable}, false},
		{&v3.Error{Name: "script", Code: codeUnknown}, true},
		{errors.New("invalid"), true},
		{context.DeadlineExceeded, false},
		{context.Canceled, false},
		{plain(codeUnknown, "a fault"), false},
		{fmt.Errorf("around: %w", sharing.ErrBusy), false},
	} {
		if got := c.isRefusal(tt.err); got != tt.want {
			t.Errorf("%v: %v", tt.err, got)
		}
	}
}
