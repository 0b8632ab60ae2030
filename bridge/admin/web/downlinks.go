//go:build !small

package web

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"lorawand/bridge/admin"
	"lorawand/bridge/event"
	"lorawand/bridge/mac"
	"lorawand/bridge/session"
	"lorawand/bridge/v3"
)

// item is a downlink as messages have it.
type item struct {
	FPort          uint8           `json:"f_port"`
	FCnt           uint32          `json:"f_cnt"`
	Payload        []byte          `json:"frm_payload"`
	Decoded        json.RawMessage `json:"decoded_payload"`
	Confirmed      bool            `json:"confirmed"`
	Priority       string          `json:"priority"`
	CorrelationIDs []string        `json:"correlation_ids"`
}

// id returns our own correlation id of a downlink.
func (i *item) id() string { return ownID(i.CorrelationIDs) }

func ownID(ids []string) string {
	for _, id := range ids {
		if strings.HasPrefix(id, "as:downlink:") {
			return id
		}
	}
	return ""
}

// queued is an item that waits, as the page shows it.
type queued struct {
	ID        string `json:"id"`
	At        *int64 `json:"at"`
	FPort     uint8  `json:"port"`
	Payload   string `json:"payload"` // hex
	Bytes     int    `json:"bytes"`
	Text      string `json:"text"` // decoded_payload, as JSON
	Confirmed bool   `json:"confirmed"`
	Priority  string `json:"priority"`
	State     string `json:"state"`
	Why       string `json:"why"`
}

// queue returns what waits for a device, first the next.
func (c *call) queue(id session.ID, d *session.Device) ([]queued, error) {
	args := admin.DeviceArgs{Application: id.Application, Device: id.Device}
	parts, err := collect[admin.Downlink](c, "downlink.list", args)
	if err != nil {
		return nil, err
	}
	pushed := map[string]int64{}
	for _, e := range c.site.o.Bridge.Activity().Events(id) {
		if e.Kind == event.DownlinkQueued {
			pushed[ownID(e.CorrelationIDs)] = ms(e.Host)
		}
	}
	out := []queued{}
	for i, p := range parts {
		var it item
		if err := json.Unmarshal(p.Downlink, &it); err != nil {
			return nil, err
		}
		q := queued{
			ID: it.id(), FPort: it.FPort, Payload: fmt.Sprintf("%X", it.Payload), Bytes: len(it.Payload),
			Text: string(it.Decoded), Confirmed: it.Confirmed, Priority: it.Priority,
			State: strings.ReplaceAll(p.State, "_", " "), Why: whyWaits(p.State, i, d),
		}
		if at, ok := pushed[q.ID]; ok {
			q.At = &at
		}
		if q.Priority == "" {
			q.Priority = "NORMAL"
		}
		out = append(out, q)
	}
	return out, nil
}

// whyWaits says in words what an item of a queue waits for.
func whyWaits(state string, place int, d *session.Device) string {
	switch {
	case state == "awaiting_ack":
		return "It was sent; the device has not acknowledged it yet."
	case state == "sending":
		return "It is on its way out."
	case place > 0:
		return "It waits behind what is above."
	case d.Session == nil:
		return "The device has no session: it goes out after the device has joined and sent."
	case d.ClassC:
		return "Class C: the device listens always, so it goes out as soon as a gateway can send it."
	}
	return "Class A: the device listens only after it has sent, so it goes out after its next frame."
}

// outcome is what became of a downlink.
type outcome struct {
	ID        string   `json:"id"`
	At        int64    `json:"at"`
	FPort     uint8    `json:"port"`
	Payload   string   `json:"payload"`
	Text      string   `json:"text"`
	Confirmed bool     `json:"confirmed"`
	Result    string   `json:"result"` // waiting, sent, ack, nack or failed
	Tone      string   `json:"tone"`
	Said      string   `json:"said"`
	Todo      string   `json:"todo,omitempty"`
	Steps     [][4]any `json:"steps"` // kind, what, more, and whether a window was chosen
}

func (o *outcome) step(kind, what, more string, chosen bool) {
	if len(o.Steps) < maxSteps {
		o.Steps = append(o.Steps, [4]any{kind, what, more, chosen})
	}
}

// end sets how it ended.
func (o *outcome) end(result, tone, said string) { o.Result, o.Tone, o.Said = result, tone, said }

// maxSteps bounds those of an outcome: an item may find no window for days.
const maxSteps = 40

