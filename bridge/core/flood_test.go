package core

import (
	"math/rand"
	"testing"
	"time"

	"lorawand/bridge/event"
	"lorawand/bridge/session"
	"lorawand/radio"
)

// bounded is a stand that pays for so many wrong MICs a second.
func bounded(t *testing.T, wrongMICs int) *stand {
	t.Helper()
	s := newStand(t)
	devices := s.devices
	s.core(session.NewRegistry(wrongMICs), nil)
	for _, name := range []string{"dev1", "dev2"} {
		s.add(devices[name])
	}
	s.late("dev1")
	s.answering(gwA, gwB)
	s.online(gwA, gwB)
	return s
}

// forged has frames like one come through some gateways, at a rate for each and
// with wrong MICs, and calls each once a second.
func (s *stand) forged(like []byte, perSecond, seconds int, gateways []radio.EUI64, change func(*radio.Uplink),
	each func(second int),
) {
	s.Helper()
	rnd := rand.New(rand.NewSource(1))
	for i := range seconds * perSecond {
		for _, g := range gateways {
			phy := append([]byte(nil), like...)
			rnd.Read(phy[len(phy)-4:])
			s.hear(g, phy, change)
		}
		s.wait(time.Second / time.Duration(perSecond))
		if i%perSecond == 0 {
			s.events = nil
			each(i / perSecond)
		}
	}
}

// Frames with the DevAddr of a device and random MICs cost it no uplink and no
// answer, whoever brings them. 1800 wrong MICs a second are what a MIPS router
// can afford.
func TestForgedFrames(t *testing.T) {
	const seconds = 10
	pinned := func(*radio.Uplink) {}
	foreign := func(up *radio.Uplink) { up.Receptions[0].NoDownlink = true }
	tests := []struct {
		name     string
		rate     int
		gateways []radio.EUI64
		change   func(*radio.Uplink)
	}{
		{"100/s", 100, []radio.EUI64{gwA}, pinned},
		{"300/s", 300, []radio.EUI64{gwA}, pinned},
		{"300/s by another gateway", 300, []radio.EUI64{gwB}, pinned},
		{"300/s by both gateways", 300, []radio.EUI64{gwA, gwB}, pinned},
		{"300/s by strangers", 300, []radio.EUI64{gwA, gwB}, foreign},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := bounded(t, 1800)
			next := uint32(0)
			like := s.phy("dev1", 7, payload("forged"))
			s.forged(like, tt.rate, seconds, tt.gateways, tt.change, func(second int) {
				if second%7 == 0 {
					s.hear(gwA, s.phy("dev1", next, confirmed("x")))
				} else {
					s.hear(gwA, s.phy("dev1", next, payload("x")))
				}
				next++
			})
			s.wait(10 * time.Second)
			if st := s.c.Stats(); st.Published != seconds || st.Dropped[event.DropMIC]+
				st.Dropped[event.DropBudget] != uint64(seconds*tt.rate*len(tt.gateways)) {
				t.Errorf("%d of %d published, dropped %v", st.Published, seconds, st.Dropped)
			}
		})
	}
}

// The same with join-requests that have the EUIs of a device.
func TestForgedJoinRequests(t *testing.T) {
	s := bounded(t, 1800)
	d := s.otaa("dev3", session.V1_0_3)
	s.forged(s.joinRequest(d, 7), 300, 10, []radio.EUI64{gwA}, func(*radio.Uplink) {}, func(second int) {
		if second == 2 {
			s.hear(gwA, s.joinRequest(d, 8))
		}
	})
	s.accepted(d, 8)
	// Beyond what may be paid for, others are looked at as long as another gateway
	// brings them.
	s = bounded(t, 60)
	d, other := s.otaa("dev3", session.V1_0_3), s.otaa("dev4", session.V1_0_3)
	refused := s.joinRequest(d, 7)
	refused[len(refused)-1] ^= 1
	for range 20 {
		s.hear(gwA, refused)
	}
	if e := s.event(event.JoinRefused, 0); e.Word != string(event.JoinBudget) || e.Hint == "" {
		t.Errorf("event %+v", e)
	}
	s.hear(gwB, s.joinRequest(other, 1))
	s.wait(3 * time.Second)
	s.accepted(other, 1)
	s.joined(d, 1)
}
