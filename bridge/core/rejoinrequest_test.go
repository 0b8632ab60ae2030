package core

import (
	"fmt"
	"math/rand"
	"strings"
	"testing"
	"time"

	"lorawand/bridge/event"
	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
	"lorawand/bridge/state"
	"lorawand/radio"
	"lorawand/radio/frame"
)

// rejoiner is a device of LoRaWAN 1.1 that sends rejoin-requests.
type rejoiner struct {
	*stand
	in             *session.Session
	fCnt           uint32
	count0, count1 uint16 // the next RJcount0 and RJcount1
	nonce          uint16 // the last DevNonce
	asked          frame.JoinRequest
}

// newRejoiner has a device join, and send in its session.
func newRejoiner(t *testing.T) *rejoiner {
	t.Helper()
	r := &rejoiner{stand: newStand(t), nonce: 1}
	r.answering(gwA)
	r.online(gwA)
	r.in = r.joined(r.otaa("dev3", session.V1_1), 1)
	r.uplink()
	return r
}

func (r *rejoiner) device() *session.Device { return r.devices["dev3"] }

// uplink has the device send a frame, which must be taken.
func (r *rejoiner) uplink() {
	r.Helper()
	f := payload("u")
	if r.fCnt == 0 {
		f.FOpts = []byte{0x0b, 1} // RekeyInd
	}
	before := len(r.ups)
	r.hear(gwA, r.up(r.device(), r.in, r.fCnt, f))
	if len(r.ups) != before+1 {
		last := r.events[len(r.events)-1]
		r.Fatalf("an uplink with f_cnt %d in the session %v is not taken: %+v", r.fCnt, r.in.DevAddr, last)
	}
	r.fCnt++
	r.serve(10 * time.Second)
}

// request makes the next rejoin-request of a type.
func (r *rejoiner) request(typ frame.JoinType) []byte {
	r.Helper()
	d := r.device()
	q := frame.RejoinRequest{Type: typ, DevEUI: d.DevEUI, Count: r.count0}
	key := r.in.Keys.SNwkSIntKey
	if typ == frame.Rejoin1 {
		q.JoinEUI, q.Count, key = d.JoinEUI, r.count1, frame.JSIntKey(d.RootKeys.NwkKey, d.DevEUI)
		r.count1++
	} else {
		r.count0++
	}
	phy, err := frame.BuildRejoinRequest(q, key)
	if err != nil {
		r.Fatal(err)
	}
	r.asked = q.Request(d.JoinEUI)
	return phy
}

// rejoin sends a rejoin-request, and returns the join-accept that answers it.
func (r *rejoiner) rejoin(typ frame.JoinType) []byte {
	r.Helper()
	before := len(r.sent)
	r.hear(gwA, r.request(typ))
	r.serve(10 * time.Second)
	if len(r.sent) != before+1 {
		r.Fatalf("%d downlinks after a %v: %+v", len(r.sent)-before, typ, r.events[len(r.events)-1])
	}
	return r.sent[before].PHYPayload
}

// takes has the device take a join-accept.
func (r *rejoiner) takes(phy []byte) *frame.JoinAccept {
	r.Helper()
	a, err := frame.ParseJoinAccept(phy, r.device().RootKeys, &r.asked)
	if err != nil {
		r.Fatal(err)
	}
	keys, err := frame.DeriveSessionKeys(*a, r.device().RootKeys, &r.asked)
	if err != nil {
		r.Fatal(err)
	}
	r.in, r.fCnt, r.count0 = &session.Session{DevAddr: a.DevAddr, Keys: keys}, 0, 0
	return a
}

var rejoins = []frame.JoinType{frame.Rejoin0, frame.Rejoin1, frame.Rejoin2}

