//go:build !small

package homeassistant

import (
	"bytes"
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"lorawand/bridge/order"
	"lorawand/bridge/session"
	"lorawand/bridge/v3"
)

const (
	maxWaiting = 64 // uplinks that wait to be read; a later one brings the same values
	remembered = 5  // uplinks that are read of a device that is told of the first time
	outdated   = 16 // uplinks without a value after which it may give way to another
	burst      = 16 // messages at a time: others wait for the broker too
	burstPause = 20 * time.Millisecond
	onlinePace = time.Second // between two times that all is sent again
	// comparePace is between two times that the devices of an application are compared with
	// what is known: that costs a pass over all of them.
	comparePace = time.Second
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

	compared map[string]time.Time // when the applications were last

	mu      sync.Mutex
	known   map[session.ID]*device
	early   map[session.ID]bool // devices at the start, until their application is compared
	used    map[string]int      // bytes that the devices of each application count for
	share   int                 // bytes that those of one application may
	changed map[string]bool     // applications whose devices are to be compared with what is known
	online  map[string]bool     // applications that all is to be sent of again
	waiting []v3.Message        // uplinks
	full    map[string]bool     // applications of which it was said that there is too much
}

// New returns an Announcer. Run does the work.
func New(o Options) *Announcer {
	a := &Announcer{
		o: o, log: cmp.Or(o.Logger, slog.Default()), wake: make(chan struct{}, 1), compared: map[string]time.Time{},
		known: map[session.ID]*device{}, early: map[session.ID]bool{}, used: map[string]int{},
		changed: map[string]bool{}, online: map[string]bool{}, full: map[string]bool{},
	}
	applications := o.Applications()
	a.share = maxBytes / max(1, len(applications))
	n := map[string]int{}
	for _, id := range o.Early {
		if n[id.Application]++; n[id.Application] <= a.share/perDevice && slices.Contains(applications, id.Application) {
			a.early[id] = true
		}
	}
	return a
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
	order.By(out, func(x, y v3.Message) int { return strings.Compare(x.Suffix, y.Suffix) })
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
	id := session.ID{Application: application, Device: levels[3]}
	return a.known[id] != nil || a.early[id]
}

// Run works until ctx ends.
func (a *Announcer) Run(ctx context.Context) error {
	for _, application := range a.o.Applications() {
		a.Changed(application)
	}
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.wake:
		case <-t.C:
		}
		now, later := a.due(time.Now())
		for _, application := range now {
			a.compare(ctx, application)
		}
		if later {
			t.Reset(comparePace)
		}
		a.read(ctx)
		all := a.take(&a.online)
		for _, application := range slices.Sorted(maps.Keys(all)) {
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

// due returns the applications whose devices are to be compared now. later says that
// there are others, which were compared just before.
func (a *Announcer) due(at time.Time) (now []string, later bool) {
	maps.DeleteFunc(a.compared, func(_ string, last time.Time) bool { return at.Sub(last) >= comparePace })
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, application := range slices.Sorted(maps.Keys(a.changed)) {
		if _, before := a.compared[application]; before {
			later = true
			continue
		}
		now = append(now, application)
		delete(a.changed, application)
		a.compared[application] = at
	}
	return now, later
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
	applications := a.o.Applications()
	if slices.Contains(applications, application) {
		err := a.o.Devices(ctx, application, func(d Device) error {
			devices = append(devices, d)
			return nil
		})
		if err != nil {
			return // the core stops
		}
	}
	a.divide(applications, application)
	told, reserved := a.fit(application, devices)
	news := a.remove(application, told)
	for _, d := range told {
		messages, cameNew := a.put(d, reserved)
		if news = append(news, messages...); cameNew {
			reserved -= perDevice
		}
	}
	a.mu.Lock()
	maps.DeleteFunc(a.early, func(id session.ID, _ bool) bool { return id.Application == application })
	a.mu.Unlock()
	a.send(ctx, news)
}

// divide gives each application an equal share. When that is another than before, the
// others than the one which is compared are to be compared too.
func (a *Announcer) divide(applications []string, compared string) {
	share := maxBytes / max(1, len(applications))
	a.mu.Lock()
	defer a.mu.Unlock()
	if share == a.share {
		return
	}
	a.share = share
	for _, other := range applications {
		if other != compared {
			a.changed[other] = true
		}
	}
	a.ring()
}

// fit returns those devices of an application that there is room for, the known ones
// first, and the bytes that the new ones of them take at least.
func (a *Announcer) fit(application string, devices []Device) (told []Device, reserved int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var known, others []Device
	for _, d := range devices {
		if a.known[d.ID] != nil {
			known = append(known, d)
		} else {
			others = append(others, d)
		}
	}
	size := 0
	for i, d := range slices.Concat(known, others) {
		before := a.known[d.ID]
		if size += max(perDevice, before.cost()); size > a.share {
			a.warn(d.ID)
			return told, reserved
		}
		if told = append(told, d); i >= len(known) {
			reserved += perDevice
		}
	}
	delete(a.full, application)
	return told, reserved
}

// warn says, once for an application, that there is too much. The lock is held.
func (a *Announcer) warn(id session.ID) {
	if a.full[id.Application] {
		return
	}
	a.full[id.Application] = true
	a.log.Warn("there are too many devices or values: Home Assistant is not told of more of them",
		"limit", a.share/perDevice, "limit_bytes", a.share, "application", id.Application, "device_id", id.Device)
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
			a.used[application] -= d.cost()
			delete(a.known, id)
			news = append(news, removal(id))
		}
	}
	if a.used[application] == 0 {
		delete(a.used, application)
	}
	return news
}

