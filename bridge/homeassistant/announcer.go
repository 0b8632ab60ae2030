//go:build !small

package homeassistant

import (
	"bytes"
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"lorawand/bridge/session"
	"lorawand/bridge/v3"
)

const (
	maxWaiting = 64 // uplinks that wait to be read; a later one brings the same values
	remembered = 5  // uplinks that are read of a device that is told of the first time
	burst      = 16 // messages at a time: others wait for the broker too
	burstPause = 20 * time.Millisecond
	onlinePace = time.Second // between two times that all is sent again
)

// steps are how long after its last uplink a device is unavailable, in steps: Home
// Assistant is told again only when it is another one.
var steps = [...]time.Duration{
	15 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, unknownStep, 3 * 24 * time.Hour,
	7 * 24 * time.Hour,
}

const (
	// A device is unavailable when it was not heard for so many of its usual intervals, or
	// for so long where those are not known.
	silentIntervals = 3
	unknownStep     = 24 * time.Hour
)

// Announcer keeps what Home Assistant is told.
type Announcer struct {
	o    Options
	log  *slog.Logger
	wake chan struct{}

	mu      sync.Mutex
	known   map[session.ID]*device
	size    int             // bytes of all messages
	changed map[string]bool // applications whose devices are to be compared with what is known
	online  map[string]bool // applications that all is to be sent of again
	waiting []v3.Message    // uplinks
	full    bool            // it was said that there is too much
}

// device is one that is told of.
type device struct {
	Device
	values  []value
	expire  time.Duration
	uplinks int // read since the start
	message v3.Message
}

// New returns an Announcer. Run does the work.
func New(o Options) *Announcer {
	return &Announcer{
		o: o, log: cmp.Or(o.Logger, slog.Default()), wake: make(chan struct{}, 1), known: map[session.ID]*device{},
		changed: map[string]bool{}, online: map[string]bool{},
	}
}

