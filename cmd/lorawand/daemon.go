package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"lorawand/bridge"
	"lorawand/bridge/access"
	"lorawand/bridge/admin"
	"lorawand/bridge/admin/api"
	"lorawand/bridge/admin/problems"
	"lorawand/bridge/broker"
	"lorawand/bridge/broker/pace"
	"lorawand/bridge/codec"
	"lorawand/bridge/event"
	"lorawand/bridge/formatter"
	"lorawand/bridge/gateway"
	"lorawand/bridge/homeassistant"
	"lorawand/bridge/session"
	"lorawand/bridge/state"
	"lorawand/bridge/store"
	"lorawand/bridge/v3"
	"lorawand/bridge/webhook"
	"lorawand/cmd/lorawand/config"
	"lorawand/concentrator/sx1302"
	"lorawand/concentrator/udp"
	"lorawand/radio"
	"lorawand/radio/region"
)

// daemon has all running parts and connects them.
type daemon struct {
	log     *slog.Logger
	store   stateStore
	lead    lead // of the store
	state   state.State
	bridge  *bridge.Bridge
	broker  *broker.Broker
	control *admin.Server
	http    *admin.HTTP // nil: off
	api     *api.API    // nil: off
	hooks   *webhook.Sender
	home    *homeassistant.Announcer

	upstreams *upstreams
	backfills *backfills

	problems *problems.Source // tells what is wrong
	udp      *udp.Driver      // nil: off

	forwarding  forwarding
	chirpStacks chirpStacks
	extenders   extenders
	ways        ways

	boards boards
	certs  *certificates // nil: no TLS

	handshakes pace.Handshakes // of all listeners with TLS

	closePage func() // nil: there is none

	recorder recorder // nil: there is none

	resolver   *codec.Resolver
	formatters *formatter.Pool

	restores chan restoring

	// The fields below are for reload; without a source there are no reloads.
	config  config.Config // that is in force
	level   *slog.LevelVar
	source  func() (config.Config, error)
	reloads <-chan os.Signal
}

// newDaemon opens the store and the sockets. run does the work. close closes them
// if run is not called.
func newDaemon(c config.Config, log *slog.Logger) (*daemon, error) {
	return newDaemonOn(c, log, newOpener(), nil)
}

// newDaemonOn is newDaemon with the function that opens boards, and with the
// store's file system; nil stands for its folder.
func newDaemonOn(c config.Config, log *slog.Logger, open opener, disk store.FS) (*daemon, error) {
	return newDaemonOf(c, log, parts{open: open, disk: disk})
}

// recordTo begins a recording of a daemon whose state is loaded.
type recordTo func(*daemon) (recorder, error)

// parts are what a daemon is made of besides its configuration.
type parts struct {
	open   opener   // of boards
	disk   store.FS // the store's file system; nil: its folder
	record recordTo // nil: nothing is recorded
	led    lead     // a store that this process leads; it may be none
}

func newDaemonOf(c config.Config, log *slog.Logger, p parts) (d *daemon, err error) {
	if err := checkServed(&c); err != nil {
		return nil, err
	}
	d = &daemon{log: log, restores: make(chan restoring), config: c}
	d.formatters = formatter.New(withMemory("/", formatterOptions(c, log)))
	defer func() {
		if err != nil {
			d.close()
			d = nil
		}
	}()
	d.lead = p.led
	if d.store, d.state, err = openStateOf(p, c, log); err != nil {
		return d, err
	}
	d.resolver = codec.NewResolver(d.state.Applications, d.state.Codecs)
	d.hooks = webhook.New(webhook.Options{Hook: d.webhook, Version: version, Logger: log})
	d.home = homeassistant.New(d.homeOptions())
	clock := bridge.NewClock(nil)
	clock.Follow(d.satellites)
	if d.certs, err = newCertificates(&c.MQTT, clock.Calendar, log); err != nil {
		return d, err
	}
	if d.broker, err = newBroker(c, d.state, clock, d.certs, d, log); err != nil {
		return d, err
	}
	d.boards.make = func(g *config.Gateway, until radio.EUI64) (*onboard, error) {
		return newOnboard(g, until, p.open, clock.Host, log)
	}
	on, err := d.boards.plan(c.Gateways)
	if err != nil {
		return d, err
	}
	d.boards.set(on, sx1302.DriverStats{})
	list, euis, err := newGateways(withStandIns(c.Gateways, on))
	if err != nil {
		return d, err
	}
	gateways, err := registryOf(list)
	if err != nil {
		return d, err
	}
	o := bridge.Options{
		Devices: d.state.Devices, Ledgers: d.state.Ledgers, Hours: d.state.Hours, Tombstones: d.state.Tombstones,
		Gateways: gateways, Store: d.store, Outbox: d, Clients: d.broker,
		Transmitter: d, Clock: clock, Serves: true, Logger: log,
		Pool: d.formatters, Formatters: d.resolver, Version: version, Provisioned: d.home.Changed,
		Lease: d.lead.left(),
	}
	if err = d.addBridge(c, o, p.record); err != nil {
		return d, err
	}
	if err = d.listenGateways(&c, euis, clock); err != nil {
		return d, err
	}
	warnListening(c.Gateways, log)
	return d, d.openDoors(c)
}

