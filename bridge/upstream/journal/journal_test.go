package journal

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"lorawand/bridge/store"
	"lorawand/bridge/store/storetest"
	"lorawand/radio/fuzztest"
)

// day is a calendar time.
var day = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// bench is a journal on a disk in memory.
type bench struct {
	*testing.T
	*Journal
	disk *storetest.Disk
	o    Options
	made int
}

func start(t *testing.T, o Options) *bench {
	b := &bench{T: t, disk: storetest.NewDisk(nil), o: o}
	b.open()
	return b
}

func (b *bench) open() {
	b.Helper()
	j, err := Open(b.disk, b.o)
	if err != nil {
		b.Fatal(err)
	}
	b.Journal = j
}

// message is that with a number; it is about as long as an uplink, and hard to compress.
func message(n int) []byte {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	noise := make([]byte, 0, 600)
	for len(noise) < cap(noise) {
		noise = binary.LittleEndian.AppendUint64(noise, r.Uint64())
	}
	return append(strconv.AppendInt(nil, int64(n), 10), noise...)
}

func (b *bench) append(n int) error {
	var list [][]byte
	for range n {
		list = append(list, message(b.made))
		b.made++
	}
	stored, err := b.Journal.Append(list, day)
	if (stored == n) != (err == nil) {
		b.Errorf("%d of %d are stored, and the error is %v", stored, n, err)
	}
	return err
}

// rest reads all that is left.
func (b *bench) rest() (entries []Entry) {
	b.Helper()
	for {
		e, ok, err := b.Next()
		if err != nil {
			b.Fatal(err)
		}
		if !ok {
			return entries
		}
		entries = append(entries, e)
	}
}

// number returns the one in a message.
func number(t *testing.T, e Entry) int {
	t.Helper()
	if len(e.Message) < 600 {
		t.Fatalf("message %d is %.20q", e.Number, e.Message)
	}
	n, err := strconv.Atoi(string(e.Message[:len(e.Message)-600]))
	if err != nil || !bytes.Equal(e.Message, message(n)) {
		t.Fatalf("message %d is %.20q", e.Number, e.Message)
	}
	return n
}

func (b *bench) expect(from, to int, entries []Entry) {
	b.Helper()
	if len(entries) != to-from {
		b.Fatalf("%d messages, want those from %d to %d", len(entries), from, to)
	}
	for i, e := range entries {
		if n := number(b.T, e); n != from+i {
			b.Fatalf("message %d in the place of %d", n, from+i)
		}
	}
}

