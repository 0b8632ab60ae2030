package store_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"math/rand"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	. "lorawand/bridge/store"
	"lorawand/bridge/store/storetest"
	"lorawand/radio/fuzztest"
)

const (
	head     = `{"lorawand":"backup","format":1}`
	restored = `{"kind":"device","key":"restored","version":7,"json":{}}`
)

// alone is a backup that replaces all there is.
func alone(b *Backup) Merge {
	return func(*Found) ([]Record, bool, error) { return b.All(), false, nil }
}

// restoreText restores what may be a backup.
func restoreText(dir, text string, o Options) error {
	b, err := ReadBackup(strings.NewReader(text))
	if err != nil {
		return err
	}
	return Restore(dir, o, alone(b))
}

// restoreOpen is restoreText for a store that is open.
func restoreOpen(s *Store, text string) error {
	b, err := ReadBackup(strings.NewReader(text))
	if err != nil {
		return err
	}
	return s.Restore(alone(b))
}

// sealed puts the end behind lines of a backup.
func sealed(records int, lines ...string) string {
	b := strings.Join(lines, "\n") + "\n"
	return b + fmt.Sprintf(`{"records":%d,"sha256":"%x"}`, records, sha256.Sum256([]byte(b))) + "\n"
}

func TestBackup(t *testing.T) {
	s := openOn(t, storetest.NewDisk(nil))
	mustCommit(
		t, s, rec("app1/dev1", `{"a":[1,2],"b":"<&> ü"}`), rec("app1/dev2", `{"spaces": 1}`), rec("app1/dev3", "{}\n"), rec("app1/dev4", " {}"),
		rec("app1/dev5", "null"), rec("app1/dev6", ""), rec("app1/dev7", "{\"text\":\"\xff\"}"), rec("<&>\"\\\n", "12"), rec("", `"x"`),
		Record{"counters", "app1/dev1", 255, []byte{0, 1, 2, 0xff}},
		Record{"large", "x", 1, bytes.Repeat([]byte{0xfb}, 100_000)},
	)
	want := state(s)
	s.SetBehind()
	var b bytes.Buffer
	if err := s.Backup(&b); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		head, `{"kind":"device","key":"app1/dev1","version":1,"json":{"a":[1,2],"b":"<&> ü"}}`,
		`{"kind":"counters","key":"app1/dev1","version":255,"base64":"AAEC/w=="}`, `{"kind":"device","key":"app1/dev6","version":1,"base64":""}`,
	} {
		if !strings.Contains(b.String(), line+"\n") {
			t.Errorf("%s is not in the backup", line)
		}
	}
	for name, text := range map[string]string{
		"as it is": b.String(),
		"with CR LF": strings.ReplaceAll(b.String(), "\n",
			"\r\n"), "without the last line end": strings.TrimSuffix(b.String(), "\n"),
	} {
		f := storetest.NewDisk(nil)
		if err := restoreText("", text, Options{FS: f, Logger: quiet}); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		s := openOn(t, f)
		if withoutBehind(s) != want || !s.Behind() {
			t.Errorf("%s: not as before; behind: %v", name, s.Behind())
		}
		s.Close()
	}
	if err := s.Backup(failingWriter{}); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("a backup that cannot be written: %v", err)
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, unix.ENOSPC }

