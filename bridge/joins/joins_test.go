package joins

import (
	"errors"
	"fmt"
	"testing"

	"lorawand/bridge/event"
	"lorawand/bridge/session"
	"lorawand/radio"
	"lorawand/radio/frame"
	"lorawand/radio/fuzztest"
)

var (
	devEUI = radio.EUI64{1, 2, 3}
	here   = session.Source{Gateway: radio.EUI64{0xa}}
)

// twins registers devices of LoRaWAN 1.1 that have one DevEUI, and JoinEUIs from 1 on.
func twins(t testing.TB, budget, count int) *session.Registry {
	t.Helper()
	r := session.NewRegistry(budget)
	for i := range count {
		n := byte(i + 1)
		d := &session.Device{
			ID: session.ID{Application: "app1", Device: fmt.Sprintf("dev%d", n)}, Version: session.V1_1,
			Plan: "EU_863_870_TTN", SupportsJoin: true, HasJoinEUI: true, DevEUI: devEUI, JoinEUI: radio.EUI64{n},
			RootKeys: frame.RootKeys{AppKey: frame.Key{n}, NwkKey: frame.Key{n, 1}},
			Session:  &session.Session{DevAddr: radio.DevAddr{n}, Keys: keys(n)},
		}
		if err := r.Add(d); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func keys(n byte) frame.SessionKeys {
	return frame.SessionKeys{
		FNwkSIntKey: frame.Key{n, 2}, SNwkSIntKey: frame.Key{n, 3}, NwkSEncKey: frame.Key{n, 4}, AppSKey: frame.Key{n, 5},
	}
}

func request(t testing.TB, typ frame.JoinType, key frame.Key, count uint16) *Request {
	t.Helper()
	q := frame.RejoinRequest{Type: typ, DevEUI: devEUI, JoinEUI: radio.EUI64{2}, Count: count}
	phy, err := frame.BuildRejoinRequest(q, key)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Parse(phy, "gw")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Of devices with one DevEUI it is the one whose key has made the request.
func TestWhichDevice(t *testing.T) {
	all := twins(t, 0, 5)
	for n := byte(1); n <= 5; n++ {
		r := request(t, frame.Rejoin0, keys(n).SNwkSIntKey, 0)
		if no := r.Check(all, here, 1); no != nil || r.Device.JoinEUI != (radio.EUI64{n}) || r.JoinEUI != r.Device.JoinEUI {
			t.Errorf("of device %d: %+v, %+v", n, no, r.Device)
		}
	}
	r := request(t, frame.Rejoin1, frame.JSIntKey(frame.Key{2, 1}, devEUI), 0)
	if no := r.Check(all, here, 1); no != nil || r.Device.JoinEUI != (radio.EUI64{2}) {
		t.Errorf("type 1: %+v, %+v", no, r.Device)
	}
}

// A device without a NwkKey has no JSIntKey: nobody makes a request for it with the key of
// nothing.
func TestNoRootKey(t *testing.T) {
	all := twins(t, 0, 2)
	all.ByDevEUI(devEUI)[1].RootKeys = frame.RootKeys{}
	r := request(t, frame.Rejoin1, frame.JSIntKey(frame.Key{}, devEUI), 0)
	if no := r.Check(all, here, 1); no == nil || no.Why != event.JoinOtherSession {
		t.Errorf("%+v", no)
	}
}

// Forged requests are paid for, each MIC of each device, and refused unseen when nothing is
// left; then the device has to wait too.
func TestForgedRejoins(t *testing.T) {
	const budget, devices = 1000, 20
	all := twins(t, budget, devices)
	var no *Refusal
	forged := 0
	for no == nil || no.Why == event.JoinOtherSession {
		no = request(t, frame.Rejoin2, frame.Key{9, 9}, 0).Check(all, here, 1)
		forged++
	}
	if no.Why != event.JoinBudget || !errors.Is(no.Err, session.ErrBudget) || all.WrongMICs() > budget {
		t.Errorf("after %d requests and %d MICs: %+v", forged, all.WrongMICs(), no)
	}
	no = request(t, frame.Rejoin2, keys(1).SNwkSIntKey, 0).Check(all, here, 1)
	if no == nil || no.Why != event.JoinBudget {
		t.Errorf("%+v", no)
	}
	second := radio.HostTime(1_000_000_000)
	if no := request(t, frame.Rejoin2, keys(1).SNwkSIntKey, 0).Check(all, here, 2*second); no != nil {
		t.Errorf("a second later: %+v", no)
	}
}

// Whatever comes is refused with a reason, or is a request of the device with the key.
func FuzzRequest(f *testing.F) {
	for _, typ := range []frame.JoinType{frame.Rejoin0, frame.Rejoin1, frame.Rejoin2} {
		q := frame.RejoinRequest{Type: typ, DevEUI: devEUI, JoinEUI: radio.EUI64{1}}
		phy, err := frame.BuildRejoinRequest(q, keys(1).SNwkSIntKey)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(phy)
	}
	f.Add(make([]byte, 23))
	f.Fuzz(fuzztest.Quick(func(t *testing.T, phy []byte) {
		r, err := Parse(phy, "gw")
		if err != nil {
			if !errors.Is(err, frame.ErrFrame) {
				t.Fatalf("%x: %v", phy, err)
			}
			return
		}
		no := r.Check(twins(t, 0, 2), here, 1)
		if (no == nil) != (r.Plan != nil) || no != nil && (no.Err == nil || no.Why == "") {
			t.Fatalf("%x: %+v, plan %v", phy, no, r.Plan)
		}
		if e := r.Refused(event.JoinNoWindow, nil); e.DevEUI != r.DevEUI {
			t.Fatalf("%x: %+v", phy, e)
		}
	}))
}