// A rejoin-request is answered as a join-request is; the session before stays in use until
// the device uses the new one.
func TestRejoin(t *testing.T) {
	for _, typ := range rejoins {
		t.Run(typ.String(), func(t *testing.T) {
			r := newRejoiner(t)
			old := *r.in
			r.told, r.read = len(r.ups), len(r.sent)
			accept := r.rejoin(typ)
			r.downs("gw-a " + joinRX1 + ", 2s ahead: join_accept")
			r.tells("dev3 join")
			d := r.device()
			if d.Session.DevAddr != old.DevAddr || d.Pending == nil {
				t.Fatal("the session before is not in use any more")
			}
			if m := r.message(len(r.ups) - 1); m.IDs.DevAddr != d.Pending.DevAddr.String() || len(m.Join.SessionKeyID) != 16 {
				t.Errorf("%s", r.ups[len(r.ups)-1].Payload)
			}
			r.uplink() // as if the join-accept was lost
			r.takes(accept)
			r.uplink()
			if d.Session.DevAddr != r.in.DevAddr || d.Pending != nil {
				t.Error("the new session is not in use")
			}
			r.push("dev3", item("x"))
			r.told = len(r.ups)
			r.uplink()
			r.tells("dev3 up 1", "dev3 sent x #1")
		})
	}
}

// A join-accept that is lost costs nothing: neither the session, nor the next request.
func TestRejoinLost(t *testing.T) {
	for _, typ := range rejoins {
		t.Run(typ.String(), func(t *testing.T) {
			r := newRejoiner(t)
			for range 3 {
				r.rejoin(typ)
				r.uplink()
			}
			r.takes(r.rejoin(typ))
			r.uplink()
			r.rejoin(frame.Rejoin0) // RJcount0 begins anew with the session
			r.uplink()
		})
	}
}

// A device may send a rejoin-request before it has sent data in its new session.
func TestRejoinInOfferedSession(t *testing.T) {
	r := newRejoiner(t)
	r.takes(r.rejoin(frame.Rejoin0))
	in := *r.in
	r.rejoin(frame.Rejoin2) // the answer is lost
	if got := r.device().Session.DevAddr; got != in.DevAddr {
		t.Errorf("in use is %v, want the session that the device has, %v", got, in.DevAddr)
	}
	r.uplink()
	r.takes(r.rejoin(frame.Rejoin2))
	r.uplink()
}

// Type 2 leaves the radio parameters as they are, the others set them back; what the owner
// wants of the session is wanted in the next one.
func TestRejoinParameters(t *testing.T) {
	for _, typ := range rejoins {
		t.Run(typ.String(), func(t *testing.T) {
			r := newRejoiner(t)
			d := r.device()
			p := *d.Session.Parameters
			p.RX1DROffset, p.RX2DataRate, p.RX1Delay, p.ADRDataRate = 2, 0, 5, 4
			d.Session.SetParameters(&p)
			count := uint8(3)
			d.Session.SetMAC(&macstate.State{
				Wish: &macstate.Wish{RejoinCount: &count}, Status: &macstate.Status{FCntUp: 7}, Masked: true,
			})
			keeps := typ == frame.Rejoin2
			a := r.takes(r.rejoin(typ))
			if a.RX1DROffset != map[bool]uint8{true: 2}[keeps] || a.RX2DataRate != map[bool]uint8{false: 3}[keeps] ||
				(a.CFList == nil) != keeps {
				t.Errorf("join-accept %+v", a)
			}
			r.uplink()
			now := d.Session
			if keeps != (now.Parameters.RX1DROffset == 2 && now.Parameters.ADRDataRate == 4) {
				t.Errorf("parameters %+v", now.Parameters)
			}
			if now.MAC == nil || now.MAC.Wish == nil || *now.MAC.Wish.RejoinCount != 3 {
				t.Fatalf("MAC state %+v", now.MAC)
			}
			if keeps != (now.MAC.Masked && now.MAC.Status != nil && now.MAC.Status.FCntUp == 0) {
				t.Errorf("MAC state %+v", now.MAC)
			}
		})
	}
}

// After a rejoin-request a device listens with the parameters of its session.
func TestRejoinWindows(t *testing.T) {
	r := newRejoiner(t)
	p := *r.device().Session.Parameters
	p.RX1DROffset = 2
	r.device().Session.SetParameters(&p)
	r.read = len(r.sent)
	r.rejoin(frame.Rejoin0)
	r.downs("gw-a +5s 868.3 MHz SF9BW125 14 dBm, 2s ahead: join_accept")
	r.spend(gwA, 0)
	r.late("dev2")
	r.wait(10 * time.Second)
	r.read = len(r.sent)
	r.hear(gwA, r.request(frame.Rejoin0))
	r.step(GatewayChanged{radio.GatewayEvent{Gateway: gwA, Kind: radio.GatewayDisconnected, At: r.now.Host}})
	r.wait(10 * time.Second)
	r.downs()
}