func TestRestoreRefuses(t *testing.T) {
	const one, two = `{"kind":"k","key":"1","version":1,"json":{}}`, `{"kind":"k","key":"2","version":1,"base64":"AA=="}`
	good := sealed(2, head, one, two)
	tests := []struct{ name, text string }{
		{"nothing", ""},
		{"some text", "hello\n"},
		{"some JSON", sealed(0, "{}")},
		{"another kind of file", sealed(0, `{"lorawand":"events","format":1}`)},
		{"no end", strings.Join([]string{head, one, two}, "\n")},
		{"a line is missing", strings.Replace(good, two+"\n", "", 1)},
		{"a letter is another", strings.Replace(good, "AA==", "AB==", 1)},
		{"cut off", good[:len(good)-10]},
		{"text after the end", good + one},
		{"wrong number", sealed(3, head, one, two)},
		{"twice the same", sealed(2, head, one, one)},
		{"unknown field", sealed(1, head, `{"kind":"k","key":"1","version":1,"json":{},"x":1}`)},
		{"no data", sealed(1, head, `{"kind":"k","key":"1","version":1}`)},
		{"data twice", sealed(1, head, `{"kind":"k","key":"1","version":1,"json":{},"base64":""}`)},
		{"no kind", sealed(1, head, `{"key":"1","version":1,"json":{}}`)},
		{"version", sealed(1, head, `{"kind":"k","key":"1","version":256,"json":{}}`)},
		{"the store's own", sealed(1, head, `{"kind":"store","key":"behind","version":1,"json":{}}`)},
		{"an empty line", sealed(2, head, one, "", two)},
		{"text behind a record", sealed(1, head, one+" x")},
		{"a very long line", head + "\n" + strings.Repeat(" ", MaxBackupLine)},
	}
	for _, tt := range tests {
		f := storetest.NewDisk(format2Files(t))
		if err := restoreText("", tt.text, Options{FS: f, Logger: quiet}); !errors.Is(err, ErrBackup) {
			t.Errorf("%s: %v, want ErrBackup", tt.name, err)
		}
		if f.Ops() != 0 {
			t.Errorf("%s: the store was changed", tt.name)
		}
	}
	newer := sealed(0, `{"lorawand":"backup","format":2}`)
	if err := restoreText("", newer, Options{FS: storetest.NewDisk(nil), Logger: quiet}); !errors.Is(err, ErrFormat) {
		t.Errorf("a newer backup: %v, want ErrFormat", err)
	}
	if err := restoreText("", good, Options{FS: storetest.NewDisk(nil), Logger: quiet}); err != nil {
		t.Errorf("the whole one: %v", err)
	}
}

// A backup replaces what was there, whatever its state was, and that is kept.
func TestRestore(t *testing.T) {
	backup := sealed(1, head, restored)
	v2, v1 := format2Files(t), format1Files(t)
	corrupt := with(damagedFiles(t), SnapshotName(2), nil)
	for name, tt := range map[string]struct {
		files map[string][]byte
		kept  []string
	}{
		"empty folder":      {nil, nil},
		"store":             {v2, []string{SnapshotName(3), JournalName(3), SnapshotName(2), JournalName(2)}},
		"format 1":          {v1, nil},
		"format 1, damaged": {map[string][]byte{MarkName: v1[MarkName][:60]}, nil},
		"damaged":           {damagedFiles(t), nil},
		"corrupt":           {corrupt, []string{SnapshotName(3), JournalName(3)}},
		"restored before":   {with(v2, SnapshotName(1)+EndingOld, []byte("old")), []string{SnapshotName(3)}},
	} {
		f := storetest.NewDisk(tt.files)
		if err := restoreText("", backup, Options{FS: f, Logger: quiet}); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		files := f.Files()
		for _, k := range tt.kept {
			if !bytes.Equal(files[k+EndingOld], tt.files[k]) {
				t.Errorf("%s: %s is not kept in %v", name, k, slices.Sorted(maps.Keys(files)))
			}
		}
		if name == "restored before" && files[SnapshotName(1)+EndingOld] != nil {
			t.Errorf("%s: what was kept before is there too", name)
		}
		if old := tt.files[MarkName]; IsFormat1(old) && !bytes.Equal(files[Format1Name], old) {
			t.Errorf("%s: the file of format 1 is not kept", name)
		}
		s := openOn(t, f)
		if got := s.Records("device"); len(got) != 1 || got[0].Key != "restored" || got[0].Version != 7 || !s.Behind() ||
			len(s.Stats().Damage) > 0 {
			t.Errorf("%s: %v, %+v", name, got, s.Stats())
		}
		mustCommit(t, s, CaughtUp(), rec("new", "x"))
		s.Close()
		if s = openOn(t, f); s.Behind() || len(s.Records("device")) != 2 {
			t.Errorf("%s: opened again: %+v", name, s.Stats())
		}
	}
	f := storetest.NewDisk(with(v2, MarkName, newer(v2[MarkName])))
	if err := restoreText("", backup, Options{FS: f, Logger: quiet}); !errors.Is(err, ErrFormat) || f.Ops() != 0 {
		t.Errorf("over the store of a newer version: %v, want ErrFormat", err)
	}
}

