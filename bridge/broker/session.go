package broker

import (
	"cmp"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"lorawand/bridge/access"
	"lorawand/bridge/broker/fifo"
	"lorawand/bridge/broker/packet"
	"lorawand/bridge/broker/received"
	"lorawand/bridge/broker/subscription"
	"lorawand/bridge/v3"
)

// session is what the broker keeps for one client: its subscriptions, the messages that wait for it, and those on their
// way to it. A persistent one outlives the connection.
//
// The dispatcher only appends to the queue. A goroutine for each connected client takes from it and writes; so a client
// that does not read holds up nobody but itself.
type session struct {
	b           *Broker
	id          string // the library's client id: application, "/", the client's own
	application string
	kept        *atomic.Int64 // bytes that are kept for clients of the application
	wake        chan struct{} // rung when there may be something to write

	mu         sync.Mutex
	owner      *mqtt.Client // the last connection, still alive or nil
	client     *mqtt.Client // the same, once it may be written to
	login      access.Login // of the last connection
	persistent bool
	version    byte // level of the client's protocol
	expiry     time.Duration
	away       time.Time // when the last connection ended; while there is none, Broker.life guards it
	window     int
	subs       []subscription.Subscription // sorted by filter
	vias       [4]*via                     // the last that messages got here by
	queue      fifo.Queue[item]
	queued     int // bytes of the queue, as if nobody else held its messages
	inflight   []sent
	received   received.IDs // the other way round: of the client's own publishes
	lastID     uint16
	drops      uint64    // messages that are lost
	warned     time.Time // when drops were logged last
	over       bool      // it was forgotten; who still knows it puts nothing into it
}

// item is a message that waits for a client. There can be tens of thousands.
type item struct {
	msg *message
	*via
	seq      uint64 // its number, which no other of the broker has
	qos      byte
	retained bool // it was published before the client has subscribed
}

// via is how a message gets to a client. Those of a session that are equal are mostly one; it is never changed.
type via struct {
	uid   string // how its topic calls the application
	share string // "{group}/{filter}" of the shared subscription that it is for; "": none
	ids   []int  // subscription identifiers
}

// through returns a via that is equal to v: one of the last, or a new one. The lock is held.
func (s *session) through(v via) *via {
	for _, old := range s.vias {
		if old != nil && old.uid == v.uid && old.share == v.share && slices.Equal(old.ids, v.ids) {
			return old
		}
	}
	copy(s.vias[1:], s.vias[:])
	s.vias[0] = &via{v.uid, v.share, v.ids} // v does not escape, so only this allocates
	return s.vias[0]
}

// size is what an item counts for, in bytes: the message and what is kept of it.
func (i *item) size() int { return i.msg.size() + i.own() }

// own is what an item counts for besides its message, in bytes: with the room beside it in a queue that has grown, what
// it takes more on its way, and memory that the garbage collector has not taken back yet.
func (i *item) own() int { return 192 + 8*len(i.ids) }

// message is a message that waits for clients, which share it.
type message struct {
	v3.Message
	holders atomic.Int32 // items in queues or on their way
}

func (m *message) size() int { return len(m.Payload) + len(m.Device) }

// sent is a QoS 1 or 2 message on its way.
type sent struct {
	item
	id       uint16
	released bool // QoS 2: PUBREL is out
	again    bool // to be sent once more on the new connection
}

// adopt makes a new connection the owner of its session, which is a new one unless the client comes back to one that
// was kept. An earlier connection of the same client ends first: the library lets both run, and what the earlier one
// does at its end can undo what the new one has begun.
func (b *Broker) adopt(cl *mqtt.Client, clean bool) {
	for !b.tryAdopt(cl, clean) {
		old := b.owner(cl.ID)
		if old == nil {
			continue
		}
		_ = b.server.DisconnectClient(old, packets.ErrSessionTakenOver)
		select {
		case <-connOf(old).over:
		case <-time.After(b.limits.PushTimeout + 2*b.limits.WriteDeadline + time.Second): // it cannot be held up longer
			b.log.Warn("an MQTT connection does not end: its client cannot connect again", "client", cl.ID)
			cl.Stop(packets.ErrServerBusy)
			return
		}
	}
}

