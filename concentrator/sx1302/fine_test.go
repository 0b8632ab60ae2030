package sx1302

import (
	"fmt"
	"testing"
	"time"

	"lorawand/concentrator/sx1302/sx1302test"
)

// TestFineTimestamp has frames whose preamble begins at known times in a second.
func TestFineTimestamp(t *testing.T) {
	begins := func(at time.Duration, change func(*sx1302test.Frame)) sx1302test.Frame {
		f := fineFrame(at)
		f.Ticks += headerTicks(7, 868_500_000, 0) - 2138
		if change != nil {
			change(&f)
		}
		return f
	}
	const notch = 321 // ns, in the middle of a radio
	tests := []struct {
		name   string
		pulses int
		before time.Duration // the reading
		change func(*sx1302test.Frame)
		want   time.Duration // since the pulse; -1 is none
	}{
		{"15 pulses", 15, 300 * time.Millisecond, nil, -1},
		{"16 pulses", 16, 300 * time.Millisecond, nil, 200*time.Millisecond + notch},
		{"17 pulses", 17, 300 * time.Millisecond, nil, 200*time.Millisecond + notch},
		{"before the last pulse", 16, 700 * time.Millisecond, nil, 800*time.Millisecond + notch},
		{"three pulses ago", 20, 3300 * time.Millisecond, nil, 200*time.Millisecond + notch},
		{"before all pulses", 16, 17 * time.Second, nil, -1},
		{"no metrics", 16, 300 * time.Millisecond, func(f *sx1302test.Frame) { f.Metrics = nil }, -1},
		{"bad CRC", 16, 300 * time.Millisecond, func(f *sx1302test.Frame) { f.CRCError = true }, -1},
		{"no CRC", 16, 300 * time.Millisecond, func(f *sx1302test.Frame) { f.NoCRC = true }, -1},
		{
			"metrics", 16, 300 * time.Millisecond, func(f *sx1302test.Frame) { f.Metrics = []int8{4, 4, -8, 8} },
			200*time.Millisecond + notch + 156,
		},
		{
			"200 kHz from the middle", 16, 300 * time.Millisecond, func(f *sx1302test.Frame) { f.Channel = 1 },
			200 * time.Millisecond,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			model, chip, now := newFineChip(t, tt.pulses)
			f := begins(*now-tt.before, tt.change)
			model.Deliver(f.Record())
			packets, err := chip.Receive()
			if err != nil || len(packets) != 1 {
				t.Fatal(packets, err)
			}
			p := packets[0]
			if off := time.Duration(p.FineTimestamp) - tt.want; p.HasFineTimestamp != (tt.want >= 0) || p.HasFineTimestamp &&
				off.Abs() > 1 {
				t.Errorf("fine timestamp %t, %d, want %d", p.HasFineTimestamp, p.FineTimestamp, tt.want)
			}
		})
	}
}

// TestFineTimestampUntuned: metrics of a modem that was not tuned for timestamps
// are of no use.
func TestFineTimestampUntuned(t *testing.T) {
	model, chip, now := newFineChip(t, pulsesKept)
	f := fineFrame(*now - 200*time.Millisecond)
	record := f.Record()
	record[recordHead+len(f.Payload)] -= 1 << 4
	record[len(record)-1] -= 1 << 4
	model.Deliver(record)
	if packets, err := chip.Receive(); err != nil || len(packets) != 1 || packets[0].HasFineTimestamp {
		t.Errorf("%+v, %v", packets, err)
	}
}

// TestSecond finds the pulse before a time, and the second that it began, among
// seconds of different lengths and beyond a wrap of the counter.
func TestSecond(t *testing.T) {
	for _, kept := range []int{pulsesKept, pulsesKept + 5} {
		var h pulseHistory
		var at []uint32
		ticks := uint32(0xF000_0000)
		for i := range kept {
			ticks += nominalSecond - 1000*uint32(i+1)
			at = append(at, ticks)
			h.see(ticks, ticks+10)
			h.see(ticks, ticks+20)
			if _, _, ok := h.second(ticks + 100); ok != (i+1 >= pulsesKept) {
				t.Errorf("%d pulses are enough: %t", i+1, ok)
			}
		}
		at = at[kept-pulsesKept:]
		last := pulsesKept - 1
		check := func(name string, t0, pulse, length uint32, ok bool) {
			t.Helper()
			p, l, got := h.second(t0)
			if got != ok || ok && (p != pulse || l != length) {
				t.Errorf("%d pulses, %s: pulse %d, length %d, %t; want %d, %d, %t", kept, name, p, l, got, pulse, length, ok)
			}
		}
		for i := range last {
			check(fmt.Sprint("second ", i), at[i]+100, at[i], at[i+1]-at[i], true)
			check(fmt.Sprint("end of second ", i), at[i+1]-100, at[i], at[i+1]-at[i], true)
		}
		check("last pulse", at[last], at[last], at[last]-at[last-1], true)
		check("behind the last pulse", at[last]+nominalSecond, at[last], at[last]-at[last-1], true)
		check("long behind it", at[last]+nominalSecond+1, 0, 0, false)
		check("before the first", at[0]-1, 0, 0, false)
	}
}

// TestNanoseconds: a second that is a fifth too short or too long is none.
func TestNanoseconds(t *testing.T) {
	const half = 1 << (fixed - 1) // tick
	for _, tt := range []struct {
		ticks    uint32
		fraction int64
		length   uint32
		want     uint32
		ok       bool
	}{
		{16_000_000, 0, nominalSecond, 500_000_000, true},
		{16_000_000, half, nominalSecond, 500_000_015, true},
		{16_000_000, 0, 40_000_000, 400_000_000, true},
		{16_000_000, 0, 40_000_001, 0, false},
		{16_000_000, 0, 26_666_667, 599_999_992, true},
		{16_000_000, 0, 26_666_600, 0, false},
		{16_000_000, 0, 2 * nominalSecond, 0, false},
		{16_000_000, 0, 0, 0, false},
		{nominalSecond, 0, nominalSecond, 1_000_000_000, true},
		{nominalSecond, half, nominalSecond, 0, false},
		{0, -half, nominalSecond, 0, false},
		{1, -half, nominalSecond, 15, true},
	} {
		if got, ok := nanoseconds(tt.ticks, tt.fraction, tt.length); ok != tt.ok || ok && got != tt.want {
			t.Errorf("%+v: %d, %t", tt, got, ok)
		}
	}
}

func TestNotchDelay(t *testing.T) {
	for offset, delays := range map[int32]bool{
		0: true, 75_000: true, -75_000: true, 75_001: false, -75_001: false,
		400_000: false,
	} {
		if got := notchDelay(offset); (got != 0) != delays {
			t.Errorf("%d Hz from the middle: %d", offset, got)
		}
	}
}
