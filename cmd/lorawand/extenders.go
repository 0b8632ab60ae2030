//go:build !small

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"lorawand/bridge"
	"lorawand/bridge/access"
	"lorawand/bridge/broker/pace"
	"lorawand/bridge/gateway"
	"lorawand/bridge/state"
	"lorawand/cmd/lorawand/config"
	"lorawand/concentrator/stream"
	"lorawand/concentrator/udp"
	"lorawand/radio"
)

// extenders are the gateways whose radio other lorawands give to this one. They come over TLS, with
// a key each, and are served as packet forwarders.
type extenders struct {
	listener *stream.Listener // nil: there are none
	driver   *udp.Driver

	backoff  access.Backoff
	refusals refusals
}

const (
	// extenderOffline is the silence after which an extender is off line: it sends a PULL_DATA
	// each stream.KeepAlive.
	extenderOffline = 4 * stream.KeepAlive
	// extenderPin lets an extender come from another IP at once: the Listener has one connection
	// of each.
	extenderPin = time.Nanosecond
)

// listenExtenders opens the port for extenders, if the configuration has one.
func (d *daemon) listenExtenders(c *config.Config, clock *bridge.Clock) (err error) {
	if c.Extenders.Listen == "" {
		return nil
	}
	l, err := net.Listen("tcp", c.Extenders.Listen)
	if err != nil {
		return err
	}
	e := &d.extenders
	e.listener, err = stream.New(stream.Options{
		Listener: l, TLS: withoutClientCertificates(d.certs), Admit: d.admit, Refused: d.extenderRefused, Logger: d.log,
		Holds: d.extenderHolds, Source: pace.SourceOf,
		Turn: func(from netip.Addr, over <-chan struct{}) bool {
			return d.handshakes.Wait(pace.SourceOf(from), from.IsLoopback(), over, nil)
		},
	})
	if err != nil {
		return errors.Join(err, l.Close())
	}
	e.driver, err = udp.Listen(udp.Options{
		Socket: e.listener, Gateways: extendersOf(c.Gateways), AcceptUnknown: true, Now: clock.Host, Logger: d.log,
		Offline: extenderOffline, PinTimeout: extenderPin, Elsewhere: d.notExtender,
	})
	return err
}

// withoutClientCertificates is the configuration of MQTT without certificates of clients: an
// extender shows its key.
func withoutClientCertificates(c *certificates) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			own := c.current(time.Now()).Clone()
			own.ClientAuth, own.VerifyConnection = tls.NoClientCert, nil
			return own, nil
		},
	}
}

// extendersOf returns the gateways of the configuration that come as extenders.
func extendersOf(gws []config.Gateway) (euis []radio.EUI64) {
	for i := range gws {
		var eui radio.EUI64
		if gws[i].Driver == config.ExtenderRole && eui.UnmarshalText([]byte(gws[i].EUI)) == nil {
			euis = append(euis, eui)
		}
	}
	return euis
}

// reload takes the gateways of a new configuration.
func (e *extenders) reload(gws []config.Gateway, to *bridge.Bridge) {
	if e.driver != nil {
		e.driver.SetGateways(extendersOf(gws), to)
	}
}

// Why an extender is not let in, or put out; the first is told to it.
var (
	errKeyExpired = errors.New("its key has expired: make another one with lorawand gateway pair")
	errRevoked    = errors.New("its key was revoked, or has expired")
)

// admit says whether a gateway with a key may come in.
func (d *daemon) admit(eui radio.EUI64, key string) (id string, err error) {
	now := d.calendar()
	id, err = d.state.Keys.Link(gateway.DefaultID(eui), key, now)
	switch {
	case errors.Is(err, access.Expired):
		return "", errKeyExpired
	case err != nil:
		return "", err
	}
	if err := d.comesAsExtender(eui); err != nil {
		return "", err
	}
	if day, news := d.state.Keys.Use(id, now); news {
		d.bridge.Lag(state.KeyUseRecord(id, day))
	}
	return id, nil
}

// comesAsExtender says why a gateway may not come as an extender.
func (d *daemon) comesAsExtender(eui radio.EUI64) error {
	if driver := d.ways.otherThan(config.ExtenderRole, eui); driver != "" {
		return fmt.Errorf("the configuration of the central has this gateway with driver = %q, not %q", driver,
			config.ExtenderRole)
	}
	return nil
}

// extenderHolds says why a gateway that is in may not stay.
func (d *daemon) extenderHolds(eui radio.EUI64, id string) error {
	if !d.state.Keys.Holds(id, d.calendar()) {
		return errRevoked
	}
	return d.comesAsExtender(eui)
}

// notAdmitted is the cause of the event about an extender that is not let in.
const notAdmitted = "not_admitted"

// extenderRefused makes an event of it, as refusals allow. It returns how long who guesses keys waits
// for the answer.
func (d *daemon) extenderRefused(eui radio.EUI64, from netip.AddrPort, why error) time.Duration {
	fault, source, stranger := why.Error(), pace.SourceOf(from.Addr()), eui.IsZero()
	var r access.Refusal
	if errors.As(why, &r) {
		fault, stranger = "its key is refused: "+string(r), true
	}
	now := time.Now()
	if left, ok := d.extenders.refusals.take(refusal{source, eui, fault, now}, stranger); ok {
		if left > 0 {
			fault += fmt.Sprintf("; of %d before nothing is told", left)
		}
		d.bridge.GatewayEvent(radio.GatewayEvent{
			Gateway: eui, Kind: radio.GatewayDropped, At: d.bridge.Now().Host, Cause: notAdmitted, Fault: fault,
			Address: from.String(),
		})
	}
	return d.extenders.backoff.Failed(source, now)
}

// start runs them. stop ends that.
func (e *extenders) start(ctx context.Context, fail context.CancelCauseFunc, to *bridge.Bridge) (stop func()) {
	if e.driver == nil {
		return func() {}
	}
	stopListener := stage(ctx, fail, e.listener.Run)
	stopDriver := stage(ctx, fail, func(ctx context.Context) error { return e.driver.Run(ctx, to) })
	return func() { stopDriver(); stopListener() }
}

// online reports whether a gateway is on line as an extender.
func (e *extenders) online(eui radio.EUI64) bool { return e.driver != nil && e.driver.Online(eui) }

// transmit hands a frame to a gateway, if it is one of them and on line: it may have come back to
// another driver.
func (e *extenders) transmit(d radio.Downlink) (ours bool, err error) {
	if ours = e.online(d.Gateway); ours {
		err = e.driver.Transmit(d)
	}
	return ours, err
}

// stats returns the counts of the driver.
func (e *extenders) stats() (s udp.Stats) {
	if e.driver != nil {
		s = e.driver.Stats()
	}
	return s
}

// links returns those of the gateways.
func (e *extenders) links() map[radio.EUI64]udp.Link {
	if e.driver == nil {
		return nil
	}
	return e.driver.Links()
}

// closeUnused closes the port if start was not called.
func (e *extenders) closeUnused() {
	if e.listener != nil {
		_ = e.listener.Close()
	}
}
