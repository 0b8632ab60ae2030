package core

import (
	"testing"
	"time"

	"lorawand/bridge/session"
	"lorawand/bridge/state"
	"lorawand/radio/frame"
)

// A change that tells this home's own counters back passes over none, and none is used twice: not
// after a downlink while it is stored, nor after a crash at any time since.
func TestProvisionOwnCounters(t *testing.T) {
	for _, held := range []bool{false, true} {
		r := newRegistry(t)
		d := r.devices["dev1"]
		fCntUp, last := uint32(3), uint32(0)
		downlink := func() {
			t.Helper()
			sent := len(r.sent)
			r.uplink(d, fCntUp, true)
			r.pass(2 * time.Second)
			if fCntUp++; len(r.sent) != sent+1 {
				t.Fatalf("%d frames sent, want one", len(r.sent)-sent)
			}
			f, err := frame.ParseData(r.sent[sent].PHYPayload)
			if err != nil || uint32(f.FCnt) != last+1 {
				t.Fatalf("FCntDown %d after %d, %v", f.FCnt, last, err)
			}
			last++
			crashed := r.stored(d.ID)
			if next, _ := crashed.Session.NextFCntDown(crashed.Version, true); next <= last {
				t.Fatalf("after a crash FCntDown %d is next, and %d was used", next, last)
			}
		}
		downlink()
		for range 5 {
			next := d.Clone()
			m := next.Session.Marks() // as an export tells it
			next.Session.NFCntDown, next.Session.AFCntDown = m.N, m.A
			r.hold = held
			_ = r.change(Provisioned{Put: []state.DevicePut{{Device: next, Replace: true, OwnCounters: true}}})
			if held {
				downlink()
				r.release()
			}
			if err := r.answers[r.ticket]; err != nil {
				t.Fatal(err)
			}
			downlink()
			downlink()
		}
	}
}

// Counters that are told of another session count: the device may go over to it.
func TestProvisionOwnCountersOfAnother(t *testing.T) {
	r := newRegistry(t)
	next := r.devices["dev1"].Clone()
	next.Session = &session.Session{
		DevAddr: next.Session.DevAddr, Keys: testKeys(77), NFCntDown: 30, AFCntDown: 30, NStored: 30, AStored: 30,
	}
	if err := r.change(Provisioned{Put: []state.DevicePut{{Device: next, Replace: true, OwnCounters: true}}}); err != nil {
		t.Fatal(err)
	}
	if got := r.device("dev1").Session.NFCntDown; got != 30 {
		t.Errorf("NFCntDown %d, want 30", got)
	}
}
