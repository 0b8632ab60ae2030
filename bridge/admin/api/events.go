//go:build !small

package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"lorawand/bridge/activity"
	"lorawand/bridge/event"
	"lorawand/bridge/session"
	"lorawand/bridge/v3"
)

// eventsRequest says whose events a client wants.
type eventsRequest struct {
	Identifiers []struct {
		Applications *applicationIDs `json:"application_ids"`
		Devices      *struct {
			Device       string         `json:"device_id"`
			Applications applicationIDs `json:"application_ids"`
		} `json:"device_ids"`
	} `json:"identifiers"`
}

type applicationIDs struct {
	ID string `json:"application_id"`
}

// maxIdentifiers of a request for events.
const maxIdentifiers = 100

// wanted returns the devices whose events a client wants, a Device "" being all. They
// must be of its own application.
func (c *call) wanted() ([]session.ID, error) {
	body, release, err := c.body()
	defer release()
	if err != nil {
		return nil, err
	}
	var req eventsRequest
	if err := json.Unmarshal(body, &req); err != nil {
		return nil, plain(codeInvalidArgument, err.Error())
	}
	if len(req.Identifiers) == 0 || len(req.Identifiers) > maxIdentifiers {
		return nil, plain(codeInvalidArgument, "identifiers: 1 to 100 applications or devices")
	}
	var out []session.ID
	for _, i := range req.Identifiers {
		var id session.ID
		switch {
		case i.Devices != nil:
			id = session.ID{Application: i.Devices.Applications.ID, Device: i.Devices.Device}
		case i.Applications != nil:
			id.Application = i.Applications.ID
		}
		if id.Application != c.who.Application {
			return nil, noRights("application", id.Application)
		}
		out = append(out, id)
	}
	return out, nil
}

// eventNames are those of The Things Stack for what happens here too; other events have
// their own kind behind "lorawand.".
var eventNames = map[event.Kind]string{
	event.UplinkDropped:     "ns.up.data.drop",
	event.UplinkRepeated:    "ns.up.data.drop",
	event.JoinAccepted:      "js.join.accept",
	event.JoinRefused:       "js.join.reject",
	event.DownlinkQueued:    "as.down.data.receive",
	event.DownlinkSent:      "ns.down.transmission.success",
	event.DownlinkScheduled: "ns.down.data.schedule.success",
	event.DownlinkUnsent:    "ns.down.data.schedule.fail",
	event.DownlinkAcked:     "as.down.data.ack",
	event.DownlinkNacked:    "as.down.data.nack",
	event.DownlinkFailed:    "as.down.data.fail",
	event.FormatterFailed:   "as.up.data.decode.fail",
}

// eventJSON is an event as The Things Stack tells it.
type eventJSON struct {
	Name        string           `json:"name"`
	Time        *time.Time       `json:"time,omitempty"` // absent where the calendar is not known
	Identifiers []map[string]any `json:"identifiers"`
	Data        any              `json:"data"`
}

func eventOf(i *activity.Item, now time.Time) eventJSON {
	out := eventJSON{Identifiers: []map[string]any{{"device_ids": map[string]any{
		"device_id": i.Device.Device, "application_ids": map[string]any{"application_id": i.Device.Application},
	}}}}
	if !now.IsZero() {
		out.Time = &now
	}
	if e := i.Event; e != nil {
		out.Data = e
		if out.Name = eventNames[e.Kind]; out.Name == "" {
			out.Name = "lorawand." + e.Kind.Word()
		}
		return out
	}
	out.Data, out.Name = json.RawMessage(i.Message.Payload), "as.up.forward"
	if i.Message.Suffix == v3.Up {
		out.Name = "as.up.data.forward"
	}
	return out
}

// events sends what happens to devices of the client's application, until it goes.
func (c *call) events() error {
	ids, err := c.wanted()
	if err != nil {
		return err
	}
	return c.stream(ids, c.lines)
}

// source is events for the EventSource of a browser: by GET, each as a message of its
// own. Devices are named by device_id in the query; without any it is all of the
// application.
func (c *call) source() error {
	var ids []session.ID
	for _, device := range c.r.URL.Query()["device_id"] {
		ids = append(ids, session.ID{Application: c.who.Application, Device: device})
	}
	switch {
	case len(ids) > maxIdentifiers:
		return plain(codeInvalidArgument, "device_id: at most 100 devices")
	case ids == nil:
		ids = []session.ID{{Application: c.who.Application}}
	}
	return c.stream(ids, c.messages)
}

// messages begins an answer that an EventSource reads (HTML, 9.2).
func (c *call) messages() *lines {
	c.w.Header().Set("Content-Type", "text/event-stream")
	return &lines{c: c, ctl: http.NewResponseController(c.w), begin: "data: ", behind: "\n\n"}
}

// streams counts those who follow the events.
type streams struct {
	mu    sync.Mutex
	all   int
	count map[string]int // of each application
}

// begin reports whether one more of an application may.
func (s *streams) begin(application string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all >= maxStreams || s.count[application] >= maxStreams/2 {
		return false
	}
	if s.count == nil {
		s.count = map[string]int{}
	}
	s.all++
	s.count[application]++
	return true
}

func (s *streams) end(application string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all--
	if s.count[application]--; s.count[application] == 0 {
		delete(s.count, application)
	}
}

// stream sends what happens to devices, until the client goes.
func (c *call) stream(ids []session.ID, begin func() *lines) error {
	if !c.api.streams.begin(c.who.Application) {
		return plain(codeResourceExhausted, "too many clients follow the events already")
	}
	defer c.api.streams.end(c.who.Application)
	ctx, cancel := context.WithCancel(c.r.Context())
	defer cancel()
	defer context.AfterFunc(c.api.stop, cancel)()
	out := begin()
	_ = out.ctl.SetReadDeadline(time.Time{}) // that of the request, which has come
	beat := time.NewTicker(c.api.o.Timeout)
	defer beat.Stop()
	items, stop, err := c.api.o.Bridge.Activity().Follow(ids)
	if err != nil {
		return plain(codeResourceExhausted, err.Error())
	}
	defer stop()
	for {
		out.patience(c.api.o.Timeout)
		if out.ctl.Flush() != nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-beat.C:
			// An empty line, so that a client that is gone is found out.
			_, err = c.w.Write([]byte("\n"))
		case i := <-items:
			err = c.tell(out, &i)
		}
		if err != nil || !c.stillMay() {
			return nil
		}
	}
}

func (c *call) tell(out *lines, i *activity.Item) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(eventOf(i, c.api.o.Calendar())); err != nil {
		return err
	}
	return out.write(bytes.TrimRight(b.Bytes(), "\n"))
}

// stillMay reports whether the client's key is still there: who follows events for days
// must not outlive it.
func (c *call) stillMay() bool {
	key, ok := c.api.o.Keys.Key(c.who.KeyID)
	return ok && !key.Expired(c.api.o.Calendar())
}
