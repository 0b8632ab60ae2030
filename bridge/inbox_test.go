package bridge

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/bridge/core"
	"lorawand/bridge/event"
	"lorawand/bridge/store/storetest"
	"lorawand/bridge/v3"
	"lorawand/radio"
)

// Frames that find the inbox full are counted by their reason and told, once in ten minutes.
func TestInboxIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, h, _, stop := running(t, &storetest.Commits{}, 15*time.Second, slog.New(slog.DiscardHandler))
		defer stop()
		var told []string
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			_ = b.Events().Follow(ctx, func(e event.Event) error {
				if e.Kind == event.GatewayDropped {
					told = append(told, e.Word+": "+e.Err.Error()+"; "+e.Hint)
				}
				return nil
			})
		}()
		fCnt := uint32(0)
		flood := func(more int) {
			t.Helper()
			release := make(chan struct{})
			go func() { _ = b.inspect(ctx, func(*core.Core) { <-release }) }()
			synctest.Wait()
			for range inboxSize + more {
				b.Uplink(h.uplink(gwA, "dev1", fCnt))
				fCnt++
			}
			close(release)
			time.Sleep(time.Minute)
			synctest.Wait()
		}
		flood(3)
		flood(4)
		if s, err := b.Stats(ctx); err != nil || s.InboxDropped != 7 || s.Dropped[event.DropInboxFull] != 7 {
			t.Errorf("%d dropped, %v by their reason, %v", s.InboxDropped, s.Dropped, err)
		}
		if len(told) != 1 || !strings.HasPrefix(told[0], "inbox_full: ") || !strings.Contains(told[0], ": 3 frames") ||
			!strings.Contains(told[0], "several hosts") {
			t.Errorf("told %q", told)
		}
		time.Sleep(dropsToldAgain)
		flood(0)
		if len(told) != 2 || !strings.Contains(told[1], ": 4 frames") {
			t.Errorf("told %q", told)
		}
		cancel()
		synctest.Wait()
	})
}

// again is an Outbox that has another frame come for each message, so many times.
type again struct {
	left int
	send func()
}

func (a *again) Publish(v3.Message) {
	if a.left > 0 {
		a.left--
		a.send()
	}
}

// Questions are answered while frames come without end.
func TestAskedUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const frames = 20 * atOnce
		h, out := newHome(t), &again{left: frames}
		b, err := New(Options{
			Devices: h.devices, Gateways: h.gateways, Store: &storetest.Commits{}, Outbox: out, DefaultPlan: h.plan,
			Clock: NewClock(trusted), Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		fCnt := uint32(0)
		out.send = func() { fCnt++; b.Uplink(h.uplink(gwA, "dev1", fCnt)) }
		out.send()
		left, asked := 0, make(chan error, 1)
		go func() { asked <- b.inspect(t.Context(), func(*core.Core) { left = out.left }) }()
		synctest.Wait() // it asks
		stop := begin(t, b.Run)
		if err := <-asked; err != nil || left < frames/2 {
			t.Errorf("%v; answered when %d of %d frames were left", err, left, frames)
		}
		stop()
	})
}

// Pushes take turns with frames, and go in order; all other inputs come first.
func TestInboxTakesTurns(t *testing.T) {
	b := newInbox(3)
	for n := range 4 {
		b.push(core.Pushed{Ticket: uint64(n)})
		b.frame(core.Heard{Uplink: radio.Uplink{Frequency: radio.Frequency(n)}}) // the first of four is dropped
	}
	b.push(core.Withdrawn{Ticket: 3})
	b.add(core.Stopping{})
	b.add(core.Starting{})
	var got []string
	for in, h, ok := b.take(); ok; in, h, ok = b.take() {
		switch in := in.(type) {
		case nil:
			got = append(got, fmt.Sprint("frame ", uint32(h.Uplink.Frequency)))
		case core.Pushed:
			got = append(got, fmt.Sprint("push ", in.Ticket))
		default:
			got = append(got, fmt.Sprintf("%T", in))
		}
	}
	want := "core.Stopping, core.Starting, push 0, frame 1, push 1, frame 2, push 2, frame 3, push 3, core.Withdrawn"
	if strings.Join(got, ", ") != want {
		t.Errorf("%s, want %s", strings.Join(got, ", "), want)
	}
	if n := b.len(); n != 0 {
		t.Errorf("%d inputs are left", n)
	}
}
