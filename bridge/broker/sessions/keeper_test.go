package sessions

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// A message that waits is written once and deleted once; one that is on its way, or
// released, since is written again; the newest stay where there is too little room.
func TestKeeper(t *testing.T) {
	s := Session{ID: "app1/dev", KeyID: "K", Version: 4}
	message := func(seq uint64, packetID uint16) Message {
		return Message{Session: s.ID, Seq: seq, Device: "d", Suffix: "up", QoS: 1, PacketID: packetID, Payload: []byte("x")}
	}
	all := Limits{1 << 20, 1 << 20, 1 << 20}
	size := Message{Session: s.ID, Device: "d", Payload: []byte("x")}
	kept := func(m ...Message) []Kept { return []Kept{{Session: s, Waiting: m}} }
	own, err := s.Record()
	if err != nil {
		t.Fatal(err)
	}
	session := len(own.Key) + len(own.Data)
	var k Keeper
	for _, tt := range []struct {
		name string
		now  []Kept
		room Limits
		want string // the records in short
	}{
		{"nothing", nil, all, ""},
		{"a session", kept(), all, "s"},
		{"nothing new", kept(), all, ""},
		{"two messages", kept(message(1, 0), message(2, 0)), all, "1 2"},
		{"the same two", kept(message(1, 0), message(2, 0)), all, ""},
		{"one is on its way", kept(message(1, 7), message(2, 0)), all, "1"},
		{"one is acknowledged", kept(message(2, 0)), all, "-1"},
		{
			"too little room", kept(message(2, 0), message(3, 0), message(4, 0)),
			Limits{2 * size.size(), 1 << 20, 1 << 20},
			"-2 3 4",
		},
		{
			"too little room for all", kept(message(3, 0), message(4, 0)),
			Limits{1 << 20, session + size.size(), 1 << 20},
			"-3",
		},
		{"no room for the session", kept(message(4, 0)), Limits{1 << 20, session - 1, 1 << 20}, "-4 -s"},
		{"room again", kept(message(4, 0)), all, "4 s"},
		{"little may be written", kept(message(5, 0), message(6, 0)), Limits{1 << 20, 1 << 20, 1}, "-4"},
		{"the rest may", kept(message(5, 0), message(6, 0)), all, "5 6"},
		{"the session ends", nil, Limits{1 << 20, 1 << 20, 1}, "-5"},
		{"the rest of it", nil, all, "-6 -s"},
	} {
		records, done := k.Changes(tt.now, tt.room)
		if again, _ := k.Changes(tt.now, tt.room); len(again) != len(records) {
			t.Errorf("%s: %d records when it is asked again, %d before", tt.name, len(again), len(records))
		}
		done()
		if got := inShort(records); got != tt.want {
			t.Errorf("%s: records %s, want %s", tt.name, got, tt.want)
		}
	}
}

