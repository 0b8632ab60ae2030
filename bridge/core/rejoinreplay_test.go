package core

import (
	"testing"
	"time"

	"lorawand/bridge/event"
	"lorawand/radio/frame"
)

// Somebody keeps requests and the first frame in a new session from being heard, and sends the
// requests later: the device does not lose the session that it was offered. One that was offered
// none in between is answered, and so is a device that goes on in the session before.
func TestRejoinHeldBack(t *testing.T) {
	join := func(r *rejoiner) []byte {
		r.nonce++
		d := r.device()
		r.asked = frame.JoinRequest{JoinEUI: d.JoinEUI, DevEUI: d.DevEUI, DevNonce: r.nonce}
		n := len(r.sent)
		r.hear(gwA, r.joinRequest(d, r.nonce))
		r.serve(10 * time.Second)
		return r.sent[n].PHYPayload
	}
	rejoin := func(typ frame.JoinType) func(*rejoiner) []byte {
		return func(r *rejoiner) []byte { return r.rejoin(typ) }
	}
	for name, offer := range map[string]func(*rejoiner) []byte{
		"a join": join, "type 0": rejoin(frame.Rejoin0), "type 1": rejoin(frame.Rejoin1), "type 2": rejoin(frame.Rejoin2),
	} {
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