// addBridge makes the bridge, with other networks and with a recording, if they are asked for.
func (d *daemon) addBridge(c config.Config, o bridge.Options, record recordTo) (err error) {
	if err = d.openUpstreams(&c); err != nil {
		return err
	}
	if err = d.addForwarder(&c, &o); err != nil {
		return err
	}
	if err = d.addChirpStacks(&c, &o); err != nil {
		return err
	}
	if record != nil {
		if d.recorder, err = record(d); err != nil {
			return fmt.Errorf("record: %w", err)
		}
		o.Recorder = d.recorder
	}
	d.bridge, err = newBridge(c, o)
	return err
}

// formatterOptions returns the options of the runner of payload formatters.
func formatterOptions(c config.Config, log *slog.Logger) formatter.Options {
	return formatter.Options{
		NoJavaScript: !c.Formatter.JavaScript, Deadline: c.Formatter.Deadline.D(), Wait: c.Formatter.Wait.D(), Logger: log,
	}
}

// withMemory switches scripts off where the machine, whose root is given, has too little memory for them.
func withMemory(root string, o formatter.Options) formatter.Options {
	if has, enough := forScripts(root); !o.NoJavaScript && !enough {
		o.NoJavaScript = true
		o.Logger.Warn("JavaScript formatters are switched off: the machine has too little memory for them", "MB", has/1e6,
			"needed", scriptsMemory/1_000_000)
	}
	return o
}

// listenGateways opens the ports for packet forwarders and for extenders.
func (d *daemon) listenGateways(c *config.Config, onUDP []radio.EUI64, clock *bridge.Clock) error {
	d.ways.set(c.Gateways)
	if err := d.listenUDP(c, onUDP, clock); err != nil {
		return err
	}
	return d.listenExtenders(c, clock)
}

// listenUDP opens the port for packet forwarders, if the configuration has one.
func (d *daemon) listenUDP(c *config.Config, gateways []radio.EUI64, clock *bridge.Clock) (err error) {
	if c.UDP.Listen == "" {
		return nil
	}
	d.udp, err = udp.Listen(udp.Options{
		Listen: c.UDP.Listen, Gateways: gateways, Allow: c.UDP.Networks(), AcceptUnknown: c.UDP.AcceptUnknown,
		Now: clock.Host, Logger: d.log, Elsewhere: d.notUDP,
	})
	return err
}

// warnListening warns about packet forwarders that must listen before talk: only
// they themselves can do that.
func warnListening(gws []config.Gateway, log *slog.Logger) {
	for i := range gws {
		plan, err := region.Lookup(gws[i].FrequencyPlan)
		if err != nil || gws[i].Driver != "udp" {
			continue
		}
		if _, asked := plan.LBT(); asked {
			log.Warn("the frequency plan requires listen before talk: configure it in the packet forwarder", "gateway",
				gws[i].ID, "plan", plan.ID())
		}
	}
}

// newBridge adds the settings of the configuration to the options.
func newBridge(c config.Config, o bridge.Options) (*bridge.Bridge, error) {
	plan, err := region.Lookup(c.Network.DefaultFrequencyPlan)
	if err != nil {
		return nil, err
	}
	o.DefaultPlan = plan
	o.Encoder = v3.Encoder{Legacy: c.MQTT.LegacyFields, Zero: c.MQTT.ZeroFields, Attributes: c.MQTT.Attributes}
	if err := o.Encoder.NetID.UnmarshalText([]byte(c.Network.NetID)); err != nil {
		return nil, err
	}
	if o.DevAddrs, err = devAddrPrefixes(&c.Network, o.Encoder.NetID); err != nil {
		return nil, err
	}
	o.Deduplication, o.Commit, o.RX1Delay = c.Network.DeduplicationWindow.D(), c.Store.CommitInterval.D(),
		c.Network.RX1Delay.D()
	return bridge.New(o)
}

