package bridge

import (
	"log/slog"
	"testing"
	"time"

	"lorawand/radio"
)

// transmitted counts what is handed over.
type transmitted int

func (n *transmitted) Transmit(radio.Downlink) error { *n++; return nil }

// Nothing is handed over without a lease that outlives it, nor without any, however late it is.
func TestHandsOverWithALease(t *testing.T) {
	for _, tt := range []struct {
		name        string
		lease, ends time.Duration // from now on
		want        transmitted
	}{
		{"it ends before", 2 * time.Second, time.Second, 1},
		{"it ends behind", time.Second, 2 * time.Second, 0},
		{"no lease", 0, time.Second, 0},
		{"no lease, and its time is over", 0, -time.Second, 0},
		{"its time is over", time.Second, -time.Second, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got transmitted
			b := &Bridge{
				lease: func() time.Duration { return tt.lease }, clock: NewClock(nil), inbox: newInbox(1), air: &got,
				log: slog.New(slog.DiscardHandler),
			}
			b.transmit(radio.Downlink{}, b.clock.Host().Add(tt.ends))
			if _, _, refused := b.inbox.take(); got != tt.want || refused != (tt.want == 0) {
				t.Errorf("%d handed over, want %d; refused: %v", got, tt.want, refused)
			}
		})
	}
}
