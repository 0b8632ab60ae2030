package state

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"lorawand/bridge/schedule"
	"lorawand/bridge/store"
	"lorawand/radio"
)

// hoursIn are records of hours.
type hoursIn map[string]store.Record

func (h hoursIn) Records(kind string) (out []store.Record) {
	for _, r := range h {
		if r.Kind == kind {
			out = append(out, r)
		}
	}
	return out
}

// The hours of a week are read as they were written, and the ring grows no further.
func TestAirtimeHours(t *testing.T) {
	gw := radio.EUI64{0xa}
	began := time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)
	at := func(h radio.HostTime) time.Time { return began.Add(time.Duration(h)) }
	disk := hoursIn{}
	for start := range 3 { // the daemon starts three times
		loaded, err := loadHours(disk)
		if err != nil {
			t.Fatal(err)
		}
		h := NewAirtimeHours(loaded)
		for n := range int64(100) {
			hour := schedule.Hour{Number: n, Bands: []schedule.BandHour{{
				Low: 868_000_000, Emissions: uint32(n), Airtime: time.Duration(n) * time.Millisecond, Worst: 36 * time.Second,
				WorstAt: radio.HostTime(time.Duration(n)*time.Hour + time.Minute),
			}}}
			before := h.With(gw, []schedule.Hour{hour}, at)
			for _, r := range h.Note(gw, []schedule.Hour{hour}, at) {
				disk[r.Key] = r
			}
			if after := h.With(gw, nil, at); !reflect.DeepEqual(before, after) {
				t.Fatalf("%v was shown, and is %v", before, after)
			}
		}
		if want := min(100*(start+1), keptHours); len(disk) != want || len(h.With(gw, nil, at)) != want {
			t.Errorf("start %d: %d records and %d hours, want %d", start, len(disk), len(h.With(gw, nil, at)), want)
		}
	}
	loaded, err := loadHours(disk)
	if err != nil {
		t.Fatal(err)
	}
	hours := loaded[gw]
	last := hours[len(hours)-1]
	got := fmt.Sprint(last.Seq, last.Began, last.Bands)
	want := fmt.Sprint(299, began.Add(99*time.Hour), []schedule.BandHour{{
		Low: 868_000_000, Emissions: 99, Airtime: 99 * time.Millisecond, Worst: 36 * time.Second,
		WorstAt: radio.HostTime(time.Minute), // since the hour began
	}})
	if got != want || hours[0].Seq != 299-keptHours+1 {
		t.Errorf("%s, want %s; the first is %d", got, want, hours[0].Seq)
	}
}

// What cannot be an hour is refused.
func TestParseHour(t *testing.T) {
	good := hourRecord(radio.EUI64{1}, &AirtimeHour{Seq: 1, Bands: []schedule.BandHour{{Low: 1}}})
	if _, h, err := parseHour(good); err != nil || !h.Began.IsZero() {
		t.Fatal(h, err)
	}
	for name, change := range map[string]func(*store.Record){
		"no EUI":          func(r *store.Record) { r.Key = "x/1" },
		"another version": func(r *store.Record) { r.Version = 9 },
		"cut off":         func(r *store.Record) { r.Data = r.Data[:len(r.Data)-1] },
		"empty":           func(r *store.Record) { r.Data = nil },
	} {
		r := good
		if change(&r); func() error { _, _, err := parseHour(r); return err }() == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// The hours are stored six times in an hour in which something is sent, and not at all
// while nothing is.
func TestHoursDue(t *testing.T) {
	h := NewAirtimeHours(nil)
	due := 0
	for at := time.Duration(0); at < 5*time.Hour; at += time.Second {
		if at < time.Hour {
			h.Expect(radio.HostTime(at + 5*time.Second))
		}
		if next := h.Next(); next != 0 && next <= radio.HostTime(at) && h.Due(radio.HostTime(at)) {
			due++
		}
	}
	if due < 6 || due > 8 || h.Next() != 0 {
		t.Errorf("due %d times, then at %v", due, h.Next())
	}
}
