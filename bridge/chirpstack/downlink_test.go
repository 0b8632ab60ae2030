//go:build !mips && !mipsle

package chirpstack

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/brocaar/chirpstack-api/go/v3/gw"
	"github.com/golang/protobuf/proto"

	"lorawand/bridge/foreign"
	"lorawand/radio"
)

// rx returns the two windows of a device behind a frame.
func rx(context []byte) []want {
	return []want{
		{"RX1", 868_300_000, "delay", time.Second, context, 9},
		{"RX2", 869_525_000, "delay", 2 * time.Second, context, 12},
	}
}

// The windows are tried in their order, and each has one status.
func TestWindows(t *testing.T) {
	inForms(t, func(s *stand) {
		s.connect(gwA)
		context, at := s.context(gwA)
		s.down(gwA, gwA, 7, rx(context)...)
		one := s.asks[0]
		if d := one.Downlink; one.Network != "cs:1883" || !one.EIRP || string(d.PHYPayload) != "RX1" || d.Gateway != gwA ||
			d.Time != at.Add(time.Second) || d.Frequency != 868_300_000 || d.DataRate != radio.LoRaDataRate(9, 125_000) ||
			d.CodingRate != radio.CodingRate45 || d.Power != 1400 || d.Uplink || d.Immediate || d.Antenna != 1 || d.GPS != 0 {
			s.Errorf("the core is asked for %+v", one)
		}
		s.answer(foreign.Result{Answer: radio.TxCollisionPacket, Reason: "conflict"})
		if d := s.asks[1].Downlink; string(d.PHYPayload) != "RX2" || d.Time != at.Add(2*time.Second) ||
			d.DataRate != radio.LoRaDataRate(12, 125_000) {
			s.Errorf("then for %+v", d)
		}
		s.answer(foreign.Result{Planned: true})
		if got := s.acks(gwA); len(got) != 0 {
			s.Errorf("before the gateway has answered: %q", got)
		}
		s.answer(foreign.Result{Answer: radio.TxOK})
		s.down(gwA, gwA, 8, rx(context)...)
		s.answer(foreign.Result{Planned: true})
		s.answer(foreign.Result{Answer: radio.TxOK, Lowered: true})
		s.down(gwA, gwA, 9, rx(context)...)
		s.answer(foreign.Result{Planned: true})
		s.answer(foreign.Result{Answer: radio.TxFreq})
		s.answer(foreign.Result{Answer: radio.TxTooLate, Reason: "too_late"})
		want := []string{"7 COLLISION_PACKET OK", "8 OK IGNORED", "9 TX_FREQ TOO_LATE"}
		if got := s.acks(gwA); !slices.Equal(got, want) {
			s.Errorf("%q, want %q", got, want)
		}
		if st := s.States()[0]; st.Downlinks != 3 || st.Transmitted != 2 || st.Refused != 1 || st.Malformed != 0 {
			s.Errorf("%+v", st)
		}
	})
}

// Each answer of the core has its word.
func TestStatuses(t *testing.T) {
	inForms(t, func(s *stand) {
		s.connect(gwA)
		for i, tt := range []struct {
			answer radio.TxResult
			want   string
		}{
			{radio.TxOK, "OK"},
			{radio.TxNoAck, "OK"},
			{radio.TxTooLate, "TOO_LATE"},
			{radio.TxTooEarly, "TOO_EARLY"},
			{radio.TxCollisionPacket, "COLLISION_PACKET"},
			{radio.TxCollisionBeacon, "COLLISION_BEACON"},
			{radio.TxFreq, "TX_FREQ"},
			{radio.TxPower, "TX_POWER"},
			{radio.TxGPSUnlocked, "GPS_UNLOCKED"},
			{radio.TxChannelBusy, "COLLISION_PACKET"},
			{radio.TxUnknownError, "INTERNAL_ERROR"},
			{radio.TxNoPath, "INTERNAL_ERROR"},
		} {
			s.down(gwA, gwA, uint32(i), want{"x", 868_100_000, "now", 0, nil, 7})
			s.answer(foreign.Result{Answer: tt.answer})
			if got := s.acks(gwA); !slices.Equal(got, []string{fmt.Sprint(i, " ", tt.want)}) {
				s.Errorf("%v: %q", tt.answer, got)
			}
			time.Sleep(time.Second)
		}
	})
}

