package decode

import (
	"fmt"
	"testing"
	"time"

	"lorawand/bridge/event"
	"lorawand/bridge/formatter"
	"lorawand/bridge/session"
	"lorawand/bridge/v3"
)

// Of uplinks that wait for their formatter together each tells of the place where it differs from
// the one of the uplink before, and not from the one that was known when they came.
func TestPlacesOfOneLine(t *testing.T) {
	const script = `function decodeUplink(i) {
		if (i.bytes[0] == 255) throw new Error("first");
		return {data: i.bytes[0] ? {latitude: i.bytes[0], longitude: 4} : {humidity: 5}};
	}`
	place := func(latitude float64) session.Location {
		return session.Location{Latitude: latitude, Longitude: 4, Source: "SOURCE_GPS"}
	}
	for _, tt := range []struct {
		name   string
		known  float64 // latitude; 0: none
		places []byte  // latitudes, one an uplink; 0: the payload has no place
		want   string  // f_cnt of those that tell
	}{
		{"one new place", 0, []byte{1, 1}, "[1]"},
		{"one new place, and another was known", 2, []byte{1, 1, 1}, "[1]"},
		{"a place that is known", 1, []byte{1, 1}, "[]"},
		{"away and back", 1, []byte{2, 1}, "[1 2]"},
		{"away and back at once", 0, []byte{1, 2, 1, 1}, "[1 2 3]"},
		{"another payload between", 0, []byte{1, 0, 1, 2}, "[1 4]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStand(t, formatter.Options{})
			id := s.device("dev1", javaScript(script))
			if tt.known != 0 {
				s.devices[id].Locations = map[string]session.Location{fromPayload: place(tt.known)}
			}
			all := make(chan struct{}) // wait behind one that fails, which is told
			s.o.Report = func(event.Event) { <-all }
			s.up(id, 0, 255)
			for n, p := range tt.places {
				s.up(id, uint32(n+1), p)
			}
			close(all)
			s.Drain(time.Minute)
			got, last := []uint32{}, uint32(0)
			for _, m := range s.wait(len(tt.places) + 1) {
				switch m.Suffix {
				case v3.Up:
					last = parse(t, m).Up.FCnt
				case v3.Solved:
					got = append(got, last)
				}
			}
			if fmt.Sprint(got) != tt.want || len(s.located) != len(got) {
				t.Errorf("told by %v, want %s; the core by %d", got, tt.want, len(s.located))
			}
		})
	}
}
