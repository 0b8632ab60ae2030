package state

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"log/slog"
	"math/rand"
	"slices"
	"testing"
	"time"

	"lorawand/bridge/access"
	"lorawand/bridge/schedule"
	"lorawand/bridge/session"
	"lorawand/bridge/session/tombstone"
	"lorawand/bridge/store"
	"lorawand/bridge/store/storetest"
	"lorawand/radio"
	"lorawand/radio/frame"
)

var cuts = flag.Int("state.cuts", 150, "how many random power cuts to try")

// everyKind makes records of every kind, each time with other content.
type everyKind struct {
	*testing.T
	rnd   *rand.Rand
	codec []store.Record
	key   store.Record
	keyID string
	n     int
}

func newEveryKind(t *testing.T) *everyKind {
	t.Helper()
	w := &everyKind{T: t, rnd: rand.New(rand.NewSource(1)), codec: someApplication(t)}
	_, k, err := access.New(w.rnd, "app1")
	if err != nil {
		t.Fatal(err)
	}
	w.keyID = k.ID
	if w.key, err = KeyRecord(k); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *everyKind) device() *session.Device {
	nwk := frame.Key{1, byte(w.n)}
	return &session.Device{
		ID: session.ID{Application: "app1", Device: fmt.Sprint("dev", w.n%4)}, DevEUI: radio.EUI64{1, byte(w.n % 4)},
		Version: session.V1_0_3, Plan: "EU_863_870_TTN", Name: fmt.Sprint("name ", w.n),
		Session: &session.Session{
			DevAddr: radio.DevAddr{1, 2, 3, byte(w.n % 4)}, Heard: true, FCntUp: uint32(w.n),
			Keys: frame.SessionKeys{FNwkSIntKey: nwk, SNwkSIntKey: nwk, NwkSEncKey: nwk, AppSKey: frame.Key{2}},
		},
	}
}

// records are those of one kind.
func (w *everyKind) records(kind string) (out []store.Record) {
	w.Helper()
	w.n++
	d, eui := w.device(), radio.EUI64{byte(w.n % 3)}
	var err error
	switch kind {
	case KindDevice:
		out, err = DeviceRecords(d)
	case KindCounters:
		out = []store.Record{CountersRecord(d, d.Session.Marks())}
	case KindDownlink:
		out, err = ItemRecords(d, &session.Item{Seq: uint64(w.n % 9), FPort: 1, FRMPayload: make([]byte, w.n%200)})
	case KindKey:
		out = []store.Record{w.key}
	case KindKeyUse:
		out = []store.Record{KeyUseRecord(w.keyID, access.Day(w.n))}
	case KindLedger:
		out = []store.Record{ledgerRecord(eui, Spent{868_000_000: time.Duration(w.n) * time.Millisecond})}
	case KindAirtime:
		out = []store.Record{hourRecord(eui, &AirtimeHour{Seq: uint64(w.n), Bands: make([]schedule.BandHour, 1+w.n%3)})}
	case KindTombstone:
		out = TombstoneRecords(tombstone.New().AddSession(d, d.Session)...)
	case KindApplication, KindCodec, KindModel:
		out = slices.DeleteFunc(slices.Clone(w.codec), func(r store.Record) bool { return r.Kind != kind })
	default: // of other packages: bytes to this one
		data := binary.BigEndian.AppendUint64(make([]byte, w.n%700), uint64(w.n))
		out = []store.Record{{Kind: kind, Key: fmt.Sprint("key", w.n%5), Version: 1, Data: data}}
	}
	if err != nil || len(out) == 0 {
		w.Fatalf("%s: %d records, %v", kind, len(out), err)
	}
	return out
}

// all is all that a store holds.
func all(t *testing.T, s *store.Store) string {
	t.Helper()
	var b bytes.Buffer
	if err := s.Backup(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

var kindNames = []string{
	KindDevice, KindCounters, KindDownlink, KindKey, KindKeyUse, KindMQTTSession, KindMQTTMessage, KindLedger, KindAirtime,
	KindApplication, KindCodec, KindModel, KindTombstone, KindPage,
}

// Whatever kinds of records a commit has, and whenever the power is cut: the store holds what was
// answered, or one commit more, and the state can be loaded.
func TestPowerCutEveryKind(t *testing.T) {
	w := newEveryKind(t)
	some := func() bool { return w.rnd.Intn(2) == 0 }
	disk := storetest.NewDisk(nil)
	for done := 0; done < *cuts; done++ {
		s, err := store.Open("", store.Options{FS: disk, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Load(s, 0, "ttn"); err != nil {
			t.Fatalf("cut %d: %v", done, err)
		}
		var commit []store.Record
		for range 1 + w.rnd.Intn(3) {
			commit = append(commit, w.records(kindNames[(done+w.rnd.Intn(3))%len(kindNames)])...)
		}
		if w.rnd.Intn(5) == 0 {
			commit = append(commit, store.Record{Kind: commit[0].Kind, Key: commit[0].Key}) // is deleted again
		}
		before, from := all(t, s), disk.Ops()
		if err := s.Commit(commit...); err != nil {
			t.Fatal(err)
		}
		after, n := all(t, s), disk.Ops()
		cut := from + w.rnd.Intn(n-from+1)
		next := disk.After(cut, storetest.Cut{Name: some, Data: some, Rubbish: byte(w.rnd.Intn(3) * 0x7f)})
		_ = s.Close()
		if s, err = store.Open("", store.Options{FS: next, Logger: slog.New(slog.DiscardHandler)}); err != nil {
			t.Fatalf("cut %d, behind operation %d of %d to %d: %v", done, cut, from, n, err)
		}
		if got := all(t, s); got != after && (got != before || cut == n) {
			t.Fatalf("cut %d, behind operation %d of %d to %d: neither as before the commit nor as after it", done, cut, from, n)
		}
		_ = s.Close()
		disk = next
	}
	t.Logf("%d power cuts, records of %d kinds", *cuts, len(kindNames))
}
