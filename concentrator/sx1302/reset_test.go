package sx1302

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/concentrator/sx1302/sx1302test"
	"lorawand/radio"
)

// TestGivesUp: after a few starts that failed the way to the chip is to be opened
// anew, so Run ends.
func TestGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		b.model.Break(sx1302test.Fault{Dead: true})
		err := <-b.done
		if !errors.Is(err, ErrNoChip) || b.driver.Stats().Failures < maxFailedStarts {
			t.Errorf("%v after %+v", err, b.driver.Stats())
		}
		b.cancel()
	})
}

// TestStartWithoutReset: a board that nobody resets can be started again.
func TestStartWithoutReset(t *testing.T) {
	model := sx1302test.New(sx1302test.Options{})
	chip, err := New(model, testConfig(), Options{Firmware: testFirmware(), Sleep: noWait})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if err := chip.Start(t.Context()); err != nil {
			t.Fatalf("start %d: %v", i+1, err)
		}
		tx := loraTransmission()
		tx.Trigger, tx.Carrier = TriggerNow, true
		if err := chip.Send(tx); err != nil {
			t.Fatal(err)
		}
	}
	if e := model.Emissions(); len(e) != 3 || !e[0].Cut || !e[1].Cut {
		t.Errorf("%+v", e)
	}
}

// TestPulseAfterSilence: pulses that stayed away for longer than the counter
// takes to wrap are told apart from those before.
func TestPulseAfterSilence(t *testing.T) {
	_, chip := newTestChip(t, sx1302test.Options{})
	at := func(s float64) uint32 { return uint32(int64(s * crystal)) }
	for s := 1.0; s <= 20; s++ {
		chip.take(reading{running: at(s + 0.1), pulse: at(s)})
	}
	if n := chip.receiver.pulses.n; n != 20 {
		t.Errorf("%d pulses after 20 s", n)
	}
	for s := 21.0; s < 320; s++ {
		chip.take(reading{running: at(s + 0.1), pulse: at(20)})
		if _, _, ok := chip.receiver.pulses.second(at(s + 0.05)); ok && s > 22 {
			t.Fatalf("%v s after the last pulse there is a fine timestamp", s-20)
		}
	}
	chip.take(reading{running: at(320.1), pulse: at(320)})
	running := chip.receiver.running
	if d := running.value() - running.past(at(320)); d != 100_000 {
		t.Errorf("the pulse was %d µs ago, want 100000", int32(d))
	}
}

// TestStuckReset: a chip that cannot be reset any more sends nothing, and works
// again when it can.
func TestStuckReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		defer b.stop()
		resets := b.model.Resets()
		b.model.Break(sx1302test.Fault{StuckReset: true})
		b.transmit(b.down(1, 90*time.Second))
		time.Sleep(10 * time.Second) // the check of the health, and a start that fails
		s := b.driver.Stats()
		if b.model.Resets() != resets || s.Failures < 2 || b.result(1) == radio.TxNoAck || len(b.model.Emissions()) > 0 {
			t.Errorf("%d resets, %+v, on the air %+v", b.model.Resets()-resets, s, b.model.Emissions())
		}
		b.model.Break(sx1302test.Fault{})
		time.Sleep(15 * time.Second)
		b.hear("afterwards", nil)
		time.Sleep(50 * time.Millisecond)
		if ups, _, _ := b.sink.seen(); len(ups) != 1 {
			t.Errorf("%d frames came", len(ups))
		}
	})
}
