package admin

import (
	"context"
	"encoding/json"

	"lorawand/bridge/activity"
	"lorawand/bridge/event"
	"lorawand/bridge/session"
	"lorawand/bridge/v3"
)

// ActivityArgs are the arguments of "device.activity".
type ActivityArgs struct {
	Application string `json:"application_id,omitempty"` // "": all; no Device then
	Device      string `json:"device_id,omitempty"`      // "": all
	History     bool   `json:"history,omitempty"`        // of the one Device: its last uplinks and events too
}

// DeviceActivity is what "device.activity" tells of a device: what it did since the
// start of the daemon.
type DeviceActivity struct {
	Application string `json:"application_id"`
	Device      string `json:"device_id"`
	*activity.Summary
	RecentUplinks []json.RawMessage `json:"recent_uplinks,omitempty"` // as on MQTT, oldest first
	RecentEvents  []event.Event     `json:"recent_events,omitempty"`  // oldest first
}

// deviceActivity answers with a DeviceActivity for each device that has done anything.
func (a *Admin) deviceActivity(ctx context.Context, args ActivityArgs, r reply) error {
	tell := func(d *session.Device) error {
		log := a.o.Bridge.Activity()
		summary := log.Summary(d.ID, a.o.Bridge.Now().Host)
		out := DeviceActivity{Application: d.ID.Application, Device: d.ID.Device, Summary: summary}
		if args.History && args.Device != "" {
			for _, m := range log.Messages(d.ID, v3.Up) {
				out.RecentUplinks = append(out.RecentUplinks, m.Payload)
			}
			out.RecentEvents = log.Events(d.ID)
		}
		if out.Summary == nil && out.RecentEvents == nil {
			return nil
		}
		return r(out)
	}
	if args.Device == "" {
		return a.o.Bridge.Devices(ctx, args.Application, tell)
	}
	d, err := a.o.Bridge.Device(ctx, session.ID{Application: args.Application, Device: args.Device})
	if err != nil {
		return err
	}
	return tell(d)
}
