package session

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"lorawand/bridge/session/macstate"
	"lorawand/radio"
	"lorawand/radio/frame"
)

// otaa is a device that joins, at a time when it has both sessions.
func otaa() *Device {
	keys := func(n byte) frame.SessionKeys {
		return frame.SessionKeys{
			FNwkSIntKey: frame.Key{n}, SNwkSIntKey: frame.Key{n}, NwkSEncKey: frame.Key{n},
			AppSKey: frame.Key{n},
		}
	}
	return &Device{
		ID: ID{"app1", "dev1"}, DevEUI: radio.EUI64{1}, HasJoinEUI: true, SupportsJoin: true, Version: V1_0_3,
		Plan:     "EU_863_870",
		RootKeys: frame.RootKeys{AppKey: frame.Key{1}}, UsedDevNonces: []uint16{1, 2, 3}, LastJoinNonce: 70_000,
		LastDevNonce: 5,
		Session: &Session{
			DevAddr: radio.DevAddr{1}, Keys: keys(1), Heard: true, FCntUp: 10, NFCntDown: 20,
			AFCntDown: 20, NStored: 64, AStored: 64, KeyID: []byte{1},
		},
		Pending: &Session{DevAddr: radio.DevAddr{2}, Keys: keys(2)},
	}
}

var successors = []struct {
	name   string
	change func(next *Device)
	want   string // session, pending
	nonces string
}{
	{"the same", func(*Device) {}, "01000000 10 20, 02000000", "[1 2 3] 70000 5"},
	{"older counters", func(d *Device) {
		d.Session.FCntUp, d.Session.NFCntDown, d.Session.AFCntDown = 1, 2, 2
	}, "01000000 10 20, 02000000", "[1 2 3] 70000 5"},
	{"newer counters", func(d *Device) {
		d.Session.FCntUp, d.Session.NFCntDown, d.Session.AFCntDown = 11, 22, 22
	}, "01000000 11 22, 02000000", "[1 2 3] 70000 5"},
	{"not heard yet", func(d *Device) {
		d.Session.Heard, d.Session.FCntUp = false, 0
	}, "01000000 10 20, 02000000", "[1 2 3] 70000 5"},
	{"no session", func(d *Device) { d.Session, d.Pending = nil, nil }, "01000000 10 20, 02000000", "[1 2 3] 70000 5"},
	{"what was offered", func(d *Device) { d.Session = d.Pending }, "02000000 0 0, none", "[1 2 3] 70000 5"},
	{"another session", func(d *Device) {
		d.Session = &Session{DevAddr: radio.DevAddr{9}, FCntUp: 3}
		d.Pending = nil
	}, "09000000 3 0, none", "[1 2 3] 70000 5"},
	{"other keys", func(d *Device) {
		d.Session.Keys.AppSKey = frame.Key{9}
		d.Pending = nil
	}, "01000000 10 20, none", "[1 2 3] 70000 5"},
	{"another device", func(d *Device) {
		d.DevEUI, d.Session, d.Pending = radio.EUI64{2}, nil, nil
		d.UsedDevNonces, d.LastJoinNonce, d.LastDevNonce = nil, 0, 0
	}, "none, none", "[] 0 0"},
	{"LoRaWAN 1.1 now", func(d *Device) {
		d.Version, d.Session, d.Pending = V1_1, nil, nil
	}, "none, none", "[1 2 3] 70000 5"},
	{"nonces", func(d *Device) {
		d.UsedDevNonces, d.LastJoinNonce, d.LastDevNonce = []uint16{3, 4}, 80_000, 4
	}, "01000000 10 20, 02000000", "[1 2 3 4] 80000 5"},
}

