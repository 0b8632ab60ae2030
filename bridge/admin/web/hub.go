//go:build !small

package web

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"lorawand/bridge/activity"
	"lorawand/bridge/event"
	"lorawand/bridge/order"
	"lorawand/bridge/v3"
	"lorawand/radio"
)

// Limits of the hub.
const (
	ringSize   = 300 // entries that a stream can catch up with
	noiseSize  = 32  // neighbours' frames, the same
	liveEvents = 120 // of the answer of live
	lingering  = 2 * time.Minute
)

// entry is an event or an uplink, with its number.
type entry struct {
	n       uint64
	event   *event.Event // nil: an uplink
	message activity.Message
}

func (e *entry) at() radio.HostTime {
	if e.event != nil {
		return e.event.Host
	}
	return e.message.At
}

// isOf reports whether an entry may be seen by who sees an application; "" sees all. What
// is of no application, such as a gateway or a stranger, is the owner's.
func (e *entry) isOf(application string) bool {
	if application == "" {
		return true
	}
	of := e.owner()
	if of == "" && e.event != nil {
		of = e.event.Client.Application
	}
	return of == application
}

// owner is the application that an entry counts for, "" for none. A client that has not logged
// in may name any.
func (e *entry) owner() string {
	if e.event != nil {
		return e.event.Application()
	}
	return e.message.Device.Application
}

// ring holds the last entries. When it is full, the oldest of the application that has the
// most goes; those of none are as of one more application.
type ring struct {
	size      int
	entries   []entry        // oldest first
	counts    map[string]int // of applications
	forgotten uint64         // number of the newest entry that has gone
}

func newRing(size int) ring { return ring{size: size, counts: map[string]int{}} }

func (r *ring) add(e entry) {
	r.counts[e.owner()]++
	if r.entries = append(r.entries, e); len(r.entries) <= r.size {
		return
	}
	most := 0
	for _, n := range r.counts {
		most = max(most, n)
	}
	i := slices.IndexFunc(r.entries, func(e entry) bool { return r.counts[e.owner()] == most })
	if of := r.entries[i].owner(); r.counts[of] == 1 {
		delete(r.counts, of)
	} else {
		r.counts[of]--
	}
	r.forgotten = max(r.forgotten, r.entries[i].n)
	r.entries = slices.Delete(r.entries, i, i+1)
}

// after returns copies of those behind a number.
func (r *ring) after(n uint64) []entry {
	i, _ := slices.BinarySearchFunc(r.entries, n+1, func(e entry, n uint64) int { return int(int64(e.n) - int64(n)) })
	return slices.Clone(r.entries[i:])
}

// hub has what happens while somebody looks at the page, for all streams. It works from
// the first question until some time after the last; then it holds nothing.
type hub struct {
	events   *event.Log
	activity *activity.Log

	mu      sync.Mutex
	work    *work // nil: nobody looks
	holders int   // who keep it at work
	idle    *time.Timer
	closed  bool
}

var errClosed = errors.New("the daemon stops")

// work remembers what happens.
type work struct {
	run     string // names what is remembered
	stop    chan struct{}
	stopped chan struct{} // closed when it has ended

	mu    sync.Mutex
	last  uint64 // number of the newest entry
	main  ring
	noise ring // neighbours' frames
	wake  map[chan struct{}]struct{}
}

// hold returns the work, and keeps it until release is called and for a while after that.
// The error says that too many follow the events.
func (h *hub) hold() (w *work, release func(), err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, nil, errClosed
	}
	if h.work == nil {
		if h.work, err = h.start(); err != nil {
			return nil, nil, err
		}
	}
	h.holders++
	if h.idle != nil {
		h.idle.Stop()
		h.idle = nil
	}
	return h.work, sync.OnceFunc(h.release), nil
}

func (h *hub) release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.holders--; h.holders == 0 && h.work != nil {
		w := h.work
		h.idle = time.AfterFunc(lingering, func() { h.rest(w) })
	}
}

// rest ends the work if nobody has come meanwhile.
func (h *hub) rest(w *work) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.work == w && h.holders == 0 {
		h.end()
	}
}

// end ends the work, and waits. The lock is held.
func (h *hub) end() {
	close(h.work.stop)
	<-h.work.stopped
	h.work, h.idle = nil, nil
}

