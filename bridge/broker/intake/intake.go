// Package intake bounds the memory of the long packets that a broker takes in.
package intake

import (
	"slices"
	"sync"
	"time"
)

// Limits of the long packets that are read, or carried out, at a time.
const (
	Long    = 4 << 10     // bytes; a packet that is not longer counts for nothing
	most    = 128 << 10   // bytes of all of them
	ofOne   = most / 2    // of those of one application, or of strangers; a longer packet counts as that
	waiting = time.Second // for room; then a packet that has not come gives way
)

// Intake is the room for long packets. One that finds none waits for it: its client, which
// cannot send any more, waits too. If it waits for too long, the oldest packet that has not come
// completely gives way, of the application that holds the most with such packets. An application
// has no more than half of the room, so one that floods it waits for itself. The zero value is
// ready.
type Intake struct {
	mu    sync.Mutex
	held  []*held   // oldest first
	queue []*waiter // in order of arrival
}

// Place is where a connection has its packet. The zero value is ready; it belongs to the
// goroutine that reads.
type Place struct {
	in *Intake
	p  *held // nil: its packet is not long, or there is none
}

// Enter waits until there is room for a packet of so many bytes of an application, if it is long;
// strangers have the name "". giveWay ends the connection if the packet has to give way: it must not
// block. Enter reports false if the connection was closed before.
func (p *Place) Enter(in *Intake, application string, bytes int, giveWay func(), closed <-chan struct{}) bool {
	if bytes <= Long {
		return true
	}
	p.in, p.p = in, in.take(&held{application: application, bytes: min(bytes, ofOne), giveWay: giveWay}, closed)
	return p.p != nil
}

// Complete notes that the packet has come. It does not give way any more: it is carried out, which
// has an end.
func (p *Place) Complete() {
	if p.p != nil {
		p.in.mu.Lock()
		defer p.in.mu.Unlock()
		p.p.complete = true
	}
}

// Leave gives the room of the packet back.
func (p *Place) Leave() {
	if p.p != nil {
		p.in.mu.Lock()
		defer p.in.mu.Unlock()
		p.in.free(p.p)
		p.p = nil
	}
}

// held is the room of a packet.
type held struct {
	application string
	bytes       int
	complete    bool
	giveWay     func()
}

// waiter is a packet that waits for room.
type waiter struct {
	place *held
	late  bool          // it has waited for too long: nobody goes before it any more
	room  chan struct{} // closed when it has it
}

// take waits until there is room. It returns nil if the connection was closed before.
func (in *Intake) take(p *held, closed <-chan struct{}) *held {
	w := &waiter{place: p, room: make(chan struct{})}
	in.mu.Lock()
	in.queue = append(in.queue, w)
	in.admit()
	in.mu.Unlock()
	for {
		late := time.NewTimer(waiting)
		select {
		case <-w.room:
			late.Stop()
			return p
		case <-closed:
			late.Stop()
			in.leave(w)
			return nil
		case <-late.C:
			in.displace(w)
		}
	}
}

// free takes a packet out, and lets others in. The lock is held.
func (in *Intake) free(p *held) {
	in.held = slices.DeleteFunc(in.held, func(o *held) bool { return o == p })
	in.admit()
}

// leave takes a packet out of the queue, or out of the room that it has got meanwhile.
func (in *Intake) leave(w *waiter) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.queue = slices.DeleteFunc(in.queue, func(o *waiter) bool { return o == w })
	in.free(w.place)
}

// admit lets in who waits and has room: those that are late first. What becomes free is kept for one of these
// that fits into its own half, so that many short packets cannot keep a longer one out. The lock is held.
func (in *Intake) admit() {
	for _, late := range []bool{true, false} {
		kept := false
		in.queue = slices.DeleteFunc(in.queue, func(w *waiter) bool {
			if w.late != late || kept {
				return false
			}
			all, own := in.with(w.place)
			fits := all <= most && own <= ofOne
			if fits {
				in.held = append(in.held, w.place)
				close(w.room)
			}
			kept = late && all > most && own <= ofOne
			return fits
		})
		if kept {
			return
		}
	}
}

// with returns the bytes that are held with a packet, of all and of its application. The lock is held.
func (in *Intake) with(p *held) (all, own int) {
	all, own = p.bytes, p.bytes
	for _, o := range in.held {
		if all += o.bytes; o.application == p.application {
			own += o.bytes
		}
	}
	return all, own
}

// displace makes room for a packet that has waited for too long, if others that have not come
// completely are in its way.
func (in *Intake) displace(w *waiter) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !slices.Contains(in.queue, w) {
		return // it was let in
	}
	w.late = true
	for victim := in.victim(w.place); victim != nil; victim = in.victim(w.place) {
		victim.giveWay()
		in.held = slices.DeleteFunc(in.held, func(o *held) bool { return o == victim })
	}
	in.admit()
}

// victim returns the packet that gives way to another one, if that does not fit: the oldest that has not come
// completely, of the application that holds the most with such packets. The lock is held.
func (in *Intake) victim(p *held) (victim *held) {
	all, own := in.with(p)
	if all <= most && own <= ofOne {
		return nil
	}
	bytes := map[string]int{}
	for _, o := range in.held {
		if !o.complete {
			bytes[o.application] += o.bytes
		}
	}
	for _, o := range in.held {
		inTheWay := !o.complete && (own <= ofOne || o.application == p.application)
		if inTheWay && (victim == nil || bytes[o.application] > bytes[victim.application]) {
			victim = o
		}
	}
	return victim
}
