package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/bridge"
	"lorawand/bridge/event"
	"lorawand/bridge/gateway"
	"lorawand/bridge/session"
	"lorawand/bridge/store"
	"lorawand/bridge/v3"
	"lorawand/concentrator"
	"lorawand/concentrator/air"
	"lorawand/concentrator/gnss"
	"lorawand/concentrator/virtual"
	"lorawand/radio"
	"lorawand/radio/frame"
	"lorawand/radio/region"
)

// world is devices, an air, gateways and the bridge, in the fake time of a
// synctest bubble. Only sockets, broker and disk are left out.
type world struct {
	*testing.T
	air      *air.Air
	plan     *region.Plan
	clock    *bridge.Clock
	bridge   *bridge.Bridge
	devices  *session.Registry
	gateways *gateway.Registry
	drivers  map[radio.EUI64]concentrator.Driver
	rx1Delay time.Duration        // told to devices that join; 0: the usual one
	message  func(v3.Message)     // what comes over MQTT; called by the bridge, so it must not push itself
	news     func(event.Event)    // what people are told; nil: it is kept in events
	path     func(opener) opener  // to the chips of chipOn
	gnss     *gnss.Receiver       // that the chips of chipOn have; nil: none
	handing  func(radio.Downlink) // is told of what goes to a driver; may be nil
	stop     func()
	wg       sync.WaitGroup
	dead     atomic.Bool // nothing that the bridge does reaches anybody: its power is cut

	mu     sync.Mutex
	sent   []air.Transmission // what gateways have put on the air
	events []event.Event
}

// memory is a store that forgets.
type memory struct{}

func (memory) Commit(...store.Record) error { return nil }

// Publish implements bridge.Outbox.
func (w *world) Publish(m v3.Message) {
	if w.message != nil && !w.dead.Load() {
		w.message(m)
	}
}

// Transmit implements bridge.Transmitter.
func (w *world) Transmit(d radio.Downlink) error {
	if drv := w.drivers[d.Gateway]; drv != nil && !w.dead.Load() {
		if w.handing != nil {
			w.handing(d)
		}
		return drv.Transmit(d)
	}
	return concentrator.ErrGateway
}

// newWorld makes a world that does not move yet.
func newWorld(t *testing.T, planID string) *world {
	t.Helper()
	plan, err := region.Lookup(planID)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		T: t, air: air.New(1), plan: plan, devices: session.NewRegistry(0), gateways: gateway.NewRegistry(),
		path: overSPI, drivers: map[radio.EUI64]concentrator.Driver{},
		clock: bridge.NewClock(func(time.Time) radio.TimeQuality {
			return radio.TimeNTP
		}),
	}
	w.air.Log(func(tx air.Transmission) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.sent = append(w.sent, tx)
	})
	return w
}

// gateway adds a gateway on this host.
func (w *world) gateway(o virtual.Options, enforce bool) {
	w.Helper()
	o.Air, o.Now, o.Receiver.Plan = w.air, w.clock.Host, w.plan
	d, err := virtual.New(o)
	if err != nil {
		w.Fatal(err)
	}
	w.add(o.Receiver.EUI, d, enforce)
}

// remote adds a gateway on the far side of a network.
func (w *world) remote(o remoteOptions, enforce bool) *remote {
	w.Helper()
	o.Now, o.Receiver.Plan = w.clock.Host, w.plan
	r := newRemote(w.air, o)
	w.add(o.Receiver.EUI, r, enforce)
	return r
}

func (w *world) add(eui radio.EUI64, d concentrator.Driver, enforce bool) {
	w.Helper()
	w.drivers[eui] = d
	if err := w.gateways.Add(&gateway.Gateway{
		ID: gateway.DefaultID(eui), EUI: eui, Plan: w.plan,
		EnforceDutyCycle: enforce,
	}); err != nil {
		w.Fatal(err)
	}
}

// otaa adds a device that joins.
func (w *world) otaa(i int, o air.DeviceOptions) *air.Device {
	w.Helper()
	d := &session.Device{
		ID: session.ID{Application: "app1", Device: fmt.Sprintf("dev%04d", i)}, Plan: w.plan.ID(), Version: session.V1_0_3,
		SupportsJoin: true,
		DevEUI:       radio.EUI64{1, 2, 3, 4, 5, 6, byte(i >> 8), byte(i)}, JoinEUI: radio.EUI64{7}, HasJoinEUI: true,
		RootKeys: frame.RootKeys{AppKey: frame.Key{1, byte(i >> 8), byte(i)}},
	}
	switch o.Version {
	case air.V1_0_4:
		d.Version = session.V1_0_4
	case air.V1_1:
		d.Version, d.RootKeys.NwkKey = session.V1_1, frame.Key{2, byte(i >> 8), byte(i)}
	}
	if err := w.devices.Add(d); err != nil {
		w.Fatal(err)
	}
	o.Name, o.Plan, o.DevEUI, o.JoinEUI, o.RootKeys = d.ID.Device, w.plan, d.DevEUI, d.JoinEUI, d.RootKeys
	v, err := w.air.Device(o)
	if err != nil {
		w.Fatal(err)
	}
	return v
}

// run lets the world move until the function that it returns is called.
func (w *world) run() {
	w.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	end := w.work(bridge.Options{Devices: w.devices, Store: memory{}})
	w.part(ctx, &w.wg, w.air.Run)
	if w.gnss != nil {
		w.part(ctx, &w.wg, w.gnss.Run)
	}
	w.stop = func() { cancel(); end(); w.wg.Wait() }
	synctest.Wait()
}

// part runs a part of the world until ctx ends.
func (w *world) part(ctx context.Context, wg *sync.WaitGroup, run func(context.Context) error) {
	wg.Go(func() {
		if err := run(ctx); err != nil {
			w.Error(err)
		}
	})
}

// work makes the bridge of the options, which have what is stored, and has it and the drivers work
// until end is called.
func (w *world) work(o bridge.Options) (end func()) {
	w.Helper()
	o.Gateways, o.Outbox, o.Transmitter, o.DefaultPlan = w.gateways, w, w, w.plan
	o.RX1Delay, o.Clock, o.Logger = w.rx1Delay, w.clock, slog.New(slog.DiscardHandler)
	b, err := bridge.New(o)
	if err != nil {
		w.Fatal(err)
	}
	w.mu.Lock()
	w.bridge = b
	w.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	w.part(ctx, &wg, b.Run)
	w.part(ctx, &wg, func(ctx context.Context) error { return b.Events().Follow(ctx, w.follow) })
	for _, d := range w.drivers {
		w.part(ctx, &wg, func(ctx context.Context) error { return d.Run(ctx, b) })
	}
	return func() { cancel(); wg.Wait() }
}

// follow takes what the bridge tells people.
func (w *world) follow(e event.Event) error {
	if w.news != nil {
		w.news(e)
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
	return nil
}

func deviceID(name string) session.ID { return session.ID{Application: "app1", Device: name} }

// push pushes as an application does, and waits for the PUBACK.
func (w *world) push(device string, replace bool, body string) {
	if err := w.tryPush(device, replace, body); err != nil {
		w.Error(err)
	}
}

// tryPush is push, where it may be that nobody answers. An error says that the application does not
// know what became of it.
func (w *world) tryPush(device string, replace bool, body string) error {
	w.mu.Lock()
	b := w.bridge
	w.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return b.Push(ctx, deviceID(device), replace, []byte(body))
}