// Why a rejoin-request is not answered.
func TestRejoinRefused(t *testing.T) {
	stranger := func(r *rejoiner) []byte {
		r.in = &session.Session{Keys: testKeys(9)}
		return r.request(frame.Rejoin0)
	}
	for _, tt := range []struct {
		name    string
		request func(*rejoiner) []byte
		why     event.JoinRefusal
		hasEUIs bool
	}{
		{"another session", stranger, event.JoinOtherSession, true},
		{"another NwkKey", func(r *rejoiner) []byte {
			phy := r.request(frame.Rejoin1)
			phy[len(phy)-1]++
			return phy
		}, event.JoinOtherSession, true},
		{"unknown DevEUI", func(r *rejoiner) []byte {
			r.c.opts.Devices.Remove(r.device().ID)
			return r.request(frame.Rejoin0)
		}, event.JoinUnknownDevEUI, false},
		{"unknown DevEUI, type 1", func(r *rejoiner) []byte {
			r.c.opts.Devices.Remove(r.device().ID)
			return r.request(frame.Rejoin1)
		}, event.JoinUnknownDevEUI, true},
		{"another JoinEUI", func(r *rejoiner) []byte {
			phy := r.request(frame.Rejoin1)
			phy[2]++
			return phy
		}, event.JoinUnknownJoinEUI, true},
		{"before 1.1", func(r *rejoiner) []byte {
			phy := r.request(frame.Rejoin0)
			r.device().Version = session.V1_0_4
			return phy
		}, event.JoinUnserved, true},
		{"the owner changes the device", func(r *rejoiner) []byte {
			phy := r.request(frame.Rejoin2)
			r.fails, r.keeps.seldom = fmt.Errorf("full"), true
			return phy
		}, event.JoinNotStored, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRejoiner(t)
			before := len(r.sent)
			phy := tt.request(r)
			r.events = nil
			r.hear(gwA, phy)
			if e := r.event(event.JoinRefused, 0); e.Word != string(tt.why) || e.HasEUIs != tt.hasEUIs || e.Err == nil {
				t.Errorf("event %+v, want %v", e, tt.why)
			}
			r.wait(10 * time.Second)
			if len(r.sent) != before {
				t.Error("answered")
			}
		})
	}
}

// The same request is answered once, whoever sends it again and whenever: also after a
// restart, and after it was answered in a session that has ended.
func TestRejoinOnlyOnce(t *testing.T) {
	for _, typ := range rejoins {
		t.Run(typ.String(), func(t *testing.T) {
			r := newRejoiner(t)
			first := r.request(typ)
			r.hear(gwA, first)
			r.wait(100 * ms)
			r.hear(gwB, first, at(-100)) // another copy
			r.serve(10 * time.Second)
			n := len(r.sent)
			refused := func(when string, phy []byte) {
				t.Helper()
				r.events = nil
				r.hear(gwA, phy)
				r.serve(10 * time.Second)
				if e := r.events[0]; e.Kind != event.JoinRefused || len(r.sent) != n {
					t.Errorf("%s: %+v, %d downlinks", when, e, len(r.sent)-n)
				}
				r.wait(time.Minute)
			}
			r.wait(7 * time.Second)
			refused("soon", first)
			refused("later", first)
			r.restart(r.disk.firm)
			r.answering(gwA)
			r.online(gwA)
			refused("after a power cut", first)
			r.takes(r.rejoin(typ))
			r.uplink()
			n = len(r.sent)
			refused("in the next session", first)
		})
	}
}

// replayed sends what the device has sent before, which is not answered again.
func (r *rejoiner) replayed(phy []byte) {
	r.Helper()
	n := len(r.sent)
	r.hear(gwA, phy)
	r.serve(20 * time.Second)
	if len(r.sent) != n {
		r.Fatal("a request was answered twice")
	}
}

