// Package eventlines puts the answer of the operation "events" into lines: which events and
// uplinks are asked for, in which order they are told, and how an uplink reads.
package eventlines

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"lorawand/bridge/activity"
	"lorawand/bridge/event"
	"lorawand/bridge/order"
	"lorawand/radio"
)

// Args are the arguments of "events".
type Args struct {
	Application string `json:"application_id,omitempty"` // only of its devices; "": all
	Follow      bool   `json:"follow,omitempty"`         // go on with new ones
	Device      string `json:"device,omitempty"`         // an id, application/id, or a DevEUI; "": all
	Gateway     string `json:"gateway,omitempty"`        // an id; "": all
	Text        bool   `json:"text,omitempty"`           // lines for people
	Uplinks     bool   `json:"uplinks,omitempty"`        // what devices send, too
	Terse       bool   `json:"terse,omitempty"`          // without what is repeated
}

// Matches reports whether the arguments select an event.
func (a *Args) Matches(e *event.Event) bool {
	if a.Terse && e.Kind == event.UplinkRepeated {
		return false
	}
	if a.Application != "" && a.Application != e.Device.Application {
		return false
	}
	if a.Gateway != "" && e.Gateway != a.Gateway {
		return false
	}
	if a.Device == "" || a.Device == e.Device.Device || a.Device == e.Device.String() {
		return true
	}
	var eui radio.EUI64
	return e.HasEUIs && eui.UnmarshalText([]byte(a.Device)) == nil && eui == e.DevEUI
}

// UplinkEvent is what "events" tells of an uplink.
type UplinkEvent struct {
	Time        *time.Time `json:"time,omitempty"`
	Uptime      float64    `json:"uptime_s"`
	Kind        string     `json:"kind"` // uplink
	Application string     `json:"application_id"`
	Device      string     `json:"device_id"`
	activity.Uplink
}

// Teller answers with events and uplinks.
type Teller struct {
	Args  *Args
	Reply func(v any) error
}

// Event tells an event.
func (t *Teller) Event(e event.Event) error {
	switch {
	case !t.Args.Matches(&e):
		return nil
	case t.Args.Text:
		return t.Reply(e.Text())
	}
	return t.Reply(e)
}

// All tells what is remembered in the order in which it happened.
func (t *Teller) All(events []event.Event, uplinks []activity.Message) error {
	order.By(uplinks, func(a, b activity.Message) int { return cmp.Compare(a.At, b.At) })
	for _, e := range events {
		for len(uplinks) > 0 && uplinks[0].At < e.Host {
			if err := t.Uplink(&uplinks[0]); err != nil {
				return err
			}
			uplinks = uplinks[1:]
		}
		if err := t.Event(e); err != nil {
			return err
		}
	}
	for i := range uplinks {
		if err := t.Uplink(&uplinks[i]); err != nil {
			return err
		}
	}
	return nil
}

// Uplink tells an uplink.
func (t *Teller) Uplink(m *activity.Message) error {
	u := m.Read(m.At)
	if u == nil || !t.Args.matchesUplink(m, u) {
		return nil
	}
	if t.Args.Text {
		return t.Reply(uplinkText(m, u))
	}
	return t.Reply(UplinkEvent{
		Time: u.ReceivedAt, Uptime: radio.Seconds(time.Duration(m.At)), Kind: "uplink", Application: m.Device.Application,
		Device: m.Device.Device, Uplink: *u,
	})
}

// matchesUplink reports whether the arguments select an uplink.
func (a *Args) matchesUplink(m *activity.Message, u *activity.Uplink) bool {
	if a.Application != "" && a.Application != m.Device.Application {
		return false
	}
	if a.Gateway != "" && !slices.ContainsFunc(u.Gateways, func(h activity.Heard) bool { return h.Gateway == a.Gateway }) {
		return false
	}
	if a.Device == "" || a.Device == m.Device.Device || a.Device == m.Device.String() {
		return true
	}
	var eui radio.EUI64
	if eui.UnmarshalText([]byte(a.Device)) != nil {
		return false
	}
	ids, _, _ := bytes.Cut(m.Payload, []byte(`"uplink_message"`)) // behind it a decoded payload may have the same member
	return bytes.Contains(ids, []byte(`"dev_eui":"`+eui.String()+`"`))
}

// uplinkText returns an uplink as a line, as event.Event.Text does.
func uplinkText(m *activity.Message, u *activity.Uplink) string {
	var at time.Time
	if u.ReceivedAt != nil {
		at = *u.ReceivedAt
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s  uplink  %v  f_cnt %d", event.ClockText(at, m.At), m.Device, u.FCnt)
	if u.FPort > 0 {
		fmt.Fprintf(&b, "  f_port %d", u.FPort)
	}
	fmt.Fprintf(&b, "  %s  RSSI %.0f SNR %.1f", u.DataRate, u.RSSI, u.SNR)
	for i, g := range u.Gateways {
		fmt.Fprintf(&b, "%s%s", [...]string{"  gateway ", ", "}[min(i, 1)], g.Gateway)
	}
	switch {
	case len(u.Decoded) > 0:
		var flat bytes.Buffer
		if json.Compact(&flat, u.Decoded) == nil {
			fmt.Fprintf(&b, "  %s", flat.Bytes())
		}
	case len(u.FRMPayload) > 0:
		fmt.Fprintf(&b, "  %X", u.FRMPayload)
	}
	return b.String()
}