// close ends the work when the daemon stops, whoever holds it; it does not begin again.
func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	if h.idle != nil {
		h.idle.Stop()
	}
	if h.work != nil {
		h.end()
	}
}

// start begins with what is remembered elsewhere.
func (h *hub) start() (*work, error) {
	before, news, part, err := h.events.Watch()
	if err != nil {
		return nil, err
	}
	uplinks, items, unfollow, err := h.activity.Uplinks()
	if err != nil {
		part()
		return nil, err
	}
	var id [4]byte
	_, _ = rand.Read(id[:]) // never fails
	w := &work{
		run: hex.EncodeToString(id[:]), stop: make(chan struct{}), stopped: make(chan struct{}),
		wake: map[chan struct{}]struct{}{}, main: newRing(ringSize), noise: newRing(noiseSize),
	}
	var all []entry
	for i := range before {
		if !isNeighbours(&before[i]) {
			all = append(all, entry{event: &before[i]})
		}
	}
	for _, m := range uplinks {
		all = append(all, entry{message: m})
	}
	order.By(all, func(a, b entry) int { return int(min(max(a.at().Sub(b.at()), -1), 1)) })
	for _, e := range all {
		w.last++
		e.n = w.last
		w.main.add(e)
	}
	go func() {
		defer close(w.stopped)
		defer part()
		defer unfollow()
		w.follow(news, items)
	}()
	return w, nil
}

// follow takes what happens until stop is closed.
func (w *work) follow(news <-chan event.Event, items <-chan activity.Item) {
	for {
		select {
		case <-w.stop:
			return
		case e := <-news:
			w.take(entry{event: &e})
		case i := <-items:
			if i.Event == nil && i.Message.Suffix == v3.Up {
				w.take(entry{message: activity.Message{Device: i.Device, At: i.At, Payload: i.Message.Payload}})
			}
		}
	}
}

func (w *work) take(e entry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last++
	e.n = w.last
	if e.event != nil && isNeighbours(e.event) {
		w.noise.add(e)
	} else {
		w.main.add(e)
	}
	for ch := range w.wake {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

// listen returns a channel that tells of news, and the number of the newest entry.
func (w *work) listen() (news <-chan struct{}, last uint64, end func()) {
	ch := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wake[ch] = struct{}{}
	return ch, w.last, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.wake, ch)
	}
}

// recent returns the last entries, oldest first, and the id of the newest.
func (w *work) recent() ([]entry, string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.main.after(0), w.id(w.last)
}

// after returns the entries behind two numbers, and the number of the newest. Not whole:
// some are forgotten.
func (w *work) after(main, noise uint64) (entries, neighbours []entry, last uint64, whole bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.main.after(main), w.noise.after(noise), w.last, w.has(main)
}

// has reports whether what came after an entry is still there. The lock is held.
func (w *work) has(n uint64) bool { return n <= w.last && n >= w.main.forgotten }

// position returns the number of an id, and whether what came after it is still there; if
// not, the number of the newest entry.
func (w *work) position(id string) (n uint64, known bool) {
	run, text, _ := strings.Cut(id, "-")
	n, err := strconv.ParseUint(text, 10, 64)
	w.mu.Lock()
	defer w.mu.Unlock()
	if run != w.run || err != nil || !w.has(n) {
		return w.last, false
	}
	return n, true
}

// id names an entry.
func (w *work) id(n uint64) string { return fmt.Sprintf("%s-%d", w.run, n) }

// show returns an entry as the page shows it.
func (w *work) show(e *entry) shown {
	var out shown
	if e.event != nil {
		out = shownEvent(e.event)
	} else {
		out = shownUplink(&e.message)
	}
	out.ID = w.id(e.n)
	return out
}

func shownUplink(m *activity.Message) shown {
	out := shown{
		At: ms(m.At), Kind: "up", Word: "Data", Tone: "ok", Application: m.Device.Application, Device: m.Device.Device,
		Uplink: uplinkOf(m), Raw: json.RawMessage(m.Payload),
	}
	if u := out.Uplink; u != nil && len(u.Heard) > 0 {
		out.Gateway = u.Heard[0].Gateway
	}
	return out
}
