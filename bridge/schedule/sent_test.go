package schedule

import (
	"fmt"
	"testing"
	"time"

	"lorawand/radio"
)

// show is hours as text: number, and by sub-band the emissions, their airtime, and the
// worst rolling hour with its end.
func show(hours []Hour) (out string) {
	for _, h := range hours {
		out += fmt.Sprintf("%d:", h.Number)
		for _, b := range h.Bands {
			out += fmt.Sprintf(" %v %d %v %v@%v", b.Low, b.Emissions, b.Airtime, b.Worst, time.Duration(b.WorstAt))
		}
		out += "\n"
	}
	return out
}

// What was sent is told hour by hour, when it is over, and each change once.
func TestHours(t *testing.T) {
	s, g := New(), testGateway(t, "EU_863_870")
	now := func(d time.Duration) radio.HostTime { return radio.HostTime(d) }
	want := func(at time.Duration, text string) {
		t.Helper()
		if got := show(s.Hours(g.EUI, now(at))); got != text {
			t.Errorf("at %v\n%swant\n%s", at, got, text)
		}
		if got := show(s.TakeHours(g.EUI, now(at))); got != text {
			t.Errorf("taken at %v\n%swant\n%s", at, got, text)
		}
		if got := show(s.TakeHours(g.EUI, now(at))); got != "" {
			t.Errorf("taken again\n%s", got)
		}
	}
	want(0, "")
	s.Restore(g.EUI, map[radio.Frequency]time.Duration{868_000_000: 3 * time.Second})
	want(time.Minute, "")
	commit(10*time.Minute, 2*time.Second, 868_100_000)(s, g)
	want(10*time.Minute+11*time.Second, "")
	want(10*time.Minute+12*time.Second, "0: 868.0 MHz 1 2s 5s@10m2s\n")
	commit(59*time.Minute, 4*time.Second, 868_300_000)(s, g)
	commit(59*time.Minute+59*time.Second, 5*time.Second, 869_525_000)(s, g) // ends in the next hour
	gone, _ := s.Commit(0, at(g, 61*time.Minute, 9*time.Second, 868_100_000, radio.PriorityHighest))
	s.Release(gone)
	commit(62*time.Minute, time.Second, 868_100_000)(s, g) // what was restored is an hour ago
	want(63*time.Minute, "0: 868.0 MHz 2 6s 9s@59m4s\n1: 868.0 MHz 1 1s 7s@1h2m1s 869.4 MHz 1 5s 5s@1h0m4s\n")
	commit(5*time.Hour, time.Second, 868_100_000)(s, g)
	want(6*time.Hour, "1: 868.0 MHz 1 1s 7s@1h2m1s 869.4 MHz 1 5s 5s@1h0m4s\n5: 868.0 MHz 1 1s 1s@5h0m1s\n")
}

// The emissions of the last hour say what they were for.
func TestSent(t *testing.T) {
	s, g := New(), testGateway(t, "EU_863_870")
	s.Restore(g.EUI, map[radio.Frequency]time.Duration{868_000_000: 3 * time.Second})
	commit(time.Minute, time.Second, 869_525_000)(s, g)
	e := at(g, 30*time.Second, time.Second, 868_100_000, radio.PriorityHigh)
	e.Why = Why{"app1/dev1", "RX1", Item}
	if slot, v := s.Commit(0, e); slot == nil {
		t.Fatal(v)
	}
	text := ""
	for _, e := range s.Sent(g, radio.HostTime(2*time.Minute)) {
		text += fmt.Sprintln(e.SubBand, e.Frequency, time.Duration(e.Start), int64(e.Counter), e.Airtime, e.Priority, e.Why)
	}
	want := "868.0 MHz 0.0 MHz -3s 0 3s LOWEST {  unknown}\n" +
		"868.0 MHz 868.1 MHz 30s 30000000 1s HIGH {app1/dev1 RX1 application}\n" +
		"869.4 MHz 869.525 MHz 1m0s 60000000 1s HIGHEST {  unknown}\n"
	if text != want {
		t.Errorf("\n%swant\n%s", text, want)
	}
	if sent := s.Sent(g, radio.HostTime(2*time.Hour)); len(sent) != 0 {
		t.Errorf("hours later: %v", sent)
	}
}
