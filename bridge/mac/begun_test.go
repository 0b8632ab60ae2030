package mac

import (
	"testing"

	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
)

// The wishes for a session end when the device begins anew or joins, as with The Things
// Stack; its settings are asked again. A session that forgets its counter of uplinks alone
// keeps its wishes.
func TestWishEndsWithTheSession(t *testing.T) {
	for _, tt := range []struct {
		name  string
		begin func(e *endDevice)
		asked string // then: DutyCycleReq 1/1024 by the settings, 1/64 by the wish
	}{
		{"it goes on", func(*endDevice) {}, ""},
		{"the counter is forgotten by its owner", func(e *endDevice) { e.d.Session.ForgetFCntUp(); e.fCnt = 0 }, ""},
		{"the counter begins anew", func(e *endDevice) { e.begun, e.fCnt = true, 0 }, "040a"},
		{"ResetInd", func(e *endDevice) { e.answers = []byte{cidReset, 1} }, "040a"},
		{"a join", func(e *endDevice) {
			e.d.Session, e.fCnt = &session.Session{Parameters: e.d.Session.Parameters}, 0
		}, "040a"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newEndDevice(t, "EU_863_870_TTN", session.V1_1, link{3, 0, 1})
			e.noADR, e.d.SupportsJoin = true, false
			e.d.Settings.MAC.MaxDutyCycle = ptr(uint8(10))
			e.d.Settings.RX1Delay, e.d.Settings.RX2DataRate = ptr(uint8(1)), ptr(uint8(3))
			e.d.Session.MAC = &macstate.State{Wish: &macstate.Wish{MaxDutyCycle: ptr(uint8(6))}}
			for range 5 {
				e.uplink()
			}
			if m := e.d.Session.Parameters.MaxDutyCycle; m == nil || *m != 6 {
				t.Fatalf("asked %s", hexOf(e.asked))
			}
			e.asked, e.answers = nil, nil
			tt.begin(e)
			e.uplink()
			e.begun = false
			for range 3 {
				e.uplink()
			}
			got := ""
			for _, c := range e.asked {
				if c.CID == cidDutyCycle {
					got += hexOf([]macstate.Command{c})
				}
			}
			if got != tt.asked {
				t.Errorf("asked %q, want %q, of %s", got, tt.asked, hexOf(e.asked))
			}
		})
	}
}
