// Package activity remembers what every device did last: its last messages, its last
// events and its last join, in memory only. All of it together has a limit: when that
// is reached the oldest of the application that has the most goes, but of each device the
// last uplink and the last join go after all else of the application.
//
// Messages are kept as they were published and are not read before somebody asks, so
// that they cost the radio nothing.
package activity

import (
	"bytes"
	"cmp"
	"slices"
	"sync"
	"unsafe"

	"lorawand/bridge/event"
	"lorawand/bridge/session"
	"lorawand/bridge/v3"
	"lorawand/radio"
)

const (
	// DefaultLimit is for all devices together, in bytes: with 1 000 devices about one
	// uplink of each and as much again for the histories.
	DefaultLimit = 2560 << 10
	// perDevice is how many uplinks, other messages and events of a device are kept.
	perDevice = 50
	// longShare is the share of the limit that messages of a device may take besides its uplinks: what an
	// application pushes to one, which can be long, does not drive out all else.
	longShare = 10 // one tenth
)

// What an entry costs beside its text, in bytes.
const (
	deviceCost  = int(unsafe.Sizeof(device{})+unsafe.Sizeof(session.ID{})) + 128 // and its place in the map
	recordCost  = int(unsafe.Sizeof(record{})) + 16                              // and the reference to it
	eventCost   = int(unsafe.Sizeof(event.Event{})) + 192                        // and the texts in it
	decidedCost = 512                                                            // a decision
)

// Log remembers. It may be used by several goroutines.
type Log struct {
	limit int // bytes

	mu      sync.Mutex
	devices map[session.ID]*device
	shares  map[string]*share // of applications
	size    int               // bytes
	seq     uint64            // of the newest record

	followers []*follower
	hour      event.Hour // uplinks
}

// share is what is remembered of an application.
type share struct {
	older   queue // goes first
	latest  queue // the last uplink and the last join of each device
	size    int   // bytes
	devices int
}

// device is what is remembered of a device. Its records are oldest first.
type device struct {
	id      session.ID
	share   *share
	uplinks []*record // the last is in share.latest
	others  []*record
	events  []*record
	join    *record // in share.latest
	count   uint64  // uplinks since the start

	habit   *Habit    // nil: nobody has asked
	habitOf [2]uint64 // seq of the first and the last uplink that it is of
}

// record is a message or an event. It stands in a queue of Log and in its device.
type record struct {
	prev, next *record
	owner      *device
	seq        uint64
	at         radio.HostTime
	suffix     string       // of a message
	payload    []byte       // the same
	event      *event.Event // nil: a message
	cost       int
}

// New returns a Log for so many bytes; 0 is DefaultLimit.
func New(limit int) *Log {
	if limit == 0 {
		limit = DefaultLimit
	}
	return &Log{limit: limit, devices: map[session.ID]*device{}, shares: map[string]*share{}}
}

// simulated is how a message ends that an application has made up: it does not say
// that the device lives.
var simulated = []byte(`"simulated":true}`)

// Message takes a message that is published. It never blocks.
func (l *Log) Message(m v3.Message, at radio.HostTime) {
	if m.Device == "" {
		return
	}
	// The messages were not made to measure: Go rounds up what it allocates.
	r := &record{at: at, suffix: m.Suffix, payload: m.Payload, cost: recordCost + len(m.Payload) + len(m.Payload)/4}
	l.mu.Lock()
	defer l.mu.Unlock()
	d := l.device(session.ID{Application: m.Application, Device: m.Device})
	l.tell(Item{Device: d.id, Message: m, At: at})
	if m.Suffix != v3.Up || bytes.HasSuffix(m.Payload, simulated) {
		l.add(d, &d.others, r, &d.share.older)
		for cost(d.others) > l.limit/longShare && len(d.others) > 1 {
			l.drop(d.others[0])
			d.others = slices.Delete(d.others, 0, 1)
		}
	} else {
		d.count++
		l.hour.Add(at)
		if n := len(d.uplinks); n > 0 {
			d.uplinks[n-1].moveTo(&d.share.older)
		}
		l.add(d, &d.uplinks, r, &d.share.latest)
	}
	l.shrink()
}

// Event takes an event about a device; it passes over others.
func (l *Log) Event(e *event.Event) {
	if e.Device == (session.ID{}) || e.Kind == event.UplinkRepeated {
		return
	}
	own := *e
	r := &record{at: e.Host, event: &own, cost: costOf(e)}
	l.mu.Lock()
	defer l.mu.Unlock()
	d := l.device(e.Device)
	l.tell(Item{Device: d.id, Event: &own, At: own.Host})
	if n := len(d.events); n > 0 && repeats(&own, d.events[n-1].event) {
		l.drop(d.events[n-1])
		d.events = d.events[:n-1]
	}
	l.add(d, &d.events, r, &d.share.older)
	if e.Kind == event.JoinAccepted || e.Kind == event.JoinRefused {
		if d.join != nil {
			l.drop(d.join)
		}
		d.join = &record{owner: d, at: e.Host, event: &own, cost: costOf(e)}
		l.enter(d.join, &d.share.latest)
	}
	l.shrink()
}

