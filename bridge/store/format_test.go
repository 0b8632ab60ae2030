package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/format2 anew")

func appendCRC(b []byte) []byte {
	return binary.LittleEndian.AppendUint32(slices.Clip(b), crc32.Checksum(b, castagnoli))
}

// format2Files is a store with two generations.
func format2Files(t *testing.T) map[string][]byte { return readFiles(t, "format2") }

// format2Commits are the commits that are in it.
func format2Commits() [][]Record {
	var commits [][]Record
	for i := range 110 {
		counters := func(device string) Record {
			return Record{"counters", "app1/" + device, 1, []byte{1, 1, byte(i), 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}}
		}
		c := []Record{counters("dev1"), counters("dev2")}
		switch i {
		case 0:
			c = append(c, rec("app1/dev1", `{"ID":{"Application":"app1","Device":"dev1"}}`), rec("app1/dev2", strings.Repeat("s", 300)))
		case 5:
			c = append(c, Record{Kind: "device", Key: "app1/dev2"}, Record{"api-key", "k1", 3, []byte{}})
		case 100:
			c = append(c, rec("app1/dev3", strings.Repeat("t", 2500)))
		}
		commits = append(commits, c)
	}
	return commits
}

// The files are the same bytes on every CPU, and open on every one.
func TestFormat(t *testing.T) {
	f := NewFake()
	s, err := Open("", Options{FS: f, Logger: quiet, journalFloor: 5000, inline: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range format2Commits() {
		mustCommit(t, s, c...)
	}
	s.Close()
	if *update {
		for name, b := range f.Files() {
			if err := os.WriteFile(filepath.Join("testdata", "format2", name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	golden := format2Files(t)
	if got, want := slices.Sorted(maps.Keys(f.Files())), slices.Sorted(maps.Keys(golden)); !slices.Equal(got, want) {
		t.Fatalf("files %v, want %v", got, want)
	}
	for name, want := range golden {
		if got := f.Files()[name]; !bytes.Equal(got, want) {
			t.Errorf("%s\ngot  %x\nwant %x", name, got, want)
		}
	}
	want := state(s)
	s = openOn(t, newFake(golden))
	if got := state(s); got != want {
		t.Errorf("got  %x\nwant %x", got, want)
	}
	if st := s.Stats(); len(st.Damage) > 0 || st.DroppedTail != 0 {
		t.Errorf("%+v", st)
	}
	const mark = "lorawand" + "\x02\x00\x00\x00" + "mark" + "\x00\x00\x00\x00\x00\x00\x00\x00" + "\x00\x00\x00\x00\x00\x00\x00\x00"
	if got := golden[markName]; string(got[:len(mark)]) != mark {
		t.Errorf("mark %x", got)
	}
}

func TestRecords(t *testing.T) {
	long := make([]byte, 70_000)
	for name, records := range map[string][]Record{
		"none": nil, "one": {rec("a", "x")}, "same kind": {rec("a", "x"), rec("b", "y")},
		"other kinds":        {{"a", "", 255, []byte("x")}, {"b", "k", 0, []byte{}}, {"b", "l", 0, nil}, {"a", "k", 1, long}},
		"a deletion at last": {{Kind: "a", Key: "k"}},
		"the longest names":  {{strings.Repeat("k", 255), strings.Repeat("x", 65535), 1, []byte{1}}},
	} {
		b := appendRecords(nil, records)
		got, err := decodeRecords(b)
		if err != nil || len(got) != len(records) {
			t.Errorf("%s: %d records, %v", name, len(got), err)
			continue
		}
		for i, r := range records {
			if g := got[i]; g.Kind != r.Kind || g.Key != r.Key || g.Version != r.Version || !bytes.Equal(g.Data, r.Data) || (g.Data == nil) != (r.Data == nil) {
				t.Errorf("%s: %+v, want %+v", name, g, r)
			}
		}
		for i := range min(len(b), 200) {
			if got, err := decodeRecords(b[:i]); err == nil && len(got) >= len(records) {
				t.Errorf("%s: cut off at %d, and read", name, i)
			}
		}
	}
	for name, b := range map[string]string{"no kind before": "\x00\x01\x00k\x01\x00\x00\x00\x00", "huge": "\x01k\x00\x00\x01\xfe\xff\xff\xff"} {
		if _, err := decodeRecords([]byte(b)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPlace(t *testing.T) {
	for _, tt := range []struct {
		end  int64
		size int
		want int64
	}{
		{36, 100, 36},
		{36, 4060, 36},     // to the end of the page
		{36, 4061, 4096},   // one page in place of two
		{4000, 96, 4000},   // to the end of the page
		{4000, 97, 4096},   // one page in place of two
		{4096, 50, 4096},   // at the beginning of one
		{4000, 4097, 4000}, // two pages in either place
		{4000, 8192, 4096}, // two pages in place of three
		{4000, 8000, 4096}, // two pages in place of three
		{100, 8000, 100},   // two pages in either place
	} {
		if got := place(tt.end, tt.size); got != tt.want {
			t.Errorf("%d bytes behind %d go to %d, want %d", tt.size, tt.end, got, tt.want)
		}
	}
}

// Bytes that look like the beginning of groups do not hold up the opening.
func TestManyMarks(t *testing.T) {
	b := appendHeader(nil, header{isJournal, 1, 0})
	b = append(b, 1) // damage
	for len(b) < 1<<20 {
		b = append(append(b, groupMark...), 0, 0, 8, 0) // claims 512 KiB
	}
	j, err := decodeJournal(1, b)
	if err != nil || len(j.groups) != 0 || j.end != int64(headerSize) {
		t.Errorf("%d groups, end %d, %v", len(j.groups), j.end, err)
	}
}

// FuzzJournal looks for bytes that make the reading of a journal fail.
func FuzzJournal(f *testing.F) {
	good := appendHeader(nil, header{isJournal, 1, 0})
	for i := range 5 {
		good = resize(good, place(int64(len(good)), 2000))
		good = appendGroup(good, groupMark, group{uint64(i + 1), appendRecords(nil, []Record{rec(fmt.Sprint(i), strings.Repeat("x", 1900))})})
	}
	f.Add(good)
	f.Add(good[:len(good)-100])
	f.Add(good[headerSize:])
	f.Add(append(slices.Clone(good[:5000]), good[4096:]...))
	f.Fuzz(func(t *testing.T, b []byte) {
		j, err := decodeJournal(1, b)
		if err != nil {
			if !errors.Is(err, ErrFormat) {
				t.Error(err)
			}
			return
		}
		if j.end < 0 || j.end > j.size || j.size != int64(len(b)) {
			t.Errorf("end %d of %d", j.end, len(b))
		}
		last := j.base
		for _, g := range j.groups {
			if g.number <= last {
				t.Errorf("group %d behind %d", g.number, last)
			}
			last = g.number
			records, err := decodeRecords(g.payload)
			if err != nil {
				continue
			}
			if again, err := decodeRecords(appendRecords(nil, records)); err != nil || len(again) != len(records) {
				t.Errorf("%v is not read as it was written: %v", records, err)
			}
		}
		if len(j.groups) > 0 && j.damage == nil && !bytes.Equal(b[:8], []byte(magic)) {
			t.Error("a journal without its header is whole")
		}
	})
}

// FuzzSnapshot looks for bytes that make the reading of a snapshot, or of the
// file of format 1, fail.
func FuzzSnapshot(f *testing.F) {
	for _, name := range []string{"format2/" + snapshotName(3), "format2/" + journalName(3), "format1/state"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(b[:len(b)/2])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, records, err := decodeSnapshot(b)
		if err == nil && records == nil || err != nil && !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrFormat) {
			t.Errorf("%v, %v", records, err)
		}
		if _, err := decodeFormat1(b); err != nil && !errors.Is(err, ErrCorrupt) {
			t.Error(err)
		}
	})
}
