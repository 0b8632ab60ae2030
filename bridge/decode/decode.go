// Package decode stands between the core and the broker: it completes the messages of
// devices that have a payload formatter, and passes on all others as they are.
//
// The core never waits: scripts run in the goroutine and the process of
// formatter.Pool, which gives a result within a bounded time, be the script what it
// may and the child of whatever slowness. Messages of a device keep their order: those that follow one whose
// payload is with a script wait behind it, and go out with it. How many may wait is
// bounded; when there are too many of a device, all of them go out at once, without
// what their formatters would have made of them and with a warning that says so.
package decode

import (
	"context"
	"maps"
	"sync"
	"time"

	"lorawand/bridge/event"
	"lorawand/bridge/formatter"
	"lorawand/bridge/session"
	"lorawand/bridge/v3"
)

// Limits of the messages that wait.
const (
	maxLine    = 32  // of one device
	maxWaiting = 256 // of all devices together
)

// Options configures a Decoder.
type Options struct {
	Device     func(session.ID) *session.Device // nil: there is none any more; only Publish calls it
	Pool       *formatter.Pool
	Formatters Formatters
	Encoder    v3.Encoder
	Publish    func(v3.Message) // takes what is complete; must not block
	// Located is told where a payload places its device, when that is new; must not
	// block.
	Located func(id session.ID, service string, l session.Location)
	Report  func(event.Event) // takes what becomes of scripts; must not block
}

// Decoder completes messages. Publish belongs to one goroutine, that of the owner of
// the devices; the other methods may be called by several.
type Decoder struct {
	o Options

	mu      sync.Mutex
	lines   map[session.ID]*line
	waiting int // jobs in all lines
}

// line is the messages of a device from one whose payload is with a script on. A
// line without jobs is none.
type line struct {
	id   session.ID
	jobs []*job // the first is being decoded

	// Where the last payload has placed the device, elsewhere than the one before; nil: none has. It
	// belongs to who does the first job: those behind it came before anybody could be told.
	placed *session.Location
}

// job is a message with what decodes it.
type job struct {
	message   v3.Message
	undecoded v3.Undecoded
	formatter formatter.Formatter
	warning   string
	locations map[string]session.Location // of the device
	since     time.Time                   // when the message came
}

// New returns a Decoder.
func New(o Options) *Decoder { return &Decoder{o: o, lines: map[session.ID]*line{}} }

// Publish takes a message. It never blocks.
func (d *Decoder) Publish(m v3.Message, u v3.Undecoded) {
	id := session.ID{Application: m.Application, Device: m.Device}
	var device *session.Device
	// Without FPort there is no payload of an application, but in a push that is refused.
	if u.FPort > 0 || m.Suffix == v3.DownFailed && len(u.FRMPayload) > 0 {
		device = d.o.Device(id)
	}
	f, warning := d.formatter(&m, device)
	if f.Kind() == formatter.None && warning == "" && !d.waits(id) {
		d.o.Publish(m)
		return
	}
	j := &job{message: m, undecoded: u, formatter: f, warning: warning, since: time.Now()}
	if device != nil {
		j.locations = device.Locations
	}
	if l := d.queue(id, j); l != nil {
		d.advance(l)
	}
}

// formatter returns what decodes a message of a device, which may be nil; the zero
// Formatter is nothing. What only the application can decrypt is not decoded.
func (d *Decoder) formatter(m *v3.Message, device *session.Device) (formatter.Formatter, string) {
	switch {
	case device == nil || device.SkipCrypto:
		return formatter.Formatter{}, ""
	case m.Suffix == v3.Up:
		return d.o.Formatters.Formatter(device, formatter.DecodeUplink)
	}
	f, _ := d.o.Formatters.Formatter(device, formatter.DecodeDownlink)
	if !f.Names("decodeDownlink") {
		return formatter.Formatter{}, ""
	}
	return f, ""
}

// waits reports whether messages of a device wait.
func (d *Decoder) waits(id session.ID) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.lines) > 0 && d.lines[id] != nil
}

// queue adds a job behind those of its device that wait. It returns the line if the
// job is its first: then the caller has to call advance.
func (d *Decoder) queue(id session.ID, j *job) *line {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.lines[id]
	switch {
	case d.waiting >= maxWaiting || l != nil && len(l.jobs) >= maxLine:
		if l != nil {
			d.giveUp(l)
		}
		d.publish(d.messages(j, j.refused(formatter.ErrBusy)))
		return nil
	case l != nil:
		d.waiting++
		l.jobs = append(l.jobs, j)
		return nil
	}
	d.waiting++
	l = &line{id: id, jobs: []*job{j}}
	d.lines[id] = l
	return l
}

// giveUp publishes all jobs of a line as they are. mu is held.
func (d *Decoder) giveUp(l *line) {
	for _, j := range l.jobs {
		d.publish(d.messages(j, j.refused(formatter.ErrBusy)))
	}
	d.waiting -= len(l.jobs)
	l.jobs = nil
	delete(d.lines, l.id)
}

// refused is the result of a job that was not done.
func (j *job) refused(why error) formatter.Result {
	if j.formatter.Kind() == formatter.None {
		return formatter.Result{}
	}
	return formatter.Refused(j.request(), why)
}

