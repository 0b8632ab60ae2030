//go:build !small

package main

import (
	"context"
	"strconv"
	"strings"

	"lorawand/bridge"
	"lorawand/bridge/admin"
	"lorawand/bridge/admin/problems"
	"lorawand/bridge/event"
	"lorawand/bridge/foreign"
	"lorawand/bridge/foreign/links"
	"lorawand/bridge/forward"
	"lorawand/cmd/lorawand/config"
	"lorawand/radio"
)

// forwarding hands frames to other network servers; nil: there are none.
type forwarding struct{ *links.Links }

func (f forwarding) run(ctx context.Context) error {
	if f.Links == nil {
		<-ctx.Done()
		return nil
	}
	return f.Run(ctx)
}

// addForwarder adds what hands frames to the servers of the configuration, which was checked, if it
// has any.
func (d *daemon) addForwarder(c *config.Config, to *bridge.Options) (err error) {
	if len(c.Forwards) == 0 && !c.IsExtender() {
		return nil
	}
	clock := to.Clock
	o := forward.Options{
		Ask:      func(r foreign.Request, reply func(foreign.Result)) { d.bridge.Ask(r, reply) },
		Changed:  d.serverChanged,
		Calendar: func() radio.WallTime { return clock.Now().Wall },
	}
	if i := strings.LastIndexByte(c.UDP.Listen, ':'); i >= 0 {
		port, err := strconv.ParseUint(c.UDP.Listen[i+1:], 10, 16)
		if err != nil {
			return err
		}
		o.Listens = uint16(port)
	}
	for i := range c.Forwards {
		f := &c.Forwards[i]
		s := forward.Server{
			Address: f.Server, Selection: foreign.Selection{Own: f.Frames == config.AllFrames}, Watch: d.backfills.of[f.Server],
		}
		if s.Selection.DevAddrs, s.Selection.JoinEUIs, err = f.Prefixes(); err != nil {
			return err
		}
		o.Servers = append(o.Servers, s)
	}
	if c.IsExtender() {
		s, err := central(&c.Central, clock.Calendar)
		if err != nil {
			return err
		}
		o.Servers, to.Relays = append(o.Servers, s), true
		d.log.Info("the radio of this host is for its central", "address", c.Central.Address)
	}
	if d.forwarding.Links, err = forward.New(o); err == nil {
		to.Forwarder = d.forwarding
	}
	return err
}

// serverChanged makes an event of a server that answers, or does so no more.
func (d *daemon) serverChanged(server string, eui radio.EUI64, fault error) {
	now := d.bridge.Now()
	e := event.Event{Kind: event.ServerAnswers, Host: now.Host, GatewayEUI: eui, Address: server}
	if fault != nil {
		e.Kind, e.Err = event.ServerSilent, fault
	}
	if now.Wall.Known() {
		e.At = now.Wall.Time
	}
	d.bridge.Events().Write(&e)
}

// forwardMetrics returns the counts of the servers that frames are handed to.
func (d *daemon) forwardMetrics() (out []admin.Metric) {
	if d.forwarding.Links == nil {
		return nil
	}
	states := d.forwarding.States()
	for _, m := range []struct {
		name, help string
		value      func(*links.State) uint64
	}{
		{"frames", "Frames that were handed to another server.", func(s *links.State) uint64 { return s.Forwarded }},
		{"acknowledged", "Of these, those with a PUSH_ACK.", func(s *links.State) uint64 { return s.Acknowledged }},
		{"lost", "Frames for which there was no way to the server.", func(s *links.State) uint64 { return s.Lost }},
		{"downlinks", "Downlinks that a server wanted sent.", func(s *links.State) uint64 { return s.Downlinks }},
		{"refused", "Of these, those that were not sent.", func(s *links.State) uint64 { return s.Refused }},
		{"transmitted", "Of these, those that were sent.", func(s *links.State) uint64 { return s.Transmitted }},
		{"malformed", "Datagrams of a server that cannot be read.", func(s *links.State) uint64 { return s.Malformed }},
	} {
		for i := range states {
			out = append(out, admin.Metric{
				Name: "forward_" + m.name + "_total", Help: m.help, Value: float64(m.value(&states[i])),
				Labels: []string{"server", states[i].Address},
			})
		}
	}
	for i := range states {
		out = append(out, admin.Metric{
			Name: "forward_gateways_answered", Help: "Gateways whose PULL_DATA a server answers.", Gauge: true,
			Value: float64(states[i].Answered), Labels: []string{"server", states[i].Address},
		})
	}
	return out
}

// servers returns how it goes with the servers that frames are handed to.
func (d *daemon) servers() (out []problems.Server) {
	if d.forwarding.Links == nil {
		return nil
	}
	for _, s := range d.forwarding.States() {
		out = append(out, problems.Server{
			Address: s.Address, Gateways: s.Gateways, Answered: s.Answered, Silence: s.Silence, Fault: s.Fault,
			Central: d.config.IsExtender(),
		})
	}
	return out
}