// tryAdopt reports whether no earlier connection is in the way.
func (b *Broker) tryAdopt(cl *mqtt.Client, clean bool) bool {
	c := connOf(cl)
	b.life.Lock()
	defer b.life.Unlock()
	if old := b.owner(cl.ID); old != nil && !connOf(old).isOver() {
		return false
	}
	s := b.session(cl.ID)
	if s != nil && !s.mayResume(c.login, time.Now()) {
		b.end(s)
		s = nil
	}
	if s == nil || clean || !b.resumes(cl) {
		b.drop(s)
		b.makeRoom()
		s = b.add(&session{b: b, id: cl.ID, application: c.login.Application, wake: make(chan struct{}, 1)})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leave()
	s.owner, s.login, s.version = cl, c.login, c.version
	s.persistent, s.expiry, s.window = c.persistent, c.expiry, c.window
	if c.version < 5 { // which has no receive maximum, so clients do not heed it
		s.received.Begin(inboundQoS2Limit, 0)
	} else {
		s.received.Begin(b.limits.ReceiveMaximum, b.limits.ReceiveMaximum)
	}
	return true
}

// mayResume reports whether a client that logs in gets a session that was kept:
// it has not expired, and what waits in it is for that key to read.
func (s *session) mayResume(l access.Login, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.login.KeyID != l.KeyID && !l.Rights.Has(access.TrafficRead) {
		return false
	}
	return s.owner != nil || now.Sub(s.away) <= s.expiry
}

// owner returns the client that a session belongs to, or nil.
func (b *Broker) owner(id string) *mqtt.Client {
	s := b.session(id)
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.owner
}

// resumes reports whether the library lets a client go on with its session: it
// ends those of MQTT 3 clients that had asked for a clean one.
func (b *Broker) resumes(cl *mqtt.Client) bool {
	old, ok := b.server.Clients.Get(cl.ID)
	return ok && !(old.Properties.Clean && old.Properties.ProtocolVersion < 5)
}

// session returns a session, or nil.
func (b *Broker) session(id string) *session {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.sessions[id]
}

func (b *Broker) add(s *session) *session {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sessions[s.id] = s
	a := b.byApp[s.application]
	if a == nil {
		a = &applicationSessions{all: map[*session]struct{}{}}
		b.byApp[s.application] = a
	}
	a.all[s] = struct{}{}
	s.kept = &a.kept
	return s
}

// abandoned returns the sessions that nobody is connected to.
func (b *Broker) abandoned() (out []*session, all int) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, s := range b.sessions {
		s.mu.Lock()
		if s.owner == nil {
			out = append(out, s)
		}
		s.mu.Unlock()
	}
	return out, len(b.sessions)
}

// makeRoom ends a session where there are too many: of the application that has the most of those that nobody is
// connected to, the one whose client is away longest. Connected clients are bounded elsewhere. life is held.
func (b *Broker) makeRoom() {
	away, all := b.abandoned()
	if all < 2*b.limits.Clients || len(away) == 0 {
		return
	}
	counts := map[string]int{}
	for _, s := range away {
		counts[s.application]++
	}
	oldest := slices.MinFunc(away, func(x, y *session) int {
		return cmp.Or(cmp.Compare(counts[y.application], counts[x.application]), x.away.Compare(y.away))
	})
	b.lines.Say(b.log, slog.LevelWarn,
		"too many MQTT sessions: of the application with most of them, that of the client which is away longest is removed",
		slog.String("client", oldest.id))
	b.end(oldest)
}

// drop forgets a session, which may be nil. life is held.
func (b *Broker) drop(s *session) {
	if s == nil {
		return
	}
	left := s.clear()
	s.ring()
	b.mu.Lock()
	delete(b.sessions, s.id)
	a := b.byApp[s.application]
	if delete(a.all, s); len(a.all) == 0 {
		delete(b.byApp, s.application)
	}
	b.mu.Unlock()
	if len(left) > 0 {
		select {
		case b.left <- leftover{s.application, left}: // who holds life must not wait for that
		default:
			b.clientDropped.Add(uint64(len(left)))
		}
	}
}

// leftover is what a session that has ended leaves undone of its shared subscriptions.
type leftover struct {
	application string
	items       []item
}

// clear takes everything out of a session, and returns what others are to get of its shared subscriptions: what was not
// sent, and of what was sent what has QoS 1. Of QoS 2 nobody else may get what one client was sent (MQTT 5.0, 4.8.2).
func (s *session) clear() (left []item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.inflight {
		f := &s.inflight[i]
		s.releases(&f.item)
		if f.share != "" && f.qos == 1 {
			left = append(left, f.item)
		}
	}
	for i := range s.queue.All() {
		s.releases(i)
		if i.share != "" {
			left = append(left, *i)
		}
	}
	s.owner, s.client, s.queue, s.queued, s.inflight, s.subs = nil, nil, fifo.Queue[item]{}, 0, nil, nil
	s.over = true
	return left
}

