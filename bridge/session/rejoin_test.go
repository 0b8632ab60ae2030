package session

import (
	"slices"
	"testing"

	"lorawand/bridge/session/macstate"
	"lorawand/radio"
	"lorawand/radio/frame"
)

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
	r.TakeUp(d, d.Pending)
	if d.Listens() {
		t.Error("in its new session it listens before it has said so")
	}
}
