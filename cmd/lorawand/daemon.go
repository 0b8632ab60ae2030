package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"

	"lorawand/bridge"
	"lorawand/bridge/admin"
	"lorawand/bridge/broker"
	"lorawand/bridge/gateway"
	"lorawand/bridge/session"
	"lorawand/bridge/store"
	"lorawand/bridge/v3"
	"lorawand/cmd/lorawand/config"
	"lorawand/concentrator"
	"lorawand/concentrator/sx1302"
	"lorawand/concentrator/udp"
	"lorawand/radio"
	"lorawand/radio/region"
)

// daemon is everything that runs, wired together.
type daemon struct {
	log     *slog.Logger
	store   *store.Store
	state   bridge.State
	bridge  *bridge.Bridge
	broker  *broker.Broker
	control *admin.Server
	http    *admin.HTTP // nil: off
	udp     *udp.Driver // nil: off
	boards  boards
	certs   *certificates // nil: no TLS

	restores chan restoring

	// What reload needs; without a source there are no reloads.
	config  config.Config // that is in force
	level   *slog.LevelVar
	source  func() (config.Config, error)
	reloads <-chan os.Signal
}

// newDaemon opens the store and the sockets. run does the work, and close
// frees what was opened if it is not run.
func newDaemon(c config.Config, log *slog.Logger) (*daemon, error) {
	return newDaemonOn(c, log, openBoard, nil)
}

