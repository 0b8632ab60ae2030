package store_test

import (
	"bytes"
	"encoding/binary"
	"flag"
	"hash/crc32"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	. "lorawand/bridge/store"
	"lorawand/bridge/store/storetest"
)

var update = flag.Bool("update", false, "write testdata/format2 anew")

func appendCRC(b []byte) []byte {
	return binary.LittleEndian.AppendUint32(slices.Clip(b), crc32.Checksum(b, Castagnoli))
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
	f := storetest.NewDisk(nil)
	s, err := Open("", Options{FS: f, Logger: quiet}.Early(5000).Inline())
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
	s = openOn(t, storetest.NewDisk(golden))
	if got := state(s); got != want {
		t.Errorf("got  %x\nwant %x", got, want)
	}
	if st := s.Stats(); len(st.Damage) > 0 || st.DroppedTail != 0 {
		t.Errorf("%+v", st)
	}
	const mark = "lorawand" + "\x02\x00\x00\x00" + "mark" + "\x00\x00\x00\x00\x00\x00\x00\x00" +
		"\x00\x00\x00\x00\x00\x00\x00\x00"
	if got := golden[MarkName]; string(got[:len(mark)]) != mark {
		t.Errorf("mark %x", got)
	}
}
