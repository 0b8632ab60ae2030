package sessions

import (
	"bytes"
	"fmt"
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
	all := Limits{1 << 20, 1 << 20}
	size := Message{Device: "d", Payload: []byte("x")}
	var k Keeper
	for _, tt := range []struct {
		name string
		now  []Kept
		room Limits
		want string // the records: s for a session, the number of a message; - before it: deleted
	}{
		{"nothing", nil, all, ""},
		{"a session", []Kept{{Session: s}}, all, "s"},
		{"nothing new", []Kept{{Session: s}}, all, ""},
		{"two messages", []Kept{{s, []Message{message(1, 0), message(2, 0)}}}, all, "1 2"},
		{"the same two", []Kept{{s, []Message{message(1, 0), message(2, 0)}}}, all, ""},
		{"one is on its way", []Kept{{s, []Message{message(1, 7), message(2, 0)}}}, all, "1"},
		{"one is acknowledged", []Kept{{s, []Message{message(2, 0)}}}, all, "-1"},
		{"too little room", []Kept{{s, []Message{message(2, 0), message(3, 0), message(4, 0)}}}, Limits{2 * size.size(), 1 << 20}, "-2 3 4"},
		{"too little room for all", []Kept{{s, []Message{message(3, 0), message(4, 0)}}}, Limits{1 << 20, size.size()}, "-3"},
		{"the session ends", nil, all, "-4 -s"},
	} {
		records, done := k.Changes(tt.now, tt.room)
		if again, _ := k.Changes(tt.now, tt.room); len(again) != len(records) {
			t.Errorf("%s: %d records when it is asked again, %d before", tt.name, len(again), len(records))
		}
		done()
		var got []string
		for _, r := range records {
			text := "s"
			if r.Kind == KindMessage {
				text = strings.TrimLeft(r.Key[len(s.ID)+1:], "0")
			}
			if r.Data == nil {
				text = "-" + text
			}
			got = append(got, text)
		}
		slices.Sort(got)
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: records %v, want %s", tt.name, got, tt.want)
		}
	}
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
	records = append(records, r, Record{KindMessage, "app1/gone/0000000000000001", []byte("{\"qos\":1}\n")}, Record{KindSession, "app1/bad", []byte("{")})
	var k Keeper
	found, faults := k.Find(records)
	if len(found) != 1 || len(faults) != 1 {
		t.Fatalf("found %+v, faults %v", found, faults)
	}
	var seqs []uint64
	for _, m := range found[0].Waiting {
		seqs = append(seqs, m.Seq)
	}
	if fmt.Sprint(seqs) != "[12 3 7]" {
		t.Errorf("found %v", seqs)
	}
	changes, _ := k.Changes(found, Limits{1 << 20, 1 << 20})
	for _, r := range changes {
		if r.Data != nil || r.Key != "app1/gone/0000000000000001" && r.Key != "app1/bad" {
			t.Errorf("%q is written again or deleted", r.Key)
		}
	}
	if len(changes) != 2 {
		t.Errorf("%d changes, want 2 deletions", len(changes))
	}
}
