package main

import (
	"fmt"
	"sync"

	"lorawand/bridge/admin"
	"lorawand/cmd/lorawand/config"
	"lorawand/concentrator"
	"lorawand/concentrator/udp"
	"lorawand/radio"
)

// ways are the drivers of the gateways of the configuration. A gateway has one driver at a time.
type ways struct {
	mu sync.Mutex
	of map[radio.EUI64]string
}

// set takes the gateways of a configuration.
func (w *ways) set(gws []config.Gateway) {
	of := map[radio.EUI64]string{}
	for i := range gws {
		var eui radio.EUI64
		if eui.UnmarshalText([]byte(gws[i].EUI)) == nil { // else its chip has one, and tells it later
			of[eui] = gws[i].Driver
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.of = of
}

// otherThan returns the driver of a gateway of the configuration, if it is not this one.
func (w *ways) otherThan(driver string, eui radio.EUI64) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if of := w.of[eui]; of != driver {
		return of
	}
	return ""
}

// notUDP reports whether a gateway belongs to another driver than that of packet forwarders, and
// whether that driver has it: as an extender, or with its chip, whose EUI need not be configured.
func (d *daemon) notUDP(eui radio.EUI64) (other, there bool) {
	there = d.extenders.online(eui) || d.boards.has(eui)
	return there || d.ways.otherThan("udp", eui) != "", there
}

// notExtender is the same for the driver of extenders.
func (d *daemon) notExtender(eui radio.EUI64) (other, there bool) {
	there = d.boards.has(eui)
	return there || d.ways.otherThan(config.ExtenderRole, eui) != "", there
}

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
	sum, serves := d.extenders.stats(), d.config.Extenders.Listen != ""
	if d.udp != nil {
		sum, serves = d.udp.Stats().Plus(sum), true
	}
	if serves {
		out = append(out, admin.Driver{Name: "udp", Metrics: metrics(sum.Metrics())})
	}
	if m := d.forwardMetrics(); m != nil {
		out = append(out, admin.Driver{Name: "forward", Metrics: m})
	}
	if m := d.chirpStackMetrics(); m != nil {
		out = append(out, admin.Driver{Name: "chirpstack", Metrics: m})
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
	add := func(links map[radio.EUI64]udp.Link) {
		for eui, l := range links {
			if l.Pulled >= out[eui].Pulled { // one that has come back to a driver has left another
				out[eui] = admin.Link{Pulled: l.Pulled, Version: l.Version}
			}
		}
	}
	if d.udp != nil {
		add(d.udp.Links())
	}
	add(d.extenders.links())
	return out
}

// Transmit implements bridge.Transmitter. It uses the driver that has the gateway.
func (d *daemon) Transmit(dl radio.Downlink) error {
	for _, b := range d.boards.all() {
		if b.EUI() == dl.Gateway {
			return b.Transmit(dl)
		}
	}
	if ours, err := d.extenders.transmit(dl); ours {
		return err
	}
	if d.udp != nil {
		return d.udp.Transmit(dl)
	}
	return fmt.Errorf("%w: no driver", concentrator.ErrGateway)
}
