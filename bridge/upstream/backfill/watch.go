package backfill

import (
	"bytes"
	"encoding/binary"
	"slices"
	"time"

	"lorawand/bridge/upstream/record"
	"lorawand/bridge/v3"
	"lorawand/radio"
	"lorawand/radio/frame"
)

// Times of the watch.
const (
	// outage is for how long a server must answer nothing, that what is not acknowledged counts
	// as missed. It is asked each 10 s (PULL_DATA), so two answers in a row are not there.
	outage = 25 * time.Second
	// settle is how long a PUSH_ACK may take.
	settle = 5 * time.Second
	// soonest is how long one takes on a slow way; when the program ends there is no time for more.
	soonest   = time.Second
	lookEvery = time.Second
	// sameFrame is for how long a DevAddr with a counter is the same frame.
	sameFrame = 30 * time.Second
)

// Bounds of the watch.
const (
	maxFrames = 1024 // all gateways together hear a few hundred a second
	maxItems  = 512
	maxBytes  = 512 << 10
)

// key is what a data frame and its message have in common.
type key struct {
	addr radio.DevAddr
	fCnt uint16 // its lower half
}

// identity is what tells a data frame from others: devices with ABP may share a DevAddr, and so send the same counter.
type identity struct {
	key
	mic [4]byte
}

// identify returns the identity of a data frame.
func identify(phy []byte) (id identity, ok bool) {
	h, ok := frame.HeadOf(phy)
	if !ok || !h.Type.Data() {
		return id, false
	}
	id.key = key{h.DevAddr, binary.LittleEndian.Uint16(phy[6:])}
	copy(id.mic[:], phy[len(phy)-len(id.mic):])
	return id, true
}

// sent is a frame of a device of ours that was for the server.
type sent struct {
	id           identity
	at           time.Time
	written      bool // by one gateway at least; else there was no way
	acknowledged bool
	before       time.Time // when the server has answered for the last time before the frame
	after        time.Time // and for the first time afterwards; zero: not yet
}

// item is a message of which it is not known whether the server got its frame:
//
//	watched ──(its frame is acknowledged, or the server answers all the time)──► forgotten
//	   └──(the server has answered nothing for so long, or there was no way to it)──► missed
type item struct {
	m     v3.Message
	at    time.Time
	frame *sent // nil: it was not seen
}

// watch sees what becomes of the frames. It has no lock of its own.
type watch struct {
	list  []item // the oldest first
	bytes int
	heard time.Time // when the server has answered for the last time, or when we have begun

	frames map[identity]*sent
	newest map[key]*sent
	ring   []*sent // in the order in which they came; once there are maxFrames, the oldest is at next
	next   int
}

func newWatch(now time.Time) watch {
	return watch{heard: now, frames: map[identity]*sent{}, newest: map[key]*sent{}}
}

// handed notes a frame.
func (w *watch) handed(phy []byte, now time.Time) {
	id, ok := identify(phy)
	if !ok {
		return
	}
	if f := w.frames[id]; f != nil && now.Sub(f.at) < sameFrame {
		return // another gateway has heard it too, or the device has sent it again
	}
	f := &sent{id: id, at: now, before: w.heard}
	if len(w.ring) < maxFrames {
		w.ring = append(w.ring, f)
	} else {
		w.forget(w.ring[w.next])
		w.ring[w.next] = f
		w.next = (w.next + 1) % maxFrames
	}
	w.frames[id], w.newest[id.key] = f, f
}

func (w *watch) forget(f *sent) {
	if w.frames[f.id] == f {
		delete(w.frames, f.id)
	}
	if w.newest[f.id.key] == f {
		delete(w.newest, f.id.key)
	}
}

// sent notes that a frame was written.
func (w *watch) sent(phy []byte) {
	if id, ok := identify(phy); ok && w.frames[id] != nil {
		w.frames[id].written = true
	}
}

// acknowledged notes that the server has a frame.
func (w *watch) acknowledged(phy []byte) {
	if id, ok := identify(phy); ok && w.frames[id] != nil {
		w.frames[id].acknowledged = true
	}
}

// answered notes that the server answers, and reports whether it does so again.
func (w *watch) answered(now time.Time) (again bool) {
	again = now.Sub(w.heard) >= outage
	w.heard = now
	// Those before the last without an answer have one: the newest come first.
	for i := len(w.ring) - 1; i >= 0; i-- {
		f := w.ring[(w.next+i)%len(w.ring)]
		if !f.after.IsZero() {
			break
		}
		f.after = now
	}
	return again
}

// publish takes a message. It returns those that were missed of what there is no room for.
func (w *watch) publish(m v3.Message, now time.Time) (missed []item) {
	w.list = append(w.list, item{m: m, at: now})
	w.bytes += size(&m)
	w.find(&w.list[len(w.list)-1])
	for len(w.list) > maxItems || w.bytes > maxBytes {
		it := &w.list[0]
		if w.find(it); it.frame != nil && !it.frame.acknowledged && (!it.frame.written || it.frame.after.IsZero()) {
			missed = append(missed, *it)
		}
		w.remove(0)
	}
	return missed
}

// size is about how much memory a message takes.
func size(m *v3.Message) int { return len(m.Payload) + 128 }

