package broker

import (
	"strings"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"lorawand/bridge/access"
	"lorawand/bridge/broker/sessions"
	"lorawand/bridge/broker/status"
	"lorawand/bridge/broker/subscription"
	"lorawand/bridge/v3"
)

// Keeping has persistent sessions outlive a restart.
//
// Now and then, and not with each message, it looks at what waits: so nothing is written for a client that is connected
// and acknowledges. What is written each time is bounded; the rest follows later.
type Keeping struct {
	Every  time.Duration // between two looks
	Stored []sessions.Record
	Store  func([]sessions.Record) error // may wait for a disk
}

// keepingTime is how long the last looks may take when the broker stops.
const keepingTime = 2 * time.Second

// Packet ids skip ahead at a restart: the last ones that were used are known to the next idBlock only, and one that a
// client holds for a message of QoS 2 must not stand for another message.
const (
	idBlock    = 1 << 12
	aheadOfIDs = 5 * idBlock
)

// restore takes up the sessions that were stored. Nobody is connected yet.
func (b *Broker) restore() {
	if b.opts.Keep == nil {
		return
	}
	b.keeper = &sessions.Keeper{}
	found, last, faults := b.keeper.Find(b.opts.Keep.Stored)
	b.opts.Keep.Stored = nil
	b.seq.Store(last)
	if len(faults) > 0 {
		b.log.Error("MQTT sessions or messages of them are lost", "records", len(faults), "error", faults[0])
	}
	b.life.Lock()
	defer b.life.Unlock()
	for i := range found {
		if s := b.revive(&found[i].Session); s != nil {
			for k := range found[i].Waiting {
				s.revive(&found[i].Waiting[k])
			}
			for s.queue.Len() > b.limits.OfflineMessages { // which may be less than before
				s.dropOldest()
			}
			s.shrink(0)
		}
	}
	b.trim()
}

// revive makes a session of what was stored, unless its key is no more.
func (b *Broker) revive(x *sessions.Session) *session {
	key, ok := b.opts.Keys.Key(x.KeyID)
	application, _, _ := strings.Cut(x.ID, "/")
	if !ok || key.Application != application {
		return nil
	}
	b.makeRoom()
	cl := b.server.NewClient(nil, "", x.ID, false)
	cl.Properties.ProtocolVersion, cl.Properties.Props.SessionExpiryInterval = x.Version, forever
	s := &session{
		b: b, id: x.ID, application: application, wake: make(chan struct{}, 1), version: x.Version, persistent: true,
		login:  access.Login{Application: application, Tenant: x.Tenant, KeyID: x.KeyID, Rights: key.Rights},
		expiry: min(x.Expiry, b.limits.SessionExpiry), away: time.Now(), lastID: x.LastID + aheadOfIDs,
	}
	s.received.Restore(x.Received)
	for _, sub := range x.Subscriptions {
		if f, ok := status.Filter(sub.Filter, s.login); !ok || f != sub.Filter { // of another tenant
			continue
		}
		s.subscribe(subscription.New(sub.Filter, sub.QoS, sub.Identifier, application))
	}
	cl.Stop(packets.ErrServerShuttingDown)
	b.server.Clients.Add(cl)
	return b.add(s)
}

// revive takes up a message that was stored.
func (s *session) revive(m *sessions.Message) {
	if m.UID != s.application && m.UID != v3.UID(s.application, s.login.Tenant) {
		return
	}
	i := item{
		msg: &message{Message: v3.Message{
			Application: s.application, Device: m.Device, Suffix: m.Suffix, Payload: m.Payload,
		}},
		via: s.through(via{m.UID, m.Share, m.IDs}), qos: m.QoS, seq: m.Seq,
	}
	s.holds(&i)
	if m.PacketID != 0 {
		s.inflight = append(s.inflight, sent{item: i, id: m.PacketID, released: m.Released})
		return
	}
	s.queue.Push(i)
	s.queued += i.size()
}

// keep looks now and then at what there is to keep, until the broker stops.
func (b *Broker) keep() {
	t := time.NewTicker(b.opts.Keep.Every)
	defer t.Stop()
	for failed := false; ; {
		select {
		case <-b.stopping.Done():
			return
		case <-t.C:
			_, err := b.keepNow()
			if err != nil && !failed {
				b.log.Error("MQTT sessions cannot be stored; it is tried again", "error", err)
			}
			failed = err != nil
		}
	}
}

// keepNow stores what has changed of the sessions that are to outlive a restart, or
// as much of it as may be written at a time. more is false if nothing has changed.
func (b *Broker) keepNow() (more bool, err error) {
	l := &b.limits
	limits := sessions.Limits{Session: l.OfflineBytes, Total: l.KeptTotal, Write: sessions.WriteLimit(b.opts.Keep.Every)}
	records, done := b.keeper.Changes(b.persistent(), limits)
	if len(records) == 0 {
		return false, nil
	}
	if err := b.opts.Keep.Store(records); err != nil {
		return false, err
	}
	done()
	return true, nil
}

// keepAll stores what is left to store when the broker stops.
func (b *Broker) keepAll() {
	for end := time.Now().Add(keepingTime); time.Now().Before(end); {
		more, err := b.keepNow()
		if err != nil {
			b.log.Error("MQTT sessions cannot be stored", "error", err)
		}
		if !more {
			return
		}
	}
	b.log.Warn("MQTT sessions are not stored in time: what waits for clients may be lost")
}

// persistent returns the sessions that are to outlive a restart.
func (b *Broker) persistent() (out []sessions.Kept) {
	for _, s := range b.sessionsOf(nil, "") {
		if x, waiting, ok := s.snapshot(); ok {
			k := sessions.Kept{Session: x, Waiting: make([]sessions.Message, 0, len(waiting))}
			for i := range waiting {
				w := &waiting[i]
				k.Waiting = append(k.Waiting, sessions.Message{
					Session: s.id, Seq: w.seq, Device: w.msg.Device, Suffix: w.msg.Suffix, UID: w.uid, Share: w.share, QoS: w.qos,
					IDs: w.ids, PacketID: w.id, Released: w.released, Payload: w.msg.Payload,
				})
			}
			out = append(out, k)
		}
	}
	return out
}

// snapshot returns what there is to keep of a session, if it outlives its connection: first what is on its way, then
// what waits, oldest first. A status that is old by then is not kept.
func (s *session) snapshot() (x sessions.Session, waiting []sent, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x = sessions.Session{
		ID: s.id, KeyID: s.login.KeyID, Tenant: s.login.Tenant, Version: s.version, Expiry: s.expiry,
		LastID: s.lastID / idBlock * idBlock, Received: s.received.Unfinished(),
	}
	if !s.persistent {
		return x, nil, false
	}
	waiting = make([]sent, 0, len(s.inflight)+s.queue.Len())
	for _, sub := range s.subs {
		x.Subscriptions = append(x.Subscriptions, sessions.Subscription{
			Filter: sub.Filter, QoS: sub.QoS, Identifier: sub.Identifier,
		})
	}
	for _, f := range s.inflight {
		if !f.msg.IsStatus() {
			waiting = append(waiting, f)
		}
	}
	for i := range s.queue.All() {
		if i.qos > 0 && !i.msg.IsStatus() {
			waiting = append(waiting, sent{item: *i})
		}
	}
	return x, waiting, true
}