func TestSucceed(t *testing.T) {
	for _, tt := range successors {
		t.Run(tt.name, func(t *testing.T) {
			old := otaa()
			old.Queue.Add(&Item{Seq: 7})
			next := old.Clone()
			tt.change(next)
			next.Succeed(old)
			text := func(s *Session) string {
				if s == nil {
					return "none"
				}
				return s.DevAddr.String()
			}
			got := text(next.Session)
			if s := next.Session; s != nil {
				got += fmt.Sprintf(" %d %d", s.FCntUp, s.NFCntDown)
				if s.NStored < s.NFCntDown {
					t.Errorf("%d used, %d stored: no counter could ever be used again", s.NFCntDown, s.NStored)
				}
			}
			if got += ", " + text(next.Pending); got != tt.want {
				t.Errorf("sessions %s, want %s", got, tt.want)
			}
			if got := fmt.Sprint(next.UsedDevNonces, next.LastJoinNonce, next.LastDevNonce); got != tt.nonces {
				t.Errorf("nonces %s, want %s", got, tt.nonces)
			}
			if next.Queue.Len() != 1 || next.Queue.NextSeq() != 8 {
				t.Error("the queue is lost")
			}
		})
	}
}

// Of the nonces that were used the last ones are kept.
// A session that goes on keeps what was asked in it, and takes over what is newly wished.
func TestSucceedWish(t *testing.T) {
	delay, more := uint8(3), uint8(4)
	old, next := abp("dev1", 1, V1_0_3, 5), abp("dev1", 1, V1_0_3, 5)
	old.Session.MAC = &macstate.State{NoRates: 1, Wish: &macstate.Wish{RX1Delay: &delay}}
	next.Succeed(old)
	if m := next.Session.MAC; m.NoRates != 1 || *m.Wish.RX1Delay != delay {
		t.Errorf("nothing is wished: %+v", m)
	}
	again := abp("dev1", 1, V1_0_3, 5)
	again.Session.MAC = &macstate.State{Wish: &macstate.Wish{RX1Delay: &more}}
	again.Succeed(next)
	if m := again.Session.MAC; m.NoRates != 1 || *m.Wish.RX1Delay != more {
		t.Errorf("another delay is wished: %+v", m)
	}
}

func TestSucceedNonces(t *testing.T) {
	old, next := otaa(), otaa()
	old.UsedDevNonces, next.UsedDevNonces = nil, nil
	for n := range uint16(MaxDevNonces) {
		old.UsedDevNonces = append(old.UsedDevNonces, n)
		next.UsedDevNonces = append(next.UsedDevNonces, n+10)
	}
	next.Succeed(old)
	if n := len(next.UsedDevNonces); n != MaxDevNonces || next.UsedDevNonces[n-1] != MaxDevNonces+9 ||
		slices.Contains(next.UsedDevNonces, 9) {
		t.Errorf("%d: %v", n, next.UsedDevNonces)
	}
}

// Nothing that happens to a device is seen in its clone.
func TestClone(t *testing.T) {
	d := otaa()
	d.Session.Parameters = &Parameters{Channels: []Channel{{MaxDataRate: 5}}}
	c := d.Clone()
	d.Session.FCntUp++
	d.Session.Parameters.RX1Delay, d.Session.Parameters.Channels[0].MaxDataRate = 7, 7
	d.Session.KeyID[0] = 7
	d.UsedDevNonces[0] = 7
	d.Pending.FCntUp = 7
	if c.Session.FCntUp != 10 || c.Session.Parameters.RX1Delay != 0 || c.Session.Parameters.Channels[0].MaxDataRate != 5 ||
		c.Session.KeyID[0] != 1 || c.UsedDevNonces[0] != 1 || c.Pending.FCntUp != 0 {
		t.Errorf("%+v %+v", c, c.Session)
	}
	if (&Device{}).Clone().Session != nil {
		t.Error("a clone has a session of its own")
	}
}