// inShort names records: s for a session, the number of a message; with - before it, if
// the record is deleted.
func inShort(records []Record) string {
	var all []string
	for _, r := range records {
		text := "s"
		if r.Kind == KindMessage {
			text = strings.TrimLeft(r.Key[strings.LastIndexByte(r.Key, '/')+1:], "0")
		}
		if r.Data == nil {
			text = "-" + text
		}
		all = append(all, text)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// What was written is found again, in its order, whatever the order of the records.
func TestFind(t *testing.T) {
	s := Session{ID: "app1/a/b", KeyID: "K", Version: 5}
	var records []Record
	for _, seq := range []uint64{12, 3, 7} {
		m := Message{Session: s.ID, Seq: seq, QoS: 1, Payload: bytes.Repeat([]byte("x"), int(seq))}
		if seq == 12 {
			m.PacketID = 9
		}
		r, err := m.Record()
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, r)
	}
	r, err := s.Record()
	if err != nil {
		t.Fatal(err)
	}
	records = append(records, r, Record{KindMessage, "app1/gone/0000000000000001", []byte("{\"qos\":1}\n")}, Record{KindSession, "app1/bad", []byte("{")},
		Record{KindMessage, "app1/a/b/x", []byte("{}\n")})
	var k Keeper
	found, last, faults := k.Find(records)
	if len(found) != 1 || last != 12 || len(faults) != 2 {
		t.Fatalf("found %+v, last %d, faults %v", found, last, faults)
	}
	var seqs []uint64
	for _, m := range found[0].Waiting {
		seqs = append(seqs, m.Seq)
	}
	if fmt.Sprint(seqs) != "[12 3 7]" {
		t.Errorf("found %v", seqs)
	}
	rubbish := []Record{
		{KindMessage, "app1/gone/0000000000000001", nil},
		{KindSession, "app1/gone", nil},
		{KindSession, "app1/bad", nil},
		{KindMessage, "app1/a/b/x", nil},
	}
	changes, done := k.Changes(found, Limits{1 << 20, 1 << 20, 1 << 20})
	if !reflect.DeepEqual(changes, rubbish) {
		t.Errorf("changes %v, want %v", changes, rubbish)
	}
	done()
	if changes, _ := k.Changes(found, Limits{1 << 20, 1 << 20, 1 << 20}); len(changes) != 0 {
		t.Errorf("then %v", changes)
	}
}

// What is written at a time is shared out among applications, whatever the order in
// which sessions are told, and a message never comes before its session.
func TestChangesInTurn(t *testing.T) {
	var now []Kept
	for i := range 50 {
		app := "flood"
		if i%25 == 24 {
			app = fmt.Sprint("zz", i)
		}
		s := Kept{Session: Session{ID: fmt.Sprintf("%s/%02d", app, i), KeyID: "K", Version: 4}}
		for seq := range uint64(20) {
			s.Waiting = append(s.Waiting, Message{Session: s.ID, Seq: seq, QoS: 1, Payload: make([]byte, 100)})
		}
		now = append(now, s)
	}
	limits := Limits{1 << 20, 1 << 20, 6000}
	var k Keeper
	written, complete := map[string]int{}, 0
	for looks := range 1000 {
		rand.Shuffle(len(now), func(i, j int) { now[i], now[j] = now[j], now[i] })
		records, done := k.Changes(now, limits)
		if done(); len(records) == 0 {
			break
		}
		size := 0
		for _, r := range records {
			size += len(r.Key) + len(r.Data)
			id := r.Key
			if written[r.Key]++; r.Kind == KindMessage {
				id = r.Key[:len(r.Key)-17]
			}
			if written[r.Key] > 1 || written[id] == 0 {
				t.Fatalf("%s is written %d times, its session %d times", r.Key, written[r.Key], written[id])
			}
			if strings.HasPrefix(id, "zz") && r.Kind == KindMessage {
				complete++
			}
		}
		if size > limits.Write {
			t.Fatalf("%d bytes at a time", size)
		}
		if looks == 4 && complete != 40 {
			t.Errorf("%d of 40 messages of those with one session after %d looks", complete, looks+1)
		}
	}
	if len(written) != 50*21 {
		t.Errorf("%d records", len(written))
	}
}

func TestFair(t *testing.T) {
	for _, tt := range []struct {
		room        int
		needs, want []int
	}{
		{10, nil, []int{}},
		{10, []int{3, 4}, []int{3, 4}},
		{10, []int{100, 4}, []int{6, 4}},
		{10, []int{100, 200}, []int{5, 5}},
		{10, []int{2, 100, 200, 1}, []int{2, 3, 4, 1}},
		{0, []int{2, 1}, []int{0, 0}},
	} {
		if got := fair(tt.room, tt.needs, func(n int) int { return n }); !slices.Equal(got, tt.want) {
			t.Errorf("%d among %v: %v, want %v", tt.room, tt.needs, got, tt.want)
		}
	}
}
