package sx1302

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/concentrator/sx1302/sx1302test"
	"lorawand/radio"
)

// A panic while the chip is read, or while a downlink is armed, ends the run of this driver alone:
// it is counted, logged and told, downlinks get their answer, and nothing goes on the air.
func TestPanicEndsRun(t *testing.T) {
	for name, register := range map[string]uint16{"reading": counters.addr, "arming": txStatus.addr} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				var armed atomic.Bool
				b := onWire(t, sx1302test.Options{}, func(w, _ []byte) error {
					if reads(w, register) && armed.CompareAndSwap(true, false) {
						panic("a fault of the test")
					}
					return nil
				}, func(o *DriverOptions) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
				b.transmit(b.down(1, 500*time.Millisecond))
				b.transmit(b.down(2, 900*time.Millisecond))
				time.Sleep(400 * time.Millisecond)
				armed.Store(true)
				if err := <-b.done; !errors.Is(err, ErrFault) || !strings.Contains(err.Error(), "a fault of the test") {
					t.Errorf("Run: %v", err)
				}
				b.cancel()
				if s := b.driver.Stats(); s.Faults != 1 || s.Starts != 1 {
					t.Errorf("%+v", s)
				}
				for id := range uint64(2) {
					if r := b.result(id + 1); r != radio.TxNoPath {
						t.Errorf("downlink %d: %v", id+1, r)
					}
				}
				if _, _, events := b.sink.seen(); events[len(events)-1] != radio.GatewayDisconnected {
					t.Errorf("told %v", events)
				}
				for _, want := range []string{"a fault of the test", "fault_test.go"} {
					if !strings.Contains(log.String(), want) {
						t.Errorf("%q is not in the log: %s", want, log.String())
					}
				}
				for _, e := range b.model.Emissions() {
					if !e.Cut {
						t.Errorf("on the air: %+v", e)
					}
				}
			})
		})
	}
}

// A fault in the middle of the end leaves no downlink without an answer but those it is about.
func TestPanicAtEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var armed atomic.Bool
		b := onWire(t, sx1302test.Options{}, func([]byte, []byte) error {
			if armed.Load() {
				panic("a fault of the test")
			}
			return nil
		}, nil)
		b.transmit(b.down(1, 500*time.Millisecond))
		time.Sleep(100 * time.Millisecond)
		armed.Store(true) // for good: the chip cannot be stopped either
		if err := <-b.done; !errors.Is(err, ErrFault) {
			t.Errorf("Run: %v", err)
		}
		b.cancel()
		if r := b.result(1); r != radio.TxNoPath {
			t.Errorf("downlink 1: %v", r)
		}
		if s := b.driver.Stats(); s.Faults != 2 {
			t.Errorf("%+v", s)
		}
	})
}
