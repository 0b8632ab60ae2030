package core

import (
	"strings"
	"testing"
	"time"

	"lorawand/bridge/session"
)

// Where a payload places its device is in later messages, is stored with what may
// lag, and after a clean stop is as it was last.
func TestLocated(t *testing.T) {
	s := newStand(t)
	s.online(gwA)
	d := s.abp("dev1", 1, nil)
	locate := func(latitude float64) {
		s.step(Located{Device: d.ID, Service: "frm-payload", Location: session.Location{
			Latitude: latitude, Longitude: 2, Source: "SOURCE_GPS",
		}})
	}
	shown := func(latitude string) {
		t.Helper()
		s.uplink("dev1", gwA)
		want := `"locations":{"frm-payload":{"latitude":` + latitude + `,"longitude":2,"source":"SOURCE_GPS"}}`
		if last := string(s.ups[len(s.ups)-1].Payload); !strings.Contains(last, want) {
			t.Errorf("%s is not in %s", want, last)
		}
	}
	locate(50)
	if last := s.commits[len(s.commits)-1]; !last.Lag || len(last.Records) != 2 {
		t.Errorf("commit %+v", last)
	}
	shown("50")
	s.advance(time.Hour)
	n := len(s.commits)
	locate(51)
	if len(s.commits) != n {
		t.Errorf("stored again after an hour: %+v", s.commits[n:])
	}
	shown("51")
	s.step(Located{Device: session.ID{Application: "app1", Device: "gone"}, Service: "frm-payload"})
	s.step(Stopping{})
	if got := s.onSoftDisk("dev1").Locations["frm-payload"].Latitude; got != 51 {
		t.Errorf("the store has latitude %v", got)
	}
}
