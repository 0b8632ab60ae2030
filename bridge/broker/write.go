package broker

import (
	"slices"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"lorawand/bridge/broker/packet"
)

// What goes out is put together here and not by the library, whose packets are copied and allocated several times on
// their way: what waits for a client goes into a buffer that belongs to its writer, and from there with one write.

// write writes to a connection until that ends.
func (s *session) write(cl *mqtt.Client, c *conn) {
	for {
		buf := s.b.buffers.Get().(*[]byte) // those that wait for nothing hold none
		p, messages, over := s.gather(cl, c, (*buf)[:0])
		switch {
		case over:
			return
		case len(p) == 0:
			s.b.buffers.Put(buf)
			select {
			case <-s.wake:
				continue
			case <-c.done:
				return
			}
		}
		cl.Lock() // as the library does when it writes
		_, err := c.Write(p)
		cl.Unlock()
		if err != nil {
			return // the connection is at its end
		}
		s.b.delivered.Add(messages)
		if *buf = p; cap(p) <= 2*gathered {
			s.b.buffers.Put(buf)
		}
	}
}

// gathered is how much is written at once, in bytes, if it waits; a longer message goes alone.
const gathered = 4 << 10

// gather appends packets that wait to be written. messages is how many of them
// are messages; over says that the connection is no longer the session's.
func (s *session) gather(cl *mqtt.Client, c *conn, buf []byte) (p []byte, messages uint64, over bool) {
	for len(buf) < gathered {
		p, id, over := s.next(cl, buf)
		size := len(p) - len(buf)
		switch {
		case over:
			return nil, 0, true
		case size == 0:
			return buf, messages, false
		case c.most > 0 && size > c.most:
			s.forget(cl, id) // the client does not want it (MQTT 5.0, 3.1.2.11.4)
			continue
		case p[len(buf)]>>4 == packets.Publish:
			messages++
		}
		buf = p
	}
	return buf, messages, false
}

// next appends the next packet to write and returns its packet id; it appends
// nothing if there is none. over says that the connection is no longer the session's.
func (s *session) next(cl *mqtt.Client, buf []byte) (p []byte, id uint16, over bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client != cl {
		return nil, 0, true
	}
	version := connOf(cl).version
	if f := s.toRepeat(); f != nil {
		f.again = false
		if f.released {
			return packet.AppendPubrel(buf, f.id), f.id, false
		}
		return appendPublish(buf, version, &f.item, f.id, true), f.id, false
	}
	if s.queue.Len() == 0 || s.queue.First().qos > 0 && !s.windowOpen() {
		return buf, 0, false
	}
	i := s.queue.Pop()
	s.queued -= i.size()
	if i.qos > 0 {
		id = s.nextID()
		s.inflight = append(s.inflight, sent{item: i, id: id})
	} else {
		s.releases(&i)
	}
	return appendPublish(buf, version, &i, id, false), id, false
}

// toRepeat returns the next message on its way that is to be sent once more, or nil. Of an earlier connection there may
// be more than the client takes at a time now (MQTT 5.0, 4.9); a PUBREL does not wait for that. The lock is held.
func (s *session) toRepeat() (next *sent) {
	sent := 0
	for i := range s.inflight {
		f := &s.inflight[i]
		switch {
		case !f.again:
			sent++
		case next == nil || f.released && !next.released:
			next = f
		}
	}
	if next != nil && (next.released || sent < s.window) {
		return next
	}
	return nil
}

// windowOpen reports whether one more message with an acknowledgement may be on its way. What is on its way cannot be
// dropped, so beyond the limit of what is kept for all clients only one is. The lock is held.
func (s *session) windowOpen() bool {
	n := len(s.inflight)
	return n == 0 || n < s.window && s.b.kept.Load() <= int64(s.b.limits.OfflineTotal)
}

// nextID returns a packet id that is not in use. The window is far smaller than the number of ids.
func (s *session) nextID() uint16 {
	for {
		s.lastID++
		if s.lastID != 0 && !slices.ContainsFunc(s.inflight, func(f sent) bool { return f.id == s.lastID }) {
			return s.lastID
		}
	}
}

// appendPublish appends a PUBLISH.
func appendPublish(dst []byte, version byte, i *item, id uint16, again bool) []byte {
	p := packet.Publish{
		Message: &i.msg.Message, UID: i.uid, QoS: i.qos, IDs: i.ids, Retained: i.retained,
		Version: version, PacketID: id, Again: again,
	}
	return p.Append(dst)
}

// forget takes a message out of those on their way.
func (s *session) forget(cl *mqtt.Client, id uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client != cl || id == 0 {
		return
	}
	if i := slices.IndexFunc(s.inflight, func(f sent) bool { return f.id == id }); i >= 0 {
		s.releases(&s.inflight[i].item)
		s.inflight = slices.Delete(s.inflight, i, i+1)
	}
}
