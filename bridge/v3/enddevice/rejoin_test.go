package enddevice

import (
	"strings"
	"testing"

	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
	"lorawand/radio"
	"lorawand/radio/frame"
)

// The counts that rejoin-requests have used go along with a session, also a used 0.
func TestRejoinCounts(t *testing.T) {
	for _, next := range []uint32{0, 1, 7, 1 << 16} {
		k := frame.Key{1}
		d := &session.Device{
			ID: session.ID{Application: "app1", Device: "dev1"}, DevEUI: radio.EUI64{1}, HasJoinEUI: true,
			Version: session.V1_1, VersionName: "MAC_V1_1", Plan: "EU_863_870_TTN", SupportsJoin: true,
			RootKeys: frame.RootKeys{AppKey: k, NwkKey: k}, NextRJCount1: next,
			Session: &session.Session{
				Keys: frame.SessionKeys{FNwkSIntKey: k, SNwkSIntKey: k, NwkSEncKey: k, AppSKey: k},
				MAC:  &macstate.State{NextRJCount0: next},
			},
		}
		text, err := Append(nil, d, Form{Keys: true, Session: true})
		if err != nil {
			t.Fatal(err)
		}
		entries, err := Parse(text, Options{Application: "app1"})
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		got := entries[0].Device
		n := uint32(0)
		if got.Session.MAC != nil {
			n = got.Session.MAC.NextRJCount0
		}
		if got.NextRJCount1 != next || n != next || strings.Contains(string(text), "rj_count") != (next > 0) {
			t.Errorf("%d: came back as %d and %d: %s", next, got.NextRJCount1, n, text)
		}
	}
}

// How often a device sends rejoin-requests, as it was asked and has taken it, goes along with a
// session: it is not asked again.
func TestRejoinPeriods(t *testing.T) {
	for _, tt := range []struct {
		name        string
		time, count uint8
		keeps       bool // the device keeps to the time
	}{{"taken", 5, 9, true}, {"without the time", 5, 9, false}, {"the smallest", 0, 0, true}} {
		t.Run(tt.name, func(t *testing.T) {
			k := frame.Key{1}
			p := session.Parameters{RX1Delay: 1, RX2Frequency: 869_525_000}
			if tt.keeps {
				p.RejoinTimePeriod = &tt.time
			}
			d := &session.Device{
				ID: session.ID{Application: "app1", Device: "dev1"}, DevEUI: radio.EUI64{1}, HasJoinEUI: true,
				Version: session.V1_1, VersionName: "MAC_V1_1", Plan: "EU_863_870_TTN", SupportsJoin: true,
				RootKeys: frame.RootKeys{AppKey: k, NwkKey: k},
				Session: &session.Session{
					Keys:       frame.SessionKeys{FNwkSIntKey: k, SNwkSIntKey: k, NwkSEncKey: k, AppSKey: k},
					Parameters: &p, MAC: &macstate.State{
						Rejoin: tt.time<<4 | tt.count, RejoinTold: true,
						Wish: &macstate.Wish{RejoinTime: &tt.time, RejoinCount: &tt.count},
					},
				},
			}
			text, err := Append(nil, d, Form{Keys: true, Session: true})
			if err != nil {
				t.Fatal(err)
			}
			entries, err := Parse(text, Options{Application: "app1"})
			if err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			s := entries[0].Device.Session
			m := s.MAC
			if m == nil || !m.RejoinTold || m.Rejoin != tt.time<<4|tt.count {
				t.Fatalf("%+v: %s", m, text)
			}
			if w := m.Wish; w == nil || *w.RejoinTime != tt.time || *w.RejoinCount != tt.count {
				t.Errorf("wished %+v", m.Wish)
			}
			if is := s.Parameters.RejoinTimePeriod; (is != nil) != tt.keeps {
				t.Errorf("the time that it keeps to is %v", is)
			}
		})
	}
}