// The times of a downlink; contexts that are not ours, or not any more; and gateways that are not this one.
func TestTimings(t *testing.T) {
	inForms(t, func(s *stand) {
		s.connect(gwA)
		s.connect(gwB)
		other, _ := s.context(gwB)
		before, _ := s.context(gwA)
		s.Gateway(gwA, true, nil) // its counter has begun anew
		good, at := s.context(gwA)
		garbled := slices.Clone(good)
		garbled[4]++
		for i, tt := range []struct {
			name  string
			w     want
			named radio.EUI64
			d     *radio.Downlink // that the core is asked for
			ack   string
		}{
			{name: "at once", w: want{timing: "now"}, d: &radio.Downlink{Immediate: true}},
			{name: "GPS time", w: want{timing: "gps", after: 1_400_000_000_128 * time.Millisecond}, d: &radio.Downlink{
				GPS: 1_400_000_000_128_000_000,
			}},
			{name: "RX1", w: want{timing: "delay", after: 5 * time.Second, context: good}, d: &radio.Downlink{
				Time: at.Add(5 * time.Second), Antenna: 1,
			}},
			{name: "FSK", w: want{timing: "now", rate: 50}, d: &radio.Downlink{Immediate: true}},
			{name: "no context", w: want{timing: "delay"}, ack: "INTERNAL_ERROR"},
			{name: "a context of Semtech's", w: want{timing: "delay", context: []byte{1, 2, 3, 4}}, ack: "INTERNAL_ERROR"},
			{name: "another version", w: want{timing: "delay", context: garbled}, ack: "INTERNAL_ERROR"},
			{name: "cut", w: want{timing: "delay", context: good[:len(good)-1]}, ack: "INTERNAL_ERROR"},
			{name: "of another gateway", w: want{timing: "delay", context: other}, ack: "INTERNAL_ERROR"},
			{name: "of a counter before", w: want{timing: "delay", context: before}, ack: "TOO_LATE"},
			{name: "a day behind", w: want{timing: "delay", after: 24 * time.Hour, context: good}, ack: "TOO_EARLY"},
			{name: "before the uplink", w: want{timing: "delay", after: -time.Second, context: good}, ack: "INTERNAL_ERROR"},
			{name: "no time", w: want{timing: "soon", rate: 13}, ack: "INTERNAL_ERROR"},
			{name: "for another gateway", w: want{timing: "now"}, named: gwB, ack: "INTERNAL_ERROR"},
			{name: "too long", w: want{phy: strings.Repeat("x", 256), timing: "now"}, ack: "INTERNAL_ERROR"},
			{name: "old", w: want{timing: "delay", after: time.Second, context: good}, ack: "TOO_LATE"},
		} {
			if tt.name == "old" {
				time.Sleep(maxAge)
			}
			w := tt.w
			w.frequency = 868_100_000
			if w.phy == "" {
				w.phy = "x"
			}
			if w.rate == 0 {
				w.rate = 7
			}
			if tt.named.IsZero() {
				tt.named = gwA
			}
			s.asks = nil
			s.down(gwA, tt.named, uint32(i), w)
			s.expect(tt.name, tt.d, tt.ack, uint32(i))
			time.Sleep(time.Second)
		}
	})
}

// expect expects that the core was asked for a downlink, or else an acknowledgement.
func (s *stand) expect(name string, d *radio.Downlink, ack string, id uint32) {
	s.Helper()
	if d == nil {
		if got := s.acks(gwA); len(s.asks) != 0 || !slices.Equal(got, []string{fmt.Sprint(id, " ", ack)}) {
			s.Errorf("%s: %q, and the core is asked for %d downlinks", name, got, len(s.asks))
		}
		return
	}
	if len(s.asks) != 1 {
		s.Errorf("%s: the core is asked for %d downlinks: %q", name, len(s.asks), s.acks(gwA))
		return
	}
	got := s.asks[0].Downlink
	if got.Immediate != d.Immediate || got.GPS != d.GPS || got.Time != d.Time || got.Antenna != d.Antenna {
		s.Errorf("%s: the core is asked for %+v", name, got)
	}
	if fsk := radio.FSKDataRate(50_000); name == "FSK" && got.DataRate != fsk {
		s.Errorf("%s: %v", name, got.DataRate)
	}
	s.answer(foreign.Result{Answer: radio.TxOK})
	if acks := s.acks(gwA); !slices.Equal(acks, []string{fmt.Sprint(id, " OK")}) {
		s.Errorf("%s: %q", name, acks)
	}
}