func TestReplace(t *testing.T) {
	d, other := otaa(), abp("dev2", 2, V1_0_3, 5)
	r := registry(t, d, other)
	next := *otaa()
	next.DevEUI, next.Session, next.Pending = radio.EUI64{7}, &Session{DevAddr: radio.DevAddr{7}, Keys: d.Session.Keys},
		nil
	if err := r.Replace(d, &next); err != nil {
		t.Fatal(err)
	}
	if got, _ := r.ByEUI(radio.EUI64{}, radio.EUI64{7}); got != d || r.Device(d.ID) != d || !r.InUse(radio.DevAddr{7}) ||
		r.InUse(radio.DevAddr{1}) || r.InUse(radio.DevAddr{2}) {
		t.Error("the registry does not know the device by what it is now")
	}
	bad := *d
	bad.RootKeys, bad.Session = frame.RootKeys{}, nil
	if err := r.Replace(d, &bad); !errors.Is(err, ErrInvalid) {
		t.Errorf("%v", err)
	}
	if got, _ := r.ByEUI(radio.EUI64{}, radio.EUI64{7}); got != d || !r.InUse(radio.DevAddr{7}) || r.Len() != 2 {
		t.Error("a registration that was refused has changed something")
	}
	if got := r.IDs("app1"); len(got) != 2 || got[0].Device != "dev1" {
		t.Errorf("%v", got)
	}
	if got := r.IDs("app2"); len(got) != 0 {
		t.Errorf("%v", got)
	}
	d.ForgetDevNonces()
	d.Session.ForgetFCntUp()
	if len(d.UsedDevNonces) != 0 || d.LastDevNonce != 0 || d.LastJoinNonce != 70_000 || d.Session.Heard {
		t.Errorf("%+v", d)
	}
}

// SkipAhead goes above what can have been used since, and no further than what
// devices accept.
func TestSkipAhead(t *testing.T) {
	const gap = 16384 // MAX_FCNT_GAP
	d := otaa()
	d.SkipAhead()
	for _, s := range []*Session{d.Session, d.Pending} {
		fCnt, ok := s.NextFCntDown(d.Version, true)
		if ok {
			t.Error("a counter can be used before it is reserved")
		}
		if fCnt < gap/2 || fCnt >= gap {
			t.Errorf("the next counter is %d", fCnt)
		}
		if m, due := s.Reserve(d.Version); !due || m.N < fCnt || m.A < fCnt {
			t.Errorf("%+v are reserved, %v", m, due)
		}
	}
	if d.Session.FCntUp != 10 || d.LastJoinNonce != 74_096 || d.LastDevNonce != 5 || len(d.UsedDevNonces) != 3 {
		t.Errorf("FCntUp %d, JoinNonce %d, DevNonces %d %v", d.Session.FCntUp, d.LastJoinNonce, d.LastDevNonce,
			d.UsedDevNonces)
	}
	// What seems never to have joined may have.
	fresh := otaa()
	fresh.Session, fresh.Pending, fresh.LastJoinNonce = nil, nil, 0
	fresh.SkipAhead()
	if fresh.LastJoinNonce < FirstJoinNonce+1000 {
		t.Errorf("JoinNonce %d", fresh.LastJoinNonce)
	}
	last := otaa()
	last.Session.NFCntDown, last.Session.AFCntDown, last.LastJoinNonce = 1<<32-2, 1<<32-2, 1<<24-2
	last.SkipAhead()
	if _, ok := last.Session.NextFCntDown(V1_0_3, false); ok || last.Session.NFCntDown != 1<<32-1 ||
		last.LastJoinNonce != 1<<24-1 {
		t.Errorf("%d, JoinNonce %d", last.Session.NFCntDown, last.LastJoinNonce)
	}
}

// The session of a join that a device has not taken up yet is its own too, also if
// the device is put in the same change.
func TestPlanTwinOfPending(t *testing.T) {
	for _, put := range []bool{false, true} {
		r := NewRegistry(0)
		d := otaa()
		if err := r.Add(d); err != nil {
			t.Fatal(err)
		}
		p := r.Plan()
		if put {
			if err := p.Put(d.Clone()); err != nil {
				t.Fatal(err)
			}
		}
		twin := d.Clone()
		twin.ID.Device, twin.SupportsJoin, twin.Session, twin.Pending = "twin", false, twin.Pending, nil
		if err := p.Put(twin); !errors.Is(err, ErrTwin) {
			t.Errorf("put before %v: %v", put, err)
		}
	}
}
