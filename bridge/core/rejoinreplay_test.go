package core

import (
	"testing"
	"time"

	"lorawand/bridge/event"
	"lorawand/bridge/session"
	"lorawand/radio/frame"
)

// joins sends a join-request, and returns the join-accept that answers it.
func (r *rejoiner) joins() []byte {
	r.Helper()
	r.nonce++
	d := r.device()
	r.asked = frame.JoinRequest{JoinEUI: d.JoinEUI, DevEUI: d.DevEUI, DevNonce: r.nonce}
	n := len(r.sent)
	r.hear(gwA, r.joinRequest(d, r.nonce))
	r.serve(10 * time.Second)
	return r.sent[n].PHYPayload
}

// offers are the ways to be offered a session.
var offers = map[string]func(*rejoiner) []byte{
	"a join": (*rejoiner).joins,
	"type 0": func(r *rejoiner) []byte { return r.rejoin(frame.Rejoin0) },
	"type 1": func(r *rejoiner) []byte { return r.rejoin(frame.Rejoin1) },
	"type 2": func(r *rejoiner) []byte { return r.rejoin(frame.Rejoin2) },
}

// Somebody keeps requests and the first frame in a new session from being heard, and sends the
// requests later: the device does not lose the session that it was offered. One that was offered
// none in between is answered, and so is a device that goes on in the session before.
func TestRejoinHeldBack(t *testing.T) {
	for name, offer := range offers {
		for _, typ := range []frame.JoinType{frame.Rejoin0, frame.Rejoin2} {
			t.Run(name+", then "+typ.String(), func(t *testing.T) {
				r := newRejoiner(t)
				held := [][]byte{r.request(typ), r.request(typ)}
				r.takes(offer(r))
				for range 2 {
					for _, phy := range held {
						r.replayed(phy)
						if r.count(event.JoinRefused) == 0 {
							t.Error("nobody is told")
						}
					}
					r.restart(r.disk.firm)
					r.answering(gwA)
					r.online(gwA)
				}
				r.uplink()
				r.takes(r.rejoin(typ))
				r.uplink()
			})
		}
		t.Run(name+" is lost", func(t *testing.T) {
			r := newRejoiner(t)
			offer(r) // the device does not hear it
			r.uplink()
			r.takes(r.rejoin(frame.Rejoin0))
			r.uplink()
		})
	}
}

// Requests of type 1 that were kept from being heard are answered when somebody sends them later:
// nothing tells that they are old. The device does not lose the session that it was offered since,
// nor when the store is read again, nor with the frames that it sends in that.
func TestRejoin1HeldBack(t *testing.T) {
	for name, offer := range offers {
		t.Run(name, func(t *testing.T) {
			r := newRejoiner(t)
			held := [][]byte{r.request(frame.Rejoin1), r.request(frame.Rejoin1)}
			r.takes(offer(r)) // after a later one of type 1 they are refused
			for _, phy := range held {
				r.hear(gwA, phy)
				r.serve(20 * time.Second)
				r.restart(r.disk.firm)
				r.answering(gwA)
				r.online(gwA)
			}
			in := r.in
			r.uplink()
			r.uplink()
			if got := r.device().Session.DevAddr; got != in.DevAddr {
				t.Errorf("in use is %v, want %v", got, in.DevAddr)
			}
			r.takes(r.rejoin(frame.Rejoin0))
			r.uplink()
		})
	}
}

// The answer to the next request is lost: the device goes on in the session that it was offered
// before, in which it was not heard yet.
func TestOfferedBefore(t *testing.T) {
	for name, offer := range offers {
		for _, next := range rejoins {
			t.Run(name+", then "+next.String(), func(t *testing.T) {
				r := newRejoiner(t)
				r.takes(offer(r))
				in := r.in
				r.rejoin(next) // the device does not hear the answer
				r.uplink()
				if got := r.device().Session.DevAddr; got != in.DevAddr {
					t.Errorf("in use is %v, want %v", got, in.DevAddr)
				}
				r.takes(r.rejoin(next))
				r.uplink()
				if d := r.device(); d.Pending != nil || d.Earlier != nil {
					t.Errorf("still offered: %v, %v", d.Pending, d.Earlier)
				}
			})
		}
	}
}

// Join-requests before LoRaWAN 1.0.4 have random DevNonces: one that was kept from being heard is
// answered later. The device does not lose its session with it.
func TestJoinHeldBack(t *testing.T) {
	s := newStand(t)
	s.answering(gwA)
	s.online(gwA)
	d := s.otaa("dev3", session.V1_0_3)
	held := s.joinRequest(d, 7)
	in := s.joined(d, 8)
	s.hear(gwA, held)
	s.serve(20 * time.Second)
	s.told = len(s.ups)
	s.hear(gwA, s.up(d, in, 0, payload("x")))
	s.tells("dev3 up 0")
	s.joined(d, 9) // the device does not hear the answer
	s.told = len(s.ups)
	s.hear(gwA, s.up(d, in, 1, payload("y")))
	s.tells("dev3 up 1")
}
