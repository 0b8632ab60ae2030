package broker

import (
	"errors"
	"fmt"
	"strings"
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
		o.Keep = &Keeping{Every: time.Hour, Store: d.store} // see look
		d.mu.Lock()
		defer d.mu.Unlock()
		for _, r := range d.records { // in any order
			o.Keep.Stored = append(o.Keep.Stored, r)
		}
	})
	if before != nil {
		s.key1, s.key2, s.readOnly, s.writeOnly = before.key1, before.key2, before.readOnly, before.writeOnly
	}
	return s
}

// look looks at what there is to keep, once.
func (s *bench) look() {
	s.Helper()
	if _, err := s.keepNow(); err != nil {
		s.Fatal(err)
	}
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

// inbound is a client that receives messages, and does what QoS 2 asks for beside them.
type inbound struct {
	*raw
	released []uint16 // the packet ids of PUBREL
}

// next receives a message.
func (in *inbound) next() packets.Packet {
	in.Helper()
	for {
		pk, err := in.receive(patience)
		switch {
		case err != nil:
			in.Fatal(err)
		case pk.FixedHeader.Type == packets.Publish:
			in.send(ackFor(pk))
			return pk
		case pk.FixedHeader.Type == packets.Pubrel:
			in.released = append(in.released, pk.PacketID)
			in.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubcomp}, PacketID: pk.PacketID})
		}
	}
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
				left := 6 // 1 is on its way
				if qos == 2 {
					left++ // the PUBREL of 0 too
				}
				s.eventually("all is kept", func() bool { s.look(); n, _ := d.has(sessions.KindMessage); return n == left })
				cut := d.cut()
				after := cut.keeping(t, s, Limits{})
				r, ack := after.again(version, "dev", s.key1)
				if !ack.SessionPresent {
					t.Fatal("the session is gone")
				}
				in := &inbound{raw: r}
				for i := 1; i < 7; i++ {
					pk, again := in.next(), i == 1
					if string(pk.Payload) != fmt.Sprint(i) || pk.TopicName != upTopic || pk.FixedHeader.Qos != qos ||
						pk.FixedHeader.Dup != again ||
						again && pk.PacketID != second.PacketID || !again && pk.PacketID < aheadOfIDs {
						t.Errorf("message %d: %s %q, packet id %d, again %v", i, pk.TopicName, pk.Payload, pk.PacketID,
							pk.FixedHeader.Dup)
					}
				}
				if qos == 2 && (len(in.released) == 0 || in.released[0] != first.PacketID) {
					t.Errorf("released %v, want %d first", in.released, first.PacketID)
				}
				after.up("7") // the subscription is there too
				if pk := in.next(); string(pk.Payload) != "7" {
					t.Errorf("got %q, want 7", pk.Payload)
				}
				after.eventually("what is acknowledged is forgotten", func() bool {
					after.look()
					n, _ := cut.has(sessions.KindMessage)
					return n == 0 || qos == 2 && n <= 1
				})
			})
		}
	}
}

// Sessions of keys that are gone, sessions that have ended, and sessions beyond the limits
// do not come back after a restart, and are deleted.
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
			s.eventually("all is kept", func() bool { s.look(); n, _ := d.has(sessions.KindMessage); return n == 5 })
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
				after.look()
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
	s.eventually("the subscription is there", func() bool {
		x, _, _ := s.session("app1/dev").snapshot()
		return len(x.Subscriptions) == 1
	})
	if _, err := s.keepNow(); !errors.Is(err, d.err) {
		t.Errorf("on a full disk: %v", err)
	}
	d.err = nil
	s.look()
	if n, writes := d.has(sessions.KindSession); n != 1 || writes != 1 {
		t.Fatalf("%d sessions are kept by %d writes", n, writes)
	}
	for i := range 200 {
		s.up(fmt.Sprint(i))
		r.send(ackFor(r.gets(upTopic, fmt.Sprint(i), 1)))
	}
	s.eventually("all is acknowledged", func() bool { q, n := s.waiting("app1/dev"); return q+n == 0 })
	for range 3 {
		s.look()
	}
	if n, writes := d.has(sessions.KindMessage); n != 0 || writes != 1 {
		t.Errorf("%d messages are kept by %d writes for 200 messages that were acknowledged at once", n, writes-1)
	}
}

