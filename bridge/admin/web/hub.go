//go:build !small

package web

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"lorawand/bridge/activity"
	"lorawand/bridge/event"
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

// isOf reports whether an entry may be seen by who sees an application; "" sees all.
func (e *entry) isOf(application string) bool {
	if application == "" {
		return true
	}
	of := e.message.Device.Application
	if e.event != nil {
		of = e.event.Device.Application
		if of == "" {
			of = e.event.Client.Application
		}
	}
	return of == "" || of == application
}

// ring holds the last entries.
type ring struct {
	size    int
	entries []entry // oldest first
}

func (r *ring) add(e entry) {
	if len(r.entries) >= r.size {
		copy(r.entries, r.entries[1:])
		r.entries = r.entries[:len(r.entries)-1]
	}
	r.entries = append(r.entries, e)
}

// after returns copies of those behind a number.
func (r *ring) after(n uint64) []entry {
	i, _ := slices.BinarySearchFunc(r.entries, n+1, func(e entry, n uint64) int { return int(int64(e.n) - int64(n)) })
	return slices.Clone(r.entries[i:])
}

// hub remembers what happens while somebody looks at the page, for all streams. It works
// from the first question until some time after the last; then it holds nothing.
type hub struct {
	events   *event.Log
	activity *activity.Log

	mu      sync.Mutex
	run     string // names what is remembered; "": it does not work
	last    uint64 // number of the newest entry
	main    ring
	noise   ring // neighbours' frames
	wake    map[chan struct{}]struct{}
	holders int // who keep it at work
	idle    *time.Timer
	stop    chan struct{}
	stopped chan struct{} // closed when the work has ended
}

// hold keeps the hub at work until release is called, and for a while after that. The
// error says that too many follow the events.
func (h *hub) hold() (release func(), err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.run == "" {
		if err := h.start(); err != nil {
			return nil, err
		}
	}
	h.holders++
	if h.idle != nil {
		h.idle.Stop()
		h.idle = nil
	}
	return sync.OnceFunc(h.release), nil
}

func (h *hub) release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.holders--; h.holders == 0 && h.run != "" {
		run := h.run
		h.idle = time.AfterFunc(lingering, func() { h.rest(run) })
	}
}

// rest ends the work if nobody has come meanwhile.
func (h *hub) rest(run string) {
	h.mu.Lock()
	if h.run != run || h.holders > 0 {
		h.mu.Unlock()
		return
	}
	h.end()
}

// end ends the work, whoever holds it, and waits. The lock is held, and freed.
func (h *hub) end() {
	close(h.stop)
	stopped := h.stopped
	h.run, h.main.entries, h.noise.entries, h.idle = "", nil, nil, nil
	h.mu.Unlock()
	<-stopped
}

// close ends the work when the daemon stops.
func (h *hub) close() {
	h.mu.Lock()
	if h.run == "" {
		h.mu.Unlock()
		return
	}
	if h.idle != nil {
		h.idle.Stop()
	}
	h.end()
}

// start begins with what is remembered elsewhere. The lock is held.
func (h *hub) start() error {
	before, news, part, err := h.events.Watch()
	if err != nil {
		return err
	}
	uplinks, items, unfollow, err := h.activity.Uplinks()
	if err != nil {
		part()
		return err
	}
	var id [4]byte
	_, _ = rand.Read(id[:]) // never fails
	h.run, h.last, h.wake = hex.EncodeToString(id[:]), 0, map[chan struct{}]struct{}{}
	h.main, h.noise = ring{size: ringSize}, ring{size: noiseSize}
	var all []entry
	for i := range before {
		if !isNeighbours(&before[i]) {
			all = append(all, entry{event: &before[i]})
		}
	}
	for _, m := range uplinks {
		all = append(all, entry{message: m})
	}
	slices.SortStableFunc(all, func(a, b entry) int { return int(min(max(a.at().Sub(b.at()), -1), 1)) })
	for _, e := range all[max(0, len(all)-ringSize):] {
		h.last++
		e.n = h.last
		h.main.add(e)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	h.stop, h.stopped = stop, stopped
	go func() {
		defer close(stopped)
		defer part()
		defer unfollow()
		h.work(stop, news, items)
	}()
	return nil
}

// work takes what happens until stop is closed.
func (h *hub) work(stop <-chan struct{}, news <-chan event.Event, items <-chan activity.Item) {
	for {
		select {
		case <-stop:
			return
		case e := <-news:
			h.take(stop, entry{event: &e})
		case i := <-items:
			if i.Event == nil && i.Message.Suffix == v3.Up {
				h.take(stop, entry{message: activity.Message{Device: i.Device, At: i.At, Payload: i.Message.Payload}})
			}
		}
	}
}

func (h *hub) take(stop <-chan struct{}, e entry) {
	h.mu.Lock()
	defer h.mu.Unlock()
	select {
	case <-stop: // meanwhile
		return
	default:
	}
	h.last++
	e.n = h.last
	if e.event != nil && isNeighbours(e.event) {
		h.noise.add(e)
	} else {
		h.main.add(e)
	}
	for ch := range h.wake {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

// listen returns a channel that tells of news.
func (h *hub) listen() (news <-chan struct{}, end func()) {
	ch := make(chan struct{}, 1)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.wake[ch] = struct{}{}
	return ch, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.wake, ch)
	}
}

// id names an entry.
func (h *hub) id(n uint64) string { return fmt.Sprintf("%s-%d", h.run, n) }

// position returns the number of an id, and whether what came after it is still there.
func (h *hub) position(id string) (n uint64, known bool) {
	run, text, _ := strings.Cut(id, "-")
	n, err := strconv.ParseUint(text, 10, 64)
	if run != h.run || err != nil || n > h.last {
		return h.last, false
	}
	if len(h.main.entries) == h.main.size && n+1 < h.main.entries[0].n {
		return h.last, false
	}
	return n, true
}

// show returns an entry as the page shows it.
func (h *hub) show(e *entry) shown {
	var out shown
	if e.event != nil {
		out = shownEvent(e.event)
	} else {
		out = shownUplink(&e.message)
	}
	out.ID = h.id(e.n)
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
