package core

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"lorawand/bridge/session"
	"lorawand/bridge/state"
	"lorawand/bridge/store"
	"lorawand/radio"
	"lorawand/radio/frame"
)

// kinds are those of all records that a store of these tests has.
var kinds = []string{state.KindDevice, state.KindCounters, state.KindDownlink, state.KindTombstone}

// folder writes what a host has stored into a folder, as it was: in many
// commits.
func (w *watched) folder() string {
	w.Helper()
	dir := w.TempDir()
	s := openFolder(w.T, dir)
	for _, r := range w.records {
		if err := s.Commit(r); err != nil {
			w.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		w.Fatal(err)
	}
	return dir
}

func openFolder(t *testing.T, dir string) *store.Store {
	t.Helper()
	s, err := store.Open(dir, store.Options{Ephemeral: true})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (w *watched) backup() *store.Backup {
	w.Helper()
	s := openFolder(w.T, w.folder())
	defer s.Close()
	var text bytes.Buffer
	if err := s.Backup(&text); err != nil {
		w.Fatal(err)
	}
	b, err := store.ReadBackup(&text)
	if err != nil {
		w.Fatal(err)
	}
	return b
}

// restoreInto restores a backup into a folder, and begins anew with that.
func (w *watched) restoreInto(dir string, b *store.Backup) (did state.Restored) {
	w.Helper()
	err := store.Restore(dir, store.Options{Ephemeral: true}, func(old *store.Found) (records []store.Record,
		settled bool, err error,
	) {
		records, did, err = state.Merge(b, old)
		return records, true, err
	})
	if err != nil {
		w.Fatal(err)
	}
	s := openFolder(w.T, dir)
	defer s.Close()
	if s.Behind() {
		w.Error("the store is behind what it was settled to")
	}
	w.records = map[recordID]store.Record{}
	for _, kind := range kinds {
		for _, r := range s.Records(kind) {
			w.records[recordID{r.Kind, r.Key}] = r
		}
	}
	w.again()
	return did
}

// many has so many downlinks sent to a device.
func (w *watched) many(name string, n int) {
	w.Helper()
	d := w.device(name)
	s := d.Session
	for range n {
		if m, due := s.Reserve(d.Version); due {
			w.commit(Commit{Records: []store.Record{state.CountersRecord(d, m)}})
			s.Reserved(m, true)
		}
		fCnt, ok := s.NextFCntDown(d.Version, true)
		if !ok {
			w.Fatal("no counter")
		}
		s.UseFCntDown(d.Version, true)
		s.Sent(d.Version, true, fCnt)
		for _, k := range []frame.Key{s.Keys.AppSKey, s.Keys.NwkSEncKey} {
			w.downs[fmt.Sprintf("%v %x FCntDown %d", s.DevAddr, k[:], uint16(fCnt))] = true
			w.last[string(k[:])+string(s.DevAddr[:])] = uint16(fCnt)
		}
	}
	w.commit(Commit{Records: []store.Record{state.CountersRecord(d, s.Marks())}})
}

// damage makes a part of the commits of a folder unreadable: from 0 to 1, and more where that is
// a gap in front of a page.
func damage(t *testing.T, dir string, from, to float64) {
	t.Helper()
	names, err := filepath.Glob(dir + "/journal-*")
	if err != nil || len(names) != 1 {
		t.Fatalf("%v, %v", names, err)
	}
	b, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	hit := false
	for i := int(from * float64(len(b))); i < int(to*float64(len(b))) || !hit && i < len(b); i++ {
		hit = hit || b[i] != 0
		b[i] ^= 0xff
	}
	if err := os.WriteFile(names[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// talkAndJoin has both devices use the network: the one with keys of its own talks, the
// other one joins.
func talkAndJoin(w *watched, _ *store.Backup) { w.talk(abp("abp1", 1).Session); w.join("new1") }

// restoreAndUse restores the backup, and has both devices use the network.
func restoreAndUse(w *watched, b *store.Backup) { w.restoreInto(w.folder(), b); talkAndJoin(w, b) }

// otherKeys is abp1 with keys that it does not have.
func otherKeys() *session.Device {
	d := abp("abp1", 1)
	d.Session.Keys = testKeys(77)
	return d
}

var restoreCases = map[string]struct {
	since   func(*watched, *store.Backup) // the backup
	folder  func(*watched) string
	skipped int
	damaged bool
}{
	"nothing was done": {nil, (*watched).folder, 0, false},
	"a downlink": {func(w *watched, _ *store.Backup) {
		w.talk(abp("abp1", 1).Session)
	}, (*watched).folder, 0, false},
	"a join":               {func(w *watched, _ *store.Backup) { w.join("new1") }, (*watched).folder, 0, false},
	"restored once before": {restoreAndUse, (*watched).folder, 0, false},
	"restored twice before": {func(w *watched, b *store.Backup) {
		restoreAndUse(w, b)
		restoreAndUse(w, b)
	}, (*watched).folder, 0, false},
	"9000 downlinks":  {func(w *watched, _ *store.Backup) { w.many("abp1", 9000) }, (*watched).folder, 0, false},
	"20000 downlinks": {func(w *watched, _ *store.Backup) { w.many("abp1", 20_000) }, (*watched).folder, 0, false},
	"other keys": {
		func(w *watched, _ *store.Backup) { w.many("abp1", 9000); w.put(otherKeys(), true) }, (*watched).folder, 0,
		false,
	},
	"deleted": {func(w *watched, _ *store.Backup) {
		w.many("abp1", 9000)
		w.delete("abp1")
		w.delete("new1")
	}, (*watched).folder, 0, false},
	"deleted, another store": {
		func(w *watched, _ *store.Backup) { w.delete("abp1"); w.delete("new1") },
		func(w *watched) string { return w.TempDir() }, 2, false,
	},
	"an empty folder": {
		talkAndJoin,
		func(w *watched) string { return w.TempDir() }, 2, false,
	},
	"lost commits": {
		talkAndJoin,
		func(w *watched) string { dir := w.folder(); damage(w.T, dir, 0.5, 0.6); return dir }, 2, true,
	},
	"unreadable": {
		talkAndJoin,
		func(w *watched) string { dir := w.folder(); damage(w.T, dir, 0, 0.6); return dir }, 2, true,
	},
}

// A restored state uses no counter and no nonce twice, after any use since the backup and
// with any rest of the store.
func TestRestoreUsesNothingTwice(t *testing.T) {
	abp1, new1 := abp("abp1", 1), otaa("new1", 1)
	right := abp1.Session
	for name, tt := range restoreCases {
		for _, clean := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, clean %v", name, clean), func(t *testing.T) {
				w := newWatched(t)
				w.put(abp1.Clone(), false)
				w.put(new1.Clone(), false)
				w.talk(right)
				w.join("new1")
				b := w.backup()
				if tt.since != nil {
					tt.since(w, b)
				}
				if clean {
					w.step(Stopping{})
				}
				before := w.fCnt
				did := w.restoreInto(tt.folder(w), b)
				if did.Devices != len(b.Records(state.KindDevice)) || did.Damaged != tt.damaged {
					t.Errorf("%+v", did)
				}
				if n := did.Skipped; n < tt.skipped || tt.skipped == 0 && n != 0 {
					t.Errorf("%d have skipped ahead, want %d", n, tt.skipped)
				}
				if tt.skipped == 0 {
					w.replay(right)
				}
				w.fCnt = before
				w.talk(right)
				w.join("new1")
			})
		}
	}
}

// A store that is older than the backup is not its successor: it does not know
// what was used since.
func TestRestoreIntoAnOlderStore(t *testing.T) {
	w := newWatched(t)
	w.put(abp("abp1", 1), false)
	in := abp("abp1", 1).Session
	w.talk(in)
	spare := w.folder()
	w.talk(in)
	b := w.backup()
	w.many("abp1", 5000)
	if did := w.restoreInto(spare, b); did.Skipped != 1 {
		t.Errorf("%+v", did)
	}
	w.talk(in)
}

// A restore unites the tombstones of the backup and of the store.
func TestRestoreUnitesTombstones(t *testing.T) {
	w := newWatched(t)
	for n := range byte(4) {
		d := abp(fmt.Sprintf("abp%d", n), n+1)
		w.put(d, false)
		w.many(d.ID.Device, 100)
	}
	joins := otaa("new1", 1)
	joins.LastJoinNonce, joins.UsedDevNonces = 70_000, []uint16{1}
	w.put(joins, false)
	w.delete("abp0") // the backup knows that
	b := w.backup()
	w.many("abp1", 100)
	w.delete("abp1") // only the store does, and the backup brings it back
	w.delete("new1")
	later := abp("abp9", 9)
	w.put(later, false)
	w.many("abp9", 300) // the backup does not know it at all
	w.restoreInto(w.folder(), b)
	for name, want := range map[string]uint32{"abp1": 200, "abp2": 100} {
		if got := w.device(name).Session.NFCntDown; got < want || got > want+64 {
			t.Errorf("%s goes on behind %d, want %d", name, got, want)
		}
	}
	if got := w.device("new1"); got == nil || got.LastJoinNonce != 70_000 {
		t.Errorf("%+v", got)
	}
	for name, want := range map[byte]uint32{1: 100, 9: 300} {
		d := abp(fmt.Sprintf("again%d", name), name)
		w.put(d, false)
		if got := w.device(d.ID.Device).Session.NFCntDown; got < want || got > want+64 {
			t.Errorf("%s goes on behind %d, want %d", d.ID.Device, got, want)
		}
	}
}

// Restores of a device that hears nothing, into stores that know nothing of it,
// do not add up to more than it takes.
func TestRestoresOfAQuietDevice(t *testing.T) {
	w := newWatched(t)
	w.put(abp("abp1", 1), false)
	in := abp("abp1", 1).Session
	w.talk(in)
	for range 10 {
		w.restoreInto(w.TempDir(), w.backup())
	}
	w.talk(in)
}

// A join-request with DevNonce 0 that was heard since the backup is not answered
// again.
func TestRestoreKeepsDevNonces(t *testing.T) {
	w := newWatched(t)
	d := otaa("new1", 1)
	d.Version = session.V1_0_4
	w.put(d, false)
	b := w.backup()
	w.nonce = 65535 // join counts on to 0
	w.join("new1")
	w.restoreInto(w.folder(), b)
	before := len(w.sent)
	at := radio.ConcentratorTime(w.now.Host / 1000)
	w.step(Heard{radio.Uplink{
		Gateway: gwA, PHYPayload: w.joinRequest(w.device("new1"), 0), Frequency: 868_300_000,
		DataRate: radio.LoRaDataRate(7, 125_000), CodingRate: radio.CodingRate45,
		Time: at, Received: w.now.Host, Ended: w.now.Host, Receptions: []radio.Reception{{Channel: 1, RSSI: -6000, SNR: 850}},
	}})
	w.pass(7e9)
	if len(w.sent) != before {
		t.Error("a used DevNonce is taken after a restore")
	}
}
