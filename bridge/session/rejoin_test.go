package session

import (
	"slices"
	"testing"

	"lorawand/bridge/session/macstate"
	"lorawand/radio"
	"lorawand/radio/frame"
)

// What rejoin-requests have used never goes back, also when the device was deleted, unless its
// owner has it forgotten.
func TestRejoinCounts(t *testing.T) {
	d := &Device{DevEUI: radio.EUI64{1}, Version: V1_1, SupportsJoin: true, Session: &Session{}}
	d.UseRejoin(nil, 65537, 4)
	d.UseRejoin(nil, 65538, 2)
	d.UseRejoin(d.Session, 65539, 7)
	d.UseRejoin(d.Session, 65540, 1<<16-1)
	d.UseRejoin(d.Session, 65541, 0)
	if d.NextRJCount1 != 5 || d.Session.MAC.NextRJCount0 != 1<<16 || d.LastJoinNonce != 65541 {
		t.Errorf("RJcount1 %d, RJcount0 %d, JoinNonce %d", d.NextRJCount1, d.Session.MAC.NextRJCount0, d.LastJoinNonce)
	}
	for _, used := range [][]uint16{nil, {1, 2, 3}, make([]uint16, MaxDevNonces)} {
		d.UsedDevNonces = used
		from, to := NewTombstones(), NewTombstones()
		for _, b := range from.AddNonces(d) {
			if err := to.Load(b.Key, b.Data); err != nil {
				t.Fatal(err)
			}
		}
		again := &Device{DevEUI: d.DevEUI, Version: V1_1, SupportsJoin: true}
		to.Unite(from)
		if !to.ReviveNonces(again) || again.NextRJCount1 != 5 || !slices.Equal(again.UsedDevNonces, used) ||
			again.DevNoncesForgotten {
			t.Errorf("with %d DevNonces: %+v", len(used), again.Nonces())
		}
	}
	d.ForgetDevNonces()
	if d.NextRJCount1 != 0 {
		t.Error("RJcount1 is not forgotten")
	}
}

// So with those of a session: when its owner registers the device anew, when it was deleted, and
// when it comes back from a backup.
func TestRejoinCountOfSession(t *testing.T) {
	with := func(count uint32) *Device {
		d := abp("dev1", 1, V1_1, 3)
		if count > 0 {
			d.Session.MAC = &macstate.State{NextRJCount0: count}
		}
		return d
	}
	deleted := func(t *testing.T, older *Tombstones, d *Device) *Tombstones {
		from, to := NewTombstones(), NewTombstones()
		from.Unite(older)
		for _, b := range from.AddSession(d, d.Session) {
			if err := to.Load(b.Key, b.Data); err != nil {
				t.Fatal(err)
			}
		}
		to.Unite(from)
		return to
	}
	for name, goOn := range map[string]func(t *testing.T, old, next *Device){
		"registered anew": func(_ *testing.T, old, next *Device) { next.Succeed(old) },
		"deleted": func(t *testing.T, old, next *Device) {
			deleted(t, NewTombstones(), old).Revive(next.Session, V1_1)
		},
		"deleted twice": func(t *testing.T, old, next *Device) {
			deleted(t, deleted(t, NewTombstones(), old), with(0)).Revive(next.Session, V1_1)
		},
		"restored": func(_ *testing.T, old, next *Device) {
			NewPast([]*Device{old}, NewTombstones()).GoOn(next, true)
		},
		"twins": func(t *testing.T, old, next *Device) { registry(t, old).Continue(next.Session, V1_1) },
	} {
		for _, counts := range [][3]uint32{{8, 0, 8}, {8, 3, 8}, {3, 8, 8}, {0, 8, 8}, {1 << 16, 5, 1 << 16}, {0, 0, 0}} {
			old, next := with(counts[0]), with(counts[1])
			goOn(t, old, next)
			got := uint32(0)
			if m := next.Session.MAC; m != nil {
				got = m.NextRJCount0
			}
			if got != counts[2] {
				t.Errorf("%s: %d and %d, goes on with %d", name, counts[0], counts[1], got)
			}
		}
	}
}

