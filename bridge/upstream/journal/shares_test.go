package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
)

// ownerOf is that of the messages of these tests: what stands before the first colon.
func ownerOf(m []byte) string {
	owner, _, _ := bytes.Cut(m, []byte(":"))
	return string(owner)
}

// noise is a message of an owner that cannot be compressed.
func noise(r *rand.Rand, owner string, n, length int) []byte {
	m := fmt.Appendf(nil, "%s:%d:", owner, n)
	for len(m) < length {
		m = binary.LittleEndian.AppendUint64(m, r.Uint64())
	}
	return m
}

// kept returns how many messages each owner has, and that they are in order.
func (b *bench) kept() map[string]int {
	b.Helper()
	counts, last := map[string]int{}, map[string]int{}
	b.Rewind()
	for _, e := range b.rest() {
		owner, n := ownerOf(e.Message), 0
		if _, err := fmt.Sscanf(string(e.Message[len(owner):min(len(e.Message), 20)]), ":%d:", &n); err != nil {
			b.Fatal(err)
		}
		if before, ok := last[owner]; ok && n <= before {
			b.Fatalf("%s: message %d behind %d", owner, n, before)
		}
		counts[owner]++
		last[owner] = n
	}
	return counts
}

// One owner that writes without end does not drive out the messages of another, whether it
// has segments for itself or not, and also not after a restart.
func TestFlood(t *testing.T) {
	for _, tt := range []struct {
		name       string
		every      int // rounds in which the flood comes, for each message of the other
		floods     []string
		restart    bool
		most, lost int // messages of the other, and of these at most lost
	}{
		{name: "mixed segments", every: 1, floods: []string{"app2"}, most: 150},
		{name: "mixed segments, for long", every: 1, floods: []string{"app2"}, most: 700, lost: 20},
		{name: "own segments", every: 12, floods: []string{"app2"}, most: 150},
		{name: "a restart", every: 1, floods: []string{"app2"}, restart: true, most: 150},
		{name: "two floods", every: 2, floods: []string{"app2", "app3"}, most: 150},
		{name: "the flood is first", every: 40, floods: []string{"app2"}, most: 50},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := start(t, Options{Bytes: 1 << 20, Owner: ownerOf})
			r := rand.New(rand.NewPCG(1, 2))
			made, mine := 0, 0
			for ; mine < tt.most; mine++ {
				for i := range tt.every {
					list := [][]byte{noise(r, tt.floods[i%len(tt.floods)], made, 60_000)}
					if made++; i == tt.every-1 {
						list = append(list, noise(r, "app1", mine, 600))
					}
					if n, err := b.Append(list, day); err != nil || n != len(list) {
						t.Fatal(n, err)
					}
				}
				if mine == tt.most/2 && tt.restart {
					b.open()
				}
			}
			st, kept := b.Stats(), b.kept()
			if st.Messages+st.Lost != int64(made+mine) && !tt.restart || st.Bytes > 1<<20 {
				t.Errorf("%+v, made %d", st, made+mine)
			}
			if kept["app1"] < mine-tt.lost || kept["app2"] < 3 {
				t.Errorf("%v are kept; app1 has written %d", kept, mine)
			}
		})
	}
}

// An owner that is alone, or with others that have nothing here now, loses its oldest.
func TestOldestOfOne(t *testing.T) {
	b := start(t, Options{Bytes: MinBytes, Owner: ownerOf})
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 400 {
		list := [][]byte{noise(r, "app1", i, 6000)}
		if i == 0 {
			list = append(list, noise(r, "app2", i, 6000))
		}
		if _, err := b.Append(list, day); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			b.Ack(b.rest()[1].Number)
		}
	}
	all := b.rest()
	if last := all[len(all)-1].Message; !bytes.HasPrefix(last, []byte("app1:399:")) || len(all) < 30 {
		t.Errorf("%d messages, the last is %.10q", len(all), last)
	}
}

// A block of a version that knew of no shares is read.
func TestBlockWithoutShares(t *testing.T) {
	var e encoder
	for _, tt := range []struct {
		name   string
		owners shares
	}{{"without", nil}, {"with", shares{{"app1", 3}, {"", 1}}}} {
		data, err := e.block(block{first: 7, count: 2, owners: tt.owners}, [][]byte{[]byte("one"), []byte("2")})
		if err != nil {
			t.Fatal(err)
		}
		b, n := parseBlock(data)
		messages, err := b.messages()
		if n != len(data) || err != nil || len(messages) != 2 || string(messages[0]) != "one" {
			t.Errorf("%s: %d bytes of %d, %q, %v", tt.name, n, len(data), messages, err)
		}
		if fmt.Sprint(b.owners) != fmt.Sprint(tt.owners) {
			t.Errorf("%s: shares %v", tt.name, b.owners)
		}
	}
}