// What is appended comes back in order, from the cursor on, also after a restart.
func TestOrder(t *testing.T) {
	b := start(t, Options{Bytes: 1 << 20})
	for range 40 {
		if err := b.append(7); err != nil {
			t.Fatal(err)
		}
	}
	all := b.rest()
	b.expect(0, 280, all)
	b.Rewind()
	b.expect(0, 280, b.rest())
	b.Ack(all[99].Number)
	if st := b.Stats(); st.Messages != 180 || !st.Oldest.Equal(day) || st.Lost != 0 {
		t.Errorf("%+v", st)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b.open()
	if err := b.append(20); err != nil {
		t.Fatal(err)
	}
	again := b.rest()
	b.expect(100, 300, again)
	if err := b.append(1); err != nil {
		t.Fatal(err)
	}
	last := b.rest()
	b.expect(300, 301, last)
	b.Ack(last[0].Number)
	if st := b.Stats(); st.Messages != 0 || st.Bytes != 0 || len(b.disk.Files()) != 0 {
		t.Errorf("all is acknowledged: %+v, %d files", st, len(b.disk.Files()))
	}
	b.open()
	b.expect(0, 0, b.rest())
}

// The oldest goes when the journal is full, and is counted.
func TestBounds(t *testing.T) {
	b := start(t, Options{Bytes: MinBytes})
	for range 200 {
		if err := b.append(10); err != nil {
			t.Fatal(err)
		}
		if st := b.Stats(); st.Bytes > MinBytes {
			t.Fatalf("%d bytes, limit %d", st.Bytes, MinBytes)
		}
	}
	size := 0
	for _, data := range b.disk.Files() {
		size += len(data)
	}
	st := b.Stats()
	if int64(size) != st.Bytes || st.Messages+st.Lost != 2000 || st.Bytes < MinBytes*3/4 {
		t.Errorf("%d bytes on the disk, %+v", size, st)
	}
	b.expect(int(st.Lost), 2000, b.rest())
}

// A reader that is in the middle of what goes reads on behind it.
func TestFullWhileReading(t *testing.T) {
	b := start(t, Options{Bytes: MinBytes})
	if err := b.append(50); err != nil {
		t.Fatal(err)
	}
	first, _, _ := b.Next()
	for range 100 {
		if err := b.append(10); err != nil {
			t.Fatal(err)
		}
	}
	b.Ack(first.Number) // late
	rest := b.rest()
	for i, e := range rest[1:] {
		if n, before := number(t, e), number(t, rest[i]); n <= before {
			t.Fatalf("message %d behind %d", n, before)
		}
	}
	b.Ack(rest[len(rest)-1].Number)
	if st := b.Stats(); st.Messages != 0 || st.Bytes != 0 {
		t.Errorf("%+v", st)
	}
}

func TestAge(t *testing.T) {
	for _, tt := range []struct {
		name     string
		age      time.Duration
		appended time.Time
		now      time.Time
		left     int
	}{
		{"young", time.Hour, day, day.Add(time.Hour), 8},
		{"old", time.Hour, day, day.Add(time.Hour + time.Second), 0},
		{"no limit", 0, day, day.Add(1000 * time.Hour), 8},
		{"the clock is not set", time.Hour, day, time.Time{}, 8},
		{"the clock was not set", time.Hour, time.Time{}, day, 8},
		{"the clock has gone back", time.Hour, day, day.AddDate(-10, 0, 0), 8},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := start(t, Options{Age: tt.age})
			list := [][]byte{}
			for n := range 8 {
				list = append(list, message(n))
			}
			if _, err := b.Journal.Append(list, tt.appended); err != nil {
				t.Fatal(err)
			}
			b.open()
			b.Expire(tt.now)
			if st := b.Stats(); st.Messages != int64(tt.left) || st.Lost != int64(8-tt.left) {
				t.Errorf("%+v, want %d", st, tt.left)
			}
			b.expect(0, tt.left, b.rest())
		})
	}
}

// A damaged block takes the rest of its segment with it, and nothing else.
func TestDamage(t *testing.T) {
	b := start(t, Options{Bytes: 1 << 20})
	for range 60 {
		if err := b.append(10); err != nil {
			t.Fatal(err)
		}
	}
	files := b.disk.Files()
	names := []string{}
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	if len(names) < 3 {
		t.Fatalf("only %d segments", len(names))
	}
	files[names[1]][len(files[names[1]])/2] ^= 0x10
	b.disk = storetest.NewDisk(files)
	b.open()
	got := b.rest()
	missing := 600 - len(got)
	if missing < 10 || missing > 200 || b.Stats().Damaged != 1 {
		t.Errorf("%d are missing, %+v", missing, b.Stats())
	}
	for i, e := range got[1:] {
		if number(t, e) <= number(t, got[i]) {
			t.Fatal("not in order")
		}
	}
	b.Ack(got[len(got)-1].Number)
	if len(b.disk.Files()) != 0 {
		t.Error("files are left")
	}
}

// A disk that is full, or read-only, or whose sync fails: what was stored stays, and it
// goes on when the disk does.
func TestDiskFaults(t *testing.T) {
	fault := errors.New("fault")
	for _, op := range []string{
		storetest.OpCreate, storetest.OpWrite, storetest.OpSync, storetest.OpSyncDir, storetest.OpTruncate,
	} {
		for after := range 4 {
			t.Run(fmt.Sprint(op, after), func(t *testing.T) {
				b := start(t, Options{})
				if err := b.append(5); err != nil {
					t.Fatal(err)
				}
				n := 0
				b.disk.Fail(func(o, _ string) error {
					if n++; n > after && (o == op || op == storetest.OpTruncate && o == storetest.OpWrite) {
						return fault
					}
					return nil
				})
				list := [][]byte{}
				for i := range 200 {
					list = append(list, message(5+i))
				}
				stored, err := b.Journal.Append(list, day)
				b.disk.Fail(nil)
				if err == nil && stored != 200 {
					t.Fatalf("%d are stored without an error", stored)
				}
				if _, err := b.Journal.Append(list[stored:], day); err != nil {
					t.Fatal(err)
				}
				for range 2 {
					seen := map[int]bool{}
					for _, e := range b.rest() {
						seen[number(t, e)] = true
					}
					if len(seen) != 205 {
						t.Errorf("%d messages of 205", len(seen))
					}
					b.open()
				}
			})
		}
	}
	b := start(t, Options{})
	b.disk.SetCapacity(8 << 10)
	for b.append(3) == nil {
	}
	stored := b.made - 3
	b.disk.SetCapacity(0)
	if err := b.append(3); err != nil {
		t.Fatal(err)
	}
	got := b.rest()
	b.expect(0, stored, got[:stored])
	b.expect(stored+3, b.made, got[len(got)-3:])
}

