package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/bridge/v3"
	"lorawand/concentrator/air"
	"lorawand/concentrator/sx1302/sx1302test"
	"lorawand/radio"
	"lorawand/radio/frame"
)

// chipFaults are what befalls the chip in TestChipDay, and for how long.
var chipFaults = []struct {
	name  string
	lasts time.Duration
	begin func(m *sx1302test.Chip)
}{
	{"one error of the bus", 100 * time.Millisecond, func(m *sx1302test.Chip) { m.Break(sx1302test.Fault{Bus: errors.New("bus")}) }},
	{"dead bus", 5 * time.Second, func(m *sx1302test.Chip) { m.Break(sx1302test.Fault{Bus: errors.New("bus")}) }},
	{"counter stands still", 3 * time.Second, func(m *sx1302test.Chip) { m.Break(sx1302test.Fault{Frozen: true}) }},
	{"torn counter", 30 * time.Second, func(m *sx1302test.Chip) { m.Break(sx1302test.Fault{Torn: true}) }},
	{"counter steps", time.Second, func(m *sx1302test.Chip) { m.Jump(-40_000_000) }},
	{"bad record", time.Second, func(m *sx1302test.Chip) { m.Deliver(badRecord()) }},
	{"cut record", time.Second, func(m *sx1302test.Chip) { m.Deliver(badRecord()[:11]) }},
	{"parity", 70 * time.Second, func(m *sx1302test.Chip) { m.Break(sx1302test.Fault{Parity: true}) }},
	{"reset by others", 70 * time.Second, func(m *sx1302test.Chip) { m.Reset() }},
	{"dead chip", 90 * time.Second, func(m *sx1302test.Chip) { m.Reset(); m.Break(sx1302test.Fault{Dead: true}) }},
	{"programs hang", 70 * time.Second, func(m *sx1302test.Chip) { m.Reset(); m.Break(sx1302test.Fault{Hang: true}) }},
}

// badRecord is a record whose checksum is wrong.
func badRecord() []byte {
	b := (&sx1302test.Frame{Payload: []byte("spoilt on its way"), Channel: 1, SF: 7, CodingRate: 1}).Record()
	b[12] ^= 1
	return b
}

// TestChipDay is a day with a fault every few minutes and a counter that
// begins anew with each reset, shortly before it wraps. Nothing goes out at a
// wrong time, on a wrong channel or over something else, and nothing is lost
// that the chip had handed over.
func TestChipDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const (
			devices, length = 12, 24 * time.Hour
			every           = 4 * time.Minute // between faults
		)
		w := newWorld(t, "EU_863_870_TTN")
		var mu sync.Mutex
		rnd := rand.New(rand.NewPCG(1, 2))
		roll := func(n int) int { // of the air, the chip and the test itself
			mu.Lock()
			defer mu.Unlock()
			return rnd.IntN(n)
		}
		model, driver := w.chipOn(radio.EUI64{0xC}, sx1302test.Options{
			Tick:      1<<32 - 32*30_000_000,
			ResetTick: func() uint32 { return 1<<27 - uint32(roll(120_000_000)) },
		}, 50*time.Millisecond)
		published := 0
		w.message = func(m v3.Message) {
			if m.Suffix == v3.Up || m.Suffix == v3.Join {
				published++
			}
		}
		var wrong []string
		heard, cut, silent := 0, 0, 0
		begin := time.Now()
		for i := range devices {
			joined := false
			var v *air.Device
			next := func(d time.Duration, f func()) {
				if at := time.Now().Add(d); at.Sub(begin) < length {
					w.air.At(at, f)
				}
			}
			var live func()
			live = func() {
				wait := 90*time.Second + time.Duration(roll(120))*time.Second
				next(wait, live)
				if !joined {
					if _, err := v.Join(); err != nil {
						t.Error(err)
					}
					return
				}
				d := frame.Data{MType: frame.UnconfirmedUp, FPort: 1, HasFPort: true, FRMPayload: []byte{byte(i)}}
				if roll(3) == 0 {
					d.MType = frame.ConfirmedUp
				}
				if _, err := v.Send(d); err != nil {
					t.Error(err)
				}
			}
			v = w.otaa(i, air.DeviceOptions{
				DataRate: uint8(i % 6), RSSI: -8000, SNR: 700,
				Heard: func(h air.Heard) {
					heard++
					joined = joined || h.JoinAccept != nil
					if h.Margin.Abs() > time.Microsecond {
						wrong = append(wrong, fmt.Sprintf("%s: %v from RX%d", h.Device, h.Margin, h.Window))
					}
				},
				Missed: func(m air.Missed) {
					if strings.HasPrefix(m.Reason, "cut off") {
						cut++ // by a reset while it was on the air
						return
					}
					wrong = append(wrong, m.Device+": "+m.Reason)
				},
				Silent: func(air.Sent) { silent++ },
			})
			next(time.Duration(i)*7*time.Second+5*time.Second, live)
		}
		w.run()
		faults := 0
		for time.Since(begin) < length {
			time.Sleep(every - time.Duration(roll(60))*time.Second)
			f := &chipFaults[faults%len(chipFaults)]
			faults++
			f.begin(model)
			time.Sleep(f.lasts)
			model.Break(sx1302test.Fault{})
		}
		time.Sleep(time.Minute)
		s := driver.Stats()
		w.stop()
		w.checkChipDay(model, wrong)
		if got, want := s.Receive.Packets, uint64(model.Heard()-model.Lost()); got != want || s.Forwarded+s.Ghosts+s.BadCRC != got {
			t.Errorf("the chip has handed over %d frames, the driver has taken %d and handed on %d: %+v", want, got, s.Forwarded, s)
		}
		if s.Starts < uint64(faults)/3 || heard < 1500 || cut > faults/10 || published < int(s.Forwarded)*95/100 {
			t.Errorf("that tests little, or too little works: %d faults, %d heard, %d cut off, %d published, %+v", faults, heard, cut, published, s)
		}
		t.Logf("%d faults, %d starts, %d failures; %d frames taken, %d published; %d downlinks heard, %d cut off by a reset; %d uplinks with nothing heard",
			faults, s.Starts, s.Failures, s.Forwarded, published, heard, cut, silent)
	})
}

// checkChipDay looks for what is wrong on the air.
func (w *world) checkChipDay(model *sx1302test.Chip, wrong []string) {
	w.Helper()
	if len(wrong) > 0 {
		w.Errorf("%d times something was wrong on the air: %s", len(wrong), wrong[0])
	}
	checkOverlaps(w.T, w.sent)
	for _, e := range model.Emissions() {
		if !e.Cut && e.Exact != 0 {
			w.Errorf("something went out %d/32 µs late", e.Exact)
		}
	}
	for _, tx := range w.sent {
		if tx.TakenBy == "" && !strings.Contains(tx.Untaken, "cut off") {
			w.Errorf("sent for nothing: %s", tx.Untaken)
		}
	}
}