// What a version without shares has left in a full journal goes before anything that is new.
func TestFullOfOlderVersion(t *testing.T) {
	b := start(t, Options{Bytes: 1 << 20, Owner: ownerOf})
	r := rand.New(rand.NewPCG(1, 2))
	for n := 0; b.Stats().Lost == 0; n++ {
		old := block{first: b.next, count: 1}
		data, err := b.encoder.block(old, [][]byte{noise(r, "old", n, 30_000)})
		if err == nil {
			err = b.write(old, data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	b.open()
	for n := range 15 { // half of what there is room for
		if _, err := b.Append([][]byte{noise(r, "app1", n, 3000), noise(r, "app2", n, 30_000)}, day); err != nil {
			t.Fatal(err)
		}
	}
	if kept := b.kept(); kept["app1"] != 15 || kept["app2"] != 15 || kept["old"] == 0 {
		t.Errorf("%v are kept", kept)
	}
}

// A disk that removes nothing is a fault, and no message counts as lost by it.
func TestSharesOnReadOnlyDisk(t *testing.T) {
	b := start(t, Options{Bytes: 1 << 20, Owner: ownerOf})
	r := rand.New(rand.NewPCG(1, 2))
	made := 0
	for ; b.Stats().Lost == 0; made++ {
		list := [][]byte{noise(r, "app2", made, 60_000)}
		if made == 0 {
			list = append(list, noise(r, "app1", 0, 600))
		}
		if _, err := b.Append(list, day); err != nil {
			t.Fatal(err)
		}
	}
	before := b.Stats()
	fault := errors.New("fault")
	b.disk.Fail(func(string, string) error { return fault })
	for range 10 {
		if n, err := b.Append([][]byte{noise(r, "app2", made, 60_000)}, day); n != 0 || !errors.Is(err, fault) {
			t.Errorf("%d are done with, %v", n, err)
		}
	}
	b.disk.Fail(nil)
	if st := b.Stats(); st.Lost != before.Lost {
		t.Errorf("%d are lost, before %d", st.Lost, before.Lost)
	}
	if n, err := b.Append([][]byte{noise(r, "app2", made, 60_000)}, day); n != 1 || err != nil {
		t.Error(n, err)
	}
}

// A message without bytes, and one of no owner, are messages as well.
func TestEmptyMessage(t *testing.T) {
	b := start(t, Options{Owner: ownerOf})
	if n, err := b.Append([][]byte{{}, []byte("app1:")}, day); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	b.open()
	if all := b.rest(); len(all) != 2 || len(all[0].Message) != 0 || len(b.owners) != 2 {
		t.Errorf("%v, %v", all, b.owners)
	}
}

// Whatever is appended, acknowledged and dropped, and after restarts: the counts are those of
// what is there, and a message is left, acknowledged or lost.
func TestSharesAddUp(t *testing.T) {
	for seed := range uint64(8) {
		b := start(t, Options{Bytes: MinBytes, Owner: ownerOf})
		r := rand.New(rand.NewPCG(1, seed))
		made, acked, lost := 0, 0, int64(0)
		for range 400 {
			switch r.IntN(12) {
			case 0:
				lost += b.Stats().Lost
				if err := b.Close(); err != nil {
					t.Fatal(err)
				}
				b.open()
			case 1, 2:
				b.Rewind()
				for range r.IntN(8) {
					if e, ok, err := b.Next(); err != nil {
						t.Fatal(err)
					} else if ok {
						b.Ack(e.Number)
						acked++
					}
				}
			default:
				owner := []string{"app1", "app2", "app2", "app3"}[r.IntN(4)]
				if n, err := b.Append([][]byte{noise(r, owner, made, r.IntN(30_000)), {}}, day); n != 2 || err != nil {
					t.Fatal(n, err)
				}
				made += 2
			}
			b.addUp()
		}
		st := b.Stats()
		b.Rewind()
		left := len(b.rest())
		if st.Messages != int64(left) || int64(acked+left)+lost+st.Lost != int64(made) || lost+st.Lost == 0 {
			t.Errorf("seed %d: %d are made, %d acknowledged, %d lost before; %d are left: %+v",
				seed, made, acked, lost, left, st)
		}
	}
}

// addUp checks that the files are as long as is counted, and whose their bytes are.
func (b *bench) addUp() {
	b.Helper()
	var files, owned, segments int64
	for _, data := range b.disk.Files() {
		files += int64(len(data))
	}
	for _, n := range b.owners {
		owned += n
	}
	for _, s := range b.list {
		for _, n := range s.owners {
			segments += n
		}
	}
	// Cursors are nobody's, and each part of a block is rounded down.
	st := b.Stats()
	if files != st.Bytes || files > MinBytes || owned != segments || owned > files || owned < files*9/10 {
		b.Fatalf("%d bytes in files, %d have owners, %d in segments; %+v", files, owned, segments, st)
	}
}
