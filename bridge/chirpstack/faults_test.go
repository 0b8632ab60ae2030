// This package is not in the builds for MIPS, whose MQTT library cannot be the broker of these tests.
//go:build !mips && !mipsle

package chirpstack

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/radio"
)

// Whatever the network does: no frame comes twice or out of order, each is counted as handed on or as lost, the network
// knows whether the gateway is on line, and a minute after all is good again all come.
func TestNetworkFaults(t *testing.T) {
	for _, tt := range []struct {
		name  string
		times int
		setup func(*broker)
		bad   func(*broker, *rand.Rand) time.Duration // makes it so, for so long
		all   bool                                    // no frame is lost at all
	}{
		{
			name: "two days", times: 1,
			bad: func(b *broker, _ *rand.Rand) time.Duration { b.cut(true); return 48 * time.Hour },
		},
		{
			name: "half-open", times: 5, bad: func(b *broker, r *rand.Rand) time.Duration {
				b.set(func() { b.hung = true })
				b.cut(false)
				return time.Duration(r.IntN(600)) * time.Second
			},
		},
		{
			name: "flapping", times: 100, bad: func(b *broker, r *rand.Rand) time.Duration {
				b.cut(r.IntN(2) == 0)
				return time.Duration(r.IntN(20_000)) * time.Millisecond
			},
		},
		{name: "slow", all: true, setup: func(b *broker) { b.slow = 300 * time.Millisecond }},
		{name: "duplicate PUBACK", all: true, setup: func(b *broker) { b.twice = true }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStand(t, "json")
				defer s.end()
				if tt.setup != nil {
					tt.setup(s.broker)
				}
				testNetworkFault(s, tt.times, tt.bad, tt.all)
				if s.twice && s.again < 40 {
					t.Errorf("%d PUBACKs came twice", s.again)
				}
			})
		})
	}
}

func (b *broker) set(change func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change()
}

func testNetworkFault(s *stand, times int, bad func(*broker, *rand.Rand) time.Duration, all bool) {
	r := rand.New(rand.NewPCG(1, 2))
	s.Gateway(gwA, true, nil)
	time.Sleep(5 * time.Second)
	n := 0
	send := func(frames int, each time.Duration) {
		for range frames {
			s.frame(n)
			n++
			time.Sleep(each)
		}
	}
	send(20, time.Second)
	for range times {
		length := bad(s.broker, r)
		for begin := time.Now(); time.Since(begin) < length; {
			send(1, max(length/50, time.Second))
		}
		s.set(func() { s.hung, s.off = false, false })
		send(1, time.Second)
	}
	time.Sleep(2 * time.Minute)
	s.take(topic(gwA, "event/stats"))
	came := s.frames()
	if got := s.retained(topic(gwA, "state/conn")); !bytes.Equal(got, s.state(gwA, true)) {
		s.Errorf("state: %q", got)
	}
	send(20, time.Second)
	time.Sleep(time.Minute)
	behind := s.frames()
	came = append(came, behind...)
	st := s.States()[0]
	if len(behind) != 20 || all && len(came) != n {
		s.Errorf("of %d frames came %d, and %d of the last 20; %+v", n, len(came), len(behind), st)
	}
	for i := 1; i < len(came); i++ {
		if came[i] <= came[i-1] {
			s.Errorf("frame %d comes behind frame %d", came[i], came[i-1])
		}
	}
	if st.Heard != uint64(n) || st.Forwarded+st.Lost != uint64(n) || st.Answered != 1 ||
		st.Forwarded > uint64(len(came)) {
		s.Errorf("%d frames, %d came: %+v", n, len(came), st)
	}
}

// frame has a gateway hear a data frame with a number.
func (s *stand) frame(n int) {
	s.Uplink(radio.Uplink{
		Gateway: gwA, PHYPayload: append([]byte{0x40, 1, 2, 1, 0x26, 0, byte(n), byte(n >> 8)}, make([]byte, 5)...),
		Frequency: 868_300_000, DataRate: radio.LoRaDataRate(9, 125_000), CodingRate: radio.CodingRate45,
		Receptions: make([]radio.Reception, 1),
	}, false)
	synctest.Wait()
}

// frames returns the numbers of the frames that have come since the last call.
func (s *stand) frames() (out []int) {
	s.Helper()
	for _, b := range s.take(topic(gwA, "event/up")) {
		var up struct{ PHYPayload []byte }
		if err := json.Unmarshal(b, &up); err != nil || len(up.PHYPayload) != 13 {
			s.Fatalf("%s: %v", b, err)
		}
		out = append(out, int(up.PHYPayload[6])|int(up.PHYPayload[7])<<8)
	}
	return out
}