// find finds the frame of a message: the newest with its DevAddr and counter, as a message is made soon after its frame
// is heard. A location is that of the device's uplink.
func (w *watch) find(it *item) {
	if it.frame != nil {
		return
	}
	if it.m.Suffix == v3.Up {
		if addr, fCnt, ok := record.Sender(&it.m); ok {
			it.frame = w.newest[key{addr, uint16(fCnt)}]
		}
		return
	}
	for i := len(w.list) - 1; i >= 0; i-- {
		if of := &w.list[i]; of.m.Suffix == v3.Up && of.m.Device == it.m.Device && of.m.Application == it.m.Application {
			it.frame = of.frame
			return
		}
	}
}

// fate is what a look at a message says.
type fate uint8

const (
	open fate = iota
	forgotten
	lost // on the way to the server
)

func (w *watch) fate(it *item, now time.Time) fate {
	f := it.frame
	switch {
	case f != nil && f.acknowledged:
		return forgotten
	case now.Sub(it.at) < settle:
		return open
	case f == nil:
		return forgotten // it is not for that server
	case !f.written || f.silence(now) >= outage:
		return lost
	case !f.after.IsZero():
		return forgotten // a single datagram was lost, as at all times
	}
	return open
}

// silence is for how long the server has answered nothing around a frame.
func (f *sent) silence(now time.Time) time.Duration {
	if f.after.IsZero() {
		return now.Sub(f.before)
	}
	return f.after.Sub(f.before)
}

// look returns the messages that were missed, in their order. Those behind one of which
// nothing is known yet wait.
func (w *watch) look(now time.Time) (missed []item) {
	for i := range w.list {
		w.find(&w.list[i])
	}
	for len(w.list) > 0 {
		f := w.fate(&w.list[0], now)
		if f == open {
			break
		}
		if f == lost {
			missed = append(missed, w.list[0])
		}
		w.remove(0)
	}
	return missed
}

// wait returns how long it takes until a look can find more; false: there is nothing to be watched. In an outage that
// is when the oldest message has been there for long enough, so that an outage costs few wake-ups.
func (w *watch) wait(now time.Time) (time.Duration, bool) {
	if len(w.list) == 0 {
		return 0, false
	}
	it := &w.list[0]
	next := it.at.Add(settle)
	if it.frame != nil && !now.Before(next) {
		next = it.frame.before.Add(outage)
	}
	if now.Sub(w.heard) < outage/2 { // it answers
		next = now
	}
	return max(next.Sub(now), lookEvery), true
}

// end returns the messages that count as missed when the program ends: those whose frames have no PUSH_ACK,
// though there was time for one, unless the server has answered something behind them.
func (w *watch) end(now time.Time) (missed []item) {
	missed = w.look(now)
	for i := range w.list {
		it := &w.list[i]
		if w.find(it); it.frame == nil || it.frame.acknowledged {
			continue
		}
		silent := it.frame.after.IsZero() && now.Sub(it.frame.at) >= soonest
		if !it.frame.written || silent || it.frame.silence(now) >= outage {
			missed = append(missed, *it)
		}
	}
	w.list, w.bytes = nil, 0
	return missed
}

func (w *watch) remove(i int) {
	w.bytes -= size(&w.list[i].m)
	w.list = slices.Delete(w.list, i, i+1)
}

// isSimulated reports whether a message came by a simulation.
func isSimulated(m *v3.Message) bool { return bytes.HasSuffix(m.Payload, []byte(`"simulated":true}`)) }

// missed are messages that wait to be written to the journal. It has no lock of its own.
type missed struct {
	list    []item // the oldest first
	bytes   int
	writing int // the first of them are being written
}

// add adds messages. full says that it is time to write them.
func (q *missed) add(list []item) (full bool) {
	for i := range list {
		q.bytes += size(&list[i].m)
	}
	q.list = append(q.list, list...)
	return len(q.list) > maxItems/2 || q.bytes > maxBytes/2
}

// begin returns the messages that are to be written now: those whose frames the device sends no more, or with all, all.
// Those whose device has sent the same frame again, with success, were not missed; late is how many.
func (q *missed) begin(now time.Time, all bool) (list []item, late int) {
	for i := 0; i < len(q.list); {
		if f := q.list[i].frame; f != nil && f.acknowledged {
			q.drop(i, 1)
			late++
		} else {
			i++
		}
	}
	for q.writing = 0; q.writing < len(q.list); q.writing++ {
		if !all && now.Sub(q.list[q.writing].at) < sameFrame {
			break
		}
	}
	return slices.Clone(q.list[:q.writing]), late
}

// stored says that the first n of them are in the journal.
func (q *missed) stored(n int) {
	q.drop(0, n)
	q.writing = 0
}

// shorten removes messages that are not being written, each time the oldest of the application
// that has the most, until the others are within the bounds, and returns how many that were.
func (q *missed) shorten() (lost int) {
	for len(q.list)-q.writing > 0 && (len(q.list)-q.writing > maxItems || q.bytes > 2*maxBytes) {
		q.drop(q.replaceable(), 1)
		lost++
	}
	return lost
}

// replaceable returns the place of the oldest message of the application that has the most. A
// message counts for its part of either bound.
func (q *missed) replaceable() int {
	waiting := q.list[q.writing:]
	costs, most := map[string]int{}, 0
	for i := range waiting {
		of := waiting[i].m.Application
		costs[of] += size(&waiting[i].m) + 2*maxBytes/maxItems
		most = max(most, costs[of])
	}
	return q.writing + slices.IndexFunc(waiting, func(it item) bool { return costs[it.m.Application] == most })
}

func (q *missed) drop(at, n int) {
	for i := at; i < at+n; i++ {
		q.bytes -= size(&q.list[i].m)
	}
	q.list = slices.Delete(q.list, at, at+n)
}
