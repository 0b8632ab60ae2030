package broker

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"lorawand/bridge/access"
	"lorawand/bridge/broker/sessions"
)

// drawer keeps records while no broker runs.
type drawer struct {
	mu      sync.Mutex
	records map[string]sessions.Record
	writes  int
	err     error
}

func (d *drawer) store(records []sessions.Record) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		return d.err
	}
	d.writes++
	for _, r := range records {
		key := fmt.Sprint(r.Kind, " ", r.Key)
		if d.records[key] = r; r.Data == nil {
			delete(d.records, key)
		}
	}
	return nil
}

// has returns how many records of a kind there are, and how often was written.
func (d *drawer) has(kind sessions.Kind) (n, writes int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range d.records {
		if r.Kind == kind {
			n++
		}
	}
	return n, d.writes
}

// keeping returns a broker that finds in the drawer what an earlier one has left,
// whose keys it has too; nil: there was none.
func (d *drawer) keeping(t *testing.T, before *bench, l Limits) *bench {
	t.Helper()
	s := startWith(t, func(o *Options) {
		if o.Limits = l; before != nil {
			o.Keys = before.opts.Keys
		}
		k := &Keeping{Every: 10 * time.Millisecond, Store: d.store}
		d.mu.Lock()
		defer d.mu.Unlock()
		for _, kind := range []sessions.Kind{sessions.KindMessage, sessions.KindSession} { // in any order
			for n := range 1 << 10 {
				for _, r := range d.records {
					if r.Kind == kind && (kind == sessions.KindSession && n == 0 || kind == sessions.KindMessage && r.Key == sessions.MessageKey("app1/dev", uint64(n))) {
						k.Stored = append(k.Stored, r)
					}
				}
			}
		}
		o.Keep = k
	})
	if before != nil {
		s.key1, s.key2, s.readOnly, s.writeOnly = before.key1, before.key2, before.readOnly, before.writeOnly
	}
	return s
}

// cut is what the drawer holds when the power goes.
func (d *drawer) cut() *drawer {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := &drawer{records: map[string]sessions.Record{}}
	for k, r := range d.records {
		out.records[k] = r
	}
	return out
}

// A persistent session, its subscriptions and what waits for it outlive a power cut:
// whoever comes back gets everything, in order, with what was on its way first.
func TestSessionsOutliveRestart(t *testing.T) {
	for _, version := range []byte{4, 5} {
		for _, qos := range []byte{1, 2} {
			t.Run(fmt.Sprintf("version %d, QoS %d", version, qos), func(t *testing.T) {
				d := &drawer{records: map[string]sessions.Record{}}
				s := d.keeping(t, nil, Limits{})
				r, _ := s.again(version, "dev", s.key1)
				r.subscribe(qos, "#")
				s.up("0")
				s.up("1")
				first := r.want(packets.Publish)
				second := r.want(packets.Publish)
				if qos == 2 { // one half done
					r.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubrec}, PacketID: first.PacketID})
					r.want(packets.Pubrel)
				} else {
					r.send(ackFor(first))
				}
				s.away(r)
				for i := 2; i < 7; i++ {
					s.up(fmt.Sprint(i))
				}
				left := 6 // 1 is on its way; with QoS 2 the PUBREL of 0 too
				if qos == 2 {
					left = 7
				}
				s.eventually("all is kept", func() bool { n, _ := d.has(sessions.KindMessage); return n == left })
				cut := d.cut()
				after := cut.keeping(t, s, Limits{})
				var released []uint16
				r, ack := after.again(version, "dev", s.key1)
				if !ack.SessionPresent {
					t.Fatal("the session is gone")
				}
				next := func() packets.Packet { // message; what QoS 2 asks for beside it is done
					for {
						pk, err := r.receive(2 * time.Second)
						switch {
						case err != nil:
							t.Fatal(err)
						case pk.FixedHeader.Type == packets.Publish:
							r.send(ackFor(pk))
							return pk
						case pk.FixedHeader.Type == packets.Pubrel:
							released = append(released, pk.PacketID)
							r.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubcomp}, PacketID: pk.PacketID})
						}
					}
				}
				for i := 1; i < 7; i++ {
					pk, again := next(), i == 1
					if string(pk.Payload) != fmt.Sprint(i) || pk.TopicName != upTopic || pk.FixedHeader.Qos != qos || pk.FixedHeader.Dup != again ||
						again && pk.PacketID != second.PacketID || !again && pk.PacketID < aheadOfIDs {
						t.Errorf("message %d: %s %q, packet id %d, again %v", i, pk.TopicName, pk.Payload, pk.PacketID, pk.FixedHeader.Dup)
					}
				}
				if qos == 2 && (len(released) == 0 || released[0] != first.PacketID) {
					t.Errorf("released %v, want %d first", released, first.PacketID)
				}
				after.up("7") // the subscription is there too
				if pk := next(); string(pk.Payload) != "7" {
					t.Errorf("got %q, want 7", pk.Payload)
				}
				after.eventually("what is acknowledged is forgotten", func() bool { n, _ := cut.has(sessions.KindMessage); return n == 0 || qos == 2 && n <= 1 })
			})
		}
	}
}