// It is looked now and then without anybody asking.
func TestKeepingLooks(t *testing.T) {
	d := &drawer{records: map[string]sessions.Record{}}
	s := startWith(t, func(o *Options) { o.Keep = &Keeping{Every: time.Millisecond, Store: d.store} })
	r, _ := s.again(4, "dev", s.key1)
	r.subscribe(1, "#")
	s.away(r)
	s.up("0")
	s.eventually("the session and its message are kept", func() bool {
		n, _ := d.has(sessions.KindSession)
		m, _ := d.has(sessions.KindMessage)
		return n == 1 && m == 1
	})
}

// A session that begins anew under the name of one that was kept has nothing of it.
func TestKeptSessionBeginsAnew(t *testing.T) {
	d := &drawer{records: map[string]sessions.Record{}}
	s := d.keeping(t, nil, Limits{})
	for _, payload := range []string{"old", "new"} {
		clean := connectPacket("dev", "app1", s.key1) // ends what there was
		r := dialRaw(t, s.addr)
		r.send(clean)
		r.want(packets.Connack)
		s.away(r)
		r, _ = s.again(4, "dev", s.key1)
		r.subscribe(1, "#")
		s.away(r)
		s.up(payload)
		s.eventually("the message waits", func() bool { q, _ := s.waiting("app1/dev"); return q == 1 })
		s.look()
	}
	after := d.cut().keeping(t, s, Limits{})
	r, ack := after.again(4, "dev", s.key1)
	if !ack.SessionPresent {
		t.Fatal("the session is gone")
	}
	r.send(ackFor(r.gets(upTopic, "new", 1)))
	r.silent("behind the one message")
}

// A QoS 2 publish that was taken before the restart is not taken again after it.
func TestKeptQoS2Publish(t *testing.T) {
	for _, version := range []byte{4, 5} {
		d := &drawer{records: map[string]sessions.Record{}}
		s := d.keeping(t, nil, Limits{})
		r, _ := s.again(version, "dev", s.key1)
		r.send(publishPacket(7, 2, pushTopic, "once"))
		r.want(packets.Pubrec)
		s.look()
		after := d.cut().keeping(t, s, Limits{})
		r, ack := after.again(version, "dev", s.key1)
		if !ack.SessionPresent {
			t.Fatal("the session is gone")
		}
		again := publishPacket(7, 2, pushTopic, "once")
		again.FixedHeader.Dup = true
		r.send(again)
		if pk := r.want(packets.Pubrec); pk.PacketID != 7 || pk.ReasonCode != 0 {
			t.Errorf("version %d: PUBREC %d, reason 0x%02x", version, pk.PacketID, pk.ReasonCode)
		}
		r.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubrel, Qos: 1}, PacketID: 7})
		r.want(packets.Pubcomp)
		r.send(publishPacket(7, 2, pushTopic, "another"))
		r.want(packets.Pubrec)
		if n := len(after.pushes); n != 1 {
			t.Errorf("version %d: %d pushes after the restart, want 1", version, n)
		}
	}
}

// An application whose sessions are full, and that has many, takes no room from
// another one, and its messages are not written again and again.
func TestKeepingIsFair(t *testing.T) {
	d := &drawer{records: map[string]sessions.Record{}}
	s := d.keeping(t, nil, Limits{KeptTotal: 20_000})
	r := s.persistent("app2", s.key2, "zz")
	r.subscribe(1, "#")
	s.away(r)
	for i := range 20 {
		r := s.persistent("app1", s.key1, fmt.Sprint("flood", i))
		r.subscribe(1, "#")
		s.away(r)
	}
	for i := range 10 {
		s.upOf("app1", fmt.Sprint(i, strings.Repeat("x", 1000)))
	}
	s.upOf("app2", "small")
	s.eventually("all waits", func() bool { q, _ := s.waiting("app2/zz"); return q == 1 })
	for range 50 {
		s.look()
	}
	_, before := d.has(sessions.KindMessage)
	for range 5 {
		s.look()
	}
	if _, writes := d.has(sessions.KindMessage); writes != before {
		t.Errorf("%d writes while nothing happens", writes-before)
	}
	if _, ok := d.records[fmt.Sprint(sessions.KindSession, " app2/zz")]; !ok {
		t.Error("the session of the other application is not kept")
	}
	own, all := 0, 0
	for _, r := range d.records {
		if all += len(r.Key) + len(r.Data); r.Kind == sessions.KindMessage && strings.HasPrefix(r.Key, "app2/") {
			own++
		}
	}
	if own != 1 || all > 20_000 {
		t.Errorf("%d messages of the other application are kept, %d bytes in all", own, all)
	}
}

