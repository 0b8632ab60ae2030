//go:build !small && !mips && !mipsle

package main

import (
	"context"
	"crypto/tls"
	"net"

	"lorawand/bridge"
	"lorawand/bridge/admin"
	"lorawand/bridge/admin/problems"
	"lorawand/bridge/chirpstack"
	"lorawand/bridge/event"
	"lorawand/bridge/foreign"
	"lorawand/bridge/foreign/links"
	"lorawand/bridge/upstream/client"
	"lorawand/cmd/lorawand/config"
	"lorawand/radio"
)

const hasChirpStack = true

// chirpStacks hands frames to ChirpStack networks; nil: there are none.
type chirpStacks struct{ *links.Links }

func (c chirpStacks) run(ctx context.Context) error {
	if c.Links == nil {
		<-ctx.Done()
		return nil
	}
	return c.Run(ctx)
}

// addChirpStacks adds what hands frames to the ChirpStack networks of the configuration, which was checked,
// if it has any.
func (d *daemon) addChirpStacks(c *config.Config, to *bridge.Options) (err error) {
	if len(c.ChirpStacks) == 0 {
		return nil
	}
	clock := to.Clock
	o := chirpstack.Options{
		Ask:      func(r foreign.Request, reply func(foreign.Result)) { d.bridge.Ask(r, reply) },
		Changed:  d.serverChanged,
		Wishes:   d.channelsWished,
		Calendar: func() radio.WallTime { return clock.Now().Wall },
		Now:      clock.Host,
	}
	for i := range c.ChirpStacks {
		s, err := d.chirpStack(&c.ChirpStacks[i])
		if err != nil {
			return err
		}
		o.Servers = append(o.Servers, s)
	}
	if d.chirpStacks.Links, err = chirpstack.New(o); err != nil {
		return err
	}
	if to.Forwarder == nil {
		to.Forwarder = d.chirpStacks
	} else {
		to.Forwarder = bridge.Forwarders{to.Forwarder, d.chirpStacks}
	}
	return nil
}

// chirpStack returns the network of a table.
func (d *daemon) chirpStack(c *config.ChirpStack) (s chirpstack.Server, err error) {
	u := c.Broker()
	host, port, secure := u.Address()
	address := net.JoinHostPort(host, port)
	if _, err := upstreamTLS(u, host, d.calendar); err != nil {
		return s, err
	}
	s = chirpstack.Server{
		Address: address, Prefix: c.Prefix(), JSON: c.Marshaler == config.JSONMarshaler,
		Selection: foreign.Selection{Own: c.Frames == config.AllFrames},
		Client: client.Options{
			ClientID: c.ClientID, UserName: u.UserName, Password: u.Password, KeepAlive: u.KeepAlive.D(),
			Version: mqttVersions[u.ProtocolVersion],
		},
		Dial: func(ctx context.Context) (net.Conn, error) {
			if !secure {
				return new(net.Dialer).DialContext(ctx, "tcp", address)
			}
			config, err := upstreamTLS(u, host, d.calendar) // the files may be newer ones
			if err != nil {
				return nil, err
			}
			return (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", address)
		},
	}
	s.Selection.DevAddrs, s.Selection.JoinEUIs, err = c.Prefixes()
	return s, err
}

// channelsWished makes an event of the channels that a network wants a gateway to have.
func (d *daemon) channelsWished(server string, eui radio.EUI64, version string) {
	now := d.bridge.Now()
	e := event.Event{Kind: event.ChannelsKept, Host: now.Host, GatewayEUI: eui, Address: server, Word: version}
	if now.Wall.Known() {
		e.At = now.Wall.Time
	}
	d.bridge.Events().Write(&e)
}

// chirpStackMetrics returns the counts of the ChirpStack networks.
func (d *daemon) chirpStackMetrics() (out []admin.Metric) {
	if d.chirpStacks.Links == nil {
		return nil
	}
	states := d.chirpStacks.States()
	for _, m := range []struct {
		name, help string
		value      func(*links.State) uint64
	}{
		{"frames", "Frames that a broker has taken.", func(s *links.State) uint64 { return s.Forwarded }},
		{"lost", "Frames for which there was no way to the broker.", func(s *links.State) uint64 { return s.Lost }},
		{"downlinks", "Downlinks that a network wanted sent.", func(s *links.State) uint64 { return s.Downlinks }},
		{"refused", "Of these, those that were not sent.", func(s *links.State) uint64 { return s.Refused }},
		{"transmitted", "Of these, those that were sent.", func(s *links.State) uint64 { return s.Transmitted }},
		{"malformed", "Commands that cannot be read.", func(s *links.State) uint64 { return s.Malformed }},
	} {
		for i := range states {
			out = append(out, admin.Metric{
				Name: "chirpstack_" + m.name + "_total", Help: m.help, Value: float64(m.value(&states[i])),
				Labels: []string{"server", states[i].Address},
			})
		}
	}
	for i := range states {
		out = append(out, admin.Metric{
			Name: "chirpstack_gateways_connected", Help: "Gateways that are connected to a broker.", Gauge: true,
			Value: float64(states[i].Answered), Labels: []string{"server", states[i].Address},
		})
	}
	return out
}

// chirpStackServers returns how it goes with the ChirpStack networks.
func (d *daemon) chirpStackServers() (out []problems.Server) {
	if d.chirpStacks.Links == nil {
		return nil
	}
	for _, s := range d.chirpStacks.States() {
		out = append(out, problems.Server{
			Address: s.Address, Gateways: s.Gateways, Answered: s.Answered, Silence: s.Silence, Fault: s.Fault, MQTT: true,
		})
	}
	return out
}
