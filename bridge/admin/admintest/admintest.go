// Package admintest has what the tests of bridge/admin and of its doors have in common: a
// house, which is a bridge that runs with one gateway and a store in memory, and what a
// test does with an operation.
//
// It does not import bridge/admin, because the tests of bridge/admin import it: a test
// makes its own Admin from the parts of a House.
package admintest

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"testing"
	"time"

	"lorawand/bridge"
	"lorawand/bridge/codec"
	"lorawand/bridge/formatter"
	"lorawand/bridge/gateway"
	"lorawand/bridge/state"
	"lorawand/bridge/store"
	"lorawand/bridge/store/storetest"
	"lorawand/bridge/v3"
	"lorawand/radio"
	"lorawand/radio/frame"
	"lorawand/radio/region"
)

// Plan is the frequency plan of the gateway and of devices that name none.
const Plan = "EU_863_870_TTN"

// GatewayEUI is that of gw1, the only gateway of a House.
var GatewayEUI = radio.EUI64{0xA1, 0xC0, 0xFF, 0xEE, 0, 0, 0, 1}

// House has no device, no application and no key. Nobody reads what its bridge publishes.
type House struct {
	*bridge.Bridge
	State    state.State
	Store    *store.Store
	Disk     *storetest.Disk // of Store
	Resolver *codec.Resolver
	Pool     *formatter.Pool // runs no JavaScript
	Clock    *bridge.Clock
	Logger   *slog.Logger // of nobody

	StopBridge func() // stops it before the test ends
}

// nobody is an outbox without clients.
type nobody struct{}

func (nobody) Publish(v3.Message) {}

// New returns a House whose bridge runs until the test ends.
func New(t *testing.T) *House {
	t.Helper()
	h := &House{Disk: storetest.NewDisk(nil), Logger: slog.New(slog.DiscardHandler)}
	var err error
	if h.Store, err = store.Open("", store.Options{FS: h.Disk}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Store.Close() })
	if h.State, err = state.Load(h.Store, 0, "ttn"); err != nil {
		t.Fatal(err)
	}
	plan, err := region.Lookup(Plan)
	if err != nil {
		t.Fatal(err)
	}
	gateways := gateway.NewRegistry()
	gw1 := &gateway.Gateway{ID: "gw1", EUI: GatewayEUI, Plan: plan, EnforceDutyCycle: true}
	if err := gateways.Add(gw1); err != nil {
		t.Fatal(err)
	}
	h.Resolver = codec.NewResolver(h.State.Applications, h.State.Codecs)
	h.Pool = formatter.New(formatter.Options{NoJavaScript: true, Logger: h.Logger})
	h.Clock = bridge.NewClock(func(time.Time) radio.TimeQuality { return radio.TimeNTP })
	h.Bridge, err = bridge.New(bridge.Options{
		Devices: h.State.Devices, Tombstones: h.State.Tombstones, Gateways: gateways, DefaultPlan: plan,
		Store: h.Store, Outbox: nobody{}, Formatters: h.Resolver, Pool: h.Pool, Clock: h.Clock, Logger: h.Logger,
	})
	if err != nil {
		t.Fatal(err)
	}
	Run(t, h.Pool.Run)
	h.StopBridge = Run(t, h.Bridge.Run)
	return h
}

// Run starts a part, which stops by stop or at the end of the test and is waited for.
func Run(t *testing.T, part func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := part(ctx); err != nil {
			t.Error(err)
		}
	})
	stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
	t.Cleanup(stop)
	return stop
}

// WaitFor waits until something is true.
func WaitFor(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("in a minute: not %s", what)
		}
	}
}

// Hear lets gw1 hear an uplink of a LoRaWAN 1.0 device whose NwkSKey is 1111… and whose
// AppSKey is 2222….
func (h *House) Hear(t *testing.T, addr radio.DevAddr, fCnt uint32, payload string) {
	t.Helper()
	nwk, app := frame.Key(bytes.Repeat([]byte{0x11}, 16)), frame.Key(bytes.Repeat([]byte{0x22}, 16))
	phy, err := frame.BuildUplink(frame.Data{
		MType: frame.UnconfirmedUp, DevAddr: addr, HasFPort: true, FPort: 7, FRMPayload: []byte(payload),
	}, fCnt, frame.SessionKeys{FNwkSIntKey: nwk, SNwkSIntKey: nwk, NwkSEncKey: nwk, AppSKey: app})
	if err != nil {
		t.Fatal(err)
	}
	h.Uplink(radio.Uplink{
		Gateway: GatewayEUI, PHYPayload: phy, Frequency: 868_100_000, DataRate: radio.LoRaDataRate(7, 125_000),
		CodingRate: radio.CodingRate45, Time: radio.ConcentratorTime(1_000_000 * (int64(fCnt) + 1)),
		Received: h.Now().Host, Receptions: []radio.Reception{{RSSI: -8000, SNR: 700}},
	})
}

// Caller is an Admin.
type Caller interface {
	Call(ctx context.Context, op string, args any, each func(json.RawMessage) error) error
}

// Ask carries out an operation with the rights of the owner and returns the parts of the
// answer.
func Ask(a Caller, op, args string) (parts []string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err = a.Call(ctx, op, json.RawMessage(args), func(raw json.RawMessage) error {
		parts = append(parts, string(raw))
		return nil
	})
	return parts, err
}

// Op is Ask for an operation that must not fail.
func Op(t *testing.T, a Caller, op, args string) (parts []string) {
	t.Helper()
	parts, err := Ask(a, op, args)
	if err != nil {
		t.Fatalf("%s %s: %v", op, args, err)
	}
	return parts
}