// outcomes returns what became of the downlinks of a device that are remembered, newest
// first. What waits is in the queue.
func (c *call) outcomes(id session.ID, waiting []queued) []*outcome {
	log := c.site.o.Bridge.Activity()
	all, order := map[string]*outcome{}, []*outcome(nil)
	for _, m := range log.Messages(id, v3.DownQueued) {
		var message struct {
			Queued item `json:"downlink_queued"`
		}
		if json.Unmarshal(m.Payload, &message) != nil {
			continue
		}
		it := &message.Queued
		own := it.id()
		waits := func(q queued) bool { return q.ID == own && q.State != "awaiting ack" }
		if own == "" || all[own] != nil || slices.ContainsFunc(waiting, waits) {
			continue
		}
		all[own] = &outcome{
			ID: own, At: ms(m.At), FPort: it.FPort, Payload: fmt.Sprintf("%X", it.Payload), Text: string(it.Decoded),
			Confirmed: it.Confirmed, Steps: [][4]any{},
		}
		all[own].end("waiting", "idle", "Not sent yet")
		order = append(order, all[own])
	}
	for _, e := range log.Events(id) {
		for _, cid := range e.CorrelationIDs {
			if o := all[cid]; o != nil {
				o.tell(&e)
			}
		}
	}
	slices.Reverse(order)
	return order
}

// tell adds an event about a downlink.
func (o *outcome) tell(e *event.Event) {
	if e.Decision != nil {
		o.decided(e.Decision)
	}
	switch e.Kind {
	case event.DownlinkQueued:
		o.step("pushed", "into the queue", "", false)
	case event.DownlinkSent:
		o.end("sent", "ok", "Sent")
		what := fmt.Sprintf("as f_cnt %d", e.FCnt)
		if e.Gateway != "" {
			what += " by " + e.Gateway
		}
		o.step("sent", what, "", false)
	case event.DownlinkAcked:
		o.end("ack", "ok", "Acknowledged by the device")
		o.step("ack", "by the device", "", false)
	case event.DownlinkNacked:
		o.end("nack", "warn", "Not acknowledged by the device")
		o.Todo = "The device did not hear it, or did not answer: look at its signal, then send again."
		o.step("nack", "by the device", "its next frame came without the ACK bit", false)
	case event.DownlinkFailed:
		why := "it could not be sent"
		if e.Err != nil {
			why = e.Err.Error()
		}
		o.end("failed", "bad", "Failed: "+why)
		o.Todo = sentence(e.Hint)
		o.step("failed", "and told to MQTT", why, false)
	}
}

// decided adds the windows of a decision.
func (o *outcome) decided(d *event.Decision) {
	for i := range d.Options {
		what, more, _ := strings.Cut(d.Options[i].Text(), ": ")
		o.step("window", what, more, i == d.Chosen)
	}
	for _, why := range d.Blocked {
		o.step("window", "no answer", why, false)
	}
}

// macRow is a setting of the device, as it is wanted and as the device has it.
type macRow struct {
	Name    string `json:"name"`
	Wanted  string `json:"wanted"`
	Current string `json:"current"`
	State   string `json:"state"`
}

// settingNames are how the words about a device begin, and what people call that.
var settingNames = []struct{ begin, name string }{
	{"RX1 ", "RX1"}, {"RX2 ", "RX2"}, {"duty cycle ", "Duty cycle"}, {"channels ", "Channels"},
}

// macRows returns what people are shown of the MAC layer of a device.
func macRows(v *mac.View) []macRow {
	out := []macRow{}
	for _, text := range v.Current {
		row := macRow{Name: "Data rate", Current: text, State: "as wanted"}
		for _, n := range settingNames {
			if rest, ok := strings.CutPrefix(text, n.begin); ok {
				row.Name, row.Current = n.name, rest
			}
		}
		out = append(out, row)
	}
	if v.Power != "" {
		out = append(out, macRow{Name: "Transmit power", Current: v.Power, State: "as wanted"})
	}
	if v.ADR != "" {
		out = append(out, macRow{Name: "ADR", Current: v.ADR, State: "told"})
	}
	request := func(texts []string, state string) {
		for _, text := range texts {
			name, rest, _ := strings.Cut(text, " ")
			out = append(out, macRow{Name: strings.TrimSuffix(name, ","), Wanted: rest, State: state})
		}
	}
	request(v.Pending, "asked, no answer yet")
	request(v.Wanted, "goes with the next downlink")
	request(v.Refused, "the device has refused it")
	if v.Status != "" {
		out = append(out, macRow{Name: "Status", Current: v.Status, State: "told"})
	}
	return out
}
