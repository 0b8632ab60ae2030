package main

import (
	"context"
	"fmt"
	"hash/fnv"
	"time"

	"lorawand/bridge/homeassistant"
	"lorawand/bridge/session"
	"lorawand/bridge/v3"
)

// homeOptions says where what Home Assistant is told comes from, and by whom it is told.
func (d *daemon) homeOptions() homeassistant.Options {
	var early []session.ID // nobody else has the devices yet
	for _, a := range d.state.Applications.All() {
		if a.HomeAssistant {
			early = append(early, d.state.Devices.IDs(a.ID)...)
		}
	}
	return homeassistant.Options{
		Early: early,
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
				return each(d.homeDevice(dev))
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
func (d *daemon) homeDevice(dev *session.Device) homeassistant.Device {
	out := homeassistant.Device{
		ID: dev.ID, Name: dev.Name, Maker: dev.VersionIDs.Brand, Model: dev.VersionIDs.Model,
		Firmware: dev.VersionIDs.Firmware,
	}
	if !dev.DevEUI.IsZero() {
		out.DevEUI = dev.DevEUI.String()
	}
	h := fnv.New64a()
	if dev.Formatters.Set {
		fmt.Fprint(h, dev.Formatters.Up, dev.Formatters.UpParameter)
	} else {
		a, _ := d.state.Applications.Application(dev.ID.Application)
		fmt.Fprint(h, a.Up)
	}
	fmt.Fprint(h, dev.VersionIDs)
	out.Decoder = h.Sum64()
	return out
}
