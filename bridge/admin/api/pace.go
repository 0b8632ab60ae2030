//go:build !small

package api

import (
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"lorawand/bridge/access"
	"lorawand/bridge/admin/sharing"
	"lorawand/bridge/broker/pace"
	"lorawand/bridge/v3"
)

// pace returns the error of a request that is refused; or, where too many of the client's application
// are, waits, else the client would ask again at once, and returns the one that says so, which is that
// of The Things Stack.
//
// Source: pkg/ratelimit (config.go, result.go) of The Things Stack v3.32.
func (c *call) pace(err error) error {
	long := c.r.ContentLength
	if long < 0 || long > maxBody { // of longer ones there is one at a time
		long = maxBody
	}
	if !c.known || !c.isRefusal(err) || !c.api.futile.floods(c.who, int(long), time.Now()) {
		return err
	}
	c.api.lines.Say(c.api.log, slog.LevelWarn, "too many requests of an application are refused: it has to wait",
		slog.String("application", c.who.Application), slog.String("key", c.who.KeyID),
		slog.String("address", c.r.RemoteAddr))
	c.wait(pace.FloodPause)
	const perMinute = 60 * pace.PerSecond
	for name, value := range map[string]int{
		"X-Rate-Limit-Limit": perMinute, "X-Rate-Limit-Available": 0, "X-Rate-Limit-Reset": pace.Most / pace.PerSecond,
		"X-Rate-Limit-Retry": 1, "Retry-After": 1, // seconds
	} {
		c.w.Header().Set(name, strconv.Itoa(value))
	}
	return &v3.Error{
		Namespace: "pkg/ratelimit", Name: "rate_limit_exceeded", Code: codeResourceExhausted,
		MessageFormat: "rate limit of `{rate}` accesses per minute exceeded for resource `{key}`",
		Attributes: []v3.Attribute{
			attribute("key", "http:application:"+c.who.Application), {Name: "rate", Number: perMinute, Numeric: true},
		},
	}
}

// share waits where requests come too fast, those of an application or those without a key. A body of so many bytes
// counts when it is here, and before anything is made of it.
func (c *call) share(bytes int) { _ = c.api.requests.Pace(c.r.Context(), c.who.Application, 0, bytes) }

// mostRefused bounds how many keys are remembered; beyond that they begin anew.
const mostRefused = 1024

// futile are the requests that are refused. The zero value is ready.
type futile struct {
	pace.Budgets // by application

	mu   sync.Mutex
	last map[string]time.Time // when a key was refused something, by its id
}

// floods takes notice of a refused request, and reports whether its client has to wait: one that is refused something
// seldom does not, whatever others of its application do.
func (f *futile) floods(who access.Login, bytes int, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.last == nil || len(f.last) > mostRefused {
		f.last = map[string]time.Time{}
	}
	last := f.last[who.KeyID]
	f.last[who.KeyID] = now
	return f.Floods(who.Application, &last, bytes, now)
}

// isRefusal reports whether a request has failed by what the application has asked for, or by its scripts.
func (c *call) isRefusal(err error) bool {
	if errors.Is(err, sharing.ErrBusy) {
		return false
	}
	switch e := c.explain(err).(type) {
	case *v3.Error:
		return e.Code != codeUnavailable
	case *plainError:
		return e.Code != codeUnknown && e.Code != codeDeadlineExceeded && e.Code != codeUnavailable
	}
	return false
}

// wait lets time pass, unless the client goes or the API stops.
func (c *call) wait(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-c.r.Context().Done():
	case <-c.api.stop.Done():
	}
}
