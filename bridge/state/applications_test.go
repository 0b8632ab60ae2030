package state

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unsafe"

	"lorawand/bridge/access"
	"lorawand/bridge/codec"
	"lorawand/bridge/session"
	"lorawand/bridge/store"
	"lorawand/bridge/store/storetest"
)

// someApplication is what a store has of an application and of the codec of a model.
func someApplication(t *testing.T) []store.Record {
	t.Helper()
	app, err := ApplicationRecord(
		access.Application{ID: "app1", Up: access.Formatter{Kind: codec.JavaScript, Parameter: "x"}})
	if err != nil {
		t.Fatal(err)
	}
	records, err := CodecRecords(
		[]*codec.Model{{Brand: "acme", ID: "sensor", Versions: []codec.Version{{Firmware: "1.0", Codecs: map[string]string{"EU_863_870": "acme/one"}}}}},
		[]*codec.Codec{{Brand: "acme", ID: "one", Files: map[string]string{"one.js": "script"}, UplinkDecoder: "one.js"}},
	)
	if err != nil {
		t.Fatal(err)
	}
	return append(records, app)
}

// has fails if a state does not have what someApplication has.
func has(t *testing.T, what string, s records) {
	t.Helper()
	st, err := Load(s, 0, "ttn")
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	c, err := st.Codecs.Find(session.VersionIDs{Brand: "acme", Model: "sensor"})
	if err != nil || c.Files["one.js"] != "script" {
		t.Errorf("%s: %+v, %v", what, c, err)
	}
	if a, ok := st.Applications.Application("app1"); !ok || a.Up.Parameter != "x" {
		t.Errorf("%s: %+v", what, a)
	}
}

// Applications and codecs outlive a restart, a backup and a restore.
func TestApplicationsStored(t *testing.T) {
	disk := storetest.NewDisk(nil)
	s := openOn(t, disk)
	if err := s.Commit(someApplication(t)...); err != nil {
		t.Fatal(err)
	}
	has(t, "stored", s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openOn(t, disk)
	has(t, "after a restart", s)
	var text bytes.Buffer
	if err := s.Backup(&text); err != nil {
		t.Fatal(err)
	}
	b, err := store.ReadBackup(&text)
	if err != nil {
		t.Fatal(err)
	}
	has(t, "in a backup", b)
	other := openOn(t, storetest.NewDisk(nil))
	if err := other.Restore(func(old *store.Found) ([]store.Record, bool, error) {
		records, _, err := Merge(b, old)
		return records, true, err
	}); err != nil {
		t.Fatal(err)
	}
	has(t, "restored", other)
	empty, err := Load(openOn(t, storetest.NewDisk(nil)), 0, "ttn")
	if err != nil || len(empty.Applications.All()) != 0 || len(empty.Codecs.Models()) != 0 {
		t.Errorf("an older store: %+v, %v", empty, err)
	}
}

// A record that cannot be understood is an error, not lost in silence.
func TestApplicationsDamaged(t *testing.T) {
	good := someApplication(t)
	for name, spoil := range map[string]func(*store.Record){
		"version": func(r *store.Record) { r.Version = 9 },
		"key":     func(r *store.Record) { r.Key += "x" },
		"JSON":    func(r *store.Record) { r.Data = []byte(`{`) },
	} {
		for _, r := range good {
			s := openOn(t, storetest.NewDisk(nil))
			spoil(&r)
			if err := s.Commit(r); err != nil {
				t.Fatal(err)
			}
			if _, err := Load(s, 0, "ttn"); !errors.Is(err, ErrState) || !strings.Contains(err.Error(), r.Key) {
				t.Errorf("%s of a %s: %v", name, r.Kind, err)
			}
		}
	}
}

// Devices with one script have it once in memory.
func TestShareScripts(t *testing.T) {
	var devices []*session.Device
	for i := range 4 {
		d := &session.Device{}
		d.Formatters.UpParameter = strings.Repeat("x", 1000+i%2)
		d.Formatters.DownParameter = fmt.Sprint("d", i)
		devices = append(devices, d)
	}
	ShareScripts(devices...)
	at := func(i int) *byte { return unsafe.StringData(devices[i].Formatters.UpParameter) }
	if at(0) != at(2) || at(1) != at(3) || at(0) == at(1) {
		t.Error("equal scripts are not shared, or others are")
	}
	if devices[3].Formatters.DownParameter != "d3" || len(devices[3].Formatters.UpParameter) != 1001 {
		t.Errorf("%+v", devices[3].Formatters)
	}
}