// Publish takes a message that is published. It never blocks.
func (a *Announcer) Publish(m v3.Message) {
	if m.Suffix != v3.Up {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.known[session.ID{Application: m.Application, Device: m.Device}] == nil || len(a.waiting) >= maxWaiting {
		return
	}
	a.waiting = append(a.waiting, m)
	a.ring()
}

// Changed says that the devices of an application, or whether it is to be told of, may be
// others than before. It never blocks.
func (a *Announcer) Changed(application string) { a.mark(&a.changed, application) }

// Online says that Home Assistant has come up and may have forgotten everything. It never
// blocks.
func (a *Announcer) Online(application string) { a.mark(&a.online, application) }

func (a *Announcer) mark(set *map[string]bool, application string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	(*set)[application] = true
	a.ring()
}

func (a *Announcer) ring() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// Retained returns the messages of an application.
func (a *Announcer) Retained(application string) (out []v3.Message) {
	a.mu.Lock()
	for id, d := range a.known {
		if id.Application == application {
			out = append(out, d.message)
		}
	}
	a.mu.Unlock()
	slices.SortFunc(out, func(x, y v3.Message) int { return strings.Compare(x.Suffix, y.Suffix) })
	return out
}

// Announces reports whether a topic filter is the state topic of a device that is told of:
// v3/{application}/devices/{device}/up, with or without a tenant, and nothing else.
func (a *Announcer) Announces(application, filter string) bool {
	levels := strings.SplitN(filter, "/", 6)
	if len(levels) != 5 || levels[0] != "v3" || levels[2] != "devices" || levels[4] != v3.Up {
		return false
	}
	if uid, _, _ := strings.Cut(levels[1], "@"); uid != application {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.known[session.ID{Application: application, Device: levels[3]}] != nil
}

// Run works until ctx ends.
func (a *Announcer) Run(ctx context.Context) error {
	for _, application := range a.o.Applications() {
		a.Changed(application)
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.wake:
		}
		for application := range a.take(&a.changed) {
			a.compare(ctx, application)
		}
		a.read(ctx)
		all := a.take(&a.online)
		for application := range all {
			again := a.Retained(application)
			for i := range again {
				again[i].Again = true
			}
			a.send(ctx, again)
		}
		if len(all) > 0 {
			pause(ctx, onlinePace)
		}
	}
}

// take empties a set.
func (a *Announcer) take(set *map[string]bool) map[string]bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := *set
	*set = map[string]bool{}
	return all
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// send sends messages, with pauses: what waits for the broker has a bound.
func (a *Announcer) send(ctx context.Context, messages []v3.Message) {
	for i, m := range messages {
		if i > 0 && i%burst == 0 {
			pause(ctx, burstPause)
		}
		if ctx.Err() != nil {
			return
		}
		a.o.Send(m)
	}
}

// compare makes what is known of an application what it is to be, and sends what is new
// and what goes.
func (a *Announcer) compare(ctx context.Context, application string) {
	var devices []Device
	if slices.Contains(a.o.Applications(), application) {
		err := a.o.Devices(ctx, application, func(d Device) error {
			devices = append(devices, d)
			return nil
		})
		if err != nil {
			return // the core stops
		}
	}
	news := a.remove(application, devices)
	for _, d := range devices {
		if m, isNew := a.put(d); isNew {
			news = append(news, m)
		}
	}
	a.send(ctx, news)
}

// remove forgets the devices of an application that are not there any more. It returns
// the messages that say so.
func (a *Announcer) remove(application string, left []Device) (news []v3.Message) {
	there := map[session.ID]bool{}
	for i := range left {
		there[left[i].ID] = true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, d := range a.known {
		if id.Application == application && !there[id] {
			a.size -= len(d.message.Payload)
			delete(a.known, id)
			news = append(news, removal(id))
			a.full = false
		}
	}
	return news
}

// put makes a device known. It returns its message where that is another than before.
func (a *Announcer) put(d Device) (m v3.Message, isNew bool) {
	a.mu.Lock()
	before := a.known[d.ID]
	a.mu.Unlock()
	next := device{Device: d, expire: unknownStep}
	if before != nil {
		next.values, next.expire, next.uplinks = before.values, before.expire, before.uplinks
	} else {
		past := a.o.Uplinks(d.ID)
		for _, payload := range past[max(0, len(past)-remembered):] {
			next.learn(payload)
		}
		next.expire = stepOf(a.o.Interval(d.ID), unknownStep)
	}
	return a.store(&next)
}

// learn takes what an uplink has of values that are not known yet.
func (d *device) learn(payload []byte) (news bool) {
	for _, v := range valuesOf(payload) {
		if len(d.values) >= maxValues {
			break
		}
		if !slices.ContainsFunc(d.values, func(old value) bool { return old.same(&v) }) {
			d.values = append(slices.Clip(d.values), v)
			news = true
		}
	}
	return news
}

// store puts a device into what is known, if there is room. It returns its message where
// that is another than before.
func (a *Announcer) store(d *device) (m v3.Message, isNew bool) {
	d.message = messageOf(&d.Device, d.values, d.expire, a.o.Version)
	a.mu.Lock()
	defer a.mu.Unlock()
	before, size := a.known[d.ID], a.size+len(d.message.Payload)
	switch {
	case before != nil:
		size -= len(before.message.Payload)
	case len(a.known) >= maxDevices:
		size = maxBytes + 1
	}
	if size > maxBytes {
		if !a.full {
			a.full = true
			a.log.Warn("there are too many devices or values: Home Assistant is not told of more of them",
				"limit", maxDevices, "limit_bytes", maxBytes, "device_id", d.ID)
		}
		return m, false
	}
	a.known[d.ID], a.size = d, size
	return d.message, before == nil || !bytes.Equal(before.message.Payload, d.message.Payload)
}

// read looks for new values in the uplinks that wait.
func (a *Announcer) read(ctx context.Context) {
	a.mu.Lock()
	waiting := a.waiting
	a.waiting = nil
	a.mu.Unlock()
	var news []v3.Message
	for i := range waiting {
		m := &waiting[i]
		a.mu.Lock()
		known := a.known[session.ID{Application: m.Application, Device: m.Device}]
		a.mu.Unlock()
		if known == nil {
			continue
		}
		next := *known
		other := next.learn(m.Payload)
		next.uplinks++
		// How often it sends is looked up when it was heard 4, 8, 16, … times: that reads much.
		if n := next.uplinks; n > 2 && n&(n-1) == 0 {
			next.expire = stepOf(a.o.Interval(next.ID), next.expire)
			other = other || next.expire != known.expire
		}
		if !other {
			known.uplinks = next.uplinks
		} else if message, isNew := a.store(&next); isNew {
			news = append(news, message)
		}
	}
	a.send(ctx, news)
}

// stepOf returns the step for a device that sends so often. One that is not known leaves
// the step as it is.
func stepOf(interval, before time.Duration) time.Duration {
	if interval <= 0 {
		return before
	}
	for _, step := range steps {
		if step >= silentIntervals*interval {
			return step
		}
	}
	return steps[len(steps)-1]
}