// A store that is open goes on with what was restored.
func TestRestoreOpen(t *testing.T) {
	f := storetest.NewDisk(nil)
	s := openOn(t, f)
	for i := range 100 {
		mustCommit(t, s, rec(fmt.Sprint(i%9), strings.Repeat("x", 50)))
	}
	if err := restoreOpen(s, "no backup"); !errors.Is(err, ErrBackup) || len(s.Records("device")) != 9 {
		t.Errorf("%v, %d records", err, len(s.Records("device")))
	}
	if err := restoreOpen(s, sealed(1, head, restored)); err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		mustCommit(t, s, rec(fmt.Sprint(i%3), strings.Repeat("x", 50)))
	}
	want := state(s)
	s.Close()
	if err := restoreOpen(s, sealed(0, head)); !errors.Is(err, ErrClosed) {
		t.Errorf("a closed store: %v", err)
	}
	if s = openOn(t, f); state(s) != want || len(s.Records("device")) != 4 || !s.Behind() {
		t.Errorf("%+v", s.Stats())
	}
}

// A power cut or a fault while a backup is restored leaves the old state or the
// new one; what is committed after a fault is there.
func TestRestoreInterrupted(t *testing.T) {
	backup := sealed(1, head, restored)
	w := newWorkload(3)
	for name, files := range map[string]map[string][]byte{"format 1": format1Files(t), "format 2": format2Files(t)} {
		f := storetest.NewDisk(files)
		s := openOn(t, f)
		from, before := f.Ops(), state(s)
		if err := restoreOpen(s, backup); err != nil {
			t.Fatal(err)
		}
		later := state(s)
		for n := from; n <= f.Ops(); n++ {
			for v, cut := range variants(w.rnd, 6) {
				s, err := Open("", Options{FS: f.After(n, cut), Logger: quiet})
				if err != nil {
					t.Fatalf("%s, behind %d operations, cut %d: %v\n%v", name, n, v, err, f)
				}
				if got := state(s); got != later && (got != before || n == f.Ops()) || len(s.Stats().Damage) > 0 {
					t.Fatalf("%s, behind %d operations, cut %d: %+v\n%v", name, n, v, s.Stats(), f)
				}
			}
		}
		for n := 1; n <= f.Ops()-from; n++ {
			restoreWithFault(t, name, files, backup, n)
		}
	}
}

// restoreWithFault has the nth operation of a restoration fail.
func restoreWithFault(t *testing.T, name string, files map[string][]byte, backup string, n int) {
	t.Helper()
	f, count := storetest.NewDisk(files), 0
	s := openOn(t, f)
	before := state(s)
	f.Fail(nth(n, unix.EIO, &count))
	err := restoreOpen(s, backup)
	if (state(s) == before) != (err != nil) {
		t.Errorf("%s, operation %d: %v, and the other state", name, n, err)
	}
	f.Fail(nil)
	mustCommit(t, s, rec("new", "x"))
	want := state(s)
	s.Close()
	for _, cut := range variants(rand.New(rand.NewSource(1)), 4) {
		s = openOn(t, f.After(f.Ops(), cut))
		if state(s) != want || len(s.Stats().Damage) > 0 {
			t.Fatalf("%s, operation %d: %+v\n%v", name, n, s.Stats(), f)
		}
	}
}

// Commits behind a restoration are not put on top of what was there before it.
func TestRestoredSnapshotRots(t *testing.T) {
	f := storetest.NewDisk(format2Files(t))
	s := openOn(t, f)
	f.Fail(func(op, name string) error {
		if _, g := ParseName(name); op == storetest.OpRename && g > 0 {
			return unix.EIO // so that the older generations remain
		}
		return nil
	})
	if err := restoreOpen(s, sealed(1, head, restored)); err != nil {
		t.Fatal(err)
	}
	f.Fail(nil)
	mustCommit(t, s, CaughtUp(), rec("new", "x"))
	s.Close()
	files := f.Files()
	s = openOn(t, storetest.NewDisk(with(files, SnapshotName(4), flip(files[SnapshotName(4)], 60))))
	if got := s.Records("device"); !s.Behind() || len(got) == 0 ||
		slices.ContainsFunc(got, func(r Record) bool { return r.Key == "new" }) {
		t.Errorf("%v, %+v", got, s.Stats())
	}
}

