package main

import (
	"fmt"

	"lorawand/bridge/admin"
	"lorawand/concentrator"
	"lorawand/radio"
)

// driverStates returns the states of the drivers. The counts of all concentrators
// on this host are added.
func (d *daemon) driverStates() (out []admin.Driver) {
	for _, b := range d.boards.all() {
		out = append(out, admin.Driver{Name: "sx1302 " + b.chip.Board.Device, Err: b.Fault()})
	}
	if len(out) > 0 {
		sum := d.boards.stats()
		out[0].Metrics = metrics(append(sum.Metrics(), d.boards.noise()...))
	}
	if d.udp != nil {
		sum := d.udp.Stats()
		out = append(out, admin.Driver{Name: "udp", Metrics: metrics(sum.Metrics())})
	}
	if m := d.forwardMetrics(); m != nil {
		out = append(out, admin.Driver{Name: "forward", Metrics: m})
	}
	return out
}

// metrics converts the metrics of a driver.
func metrics(of []concentrator.Metric) (out []admin.Metric) {
	for _, m := range of {
		out = append(out, admin.Metric(m))
	}
	return out
}

// links returns the links of the packet forwarders.
func (d *daemon) links() map[radio.EUI64]admin.Link {
	out := map[radio.EUI64]admin.Link{}
	if d.udp != nil {
		for eui, l := range d.udp.Links() {
			out[eui] = admin.Link{Pulled: l.Pulled, Version: l.Version}
		}
	}
	return out
}

// Transmit implements bridge.Transmitter. It uses the driver that has the gateway.
func (d *daemon) Transmit(dl radio.Downlink) error {
	err := fmt.Errorf("%w: no driver", concentrator.ErrGateway)
	if d.udp != nil {
		err = d.udp.Transmit(dl)
	}
	for _, b := range d.boards.all() {
		if err == nil {
			break
		}
		err = b.Transmit(dl)
	}
	return err
}