// What must not come back does not, and is deleted: sessions of keys that are gone,
// sessions that have ended, and more than the limits allow.
func TestSessionsThatDoNotOutliveRestart(t *testing.T) {
	tests := []struct {
		name   string
		limits Limits
		do     func(s *bench)
		left   int // messages
	}{
		{"all of it", Limits{}, func(*bench) {}, 5},
		{"a key that is gone", Limits{}, func(s *bench) {
			for _, k := range s.opts.Keys.Keys("app1") {
				s.opts.Keys.Remove(k.ID)
			}
		}, -1},
		{"smaller limits", Limits{OfflineMessages: 2}, func(*bench) {}, 2},
		{"fewer bytes in all", Limits{OfflineTotal: 3 * 200}, func(*bench) {}, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := &drawer{records: map[string]sessions.Record{}}
			s := d.keeping(t, nil, Limits{})
			r, _ := s.again(4, "dev", s.key1)
			r.subscribe(1, "#")
			s.away(r)
			for i := range 5 {
				s.up(fmt.Sprint(i))
			}
			s.login("clean").subscribe(1, "#") // is not to be kept
			s.eventually("all is kept", func() bool { n, _ := d.has(sessions.KindMessage); return n == 5 })
			if n, _ := d.has(sessions.KindSession); n != 1 {
				t.Errorf("%d sessions are kept", n)
			}
			s.stopNow()
			tt.do(s)
			after := d.keeping(t, s, tt.limits)
			wantSessions := 1
			if tt.left < 0 {
				wantSessions, tt.left = 0, 0
			}
			after.eventually("what is too much is deleted", func() bool {
				n, _ := d.has(sessions.KindSession)
				m, _ := d.has(sessions.KindMessage)
				return n == wantSessions && m == tt.left
			})
			if n := after.Stats().Sessions; n != wantSessions {
				t.Errorf("%d sessions", n)
			}
		})
	}
}

// Nothing is written for clients that are connected and acknowledge, and nothing
// while nothing happens; a disk that fails is asked again.
func TestKeepingWritesLittle(t *testing.T) {
	d := &drawer{records: map[string]sessions.Record{}, err: errors.New("no space left")}
	s := d.keeping(t, nil, Limits{})
	r, _ := s.again(4, "dev", s.key1)
	r.subscribe(1, "#")
	time.Sleep(30 * time.Millisecond)
	d.mu.Lock()
	d.err = nil
	d.mu.Unlock()
	s.eventually("the session is kept", func() bool { n, _ := d.has(sessions.KindSession); return n == 1 })
	time.Sleep(30 * time.Millisecond)
	_, before := d.has(sessions.KindSession)
	for i := range 200 {
		s.up(fmt.Sprint(i))
		r.send(ackFor(r.gets(upTopic, fmt.Sprint(i), 1)))
	}
	s.eventually("all is acknowledged", func() bool { q, n := s.waiting("app1/dev"); return q+n == 0 })
	time.Sleep(50 * time.Millisecond)
	if n, after := d.has(sessions.KindMessage); n != 0 || after-before > 20 {
		t.Errorf("%d messages are kept, %d writes for 200 messages that were acknowledged at once", n, after-before)
	}
	_, before = d.has(sessions.KindSession)
	time.Sleep(50 * time.Millisecond)
	if _, after := d.has(sessions.KindSession); after != before {
		t.Errorf("%d writes while nothing happens", after-before)
	}
}

// Records that cannot be understood cost themselves.
func TestRestoreOfRubbish(t *testing.T) {
	d := &drawer{records: map[string]sessions.Record{}}
	keys := access.NewRegistry("ttn")
	s := startWith(t, func(o *Options) {
		keys = o.Keys
		id := keys.Keys("app1")[0].ID
		o.Keep = &Keeping{Every: 10 * time.Millisecond, Store: d.store, Stored: []sessions.Record{
			{Kind: sessions.KindSession, Key: "app1/bad", Data: []byte("{")},
			{Kind: sessions.KindSession, Key: "app2/other", Data: []byte(`{"version":4,"key":"` + id + `"}`)},
			{Kind: sessions.KindSession, Key: "app1/good", Data: []byte(`{"version":4,"key":"` + id + `","expiry":60000000000}`)},
			{Kind: sessions.KindMessage, Key: "app1/good/0000000000000001", Data: []byte("x")},
			{Kind: sessions.KindMessage, Key: "app1/nobody/0000000000000001", Data: []byte("{\"qos\":1}\n")},
		}}
	})
	if n := s.Stats().Sessions; n != 1 {
		t.Errorf("%d sessions", n)
	}
	s.eventually("the rest is deleted", func() bool { _, writes := d.has(sessions.KindSession); return writes > 0 })
}