// end forgets a session whose client is away, in the library too. life is held: nobody can come back to it meanwhile.
func (b *Broker) end(s *session) {
	b.drop(s)
	if cl, ok := b.server.Clients.Get(s.id); ok && cl.Closed() {
		b.server.Clients.Delete(s.id)
	}
}

// expire ends sessions that nobody has come back to. It goes by the monotonic
// clock: the calendar may jump by half a century when it is set.
func (b *Broker) expire(now time.Time) {
	b.endAway(func(s *session) bool { return now.Sub(s.away) > s.expiry })
}

// endAway ends sessions whose clients are away, one after the other: logins need not
// wait for all of them. It returns how many there were.
func (b *Broker) endAway(match func(*session) bool) (n int) {
	away, _ := b.abandoned()
	for _, s := range away {
		b.life.Lock()
		is := b.session(s.id) == s
		s.mu.Lock()
		is = is && s.owner == nil && match(s)
		s.mu.Unlock()
		if is {
			n++
			b.end(s)
		}
		b.life.Unlock()
	}
	return n
}

// attach begins to write to a client that has got its CONNACK.
func (b *Broker) attach(cl *mqtt.Client) {
	s := b.session(cl.ID)
	if s == nil {
		return
	}
	s.mu.Lock()
	if s.owner != cl {
		s.mu.Unlock()
		return
	}
	s.client = cl
	for i := range s.inflight {
		s.inflight[i].again = true
	}
	s.mu.Unlock()
	b.wg.Go(func() { s.write(cl, connOf(cl)) })
}

// detach takes notice of the end of a connection, however it came about.
func (b *Broker) detach(c *conn) {
	cl := c.client.Load()
	if cl == nil {
		return
	}
	b.life.Lock()
	defer b.life.Unlock()
	s := b.session(cl.ID)
	if s == nil {
		return
	}
	s.mu.Lock()
	if s.owner != cl { // taken over
		s.mu.Unlock()
		return
	}
	s.leave()
	s.persistent, s.expiry = c.persistent, c.expiry
	keep := s.persistent
	s.mu.Unlock()
	s.ring()
	if !keep {
		cl.Stop(nil)
		b.end(s)
	}
}

// leave ends the writing to the current connection: what has QoS 0 goes, and
// what is left is bounded as for clients that are away. The lock is held.
func (s *session) leave() {
	s.owner, s.client, s.away = nil, nil, time.Now()
	for range s.queue.Len() {
		if i := s.queue.Pop(); i.qos > 0 {
			s.queue.Push(i)
		} else {
			s.queued -= i.size()
			s.releases(&i)
		}
	}
	s.shrink(0)
}

func (s *session) ring() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// acknowledged handles a client's PUBACK, PUBREC or PUBCOMP. The library gets a packet without effect instead: it keeps
// one list for both directions, and would take a client's own packet id for one of ours.
func (b *Broker) acknowledged(cl *mqtt.Client, pk packets.Packet) packets.Packet {
	s := b.session(cl.ID)
	if s != nil {
		answer := s.acknowledge(cl, pk)
		if answer.FixedHeader.Type != 0 {
			_ = cl.WritePacket(answer)
		}
		s.ring()
	}
	return packet.Nothing(pk)
}

// acknowledge returns what is to be answered; its type is 0 for nothing.
func (s *session) acknowledge(cl *mqtt.Client, pk packets.Packet) (answer packets.Packet) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client != cl {
		return answer
	}
	i := slices.IndexFunc(s.inflight, func(f sent) bool { return f.id == pk.PacketID })
	if i < 0 || pk.FixedHeader.Type == packets.Pubrec && s.inflight[i].released {
		connOf(cl).weight = 1
	}
	if pk.FixedHeader.Type == packets.Pubrec {
		answer = packet.Pubrel(pk.PacketID)
		refused := pk.ReasonCode >= packets.ErrUnspecifiedError.Code
		switch {
		case i < 0:
			answer.ReasonCode = packets.ErrPacketIdentifierNotFound.Code
			return answer
		case !refused:
			s.inflight[i].released = true
			return answer
		}
	}
	if i >= 0 {
		s.releases(&s.inflight[i].item)
		s.inflight = slices.Delete(s.inflight, i, i+1)
	}
	return packets.Packet{}
}
