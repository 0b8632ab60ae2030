package gnss

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/radio"
)

// tty is a line on which a receiver says something each second, at one speed only.
type tty struct {
	baud     int        // of the line
	receiver func() int // of the receiver
	asked    func(baud int)
}

func (l *tty) Read(b []byte) (int, error) {
	time.Sleep(time.Second)
	if l.baud != l.receiver() {
		return copy(b, "\x00\xf8\x80garbage"), nil
	}
	return copy(b, line(gga)), nil
}

func (l *tty) Write(b []byte) (int, error) {
	l.asked(l.baud)
	return len(b), nil
}

func (*tty) Close() error { return nil }

// A receiver that has another speed, also from some time on, is found, and asked for the time again.
func TestSpeeds(t *testing.T) {
	for _, tt := range []struct {
		name         string
		first, later int // speed, and that after a minute; 0: it is silent
		heard        bool
	}{
		{"the usual one", 9600, 9600, true},
		{"the last one", 57600, 57600, true},
		{"from the usual one to another", 9600, 38400, true},
		{"from another to the usual one", 115200, 9600, true},
		{"switched off", 9600, 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now()
				speed := func() int {
					if time.Since(begun) < time.Minute {
						return tt.first
					}
					return tt.later
				}
				var asked atomic.Int64
				r := New(Options{
					Device: "/dev/tty", Logger: slog.New(slog.DiscardHandler),
					Now: func() radio.HostTime { return radio.HostTime(time.Since(begun)) + 1 },
					Open: func(baud int) (io.ReadWriteCloser, error) {
						return &tty{baud, speed, func(baud int) { asked.Store(int64(baud)) }}, nil
					},
				})
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error)
				go func() { done <- r.Run(ctx) }()
				time.Sleep(59 * time.Second)
				if s := r.State(); int(asked.Load()) != tt.first || s.Err != nil || r.opts.Now().Sub(s.Heard) > 2*time.Second {
					t.Errorf("within the first minute: asked at %d baud, %+v", asked.Load(), s)
				}
				time.Sleep(2 * time.Minute)
				s := r.State()
				switch recent := r.opts.Now().Sub(s.Heard) <= 2*time.Second; {
				case recent != tt.heard, tt.heard && int(asked.Load()) != tt.later, !tt.heard && !errors.Is(s.Err, errSilent):
					t.Errorf("later: asked at %d baud, %+v", asked.Load(), s)
				}
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
			})
		})
	}
}