// Two applications whose clients have the same id, even one that looks like the other's,
// have nothing of each other after a restart.
func TestKeptSessionsOfTwoApplications(t *testing.T) {
	d := &drawer{records: map[string]sessions.Record{}}
	s := d.keeping(t, nil, Limits{})
	clients := []struct{ app, key, id, gets string }{
		{"app1", s.key1, "client", "of app1"},
		{"app2", s.key2, "client", "of app2"},
		{"app2", s.key2, "app1/client", "of app2"},
		{"app2", s.key2, "client/0000000000000001", "of app2"},
	}
	for _, c := range clients {
		r := s.persistent(c.app, c.key, c.id)
		r.subscribe(1, "#")
		s.away(r)
	}
	for _, app := range []string{"app1", "app2"} {
		s.upOf(app, "of "+app)
	}
	s.eventually("all is kept", func() bool { s.look(); n, _ := d.has(sessions.KindMessage); return n == len(clients) })
	after := d.cut().keeping(t, s, Limits{})
	for _, c := range clients {
		r := after.persistent(c.app, c.key, c.id)
		r.gets("v3/"+c.app+"/devices/dev1/up", c.gets, 1)
		r.silent("behind the one message of " + c.id)
	}
}

// Records that cannot be understood, or are not what the broker has written, cost
// themselves, and are deleted.
func TestRestoreOfRubbish(t *testing.T) {
	d := &drawer{records: map[string]sessions.Record{}}
	put := func(kind sessions.Kind, key, data string) {
		_ = d.store([]sessions.Record{{Kind: kind, Key: key, Data: []byte(data)}})
	}
	s := startWith(t, func(o *Options) {
		id := ""
		for _, k := range o.Keys.Keys("app1") {
			if k.Rights.Has(access.TrafficRead) {
				id = k.ID
			}
		}
		good := `{"version":4,"key":"` + id + `","expiry":60000000000`
		put(sessions.KindSession, "app1/bad", "{")
		put(sessions.KindSession, "app2/other", `{"version":4,"key":"`+id+`"}`)
		put(sessions.KindSession, "app1/good", good+`,"subscriptions":[{"filter":"v3/app1/#","qos":1},{"filter":"v3/app2/#","qos":1},{"filter":"#"},{"filter":""}]}`)
		put(sessions.KindSession, "app1/qos", good+`,"subscriptions":[{"filter":"v3/app1/#","qos":3}]}`)
		put(sessions.KindMessage, "app1/good/0000000000000001", "x")
		put(sessions.KindMessage, "app1/good/0000000000000002", `{"qos":1,"uid":"app2","device":"dev1","suffix":"up"}`+"\n")
		put(sessions.KindMessage, "app1/good/xyz", `{"qos":1}`+"\n")
		put(sessions.KindMessage, "app1/nobody/0000000000000001", `{"qos":1}`+"\n")
		o.Keep = &Keeping{Every: time.Hour, Store: d.store}
		for _, r := range d.records {
			o.Keep.Stored = append(o.Keep.Stored, r)
		}
	})
	if n := s.Stats().Sessions; n != 1 {
		t.Errorf("%d sessions", n)
	}
	s.up("first") // which must not be taken for one of the others
	s.eventually("the message waits", func() bool { q, _ := s.waiting("app1/good"); return q == 1 })
	s.look()
	after := d.cut().keeping(t, s, Limits{})
	r, _ := after.again(4, "good", s.key1)
	r.gets(upTopic, "first", 1)
	r.silent("behind the one message")
	if n, _ := d.has(sessions.KindSession); n != 1 {
		t.Errorf("%d records of sessions are left", n)
	}
	if n, _ := d.has(sessions.KindMessage); n != 1 {
		t.Errorf("%d records of messages are left", n)
	}
}
