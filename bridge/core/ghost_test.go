package core

import (
	"strings"
	"testing"
	"time"

	"lorawand/bridge/event"
	"lorawand/bridge/session"
	"lorawand/radio"
)

// beside is a frame as a gateway hears it beside its channel, and later by its counter than the
// frame itself.
func beside(later time.Duration, rssi radio.Decibel) func(*radio.Uplink) {
	return func(up *radio.Uplink) {
		up.Frequency, up.Receptions[0].Channel = 868_500_000, 2
		up.Time, up.Receptions[0].RSSI = up.Time.Add(later), rssi*100
	}
}

// stranger is a frame by an address that only claims to be the gateway.
func stranger(up *radio.Uplink) { up.Receptions[0].NoDownlink, up.NoPath = true, "it is not pinned" }

// A concentrator reports one frame twice, on its channel and beside it, in one datagram or in
// several, at one time or at two that are less than the frame's time on air (51 ms) apart. It is
// no repetition. The answer goes by the strongest, and so does the message while it waits for
// other gateways.
func TestGhosts(t *testing.T) {
	const on, off = "868.3 MHz", "868.5 MHz"
	for _, tt := range []struct {
		name          string
		first, second func(*radio.Uplink) // what the gateway reports
		answer        string              // by which channel
		waits         string              // channel in the message where it waits
		alone         string              // the same where it does not
	}{
		{"the weak one last", at(-60), beside(0, -110), on, on, on},
		{"the weak one first", beside(0, -110), at(-60), on, on, off},
		{"20 µs later", beside(-20*time.Microsecond, -110), at(-60), on, on, off},
		{"21 µs later", beside(-21*time.Microsecond, -110), at(-60), on, on, off},
		{"21 µs earlier", beside(21*time.Microsecond, -110), at(-60), on, on, off},
		{"5 ms later", beside(-5*ms, -110), at(-60), on, on, off},
		{"as strong", beside(0, -60), at(-60), off, off, off},
		{"a stranger's", at(-90), func(up *radio.Uplink) { beside(0, -20)(up); stranger(up) }, on, on, on},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, gateways := range [][]radio.EUI64{{gwA}, {gwA, gwB}} {
				s := newStand(t)
				s.answering(gateways...)
				s.online(gateways...)
				s.late("dev1")
				phy := s.phy("dev1", 0, confirmed("x"))
				s.hear(gwA, phy, tt.first)
				s.wait(10 * ms)
				s.hear(gwA, phy, delayed(10*ms), tt.second)
				s.wait(10 * time.Second)
				if n := s.count(event.UplinkRepeated); n != 0 || len(s.sent) != 1 || len(s.ups) != 1 {
					t.Fatalf("%d repetitions, %d answers, %d messages", n, len(s.sent), len(s.ups))
				}
				if !strings.Contains(s.sent[0].text, tt.answer) {
					t.Errorf("the answer is %s, want RX1 of %s", s.sent[0].text, tt.answer)
				}
				want := tt.alone
				if len(gateways) > 1 {
					want = tt.waits
				}
				if hz := strings.Replace(strings.TrimSuffix(want, " MHz"), ".", "", 1) + "00000"; !strings.Contains(
					string(s.ups[0].Payload), `"frequency":"`+hz+`"`) {
					t.Errorf("with %d gateways the message has not %s: %s", len(gateways), want, s.ups[0].Payload)
				}
			}
		})
	}
}

// What comes one time on air later, or more, was sent again.
func TestNoGhost(t *testing.T) {
	s := newStand(t)
	s.online(gwA)
	phy := s.phy("dev1", 0, payload("x"))
	s.hear(gwA, phy)
	s.hear(gwA, phy, delayed(-46*ms)) // it takes 46.3 ms
	s.hear(gwA, phy, delayed(-47*ms))
	if st := s.c.Stats(); st.Ghosts != 1 || st.Repeated != 1 {
		t.Errorf("%d ghosts, %d repetitions", st.Ghosts, st.Repeated)
	}
}

// The same with a join-request; and where the gateway that hears the device beside its channel
// is another than the one that hears it on it.
func TestGhostOfOtherKinds(t *testing.T) {
	s := newStand(t)
	s.answering(gwA, gwB)
	s.online(gwA)
	d := s.otaa("dev3", session.V1_0_3)
	join := s.joinRequest(d, 7)
	s.hear(gwA, join, beside(0, -110))
	s.hear(gwA, join, at(-60))
	s.wait(10 * time.Second)
	s.downs("gw-a " + joinRX1 + ", 2s ahead: join_accept")

	s.online(gwB)
	s.late("dev1")
	phy := s.phy("dev1", 0, confirmed("x"))
	s.hear(gwA, phy, beside(0, -110))
	s.hear(gwB, phy, at(-60))
	s.wait(10 * time.Second)
	s.downs("gw-b " + rx1 + ", 150ms ahead: #1 ack")

	phy = s.phy("dev1", 1, confirmed("y"))
	s.hear(gwA, phy, beside(0, -110))
	s.wait(4900 * ms) // RX1 is decided on
	s.hear(gwA, phy, delayed(4900*ms), at(-60))
	s.wait(10 * time.Second)
	if got := s.sent[len(s.sent)-1]; len(s.sent) != 3 || got.Frequency != 868_500_000 {
		t.Errorf("%d answers, the last %s", len(s.sent), got.text)
	}
}
