package tombstone

import (
	"slices"
	"testing"

	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
	"lorawand/radio"
	"lorawand/radio/frame"
)

// otaa is a device that joins, at a time when it has both sessions.
func otaa() *session.Device {
	keys := func(n byte) frame.SessionKeys {
		return frame.SessionKeys{
			FNwkSIntKey: frame.Key{n}, SNwkSIntKey: frame.Key{n}, NwkSEncKey: frame.Key{n},
			AppSKey: frame.Key{n},
		}
	}
	return &session.Device{
		ID:     session.ID{Application: "app1", Device: "dev1"},
		DevEUI: radio.EUI64{1}, HasJoinEUI: true, SupportsJoin: true, Version: session.V1_0_3, Plan: "EU_863_870",
		RootKeys: frame.RootKeys{AppKey: frame.Key{1}}, UsedDevNonces: []uint16{1, 2, 3}, LastJoinNonce: 70_000,
		LastDevNonce: 5,
		Session: &session.Session{
			DevAddr: radio.DevAddr{1}, Keys: keys(1), Heard: true, FCntUp: 10, NFCntDown: 20,
			AFCntDown: 20, NStored: 64, AStored: 64, KeyID: []byte{1},
		},
		Pending: &session.Session{DevAddr: radio.DevAddr{2}, Keys: keys(2)},
	}
}

// abp is an ABP device of LoRaWAN 1.1 that was heard.
func abp() *session.Device {
	key := frame.Key{1, 1}
	return &session.Device{
		ID: session.ID{Application: "app1", Device: "dev1"}, Version: session.V1_1, Plan: "EU_863_870",
		Session: &session.Session{
			DevAddr: radio.DevAddr{1, 2, 3, 4}, Heard: true, FCntUp: 3,
			Keys: frame.SessionKeys{FNwkSIntKey: key, SNwkSIntKey: key, NwkSEncKey: key, AppSKey: frame.Key{2, 1}},
		},
	}
}

// What rejoin-requests have used never goes back, also when the device was deleted, unless its
// owner has it forgotten.
func TestRejoinCounts(t *testing.T) {
	d := &session.Device{DevEUI: radio.EUI64{1}, Version: session.V1_1, SupportsJoin: true, Session: &session.Session{}}
	d.UseRejoin(nil, 65537, 4)
	d.UseRejoin(nil, 65538, 2)
	d.UseRejoin(d.Session, 65539, 7)
	d.UseRejoin(d.Session, 65540, 1<<16-1)
	d.UseRejoin(d.Session, 65541, 0)
	if d.NextRJCount1 != 5 || d.Session.MAC.NextRJCount0 != 1<<16 || d.LastJoinNonce != 65541 {
		t.Errorf("RJcount1 %d, RJcount0 %d, JoinNonce %d", d.NextRJCount1, d.Session.MAC.NextRJCount0, d.LastJoinNonce)
	}
	for _, used := range [][]uint16{nil, {1, 2, 3}, make([]uint16, session.MaxDevNonces)} {
		d.UsedDevNonces = used
		from, to := New(), New()
		for _, b := range from.AddNonces(d) {
			if err := to.Load(b.Key, b.Data); err != nil {
				t.Fatal(err)
			}
		}
		again := &session.Device{DevEUI: d.DevEUI, Version: session.V1_1, SupportsJoin: true}
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
	with := func(count uint32) *session.Device {
		d := abp()
		if count > 0 {
			d.Session.MAC = &macstate.State{NextRJCount0: count}
		}
		return d
	}
	deleted := func(t *testing.T, older *Set, d *session.Device) *Set {
		from, to := New(), New()
		from.Unite(older)
		for _, b := range from.AddSession(d, d.Session) {
			if err := to.Load(b.Key, b.Data); err != nil {
				t.Fatal(err)
			}
		}
		to.Unite(from)
		return to
	}
	for name, goOn := range map[string]func(t *testing.T, old, next *session.Device){
		"registered anew": func(_ *testing.T, old, next *session.Device) { next.Succeed(old) },
		"deleted": func(t *testing.T, old, next *session.Device) {
			deleted(t, New(), old).Revive(next.Session, session.V1_1)
		},
		"deleted twice": func(t *testing.T, old, next *session.Device) {
			deleted(t, deleted(t, New(), old), with(0)).Revive(next.Session, session.V1_1)
		},
		"restored": func(_ *testing.T, old, next *session.Device) {
			NewPast([]*session.Device{old}, New()).GoOn(next, true)
		},
		"twins": func(t *testing.T, old, next *session.Device) {
			r := session.NewRegistry(0)
			if err := r.Add(old); err != nil {
				t.Fatal(err)
			}
			r.Continue(next.Session, session.V1_1)
		},
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
	n := New()
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

// However many DevNonces were used, a device that comes back from a backup goes on behind them:
// what is kept of some is as long as what is kept of a session.
func TestPastOfManyDevNonces(t *testing.T) {
	for n := range session.MaxDevNonces {
		for _, next := range []uint32{0, 5} {
			d := otaa()
			d.NextRJCount1, d.UsedDevNonces = next, make([]uint16, n)
			d.LastJoinNonce = session.FirstJoinNonce + 9
			left := New()
			left.AddNonces(d)
			again := otaa()
			again.Session, again.Pending, again.UsedDevNonces = nil, nil, nil
			again.LastJoinNonce = session.FirstJoinNonce
			if !NewPast(nil, left).GoOn(again, true) || again.LastJoinNonce != d.LastJoinNonce {
				t.Errorf("behind %d DevNonces and RJcount1 %d: JoinNonce %d", n, next, again.LastJoinNonce)
			}
		}
	}
}
