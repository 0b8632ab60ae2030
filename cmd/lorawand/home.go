package main

import (
	"context"
	"time"

	"lorawand/bridge/homeassistant"
	"lorawand/bridge/session"
	"lorawand/bridge/v3"
)

// homeOptions says where what Home Assistant is told comes from, and by whom it is told.
func (d *daemon) homeOptions() homeassistant.Options {
	return homeassistant.Options{
		Applications: func() (out []string) {
			for _, a := range d.state.Applications.All() {
				if a.HomeAssistant {
					out = append(out, a.ID)
				}
			}
			return out
		},
		Devices: func(ctx context.Context, application string, each func(homeassistant.Device) error) error {
			return d.bridge.Devices(ctx, application, func(dev *session.Device) error {
				return each(homeDevice(dev))
			})
		},
		Uplinks: func(id session.ID) (out [][]byte) {
			for _, m := range d.bridge.Activity().Messages(id, v3.Up) {
				out = append(out, m.Payload)
			}
			return out
		},
		Interval: func(id session.ID) time.Duration { return d.bridge.Activity().Habit(id).Interval },
		Send:     func(m v3.Message) { d.broker.Publish(m) },
		Version:  version, Logger: d.log,
	}
}

// homeDevice returns what Home Assistant is told of a device.
func homeDevice(d *session.Device) homeassistant.Device {
	out := homeassistant.Device{
		ID: d.ID, Name: d.Name, Maker: d.VersionIDs.Brand, Model: d.VersionIDs.Model, Firmware: d.VersionIDs.Firmware,
	}
	if !d.DevEUI.IsZero() {
		out.DevEUI = d.DevEUI.String()
	}
	return out
}