// A tombstone whose flag promises what it does not have is read as far as it goes.
func TestTombstoneWithoutRJCount(t *testing.T) {
	n := NewTombstones()
	b := n.head(ofNonces, false)
	b[2] |= flagRJCount
	b = append(b, 1, 0, 2, 0, 0, 0) // LastDevNonce 1, LastJoinNonce 2
	if err := n.Load(noncesKey(radio.EUI64{1}), b); err != nil {
		t.Fatal(err)
	}
	got, ok := n.nonces(radio.EUI64{1})
	if !ok || got.LastDevNonce != 1 || got.LastJoinNonce != 2 || got.NextRJCount1 != 0 {
		t.Errorf("%+v, %v", got, ok)
	}
}

// Devices with one DevEUI are found by it, each as long as it is there.
func TestByDevEUI(t *testing.T) {
	r := registry(t)
	named := func(name string, join byte) *Device {
		return &Device{
			ID: ID{"app1", name}, Version: V1_1, Plan: "EU_863_870_TTN", SupportsJoin: true, HasJoinEUI: true,
			DevEUI: radio.EUI64{1}, JoinEUI: radio.EUI64{join},
			RootKeys: frame.RootKeys{AppKey: frame.Key{1}, NwkKey: frame.Key{2}},
		}
	}
	one, two := named("one", 1), named("two", 2)
	for _, d := range []*Device{one, two} {
		if err := r.Add(d); err != nil {
			t.Fatal(err)
		}
	}
	if got := r.ByDevEUI(radio.EUI64{1}); !slices.Equal(got, []*Device{one, two}) {
		t.Errorf("%v", got)
	}
	r.Remove(one.ID)
	if got := r.ByDevEUI(radio.EUI64{1}); !slices.Equal(got, []*Device{two}) {
		t.Errorf("%v", got)
	}
	r.Remove(two.ID)
	if _, known := r.ByEUI(radio.EUI64{2}, radio.EUI64{1}); known || len(r.ByDevEUI(radio.EUI64{1})) > 0 {
		t.Error("a DevEUI without a device is known")
	}
}

// A device of Class C that goes on in its session was not reached by the join-accept, and
// listens; before that nobody knows.
func TestListensAfterALostJoinAccept(t *testing.T) {
	d := abp("dev1", 1, V1_1, 3)
	d.ClassC, d.Session.MAC = true, &macstate.State{ClassC: true}
	r := registry(t, d)
	if !d.Listens() {
		t.Fatal("it does not listen at first")
	}
	for range 2 {
		r.Offer(d, &Session{DevAddr: radio.DevAddr{9}, Keys: testKeys(9)})
		if d.Listens() {
			t.Error("it listens while nobody knows in which session it is")
		}
		m := Match{Device: d, Session: d.Session, FCnt: d.Session.FCntUp + 1}
		m.Accept(&frame.Data{})
		if !d.Listens() {
			t.Error("it does not listen, though it goes on as before")
		}
	}
	m := Match{Device: d, Session: d.Pending}
	m.Accept(&frame.Data{})
	r.TakeUp(d)
	if d.Listens() {
		t.Error("in its new session it listens before it has said so")
	}
}

// However many DevNonces were used, a device that comes back from a backup goes on behind them:
// what is kept of some is as long as what is kept of a session.
func TestPastOfManyDevNonces(t *testing.T) {
	for n := range MaxDevNonces {
		for _, next := range []uint32{0, 5} {
			d := otaa()
			d.NextRJCount1, d.UsedDevNonces = next, make([]uint16, n)
			d.LastJoinNonce = FirstJoinNonce + 9
			left := NewTombstones()
			left.AddNonces(d)
			again := otaa()
			again.Session, again.Pending, again.UsedDevNonces = nil, nil, nil
			again.LastJoinNonce = FirstJoinNonce
			if !NewPast(nil, left).GoOn(again, true) || again.LastJoinNonce != d.LastJoinNonce {
				t.Errorf("behind %d DevNonces and RJcount1 %d: JoinNonce %d", n, next, again.LastJoinNonce)
			}
		}
	}
}
