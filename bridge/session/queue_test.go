package session

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"lorawand/radio"
)

func seqs(q *Queue) string {
	var s []uint64
	for _, it := range q.Items() {
		s = append(s, it.Seq)
	}
	return fmt.Sprint(s)
}

func TestQueue(t *testing.T) {
	var q Queue
	for range 3 {
		q.Add(&Item{Seq: q.NextSeq()})
	}
	if q.Len() != 3 || q.Head().Seq != 1 {
		t.Fatalf("queue %s", seqs(&q))
	}
	first := q.Take()
	q.PutBack(first)
	if seqs(&q) != "[1 2 3]" {
		t.Errorf("put back: %s", seqs(&q))
	}
	first = q.Take()
	q.Await(first, 9)
	if q.Awaiting() != first || first.SentFCnt != 9 || q.Len() != 2 {
		t.Errorf("awaiting %+v", q.Awaiting())
	}
	if it := q.Decided(); it != first || q.Awaiting() != nil {
		t.Errorf("decided %+v", it)
	}
	first.Seq = q.NextSeq()
	q.Add(first)
	if seqs(&q) != "[2 3 4]" {
		t.Errorf("again: %s", seqs(&q))
	}
	q.Await(q.Take(), 1)
	if n := len(q.Clear()); n != 3 || q.Len() != 0 || q.Awaiting() != nil || q.Head() != nil {
		t.Errorf("cleared %d, left %s", n, seqs(&q))
	}
}

// An item that waits for its acknowledgement does so after a restart, with whatever frame counter it was sent.
func TestQueueLoad(t *testing.T) {
	for _, fCnt := range []uint32{0, 7} {
		var before, q Queue
		before.Await(&Item{Seq: 3, Confirmed: true}, fCnt)
		b, err := MarshalItem(before.Awaiting())
		if err != nil {
			t.Fatal(err)
		}
		sent, err := UnmarshalItem(b)
		if err != nil {
			t.Fatal(err)
		}
		q.Load([]*Item{sent, {Seq: 5}, {Seq: 9}})
		if q.Awaiting() != sent || sent.SentFCnt != fCnt || seqs(&q) != "[5 9]" || q.NextSeq() != 10 {
			t.Errorf("loaded %s, awaiting %+v", seqs(&q), q.Awaiting())
		}
	}
	old := &Item{Seq: 3, Confirmed: true, SentFCnt: 7} // a record of before Sent
	var q Queue
	q.Load([]*Item{old})
	if q.Awaiting() != old {
		t.Errorf("an old record: awaiting %+v", q.Awaiting())
	}
	if old.Nacked(); old.Sent || old.SentFCnt != 0 {
		t.Errorf("not acknowledged: %+v", old)
	}
}

// The counts of transmissions are those that were measured with The Things
// Stack: 8 by default, 3 with max_attempts 2.
func TestNacked(t *testing.T) {
	tests := []struct {
		name string
		item Item
		want int
	}{
		{"default", Item{Attempt: 1}, 8},
		{"max_attempts 2", Item{MaxAttempts: 2}, 3},
		{"max_attempts 2, attempt 1", Item{MaxAttempts: 2, Attempt: 1}, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sent := 1
			for ; tt.item.Nacked(); sent++ {
				if sent > 100 {
					t.Fatal("for ever")
				}
			}
			if sent != tt.want {
				t.Errorf("sent %d times, want %d", sent, tt.want)
			}
		})
	}
}

func TestItemBytes(t *testing.T) {
	want := &Item{
		Seq: 7, FPort: 15, FRMPayload: []byte{0xbe, 0xef}, Confirmed: true, Priority: radio.PriorityNormal,
		CorrelationIDs: []string{"as:downlink:X", "mine"}, PushedAt: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC),
		MaxAttempts: 3, Attempt: 1, SentFCnt: 4,
		ClassBC: &ClassBC{Gateways: []GatewayAntenna{{GatewayID: "gw", EUI: radio.EUI64{1}}}}, SessionKeyID: []byte{1},
		FCnt: 3,
	}
	b, err := MarshalItem(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := UnmarshalItem(b)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v came back as %+v, %v", want, got, err)
	}
	if _, err := UnmarshalItem([]byte("{")); err == nil {
		t.Error("half an item is taken")
	}
}

// Of the sessions that a device was offered the last one stays, and one before: that which was asked
// for in another way, if there is one.
func TestOffer(t *testing.T) {
	ways := map[byte]Session{'j': {Anew: true}, '1': {Anew: true, Rejoin1: true}, '0': {}}
	for _, tt := range []struct {
		asked  string // how, in this order: with join-requests, or rejoin-requests of type 0 and 1
		stay   []int  // the places of those that stay
		takes  int    // that the device takes up
		behind []int  // what stays then
	}{
		{"j", []int{0}, 0, []int{0}},
		{"jj", []int{0, 1}, 1, []int{1}},
		{"jj", []int{0, 1}, 0, []int{0, 1}}, // the later one stays
		{"jjj", []int{1, 2}, 2, []int{2}},
		{"j11", []int{0, 2}, 0, []int{0, 2}},
		{"j1111", []int{0, 4}, 4, []int{4}},
		{"1j", []int{0, 1}, 1, []int{1}},
		{"j01", []int{1, 2}, 1, []int{1, 2}},
		{"1jj", []int{0, 2}, 2, []int{2}},
	} {
		t.Run(fmt.Sprintf("%s, takes %d", tt.asked, tt.takes), func(t *testing.T) {
			d := abp("dev1", 1, V1_0_3, 10)
			r := registry(t, d)
			old := d.Session
			var offers []*Session
			check := func(when string, want ...int) {
				t.Helper()
				for i, s := range offers {
					if is := slices.Contains(want, i); r.Uses(d, s) != is || r.InUse(s.DevAddr) != is {
						t.Errorf("%s: offer %d stays: %v, want %v", when, i, !is, is)
					}
				}
			}
			for i, way := range tt.asked {
				s := ways[byte(way)]
				s.DevAddr = radio.DevAddr{2, byte(i)}
				offers = append(offers, &s)
				r.Offer(d, &s)
			}
			check("offered", tt.stay...)
			if d.Session != old || !r.Uses(d, old) || d.Pending != offers[len(offers)-1] {
				t.Error("an offer ends the session in use, or is not the one that is pending")
			}
			r.TakeUp(d, offers[tt.takes])
			check("taken up", tt.behind...)
			if r.InUse(old.DevAddr) || d.Session != offers[tt.takes] {
				t.Error("the old session lives on")
			}
			r.Remove(d.ID)
			check("removed")
		})
	}
}