func costOf(e *event.Event) int {
	cost := recordCost + eventCost
	if e.Decision != nil {
		cost += decidedCost
	}
	if e.Kind == event.FormatterLog || e.Kind == event.FormatterFailed {
		cost += len(e.Err.Error())
	}
	return cost
}

// repeats reports whether an event is one like the last that a stranger on the air can
// cause as often as he likes: it takes the place of that one.
func repeats(e, last *event.Event) bool {
	return e.Kind == event.UplinkDropped && last.Kind == e.Kind && last.Reason == e.Reason
}

// Forget forgets devices.
func (l *Log) Forget(ids ...session.ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range ids {
		d := l.devices[id]
		if d == nil {
			continue
		}
		for _, r := range slices.Concat(d.uplinks, d.others, d.events) {
			l.drop(r)
		}
		if d.join != nil {
			l.drop(d.join)
		}
		l.leave(d)
	}
}

// device returns the entry of a device.
func (l *Log) device(id session.ID) *device {
	d := l.devices[id]
	if d == nil {
		s := l.shares[id.Application]
		if s == nil {
			s = &share{}
			s.older.init()
			s.latest.init()
			l.shares[id.Application] = s
		}
		s.devices++
		d = &device{id: id, share: s}
		l.devices[id] = d
		l.takes(s, deviceCost)
	}
	return d
}

// leave removes the entry of a device.
func (l *Log) leave(d *device) {
	delete(l.devices, d.id)
	l.takes(d.share, -deviceCost)
	if d.share.devices--; d.share.devices == 0 {
		delete(l.shares, d.id.Application)
	}
}

// add adds a record to a list of a device. The oldest goes when there are too many.
func (l *Log) add(d *device, list *[]*record, r *record, q *queue) {
	r.owner = d
	if len(*list) >= perDevice {
		l.drop((*list)[0])
		*list = slices.Delete(*list, 0, 1)
	}
	*list = append(*list, r)
	l.enter(r, q)
}

// cost returns what records cost together.
func cost(records []*record) (bytes int) {
	for _, r := range records {
		bytes += r.cost
	}
	return bytes
}

func (l *Log) enter(r *record, q *queue) {
	l.seq++
	r.seq = l.seq
	l.takes(r.owner.share, r.cost)
	q.push(r)
}

// drop removes a record from its queue.
func (l *Log) drop(r *record) {
	r.unlink()
	l.takes(r.owner.share, -r.cost)
}

// takes counts bytes that an application takes.
func (l *Log) takes(s *share, bytes int) {
	s.size += bytes
	l.size += bytes
}

// shrink forgets what is too much.
func (l *Log) shrink() {
	for l.size > l.limit {
		r := l.oldest()
		if r == nil {
			return
		}
		l.drop(r)
		r.owner.remove(r)
		if r.owner.isEmpty() {
			l.leave(r.owner)
		}
	}
}

// oldest returns what goes next; nil: nothing is left.
func (l *Log) oldest() *record {
	var most *share
	for _, s := range l.shares {
		if most == nil || s.size > most.size {
			most = s
		}
	}
	if most == nil {
		return nil
	}
	return cmp.Or(most.older.first(), most.latest.first())
}

// remove takes a record out of the lists of its device. What goes is nearly always
// the first of one of them.
func (d *device) remove(r *record) {
	if d.join == r {
		d.join = nil
		return
	}
	for _, list := range []*[]*record{&d.uplinks, &d.others, &d.events} {
		if i := slices.Index(*list, r); i >= 0 {
			*list = slices.Delete(*list, i, i+1)
			if len(*list) == 0 {
				*list = nil
			}
			return
		}
	}
}

func (d *device) isEmpty() bool {
	return d.join == nil && len(d.uplinks) == 0 && len(d.others) == 0 && len(d.events) == 0
}

// queue is the records in the order in which they go; root is before the first and
// behind the last.
type queue struct{ root record }

func (q *queue) init() { q.root.prev, q.root.next = &q.root, &q.root }

func (q *queue) first() *record {
	if q.root.next == &q.root {
		return nil
	}
	return q.root.next
}

func (q *queue) push(r *record) {
	r.prev, r.next = q.root.prev, &q.root
	r.prev.next, q.root.prev = r, r
}

func (r *record) unlink() {
	r.prev.next, r.next.prev = r.next, r.prev
	r.prev, r.next = nil, nil
}

// moveTo puts a record at the end of another queue.
func (r *record) moveTo(q *queue) {
	r.unlink()
	q.push(r)
}