// put makes a device known. It returns what is to be sent, and whether the device was not
// known. Of what the application may have, so many bytes
// are for devices that are put yet, this one among them if it is new.
func (a *Announcer) put(d Device, reserved int) (news []v3.Message, cameNew bool) {
	a.mu.Lock()
	before, room := a.known[d.ID], a.share-a.used[d.ID.Application]-reserved
	a.mu.Unlock()
	next := device{Device: d, expire: unknownStep}
	switch {
	case before == nil:
		next.expire = stepOf(a.o.Interval(d.ID), unknownStep)
		next.message = next.written(a.o.Version)
		past := a.o.Uplinks(d.ID)
		for _, payload := range past[max(0, len(past)-remembered):] {
			if _, all := next.learn(payload, perDevice+max(0, room)); !all {
				break
			}
			next.message = next.written(a.o.Version)
		}
	case before.DevEUI == d.DevEUI && before.Decoder == d.Decoder:
		next.values, next.expire, next.uplinks = before.values, before.expire, before.uplinks
	default: // other values are to come
	}
	return a.store(&next), before == nil
}

// store puts a device into what is known. It returns what is to be sent if that is not
// what it was before: values that are not there any more have to be taken away first.
func (a *Announcer) store(d *device) (news []v3.Message) {
	d.message = d.written(a.o.Version)
	a.mu.Lock()
	defer a.mu.Unlock()
	before := a.known[d.ID]
	a.used[d.ID.Application] += d.cost() - before.cost()
	a.known[d.ID] = d
	if before == nil {
		return append(news, d.message)
	}
	if bytes.Equal(before.message.Payload, d.message.Payload) {
		return nil
	}
	if gone := before.gone(d); len(gone) > 0 {
		news = append(news, without(gone, &d.Device, d.values, d.expire, a.o.Version))
	}
	return append(news, d.message)
}

// read looks for new values in the uplinks that wait.
func (a *Announcer) read(ctx context.Context) {
	a.mu.Lock()
	waiting := a.waiting
	a.waiting = nil
	a.mu.Unlock()
	var news []v3.Message
	for i := range waiting {
		news = append(news, a.readOne(&waiting[i])...)
	}
	a.send(ctx, news)
}

// readOne looks for new values in an uplink. It returns what is to be sent.
func (a *Announcer) readOne(m *v3.Message) (news []v3.Message) {
	a.mu.Lock()
	known := a.known[session.ID{Application: m.Application, Device: m.Device}]
	limit := max(perDevice, known.cost()+a.share-a.used[m.Application])
	a.mu.Unlock()
	if known == nil {
		return nil
	}
	next := *known
	next.uplinks++
	other, all := next.learn(m.Payload, limit)
	if !all {
		a.mu.Lock()
		a.warn(next.ID)
		a.mu.Unlock()
	}
	// How often it sends is looked up when it was heard 4, 8, 16, … times: that reads much.
	if n := next.uplinks; n > 2 && n&(n-1) == 0 {
		next.expire = stepOf(a.o.Interval(next.ID), next.expire)
		other = other || next.expire != known.expire
	}
	if !other {
		known.uplinks, known.values = next.uplinks, next.values
		return nil
	}
	return a.store(&next)
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