// request is what the formatter is asked.
func (j *job) request() formatter.Request {
	r := formatter.Request{
		Formatter: j.formatter, Task: formatter.DecodeDownlink, FPort: j.undecoded.FPort, Bytes: j.undecoded.FRMPayload,
		Since: j.since,
	}
	if j.message.Suffix == v3.Up {
		r.Task, r.Received = formatter.DecodeUplink, j.undecoded.Received
	}
	return r
}

// advance has the first job of a line done, and those behind it, until one is with a
// script: that one goes on here when it is done.
func (d *Decoder) advance(l *line) {
	for j := d.first(l); j != nil; j = d.first(l) {
		if j.formatter.Kind() != formatter.JavaScript {
			d.finish(l, j, d.o.Pool.Do(context.Background(), j.request())) // no script: it does not wait
			continue
		}
		err := d.o.Pool.Submit(j.request(), func(res formatter.Result) {
			d.finish(l, j, res)
			d.advance(l)
		})
		if err == nil {
			return
		}
		d.finish(l, j, j.refused(err))
	}
}

func (d *Decoder) first(l *line) *job {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(l.jobs) == 0 {
		return nil
	}
	return l.jobs[0]
}

// finish publishes the first job of a line, unless it was given up meanwhile.
func (d *Decoder) finish(l *line, j *job, res formatter.Result) {
	j.follow(l.placed)
	messages := d.messages(j, res)
	d.tell(l, j, res)
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(l.jobs) == 0 || l.jobs[0] != j {
		return
	}
	d.publish(messages)
	l.jobs[0] = nil
	l.jobs = l.jobs[1:]
	d.waiting--
	if len(l.jobs) == 0 {
		delete(d.lines, l.id)
	}
}

func (d *Decoder) publish(messages []v3.Message) {
	for _, m := range messages {
		d.o.Publish(m)
	}
}

// tell reports what came of a job beside its messages.
func (d *Decoder) tell(l *line, j *job, res formatter.Result) {
	id := l.id
	d.report(event.FormatterLog, id, said(res.Log))
	if res.Fail != nil {
		d.report(event.FormatterFailed, id, res.Fail)
	}
	if at, ok := j.location(res); ok && j.moved(at) {
		l.placed = &at
		d.o.Located(id, fromPayload, at)
	}
}

// report reports an event, if there is something to say.
func (d *Decoder) report(kind event.Kind, id session.ID, what error) {
	if what != nil {
		d.o.Report(event.Event{Kind: kind, Device: id, Err: what})
	}
}

// messages returns what is to be published: the message itself, and after an uplink
// what follows from its payload.
func (d *Decoder) messages(j *job, res formatter.Result) []v3.Message {
	uplink := j.message.Suffix == v3.Up
	if !uplink && res.Fail != nil {
		return []v3.Message{j.message} // as The Things Stack
	}
	made := v3.Decoded{
		Payload: res.Data, Warnings: res.Warnings, Normalized: res.Normalized, NormalizedWarnings: res.NormalizedWarnings,
	}
	if j.warning != "" {
		made.Warnings = append(made.Warnings[:len(made.Warnings):len(made.Warnings)], j.warning)
	}
	at, located := j.location(res)
	if located {
		made.Locations = maps.Clone(j.locations)
		if made.Locations == nil {
			made.Locations = map[string]session.Location{}
		}
		made.Locations[fromPayload] = at
	}
	e, text, places := &d.o.Encoder, j.message.Payload, j.undecoded.Places
	out := []v3.Message{j.message}
	if made.Payload != nil || len(made.Warnings) > 0 {
		room := len(text) + len(made.Payload) + spliceRoom
		out[0].Payload = e.AppendDecoded(make([]byte, 0, room), text, places, &made)
	}
	if !uplink {
		return out
	}
	more := func(suffix string, payload []byte) {
		m := j.message
		m.Suffix, m.Payload = suffix, payload
		out = append(out, m)
	}
	for _, measurement := range made.Normalized {
		more(v3.Normalized, e.AppendNormalized(nil, text, places, &made, measurement))
	}
	if located && j.moved(at) {
		more(v3.Solved, e.AppendLocationSolved(nil, text, places, fromPayload, at))
	}
	return out
}

// spliceRoom is for the names of members and a warning, in bytes.
const spliceRoom = 256

// location returns where the payload of an uplink places the device.
func (j *job) location(res formatter.Result) (session.Location, bool) {
	if j.message.Suffix != v3.Up || j.undecoded.Simulated {
		return session.Location{}, false
	}
	return locationIn(res.Data)
}

// follow has a job know of a place that those before it in its line have found.
func (j *job) follow(placed *session.Location) {
	if placed == nil || !j.moved(*placed) {
		return
	}
	if j.locations = maps.Clone(j.locations); j.locations == nil {
		j.locations = map[string]session.Location{}
	}
	j.locations[fromPayload] = *placed
}

// moved reports whether a place is not the one that was known before the message: who has
// been told of it is not told again, as with The Things Stack.
func (j *job) moved(to session.Location) bool { return j.locations[fromPayload] != to }

// Drain waits until nothing waits any more, at most for so long; then the rest goes
// out as it is.
func (d *Decoder) Drain(patience time.Duration) {
	const step = 5 * time.Millisecond
	for end := time.Now().Add(patience); d.Waiting() > 0 && time.Now().Before(end); {
		time.Sleep(step)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, l := range d.lines {
		d.giveUp(l)
	}
}

// Waiting returns how many messages wait.
func (d *Decoder) Waiting() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.waiting
}