// What the messages of an outage cost: at most 300 bytes of flash for an uplink.
func TestWear(t *testing.T) {
	b := start(t, Options{Bytes: 8 << 20})
	r := rand.New(rand.NewPCG(1, 2))
	var list [][]byte
	for i := range 15 { // one a second, stored every 15 s
		id := make([]byte, 60)
		for k := range id {
			id[k] = byte(r.Uint32())
		}
		payload, token := base64.StdEncoding.EncodeToString(id[:20]), base64.StdEncoding.EncodeToString(id[20:])
		list = append(list, fmt.Appendf(nil, uplink, i%10, i%10, id[:16], id[16:32], i, payload, token, i*1000003, i*1000003))
	}
	if _, err := b.Journal.Append(list, day); err != nil {
		t.Fatal(err)
	}
	const page = 4096
	each := (b.Stats().Bytes + page - 1) / page * page / 15
	t.Logf("%d bytes for an uplink in whole pages, %d in all for 15", each, b.Stats().Bytes)
	if each > 300 {
		t.Error("the budget is 300 bytes")
	}
}

const uplink = `{"end_device_ids":{"device_id":"dev%d","application_ids":{"application_id":"app1"},"dev_eui":` +
	`"70B3D57ED000000%d","join_eui":"0000000000000000","dev_addr":"0012AB34"},"correlation_ids":["as:up:%x",` +
	`"gs:uplink:%x"],"received_at":"2026-11-29T12:00:00.123456789Z","uplink_message":{"session_key_id":` +
	`"AYfg8rhha5n+FWx0ZaAprA==","f_port":1,"f_cnt":%d,"frm_payload":"%s","rx_metadata":[{"gateway_ids":{` +
	`"gateway_id":"eui-0242020000247803","eui":"0242020000247803"},"timestamp":3920183475,"rssi":-87,` +
	`"channel_rssi":-87,"snr":9.2,"location":{"latitude":52.3731,"longitude":4.8925,"altitude":12,"source":` +
	`"SOURCE_REGISTRY"},"uplink_token":"%s","received_at":"2026-11-29T12:00:00.023Z"}],"settings":{"data_rate":{` +
	`"lora":{"bandwidth":125000,"spreading_factor":7,"coding_rate":"4/5"}},"data_rate_index":5,"coding_rate":"4/5",` +
	`"frequency":"868100000","timestamp":%d,"time":"2026-11-29T12:00:00Z"},"received_at":` +
	`"2026-11-29T12:00:00.%dZ","consumed_airtime":"0.061696s","network_ids":{"net_id":"000000"}}}`

// Bytes from a disk never make a block that was not written.
func FuzzBlock(f *testing.F) {
	var e encoder
	whole, err := e.block(block{first: 7, at: day.Unix(), count: 2}, [][]byte{[]byte("one"), []byte("two")})
	if err != nil {
		f.Fatal(err)
	}
	cursor, _ := e.block(block{first: 9}, nil)
	f.Add(whole)
	f.Add(slices.Concat(cursor, whole))
	f.Add(whole[:len(whole)-1])
	f.Fuzz(fuzztest.Quick(func(t *testing.T, data []byte) {
		b, n := parseBlock(data)
		if n == 0 {
			return
		}
		messages, err := b.messages()
		if err == nil && len(messages) != b.count || n > len(data) {
			t.Errorf("%d messages of %d", len(messages), b.count)
		}
	}))
}

var _ store.FS = (*storetest.Disk)(nil)
