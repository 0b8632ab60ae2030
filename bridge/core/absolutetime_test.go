package core

import (
	"math"
	"testing"
	"time"

	"lorawand/bridge/session"
	"lorawand/radio"
)

// atTime has an item sent at a time.
func atTime(at time.Time) func(*session.Item) {
	return func(it *session.Item) { it.ClassBC = &session.ClassBC{AbsoluteTime: at} }
}

// afterRestart begins anew without a calendar. Gateway A hears dev1 again.
func (s *stand) afterRestart(classB bool) {
	s.Helper()
	s.restart(s.disk.firm)
	s.now.Wall.Quality = radio.TimeNone
	s.step(Starting{})
	s.online(gwA)
	s.answering(gwA)
	s.heardB(2, classB, s.withGPS)
}

// An item with a time goes out at that time by the calendar, also if that is set meanwhile; not
// before, and not at all while nobody knows the time.
func TestAbsoluteTimes(t *testing.T) {
	never := time.Duration(math.MaxInt64)
	step := func(d time.Duration) func(*stand, bool) {
		return func(s *stand, _ bool) { s.now.Wall.Time = s.now.Wall.Time.Add(d) }
	}
	for _, tt := range []struct {
		name string
		in   time.Duration               // from the push to the time
		do   func(s *stand, classB bool) // 5 s after the push
		then func(s *stand)              // a minute later
		said string
	}{
		{"as it was", 3 * time.Minute, nil, nil, "down/queued, down/sent"},
		{"very soon", 8 * time.Second, nil, nil, "down/queued, down/sent"},
		{"in the year 9999", never, nil, nil, "down/queued"},
		{"the calendar is set forward", 10 * time.Minute, step(7 * time.Minute), nil, "down/queued, down/sent"},
		{"the calendar is set back", 3 * time.Minute, step(-3 * time.Minute), nil, "down/queued, down/sent"},
		{
			"the calendar is lost with a restart", 3 * time.Minute, (*stand).afterRestart,
			func(s *stand) { s.now.Wall.Quality = radio.TimeNTP }, "down/queued, up, down/sent",
		},
		{
			"the same, for ever", 3 * time.Minute, (*stand).afterRestart, func(*stand) {}, "down/queued, up",
		},
	} {
		for name, begin := range map[string]func(*testing.T) *stand{"Class B": classB, "Class C": classC} {
			t.Run(tt.name+", "+name, func(t *testing.T) {
				s := begin(t)
				s.devices["dev1"].Changed()
				at := s.now.Wall.Time.Add(tt.in)
				if tt.in == never {
					at = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)
				}
				s.told, s.read = len(s.ups), len(s.sent)
				s.push("dev1", item("x", atTime(at)))
				s.serve(5 * time.Second)
				if tt.do != nil {
					tt.do(s, name == "Class B")
				}
				s.serve(time.Minute)
				if tt.then != nil {
					tt.then(s)
				}
				s.serve(6 * time.Minute)
				s.said(tt.said)
				for _, h := range s.sent[s.read:] {
					late := s.now.Wall.Time.Add(radio.HostTime(h.Time * 1000).Sub(s.now.Host)).Sub(at)
					if late < 0 || name == "Class C" && late > ms || late > 2*time.Second {
						t.Errorf("%s is %v late", h.text, late)
					}
				}
			})
		}
	}
}

// An item whose time passes while its device does not listen has failed then, and what is behind it
// goes out with the next uplink.
func TestAbsoluteTimePassesUnheard(t *testing.T) {
	for _, tt := range []struct {
		name   string
		device string
		wait   time.Duration // from the push to the uplink
		known  radio.TimeQuality
		before string // the uplink
		said   string
	}{
		{
			"Class B, the last uplink has not the bit", "dev1", 2 * time.Minute, radio.TimeNTP,
			"down/failed downlink_expired", "up, down/sent",
		},
		{
			"Class C of 1.1, which has said nothing", "dev4", 2 * time.Minute, radio.TimeNTP,
			"down/failed downlink_expired", "up, down/sent",
		},
		{"its time is to come", "dev1", 30 * time.Second, radio.TimeNTP, "", "up"},
		{"without a calendar", "dev1", 2 * time.Minute, radio.TimeNone, "", "up"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := classB(t)
			s.heardB(2, false, s.withGPS)
			s.add(&session.Device{
				ID: session.ID{Application: "app1", Device: "dev4"}, DevEUI: radio.EUI64{4}, Version: session.V1_1,
				Plan: "EU_863_870_TTN", ClassC: true,
				Session: &session.Session{DevAddr: radio.DevAddr{4}, Keys: testKeys(4)},
			})
			s.late("dev4")
			s.step(Starting{})
			s.wait(10 * time.Second)
			s.push(tt.device, item("x", atTime(s.now.Wall.Time.Add(time.Minute))), item("y"))
			s.told, s.now.Wall.Quality = len(s.ups), tt.known
			s.serve(tt.wait)
			s.said(tt.before)
			s.hear(gwA, s.phy(tt.device, 3, payload("up")))
			s.serve(10 * time.Second)
			s.said(tt.said)
		})
	}
}
