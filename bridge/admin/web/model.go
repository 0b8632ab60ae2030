//go:build !small

package web

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"lorawand/bridge/admin"
	"lorawand/bridge/core"
	"lorawand/radio"
)

// moment is the time of an answer. The times in it are on the daemon's own clock, which nobody sets.
type moment struct {
	Now  int64  `json:"now"`  // ms since the start
	Wall *int64 `json:"wall"` // the same moment, ms of Unix time; nil: not known
}

func momentOf(now core.Now) moment {
	m := moment{Now: ms(now.Host)}
	if now.Wall.Known() {
		wall := now.Wall.Time.UnixMilli()
		m.Wall = &wall
	}
	return m
}

// ms returns a time in ms since the start.
func ms(t radio.HostTime) int64 { return time.Duration(t).Milliseconds() }

// since returns the time that was so many s before; nil: it never was.
func (m *moment) since(seconds *float64) *int64 {
	if seconds == nil {
		return nil
	}
	at := m.Now - int64(math.Round(*seconds*1e3))
	return &at
}

// at returns a calendar time; nil where the calendar, or the time, is not known.
func (m *moment) at(t time.Time) *int64 {
	if m.Wall == nil || t.IsZero() {
		return nil
	}
	at := m.Now + t.UnixMilli() - *m.Wall
	return &at
}

// moment returns now.
func (c *call) moment() moment { return momentOf(c.site.o.Bridge.Now()) }

// scope returns the application that the session is of; "": all.
func (c *call) scope() string { return c.session.Key.Application }

// do carries out an operation as who has logged in, and calls each for every part of its
// answer. What is of an application is of that of the API key.
func (c *call) do(ctx context.Context, op string, args any, each func(json.RawMessage) error) error {
	if c.session.ByPassword() {
		return c.site.o.Admin.Call(ctx, op, args, each)
	}
	if !c.session.May(op) {
		return admin.ErrHost
	}
	return c.site.o.Admin.CallAs(ctx, c.session.Key, op, args, each)
}

// collect returns the parts of the answer of an operation.
func collect[T any](c *call, op string, args any) ([]T, error) {
	out := []T{}
	err := c.do(c.r.Context(), op, args, func(raw json.RawMessage) error {
		var v T
		if err := json.Unmarshal(raw, &v); err != nil {
			return fmt.Errorf("%s: %w", op, err)
		}
		out = append(out, v)
		return nil
	})
	return out, err
}

// round returns a number with so many digits behind the point.
func round(v float64, digits int) float64 {
	return math.Round(v*math.Pow10(digits)) / math.Pow10(digits)
}
