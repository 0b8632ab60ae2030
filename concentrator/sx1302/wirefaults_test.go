package sx1302

import (
	"errors"
	"math/rand"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/concentrator/sx1302/sx1302test"
	"lorawand/radio"
)

// TestWireFaults: whatever comes back from the chip, the driver goes on, finds out within 5 s where nothing can be
// had from it, answers each downlink once, and hears and sends again some seconds after the fault is over.
func TestWireFaults(t *testing.T) {
	fill := func(b byte) func([]byte) error {
		return func(r []byte) error {
			for i := range r {
				r[i] = b
			}
			return nil
		}
	}
	each := func(n int) func([]byte) error {
		count := 0
		return func([]byte) error {
			if count++; count%n == 0 {
				return errors.New("input/output error")
			}
			return nil
		}
	}
	rnd := rand.New(rand.NewSource(1))
	for _, tt := range []struct {
		name  string
		fault func(r []byte) error
		found bool // it is told that the gateway is off line
	}{
		{"all bits 0", fill(0), true},
		{"all bits 1", fill(0xFF), true},
		{"garbage", func(r []byte) error { _, err := rnd.Read(r); return err }, true},
		{"each transfer fails", each(1), true},
		{"each second transfer fails", each(2), true},
		{"each seventh transfer fails", each(7), true},
		{"each fiftieth transfer fails", each(50), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testWireFault(t, tt.fault, tt.found) })
		})
	}
}

// One wrong bit in an answer, in a check of the health, starts nothing again; what stays does.
func TestOneWrongBit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var wrong atomic.Int32
		b := onWire(t, sx1302test.Options{}, func(w, r []byte) error {
			if len(w) > 2 && w[1] == 0x56 && w[2] == 0x06 && len(r) > 0 && wrong.Add(-1) >= 0 { // the version
				r[len(r)-1] ^= 4
			}
			return nil
		}, nil)
		defer b.stop()
		for _, tt := range []struct {
			bits, failures int32
		}{{1, 0}, {2, 1}} {
			before := b.driver.Stats().Failures
			wrong.Store(tt.bits)
			time.Sleep(5 * time.Second)
			if n := b.driver.Stats().Failures - before; n != uint64(tt.failures) || wrong.Load() > 0 {
				t.Errorf("%d bits, %d of them not read: %d failures, want %d", tt.bits, max(wrong.Load(), 0), n, tt.failures)
			}
		}
	})
}

func testWireFault(t *testing.T, fault func(r []byte) error, found bool) {
	var broken atomic.Bool
	b := onWire(t, sx1302test.Options{}, func(_, r []byte) error {
		if broken.Load() {
			return fault(r)
		}
		return nil
	}, nil)
	defer b.stop()
	const downs = 20
	for id := range uint64(downs) {
		b.transmit(b.down(id, time.Duration(id+1)*500*time.Millisecond))
	}
	broken.Store(true)
	time.Sleep(5 * time.Second)
	if _, _, events := b.sink.seen(); found != slices.Contains(events, radio.GatewayDisconnected) {
		t.Errorf("after 5 s it is told: %v", events)
	}
	broken.Store(false)
	time.Sleep(15 * time.Second)
	for id := range uint64(downs) {
		b.result(id)
	}
	ups, _, _ := b.sink.seen()
	for i := range 5 {
		b.hear("frame "+strconv.Itoa(i), nil)
		time.Sleep(time.Second)
	}
	if now, _, _ := b.sink.seen(); len(now) != len(ups)+5 {
		t.Errorf("%d of 5 frames come afterwards", len(now)-len(ups))
	}
	b.transmit(b.down(100, 500*time.Millisecond))
	if time.Sleep(2 * time.Second); b.result(100) != radio.TxOK {
		t.Errorf("a downlink afterwards: %v", b.result(100))
	}
}
