package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lorawand/radio/fuzztest"
)

func TestRecords(t *testing.T) {
	long := make([]byte, 70_000)
	for name, records := range map[string][]Record{
		"none": nil, "one": {{"device", "a", 1, []byte("x")}}, "same kind": {{"device", "a", 1, []byte("x")}, {"device", "b", 1, []byte("y")}},
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
			if g := got[i]; g.Kind != r.Kind || g.Key != r.Key || g.Version != r.Version || !bytes.Equal(g.Data, r.Data) ||
				(g.Data == nil) != (r.Data == nil) {
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
		good = append(good, make([]byte, int(place(int64(len(good)), 2000))-len(good))...)
		good = appendGroup(good, groupMark,
			group{uint64(i + 1), appendRecords(nil, []Record{{"device", fmt.Sprint(i), 1, []byte(strings.Repeat("x", 1900))}})})
	}
	f.Add(good)
	f.Add(good[:len(good)-100])
	f.Add(good[headerSize:])
	f.Add(append(slices.Clone(good[:5000]), good[4096:]...))
	f.Fuzz(fuzztest.Quick(func(t *testing.T, b []byte) {
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
	}))
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
	f.Fuzz(fuzztest.Quick(func(t *testing.T, b []byte) {
		_, records, err := decodeSnapshot(b)
		if err == nil && records == nil || err != nil && !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrFormat) {
			t.Errorf("%v, %v", records, err)
		}
		if _, err := decodeFormat1(b); err != nil && !errors.Is(err, ErrCorrupt) {
			t.Error(err)
		}
	}))
}

// What stands between a commit and the page at which the next one begins is no damage; it is if
// one may have been there.
func TestGap(t *testing.T) {
	for next, damaged := range map[uint64]bool{2: false, 3: true} {
		b := appendGroup(appendHeader(nil, header{isJournal, 1, 0}), groupMark, group{1, nil})
		b = append(b, bytes.Repeat([]byte("\x7f"), pageSize-len(b))...)
		j, err := decodeJournal(1, appendGroup(b, groupMark, group{next, nil}))
		if err != nil || len(j.groups) != 2 || (j.damage != nil) != damaged {
			t.Errorf("commit %d follows: %d groups, %v, %v", next, len(j.groups), j.damage, err)
		}
	}
}