// rx1Delay returns what the network tells devices that join, in s.
func rx1Delay(c config.Config) uint8 { return uint8(c.Network.RX1Delay.D() / time.Second) }

// openDoors opens the control socket and the HTTP server.
func (d *daemon) openDoors(c config.Config) (err error) {
	a, err := admin.New(admin.Options{
		Bridge: d.bridge, Keys: d.state.Keys, Store: d.store, Broker: d.broker, Plan: c.Network.DefaultFrequencyPlan,
		RX1Delay: rx1Delay(c),
		Build:    thisBuild(), Links: d.links, Drivers: d.driverStates, GNSS: d.faultyReceivers, Logger: d.log,
		Applications: d.state.Applications, Codecs: d.state.Codecs, Resolver: d.resolver, Formatters: d.formatters,
		Changed: d.home.Changed,
		Load:    func(b *store.Backup) error { return loads(c, b) }, Restore: d.restore,
	})
	if err != nil {
		return err
	}
	d.addProblems(&c, a)
	d.addUpstreams(a)
	d.lead.addTo(a)
	d.addReport(a)
	if c.HTTP.Listen != "" {
		if d.http, err = admin.ListenHTTP(a, c.HTTP.Listen); err != nil {
			return err
		}
	}
	if err = d.openAPI(c, a); err != nil {
		return err
	}
	d.mountPage(a)
	d.control, err = admin.Listen(a, c.Control.Socket)
	return err
}

// Publish takes what is published, for the broker, for webhooks, for Home Assistant and
// for servers upstream.
func (d *daemon) Publish(m v3.Message) {
	d.hooks.Publish(m)
	d.home.Publish(m)
	d.upstreams.publish(m)
	d.backfills.publish(m)
	d.broker.Publish(m) // at last: from here on another processor may be busy with it
}

// webhook returns that of an application.
func (d *daemon) webhook(application string) access.Webhook {
	a, _ := d.state.Applications.Application(application)
	return a.Webhook
}

// openAPI opens the HTTP API, if the configuration has one.
func (d *daemon) openAPI(c config.Config, a *admin.Admin) (err error) {
	if c.HTTP.APIListen == "" {
		return nil
	}
	d.api, err = api.Listen(api.Options{
		Listen: c.HTTP.APIListen, TLS: d.certs.TLSConfig(), Handshakes: &d.handshakes,
		Admin: a, Bridge: d.bridge, Keys: d.state.Keys, Calendar: d.calendar, Logger: d.log,
		Used:  func(keyID string, day access.Day) { d.bridge.Lag(state.KeyUseRecord(keyID, day)) },
		NetID: c.Network.NetID,
		MQTT:  func() (address, tlsAddress string) { return first(c.MQTT.Listen), first(c.MQTT.TLSListen) },
	})
	return err
}

// calendar returns the calendar time, or the zero time where it is not known.
func (d *daemon) calendar() time.Time {
	if now := d.bridge.Now(); now.Wall.Known() {
		return now.Wall.Time
	}
	return time.Time{}
}

func first(addresses []string) string {
	if len(addresses) == 0 {
		return ""
	}
	return addresses[0]
}

// push passes an application's downlinks to the bridge.
func (d *daemon) push(ctx context.Context, p broker.Push) error {
	_, err := d.bridge.TryPush(ctx, session.ID{Application: p.Login.Application, Device: p.Device}, p.Replace, p.Payload)
	if refused, ok := errors.AsType[*v3.Error](err); ok {
		return fmt.Errorf("%w: %w", broker.ErrRefused, refused)
	}
	return err
}

// refused turns a refusal of an MQTT client into an event.
func (d *daemon) refused(r broker.Refused) {
	now := d.bridge.Now()
	e := event.Event{
		Kind: [...]event.Kind{
			broker.LoginRefused: event.ClientRefused, broker.PublishRefused: event.PublishRefused,
			broker.SubscribeRefused: event.SubscribeRefused, broker.PacketRefused: event.PacketRefused,
		}[r.What],
		Host: now.Host, Address: r.Address, Word: r.Why, Client: event.Client{
			ID: r.Client, Application: r.Application, LoggedIn: r.LoggedIn,
			Topic: r.Topic,
		},
	}
	if now.Wall.Known() {
		e.At = now.Wall.Time
	}
	d.bridge.Events().Write(&e)
}

