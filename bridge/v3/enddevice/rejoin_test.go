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
