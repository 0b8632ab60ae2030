package state

import (
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"lorawand/bridge/access"
	"lorawand/bridge/session"
	"lorawand/bridge/store"
	"lorawand/radio"
	"lorawand/radio/frame"
)

func openStore(t *testing.T, dir string) *store.Store {
	t.Helper()
	s, err := store.Open(dir, store.Options{Ephemeral: true})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestState(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	nwk := frame.Key{1}
	dev := &session.Device{
		ID: session.ID{Application: "app1", Device: "dev1"}, DevEUI: radio.EUI64{1}, Version: session.V1_0_3,
		Plan: "EU_863_870_TTN",
		Session: &session.Session{
			DevAddr: radio.DevAddr{1, 2, 3},
			Keys:    frame.SessionKeys{FNwkSIntKey: nwk, SNwkSIntKey: nwk, NwkSEncKey: nwk, AppSKey: frame.Key{2}},
		},
	}
	records, err := DeviceRecords(dev)
	if err != nil {
		t.Fatal(err)
	}
	text, key, err := access.New(rand.Reader, "app1")
	if err != nil {
		t.Fatal(err)
	}
	kr, err := KeyRecord(key)
	if err != nil {
		t.Fatal(err)
	}
	dev.Session.Heard, dev.Session.FCntUp = true, 70_000
	if err := s.Commit(append(records, kr, CountersRecord(dev, dev.Session.Marks()))...); err != nil {
		t.Fatal(err)
	}
	s.Close()
	s = openStore(t, dir)
	defer s.Close()
	st, err := Load(s, 0, "ttn")
	if err != nil {
		t.Fatal(err)
	}
	got := st.Devices.Device(dev.ID)
	if got == nil || got.Session.FCntUp != 70_000 || !got.Session.Heard || got.Session.Keys != dev.Session.Keys {
		t.Errorf("device %+v", got)
	}
	if _, err := st.Keys.Login("app1@ttn", text, time.Time{}); err != nil {
		t.Errorf("login: %v", err)
	}
	// Counters of another session do not count.
	other := *dev
	other.Session = &session.Session{DevAddr: radio.DevAddr{9}, Keys: dev.Session.Keys}
	if records, err = DeviceRecords(&other); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(records[0]); err != nil {
		t.Fatal(err)
	}
	if st, err = Load(s, 0, "ttn"); err != nil || st.Devices.Device(dev.ID).Session.Heard {
		t.Errorf("counters of an earlier session are taken: %v", err)
	}
}

func TestUnusableRecords(t *testing.T) {
	s := openStore(t, t.TempDir())
	defer s.Close()
	named, err := DeviceRecord(&session.Device{
		ID:     session.ID{Application: "app1", Device: "dev1"},
		DevEUI: radio.EUI64{1},
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]store.Record{
		"version":     {Kind: KindDevice, Key: "app1/x", Version: 9, Data: []byte("{}")},
		"JSON":        {Kind: KindDevice, Key: "app1/x", Version: 1, Data: []byte("{")},
		"name":        {Kind: KindDevice, Key: "app1/x", Version: 1, Data: named.Data},
		"device":      {Kind: KindDevice, Key: "app1/x", Version: 1, Data: []byte(`{"ID":{"Application":"app1","Device":"x"}}`)},
		"key":         {Kind: KindKey, Key: "x", Version: 1, Data: []byte("[]")},
		"key version": {Kind: KindKey, Key: "x", Version: 2, Data: []byte("{}")},
		"last use":    {Kind: KindKeyUse, Key: "x", Version: 1, Data: []byte("abc")},
	} {
		if err := s.Commit(bad); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(s, 0, "ttn"); !errors.Is(err, ErrState) {
			t.Errorf("%s: %v, want ErrState", name, err)
		}
		if err := s.Commit(store.Record{Kind: bad.Kind, Key: bad.Key}); err != nil {
			t.Fatal(err)
		}
	}
}
