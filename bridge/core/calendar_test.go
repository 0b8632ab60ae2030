package core

import (
	"fmt"
	"regexp"
	"slices"
	"testing"
	"time"

	"lorawand/radio"
)

// decided are the parts of a message that the calendar has no part in.
var decided = regexp.MustCompile(`"(f_cnt|frm_payload|f_port|name)":("[^"]*"|\d+)`)

// course is a random course of events under a calendar and GPS time, as what was decided in it. change sets
// these before each of its events.
func course(t *testing.T, events int, change func(n int, w *weather)) (lines []string) {
	t.Helper()
	w := newWeather(t, 4)
	line := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	w.trace = func(e Effect) {
		w.oracle(e)
		switch e := e.(type) {
		case Transmit:
			d := &e.Downlink
			line("transmit %v %d %d %v %d bytes", d.Gateway, d.Time, d.Frequency, d.DataRate, len(d.PHYPayload))
		case Publish:
			line("publish %s %s %q", e.Message.Device, e.Message.Suffix, decided.FindAll(e.Message.Payload, -1))
		case Answer:
			line("answer %d %v", e.Ticket, e.Err)
		case *Arm:
			line("arm %d", e.At)
		}
	}
	for n := range events {
		change(n, w)
		w.happen()
	}
	return lines
}

// Whatever the calendar shows, and however it jumps, nothing is sent, published or ended at another
// time, or not at all: only the clocks of host and gateway decide.
func TestCalendarDecidesNothing(t *testing.T) {
	const events = 600
	want := course(t, events, func(int, *weather) {})
	for name, change := range map[string]func(n int, wall *radio.WallTime){
		"56 years on":       func(n int, wall *radio.WallTime) { jump(n == events/2, wall, 56*365*24*time.Hour) },
		"40 years back":     func(n int, wall *radio.WallTime) { jump(n == events/2, wall, -40*365*24*time.Hour) },
		"an hour back":      func(n int, wall *radio.WallTime) { jump(n%100 == 99, wall, -time.Hour) },
		"2 s to and fro":    func(n int, wall *radio.WallTime) { jump(true, wall, time.Duration(n%2*4-2)*time.Second) },
		"years, to and fro": func(n int, wall *radio.WallTime) { jump(true, wall, time.Duration(n%2*2-1)*87_600*time.Hour) },
		"it stands still":   func(_ int, wall *radio.WallTime) { wall.Time = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC) },
		"good, then doubted": func(n int, wall *radio.WallTime) {
			wall.Quality = []radio.TimeQuality{radio.TimeNTP, radio.TimeRTC}[n/50%2]
		},
	} {
		t.Run(name, func(t *testing.T) {
			checkCourse(t, course(t, events, func(n int, w *weather) { change(n, &w.now.Wall) }), want)
		})
	}
	t.Logf("%d decisions, the same under 7 calendars", len(want))
}

// checkCourse wants the same to be decided as under a steady calendar.
func checkCourse(t *testing.T, got, want []string) {
	t.Helper()
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Fatalf("line %d of %d is\n%s, with a steady calendar it is\n%s", i, len(want), got[i], want[i])
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d lines, %d with a steady calendar", len(got), len(want))
	}
}

// GPS time that is lost, comes back or is wrong decides nothing for devices of Class A.
func TestGPSDecidesNothing(t *testing.T) {
	const events = 600
	right := func(w *weather) radio.GPSTime { return w.gps() }
	want := course(t, events, func(int, *weather) {})
	tests := map[string]func(n int, w *weather) radio.GPSTime{
		"all the time":       func(_ int, w *weather) radio.GPSTime { return right(w) },
		"lost":               func(n int, w *weather) radio.GPSTime { return right(w) * radio.GPSTime(1-n*2/events) },
		"comes and goes":     func(n int, w *weather) radio.GPSTime { return right(w) * radio.GPSTime(n/7%2) },
		"a leap second late": func(n int, w *weather) radio.GPSTime { return right(w) - radio.GPSTime(n*2/events)*1e9 },
		"1024 weeks ago":     func(_ int, w *weather) radio.GPSTime { return right(w) - radio.GPSTime(1024*7*24*time.Hour) },
	}
	for name, gps := range tests {
		t.Run(name, func(t *testing.T) {
			checkCourse(t, course(t, events, func(n int, w *weather) {
				w.sky = func(up *radio.Uplink) {
					up.GPS = gps(n, w)
					up.Receptions[0].Token.GPS = up.GPS
				}
			}), want)
		})
	}
	t.Logf("%d decisions, the same in %d courses of GPS time", len(want), len(tests))
}

func jump(now bool, wall *radio.WallTime, by time.Duration) {
	if now {
		wall.Time = wall.Time.Add(by)
	}
}

// A gateway that starts in 1970, without a clock of its own, serves its devices; when NTP arrives
// after an hour nothing of what is under way is lost, or comes a second time.
func TestCalendarArrivesLate(t *testing.T) {
	s := newStand(t)
	s.online(gwA)
	s.now.Wall = radio.WallTime{Time: time.Unix(100, 0)}
	for n := range uint32(10) {
		if n == 5 { // between an uplink with an item and its window
			s.push("dev1", item("over the jump"))
			s.hear(gwA, s.phy("dev1", n, payload("x")))
			s.now.Wall = radio.WallTime{Time: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC), Quality: radio.TimeNTP}
		} else {
			s.push("dev1", item(fmt.Sprint("item ", n)))
			s.hear(gwA, s.phy("dev1", n, payload("x")))
		}
		s.wait(time.Minute)
	}
	sent := 0
	for i := range s.ups {
		if s.ups[i].Suffix == "down/sent" {
			sent++
		}
	}
	if sent != 10 || len(s.sent) != 10 {
		t.Errorf("%d of 10 items are told to be sent, %d were", sent, len(s.sent))
	}
}