// newDaemonOn is newDaemon with the way to open boards, and with what the store
// writes to; nil is its folder.
func newDaemonOn(c config.Config, log *slog.Logger, open opener, disk store.FS) (d *daemon, err error) {
	if err := checkServed(&c); err != nil {
		return nil, err
	}
	d = &daemon{log: log, restores: make(chan restoring), config: c}
	defer func() {
		if err != nil {
			d.close()
			d = nil
		}
	}()
	if d.store, d.state, err = openStateOn(disk, c, log); err != nil {
		return d, err
	}
	clock := bridge.NewClock(nil)
	if d.certs, err = newCertificates(&c.MQTT, clock.Calendar, log); err != nil {
		return d, err
	}
	if d.broker, err = newBroker(c, d.state, clock, d.certs, d.push, log); err != nil {
		return d, err
	}
	d.boards.make = func(g *config.Gateway, until radio.EUI64) (*onboard, error) {
		return newOnboard(g, until, open, clock.Host, log)
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
	gateways := gateway.NewRegistry()
	for _, g := range list {
		if err = gateways.Add(g); err != nil {
			return d, err
		}
	}
	if d.bridge, err = newBridge(c, bridge.Options{
		Devices: d.state.Devices, Ledgers: d.state.Ledgers, Gateways: gateways, Store: d.store, Outbox: d.broker, Transmitter: d, Clock: clock, Logger: log,
	}); err != nil {
		return d, err
	}
	if c.UDP.Listen != "" {
		d.udp, err = udp.Listen(udp.Options{
			Listen: c.UDP.Listen, Gateways: euis, AcceptUnknown: c.UDP.AcceptUnknown, Now: clock.Host, Logger: log,
		})
		if err != nil {
			return d, err
		}
	}
	warnListening(c.Gateways, log)
	return d, d.openDoors(c)
}

// warnListening tells of packet forwarders that have to listen before they talk,
// which nobody but they themselves can do.
func warnListening(gws []config.Gateway, log *slog.Logger) {
	for i := range gws {
		plan, err := region.Lookup(gws[i].FrequencyPlan)
		if err != nil || gws[i].Driver != "udp" {
			continue
		}
		if _, asked := plan.LBT(); asked {
			log.Warn("the plan asks for listening before talking: see that the packet forwarder is configured for it", "gateway", gws[i].ID, "plan", plan.ID())
		}
	}
}

// newBridge completes the options with what the configuration says.
func newBridge(c config.Config, o bridge.Options) (*bridge.Bridge, error) {
	plan, err := region.Lookup(c.Network.DefaultFrequencyPlan)
	if err != nil {
		return nil, err
	}
	o.DefaultPlan = plan
	o.Encoder = v3.Encoder{Legacy: c.MQTT.LegacyFields, Zero: c.MQTT.ZeroFields}
	if err := o.Encoder.NetID.UnmarshalText([]byte(c.Network.NetID)); err != nil {
		return nil, err
	}
	if o.DevAddrs, err = devAddrPrefixes(&c.Network, o.Encoder.NetID); err != nil {
		return nil, err
	}
	o.Deduplication, o.Commit, o.RX1Delay = c.Network.DeduplicationWindow.D(), c.Store.CommitInterval.D(), c.Network.RX1Delay.D()
	return bridge.New(o)
}

// openDoors opens the ways in which the owner gets in.
func (d *daemon) openDoors(c config.Config) error {
	a, err := admin.New(admin.Options{
		Bridge: d.bridge, Keys: d.state.Keys, Store: d.store, Broker: d.broker, Plan: c.Network.DefaultFrequencyPlan,
		Build: thisBuild(), Links: d.links, Drivers: d.driverStates, Logger: d.log,
		Load: func(b *store.Backup) error { return loads(c, b) }, Restore: d.restore,
	})
	if err != nil {
		return err
	}
	if c.HTTP.Listen != "" {
		if d.http, err = admin.ListenHTTP(a, c.HTTP.Listen); err != nil {
			return err
		}
	}
	d.control, err = admin.Listen(a, c.Control.Socket)
	return err
}

// driverStates tells of the drivers.
func (d *daemon) driverStates() (out []admin.Driver) {
	for _, b := range d.boards.all() {
		out = append(out, admin.Driver{Name: "sx1302 " + b.chip.Board.Device, Err: b.fault()})
	}
	if len(out) > 0 {
		sum := d.boards.stats()
		out[0].Counters, out[0].Gauges = chipNumbers(&sum)
	}
	if d.udp != nil {
		out = append(out, d.udpState())
	}
	return out
}

// chipNumbers are those of all concentrators on board together.
func chipNumbers(s *sx1302.DriverStats) ([]admin.Counter, []admin.Gauge) {
	counter := func(name, help string, v uint64) admin.Counter {
		return admin.Counter{Name: "lorawand_concentrator_" + name + "_total", Help: help, Value: v}
	}
	counters := []admin.Counter{
		counter("starts", "Starts of the chip that succeeded.", s.Starts),
		counter("failures", "Starts that failed and runs that ended in a fault.", s.Failures),
		counter("frames", "Frames that the chip has handed over.", s.Receive.Packets),
		counter("bad_crc", "Frames with a wrong CRC or none.", s.BadCRC),
		counter("ghosts", "Frames that were heard beside their channel as well.", s.Ghosts),
		counter("bad_records", "Records of the chip that were spoilt.", s.Receive.BadRecords),
		counter("bad_payloads", "Frames of which the chip said that the CRC was good when it was not.", s.Receive.BadPayload),
		counter("torn_readings", "Readings of the counter that had to be done again.", s.Receive.Torn),
		counter("armed", "Downlinks that were handed to the chip in time.", s.JIT.Armed),
		counter("too_late", "Downlinks that were taken and then not armed in time.", s.JIT.TooLate),
		counter("refused", "Downlinks that the chip did not take.", s.JIT.Failed),
		counter("broken", "Downlinks that were accepted and then not sent.", s.JIT.Broken),
		counter("stuck", "Times that a transmitter had to be freed.", s.JIT.Stuck),
		counter("channel_taken", "Downlinks that were not sent because their channel was in use.", s.Taken),
	}
	return counters, []admin.Gauge{
		{Name: "lorawand_concentrator_least_lead_seconds", Help: "The shortest time before its begin at which a downlink was armed.", Value: s.JIT.MinLead.Seconds()},
		{Name: "lorawand_concentrator_most_lateness_seconds", Help: "The longest time after its turn at which a downlink was armed.", Value: s.JIT.Late.Seconds()},
	}
}

func (d *daemon) udpState() admin.Driver {
	s := d.udp.Stats()
	counter := func(name, help string, v uint64) admin.Counter {
		return admin.Counter{Name: "lorawand_gwmp_" + name + "_total", Help: help, Value: v}
	}
	return admin.Driver{Name: "udp", Counters: []admin.Counter{
		counter("datagrams", "Datagrams of packet forwarders.", s.Datagrams),
		counter("malformed", "Datagrams that are not of the protocol.", s.Malformed),
		counter("unknown_gateway", "Datagrams of gateways that are not taken.", s.UnknownGateway),
		counter("foreign_address", "Datagrams of a gateway from another address than its own.", s.ForeignAddress),
		counter("duplicates", "Frames that came twice in the same words.", s.Duplicates),
		counter("bad_crc", "Frames with a wrong CRC or none.", s.BadCRC),
		counter("faulty", "Frames that were left out for what stands in them.", s.Faulty),
		counter("stray_acks", "TX_ACK to nothing that was asked, or too late.", s.StrayAcks),
		counter("kernel_drops", "Datagrams that the kernel threw away because its buffer was full.", s.KernelDrops),
		counter("faults", "Faults of ours on a datagram.", s.Panics),
	}}
}

// links tells of the packet forwarders.
func (d *daemon) links() map[radio.EUI64]admin.Link {
	out := map[radio.EUI64]admin.Link{}
	if d.udp != nil {
		for eui, l := range d.udp.Links() {
			out[eui] = admin.Link{Pulled: l.Pulled, Version: l.Version}
		}
	}
	return out
}

// push hands an application's downlinks on.
func (d *daemon) push(ctx context.Context, p broker.Push) error {
	return d.bridge.Push(ctx, session.ID{Application: p.Login.Application, Device: p.Device}, p.Replace, p.Payload)
}

// Transmit implements bridge.Transmitter: a gateway is reached through the one
// driver that has it.
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

// devAddrPrefixes are those of the configuration, which was checked, or the
// block of the NetID.
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

// openState opens the store and loads what is in it. log may be nil, see
// store.Options.
func openState(c config.Config, log *slog.Logger) (*store.Store, bridge.State, error) {
	return openStateOn(nil, c, log)
}

func openStateOn(disk store.FS, c config.Config, log *slog.Logger) (*store.Store, bridge.State, error) {
	s, err := store.Open(c.Store.Path, store.Options{Ephemeral: c.Store.Ephemeral, FS: disk, Logger: log})
	if err != nil {
		return nil, bridge.State{}, err
	}
	st, err := bridge.Load(s, bridge.WrongMICs(), c.MQTT.Tenant)
	if err != nil {
		_ = s.Close()
		return nil, bridge.State{}, err
	}
	catchUp(s, st, cmp.Or(log, slog.Default()))
	return s, st, nil
}

// catchUp skips ahead where the store may be behind. Where that cannot be stored
// nothing else can, which the store has said: the radio works all the same.
func catchUp(s *store.Store, st bridge.State, log *slog.Logger) {
	behind, err := bridge.CatchUp(s, st)
	switch {
	case err != nil:
		log.Error("the store is older than what was answered, and cannot be written; the next start skips ahead again", "error", err)
	case behind:
		log.Warn("the store is older than what was answered: FCntDown and JoinNonces have skipped ahead", "devices", st.Devices.Len())
	}
}

func newBroker(c config.Config, st bridge.State, clock *bridge.Clock, certs *certificates, push func(context.Context, broker.Push) error, log *slog.Logger) (*broker.Broker, error) {
	l := c.MQTT.Limits
	return broker.New(broker.Options{
		Listen: c.MQTT.Listen, TLSListen: c.MQTT.TLSListen, WebSocketListen: c.MQTT.WebSocketListen, TLSConfig: certs.TLSConfig(),
		Origins: c.MQTT.WebSocketOrigins, Keys: st.Keys, Calendar: clock.Calendar, Logger: log,
		Limits: broker.Limits{
			Clients: l.Clients, Unauthenticated: l.Unauthenticated, PerAddress: l.UnauthenticatedPerAddress, ConnectTimeout: l.ConnectTimeout.D(),
			PacketSize: l.PacketSize, Inflight: l.Inflight, ReceiveMaximum: l.ReceiveMaximum, WritesPending: l.WritesPending,
			WriteDeadline: l.WriteDeadline.D(), Subscriptions: l.Subscriptions, OfflineMessages: l.OfflineMessages,
			OfflineBytes: l.OfflineBytes, OfflineTotal: l.OfflineBytesTotal, SessionExpiry: l.SessionExpiry.D(),
		},
		Push: push,
	})
}

// newGateways makes the gateways of the configuration, which was checked and
// where each has an EUI, and lists those that are reached over UDP.
func newGateways(gws []config.Gateway) (list []*gateway.Gateway, euis []radio.EUI64, err error) {
	for i := range gws {
		c := &gws[i]
		g := &gateway.Gateway{ID: c.ID, Configured: true, EnforceDutyCycle: *c.EnforceDutyCycle, AntennaGain: radio.Decibel(math.Round(c.Antenna() * 100))}
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
		list = append(list, g)
		if c.Driver == "udp" {
			euis = append(euis, g.EUI)
		}
	}
	return list, euis, nil
}

// mqttAddr returns the first address of the broker.
func (d *daemon) mqttAddr() netip.AddrPort {
	if a := d.broker.Addrs(); len(a) > 0 {
		return a[0]
	}
	return netip.AddrPort{}
}

// errAnew is how run ends when everything is to begin anew with another state.
var errAnew = errors.New("begin anew")

// restoring is a backup that is to take the place of the state.
type restoring struct {
	backup *store.Backup
	done   chan error
}

// restore stops the daemon's work, replaces its state, and ends run.
func (d *daemon) restore(ctx context.Context, b *store.Backup) error {
	r := restoring{b, make(chan error, 1)}
	select {
	case d.restores <- r:
		return <-r.done
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run works until ctx ends or a part fails, and stops from the air inwards:
// first nothing more is heard, then what was heard is published.
func (d *daemon) run(ctx context.Context) error {
	defer d.store.Close()
	d.log.Info("lorawand starts", "version", version, "devices", d.state.Devices.Len(), "api_keys", d.state.Keys.Len())
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	stopBroker := stage(ctx, fail, d.broker.Run)
	stopBridge := stage(ctx, fail, d.bridge.Run)
	stopControl := stage(ctx, fail, d.control.Run)
	var stops []func()
	if d.http != nil {
		stops = append(stops, stage(ctx, fail, d.http.Run))
	}
	if d.udp != nil {
		stops = append(stops, stage(ctx, fail, func(ctx context.Context) error { return d.udp.Run(ctx, d.bridge) }))
	}
	d.boards.start = func(o *onboard) {
		o.stop = stage(ctx, fail, func(ctx context.Context) error { return o.Run(ctx, d.bridge) })
	}
	for _, o := range d.boards.all() {
		d.boards.start(o)
	}
	stops = append(stops, d.boards.stop)
	replace := d.wait(ctx)
	if replace == nil {
		stopControl()
	}
	d.log.Info("lorawand stops")
	for _, stop := range append(stops, stopBridge, stopBroker) {
		stop()
	}
	if replace != nil {
		replace.done <- d.store.Restore(replace.backup)
		stopControl()
		return errAnew
	}
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// wait returns when the daemon is to stop: for a backup to be restored, or nil
// for good. Meanwhile it reloads the configuration when it is told to.
func (d *daemon) wait(ctx context.Context) *restoring {
	for {
		select {
		case <-ctx.Done():
			return nil
		case r := <-d.restores:
			return &r
		case <-d.reloads:
			d.reload(ctx)
		}
	}
}

// turns returns nil as soon as the core's loop has come round.
func (d *daemon) turns(ctx context.Context) error {
	_, err := d.bridge.Stats(ctx)
	return err
}

// stage starts a part that lives until the returned function is called. A part
// that ends with an error ends the whole.
func stage(ctx context.Context, fail context.CancelCauseFunc, run func(context.Context) error) (stop func()) {
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := run(own); err != nil {
			fail(err)
		}
	})
	return func() {
		cancel()
		wg.Wait()
	}
}

// close frees what was opened and not run.
func (d *daemon) close() {
	if d.control != nil {
		_ = d.control.Close()
	}
	if d.http != nil {
		_ = d.http.Close()
	}
	if d.udp != nil {
		_ = d.udp.Close()
	}
	if d.broker != nil {
		d.broker.Close()
	}
	if d.store != nil {
		_ = d.store.Close()
	}
}