// A flood of downlinks costs bounded memory and reaches the core at a bounded rate. One that the gateway does
// not answer is acknowledged before ChirpStack forgets it.
func TestDownlinkFlood(t *testing.T) {
	inForms(t, func(s *stand) {
		s.connect(gwA)
		for i := range uint32(100) {
			s.down(gwA, gwA, i, want{"x", 868_100_000, "now", 0, nil, 7})
		}
		s.down(gwA, gwA, 3, want{"x", 868_100_000, "now", 0, nil, 7}) // once more
		if len(s.asks) != maxAsked {
			s.Errorf("the core is asked for %d", len(s.asks))
		}
		acks := s.acks(gwA)
		if len(acks) != 100-maxAsked || acks[0] != "16 QUEUE_FULL" {
			s.Errorf("%d are refused: %q", len(acks), acks)
		}
		for _, reply := range s.replies {
			reply(foreign.Result{Planned: true})
		}
		time.Sleep(acceptAfter - time.Second)
		if acks := s.acks(gwA); len(acks) != 0 {
			s.Errorf("early: %q", acks)
		}
		time.Sleep(2 * time.Second)
		if acks := s.acks(gwA); len(acks) != maxAsked || !strings.HasSuffix(acks[0], " OK") {
			s.Errorf("late: %q", acks)
		}
		for _, reply := range s.replies {
			reply(foreign.Result{Answer: radio.TxTooLate})
		}
		synctest.Wait()
		many := make([]want, 17)
		for i := range many {
			many[i] = want{"x", 868_100_000, "now", 0, nil, 7}
		}
		s.down(gwA, gwA, 200, many...)
		if acks := s.acks(gwA); !slices.Equal(acks, []string{"200" + strings.Repeat(" INTERNAL_ERROR", 16)}) {
			s.Errorf("17 items: %q", acks)
		}
	})
}

// Downlinks of which the core says nothing are forgotten, and take no room from others; a late word of one
// is no acknowledgement.
func TestForgottenDownlinks(t *testing.T) {
	inForms(t, func(s *stand) {
		s.connect(gwA)
		now := want{"x", 868_100_000, "now", 0, nil, 7}
		for i := range uint32(maxAsked) {
			s.down(gwA, gwA, i, now)
		}
		time.Sleep(askedFor - 2*sweepEvery)
		s.down(gwA, gwA, 100, now)
		if acks := s.acks(gwA); !slices.Equal(acks, []string{"100 QUEUE_FULL"}) {
			s.Errorf("before: %q", acks)
		}
		time.Sleep(4 * sweepEvery)
		s.down(gwA, gwA, 101, now)
		s.answer(foreign.Result{Answer: radio.TxOK})
		s.replies[0](foreign.Result{Answer: radio.TxOK})
		if acks := s.acks(gwA); !slices.Equal(acks, []string{"101 OK"}) {
			s.Errorf("behind: %q", acks)
		}
	})
}

// Bytes that are no command are counted, and nothing else happens.
func TestHostileCommands(t *testing.T) {
	inForms(t, func(s *stand) {
		s.connect(gwA)
		context, _ := s.context(gwA)
		good := s.command(gwA, 7, rx(context)...)
		rnd := rand.New(rand.NewPCG(1, 2))
		for n := range 2000 {
			bad := slices.Clone(good)
			for range 1 + rnd.IntN(4) {
				bad[rnd.IntN(len(bad))] = byte(rnd.Uint32())
			}
			s.send(gwA, []string{"down", "config"}[n%2], bad[:rnd.IntN(len(bad)+1)])
		}
		s.acks(gwA)
		malformed := s.States()[0].Malformed
		if malformed < 100 {
			s.Errorf("%d are counted", malformed)
		}
		big := s.command(gwA, 7, want{strings.Repeat("x", maxCommand), 868_100_000, "now", 0, nil, 7})
		for _, payload := range [][]byte{big, []byte(strings.Repeat("[", 60_000)), nil} {
			s.send(gwA, "down", payload)
		}
		s.send(gwA, "exec", []byte("reboot"))
		if got := s.States()[0].Malformed - malformed; got != 4 {
			s.Errorf("%d of 4 are counted", got)
		}
		time.Sleep(10 * time.Minute)
		s.asks = nil
		s.down(gwA, gwA, 9, want{"x", 868_100_000, "now", 0, nil, 7})
		if len(s.asks) != 1 {
			s.Errorf("it does not work any more: %+v", s.States()[0])
		}
	})
}

// Servers before 3.9 name no items, and read no statuses.
func TestOldServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t, "protobuf")
		defer s.end()
		s.connect(gwA)
		it := (&want{"x", 868_100_000, "now", 0, nil, 7}).protobuf()
		it.TxInfo.GatewayId = gwA[:]
		for _, tt := range []struct {
			answer radio.TxResult
			want   string
		}{{radio.TxTooLate, "TOO_LATE"}, {radio.TxOK, ""}} {
			b, err := proto.Marshal(&gw.DownlinkFrame{Token: 5, PhyPayload: it.PhyPayload, TxInfo: it.TxInfo})
			if err != nil {
				t.Fatal(err)
			}
			s.send(gwA, "down", b)
			s.answer(foreign.Result{Answer: tt.answer})
			var ack gw.DownlinkTXAck
			acks := s.take(topic(gwA, "event/ack"))
			if len(acks) != 1 || proto.Unmarshal(acks[0], &ack) != nil || ack.Error != tt.want || ack.Token != 5 {
				t.Errorf("%d: %v, want %q", len(acks), &ack, tt.want)
			}
		}
	})
}