// Whatever frames are lost, replayed or cut off: no JoinNonce comes twice, no session has
// the keys of another, no request is answered twice, and the frames of the device's session
// are taken.
func TestRejoinNeverLosesADevice(t *testing.T) {
	for seed := range int64(fewer(3)) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rnd := rand.New(rand.NewSource(seed))
			r := newRejoiner(t)
			nonces, keys := map[uint32]bool{}, map[frame.Key]bool{r.in.Keys.FNwkSIntKey: true}
			var past [][]byte
			accept := func(phy []byte, heard bool) {
				in, fCnt, count0 := r.in, r.fCnt, r.count0
				a := r.takes(phy)
				if nonces[a.JoinNonce] || keys[r.in.Keys.FNwkSIntKey] {
					t.Fatalf("JoinNonce %d or its keys came before", a.JoinNonce)
				}
				nonces[a.JoinNonce], keys[r.in.Keys.FNwkSIntKey] = true, true
				if !heard {
					r.in, r.fCnt, r.count0 = in, fCnt, count0
				}
			}
			for range 60 {
				switch rnd.Intn(8) {
				case 0, 1:
					r.uplink()
				case 2, 3, 4:
					typ := rejoins[rnd.Intn(len(rejoins))]
					if typ == frame.Rejoin1 && r.fCnt == 0 {
						r.uplink() // a type 1 does not tell in which session the device is, and only one offer before it stays
					}
					if d := r.device(); d.Joining() && d.Pending.Anew && r.in.DevAddr == d.Session.DevAddr {
						r.uplink() // its count does not tell that it is newer than the type 1
					}
					phy, n := r.request(typ), len(r.sent)
					past = append(past, phy)
					r.hear(gwA, phy)
					r.serve(10 * time.Second)
					if len(r.sent) != n+1 {
						t.Fatalf("not answered: %+v", r.events[len(r.events)-1])
					}
					accept(r.sent[n].PHYPayload, rnd.Intn(2) == 0)
				case 5:
					if len(past) > 0 {
						r.replayed(past[rnd.Intn(len(past))])
					}
				case 6:
					r.nonce++
					r.asked = frame.JoinRequest{JoinEUI: r.device().JoinEUI, DevEUI: r.device().DevEUI, DevNonce: r.nonce}
					n := len(r.sent)
					r.hear(gwA, r.joinRequest(r.device(), r.nonce))
					r.serve(10 * time.Second)
					accept(r.sent[n].PHYPayload, true)
				case 7:
					r.restart(r.disk.firm)
					r.answering(gwA)
					r.online(gwA)
				}
				r.wait(30 * time.Second)
			}
			r.uplink()
		})
	}
}

// The owner can have a device rejoin: it is asked until it has, and then no more.
func TestForceRejoin(t *testing.T) {
	r := newRejoiner(t)
	d := r.device()
	force := func(id session.ID, typ uint8) error {
		next := d.Clone()
		next.ID = id
		next.Session, next.Pending = nil, nil
		n := len(r.answers)
		r.step(Provisioned{Ticket: uint64(n + 1), Put: []state.DevicePut{{Device: next, Must: true, ForceRejoin: &typ}}})
		r.wait(time.Second)
		return r.answers[n].Err
	}
	if err := force(d.ID, 2); err != nil {
		t.Fatal(err)
	}
	asked := func(want string) {
		t.Helper()
		r.read = len(r.sent)
		r.uplink()
		var got []string
		for ; r.read < len(r.sent); r.read++ {
			_, text, _ := strings.Cut(r.sent[r.read].text, "fopts ")
			got = append(got, text)
		}
		if text := strings.Join(got, ", "); text != want {
			t.Errorf("asked %q, want %q", text, want)
		}
	}
	asked("0e 25 02")
	asked("0e 25 02")
	asked("") // ever more seldom
	r.rejoin(frame.Rejoin2)
	asked("0e 25 02") // the join-accept was lost
	r.takes(r.rejoin(frame.Rejoin2))
	asked("0b 01")
	asked("")
	asked("")
	if err := force(d.ID, 1); err == nil {
		t.Error("type 1 cannot be asked for")
	}
	d.Version = session.V1_0_4
	if err := force(d.ID, 0); err == nil {
		t.Error("a device of 1.0.4 is asked for a rejoin-request")
	}
}