// What merges a backup is told what there was and whether that is all, and says
// whether anything has to skip.
func TestRestoreMerges(t *testing.T) {
	failed := errors.New("cannot be merged")
	v2 := format2Files(t)
	for name, tt := range map[string]struct {
		files   map[string][]byte
		whole   bool
		records []Record
		settled bool
		err     error
	}{
		"nothing into nothing":  {nil, true, nil, true, nil},
		"nothing into a store":  {v2, true, nil, true, nil},
		"something":             {v2, true, []Record{rec("restored", "x")}, true, nil},
		"something not settled": {v2, true, []Record{rec("restored", "x")}, false, nil},
		"a damaged store":       {with(v2, JournalName(3), nil), false, []Record{rec("restored", "x")}, true, nil},
		"an unreadable store": {
			with(damagedFiles(t), SnapshotName(2), nil), false,
			[]Record{rec("restored", "x")},
			true,
			nil,
		},
		"a fault":               {v2, true, nil, true, failed},
		"a record that is none": {v2, true, []Record{{}}, true, nil},
	} {
		f := storetest.NewDisk(tt.files)
		told := 0
		err := Restore("", Options{FS: f, Logger: quiet}, func(old *Found) ([]Record, bool, error) {
			told++
			if old.Whole != tt.whole || tt.whole && tt.files != nil && len(old.Records("device")) == 0 {
				t.Errorf("%s: whole %v, %d records", name, old.Whole, len(old.Records("device")))
			}
			return tt.records, tt.settled, tt.err
		})
		if told != 1 {
			t.Errorf("%s: asked %d times", name, told)
		}
		if bad := tt.err != nil || name == "a record that is none"; bad || err != nil {
			if !bad || err == nil || tt.err != nil && !errors.Is(err, tt.err) ||
				!maps.EqualFunc(f.Files(), tt.files, bytes.Equal) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		s := openOn(t, f)
		if got := s.Records("device"); len(got) != len(tt.records) || s.Behind() == tt.settled || len(s.Stats().Damage) > 0 {
			t.Errorf("%s: %v, %+v", name, got, s.Stats())
		}
		s.Close()
	}
}

func TestRestoreOnDisk(t *testing.T) {
	dir := t.TempDir()
	if err := restoreText(dir, sealed(1, head, restored), Options{Ephemeral: true, Logger: quiet}); err != nil {
		t.Fatal(err)
	}
	s := openAt(t, dir)
	defer s.Close()
	if len(s.Records("device")) != 1 {
		t.Errorf("%+v", s.Stats())
	}
	if _, err := os.Stat(dir + "/" + JournalName(1) + EndingOld); err != nil {
		t.Error(err)
	}
}

// FuzzBackup looks for text that makes the reading of a backup fail, and for
// records that do not come back as they were.
func FuzzBackup(f *testing.F) {
	f.Add([]byte(sealed(0, head)))
	f.Add([]byte(sealed(1, head, `{"kind":"k","key":"1","version":1,"json":{"a":[1]}}`)))
	f.Add([]byte(sealed(1, head, `{"kind":"k","key":"\u00e9","version":1,"base64":"AA=="}`)))
	f.Add([]byte(head + "\n" + `{"kind":`))
	f.Fuzz(fuzztest.Quick(func(t *testing.T, b []byte) {
		records, err := ParseBackup(bytes.NewReader(b))
		if err != nil {
			if !errors.Is(err, ErrBackup) {
				t.Error(err)
			}
			if len(b) > MaxData {
				return
			}
			records = []Record{{"k", "x", 1, append([]byte{}, b...)}} // the bytes as data
		}
		var out bytes.Buffer
		if err := WriteBackup(&out, records); err != nil {
			t.Fatal(err)
		}
		again, err := ParseBackup(&out)
		if err != nil || string(AppendRecords(nil, again)) != string(AppendRecords(nil, records)) {
			t.Errorf("%v, %q in place of %q", err, again, records)
		}
	}))
}
