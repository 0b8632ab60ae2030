package state

import (
	"bytes"
	"errors"
	"syscall"
	"testing"

	"lorawand/bridge/session"
	"lorawand/bridge/store"
	"lorawand/bridge/store/storetest"
	"lorawand/radio/frame"
)

// oneDevice is what a backup of before some traffic holds.
func oneDevice(t *testing.T) *store.Backup {
	t.Helper()
	s := openOn(t, storetest.NewDisk(nil))
	d := &session.Device{
		ID: session.ID{Application: "app1", Device: "dev1"}, DevEUI: [8]byte{1}, Version: session.V1_0_3,
		Plan: "EU_863_870_TTN",
		Session: &session.Session{DevAddr: [4]byte{1}, Keys: frame.SessionKeys{
			FNwkSIntKey: frame.Key{1},
			SNwkSIntKey: frame.Key{1}, NwkSEncKey: frame.Key{1}, AppSKey: frame.Key{2},
		}, NFCntDown: 7, AFCntDown: 7},
	}
	records, err := DeviceRecords(d)
	if err == nil {
		err = s.Commit(records...)
	}
	var text bytes.Buffer
	if err = errors.Join(err, s.Backup(&text)); err != nil {
		t.Fatal(err)
	}
	b, err := store.ReadBackup(&text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func openOn(t *testing.T, f *storetest.Disk) *store.Store {
	t.Helper()
	s, err := store.Open("", store.Options{FS: f})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// caughtUp loads a store, and returns the next counter for a downlink of its
// device.
func caughtUp(t *testing.T, s *store.Store, skips, fails bool) uint32 {
	t.Helper()
	st, err := Load(s, 0, "ttn")
	if err != nil {
		t.Fatal(err)
	}
	if behind, err := CatchUp(s, st); behind != skips || (err != nil) != fails {
		t.Fatalf("behind: %v, %v", behind, err)
	}
	next, _ := st.Devices.All()[0].Session.NextFCntDown(session.V1_0_3, true)
	return next
}

// After a backup was restored counters skip ahead, once. While that cannot be
// stored they begin at the same place with each start.
func TestCatchUp(t *testing.T) {
	f := storetest.NewDisk(nil)
	s := openOn(t, f)
	b := oneDevice(t)
	alone := func(*store.Found) ([]store.Record, bool, error) { return b.All(), false, nil }
	if err := s.Restore(alone); err != nil {
		t.Fatal(err)
	}
	f.Fail(func(op, _ string) error { return syscall.EROFS })
	for range 2 {
		if next := caughtUp(t, s, true, true); next != 8200 {
			t.Errorf("the next counter is %d", next)
		}
	}
	f.Fail(nil)
	if next := caughtUp(t, s, true, false); next != 8200 {
		t.Errorf("the next counter is %d", next)
	}
	if next := caughtUp(t, s, false, false); next != 8200 || s.Behind() {
		t.Errorf("skipped again: the next counter is %d", next)
	}
}