// loggedIn makes an event of the login of an MQTT client.
func (d *daemon) loggedIn(l access.Login, client, address string) {
	now := d.bridge.Now()
	e := event.Event{
		Kind: event.ClientLoggedIn, Host: now.Host, Address: address,
		Client: event.Client{ID: client, Application: l.Application, LoggedIn: true},
	}
	if now.Wall.Known() {
		e.At = now.Wall.Time
	}
	d.bridge.Events().Write(&e)
}

// devAddrPrefixes returns the prefixes of the configuration, which was checked, or
// the block of the NetID.
func devAddrPrefixes(n *config.Network, id radio.NetID) ([]radio.DevAddrPrefix, error) {
	if len(n.DevAddrPrefixes) == 0 {
		return []radio.DevAddrPrefix{id.DevAddrPrefix()}, nil
	}
	out := make([]radio.DevAddrPrefix, len(n.DevAddrPrefixes))
	for i, text := range n.DevAddrPrefixes {
		addr, length, _ := strings.Cut(text, "/")
		err := out[i].DevAddr.UnmarshalText([]byte(addr))
		if err == nil {
			out[i].Length, err = strconv.Atoi(length)
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// newBroker makes the broker.
func newBroker(c config.Config, st state.State, clock *bridge.Clock, certs *certificates, d *daemon,
	log *slog.Logger,
) (*broker.Broker, error) {
	l := c.MQTT.Limits
	return broker.New(broker.Options{
		Listen: c.MQTT.Listen, TLSListen: c.MQTT.TLSListen, WebSocketListen: c.MQTT.WebSocketListen,
		TLSConfig: certs.TLSConfig(), Handshakes: &d.handshakes,
		Origins: c.MQTT.WebSocketOrigins, Keys: st.Keys, Calendar: clock.Calendar, Logger: log,
		Limits: broker.Limits{
			Clients: l.Clients, Unauthenticated: l.Unauthenticated, PerAddress: l.UnauthenticatedPerAddress,
			ConnectTimeout: l.ConnectTimeout.D(),
			PacketSize:     l.PacketSize, Inflight: l.Inflight, ReceiveMaximum: l.ReceiveMaximum, WritesPending: l.WritesPending,
			WriteDeadline: l.WriteDeadline.D(), Subscriptions: l.Subscriptions, OfflineMessages: l.OfflineMessages,
			OfflineBytes: l.OfflineBytes, OfflineTotal: l.OfflineBytesTotal, KeptTotal: l.KeptBytesTotal,
			SessionExpiry: l.SessionExpiry.D(),
		},
		Push: d.push, Refused: d.refused, LoggedIn: d.loggedIn, Discovery: d.home, Keep: keeping(&c, d.store, log),
		Used: func(keyID string, day access.Day) { d.bridge.Lag(state.KeyUseRecord(keyID, day)) },
	})
}

// newGateways makes the gateways of the configuration, which was checked and in
// which each has an EUI. It also returns the EUIs of the gateways on UDP.
func newGateways(gws []config.Gateway) (list []*gateway.Gateway, euis []radio.EUI64, err error) {
	for i := range gws {
		c := &gws[i]
		g := &gateway.Gateway{
			ID: c.ID, Configured: true, EnforceDutyCycle: *c.EnforceDutyCycle,
			AntennaGain: radio.Decibel(math.Round(c.Antenna() * 100)),
		}
		if err := g.EUI.UnmarshalText([]byte(c.EUI)); err != nil {
			return nil, nil, err
		}
		if g.ID == "" {
			g.ID = gateway.DefaultID(g.EUI)
		}
		plan, err := region.Lookup(c.FrequencyPlan)
		if err != nil {
			return nil, nil, err
		}
		g.Plan = plan
		if l := c.Location; l != nil {
			g.Location = &gateway.Location{Latitude: l.Latitude, Longitude: l.Longitude, Altitude: l.Altitude}
		}
		g.Beacons = c.SX1302 != nil && c.SX1302.GNSS != nil && c.SX1302.GNSS.Beacon
		list = append(list, g)
		if c.Driver == "udp" {
			euis = append(euis, g.EUI)
		}
	}
	return list, euis, nil
}

// registryOf returns a registry of gateways.
func registryOf(list []*gateway.Gateway) (*gateway.Registry, error) {
	r := gateway.NewRegistry()
	for _, g := range list {
		if err := r.Add(g); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// mqttAddr returns the first address of the broker.
func (d *daemon) mqttAddr() netip.AddrPort {
	if a := d.broker.Addrs(); len(a) > 0 {
		return a[0]
	}
	return netip.AddrPort{}
}
