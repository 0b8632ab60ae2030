package virtual

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/concentrator/air"
	"lorawand/radio"
	"lorawand/radio/frame"
	"lorawand/radio/region"
)

// echo is a server: it answers each tenth frame through the gateway that has
// heard it first, in RX1, or in RX2 if the gateway refuses.
type echo struct {
	drivers map[radio.EUI64]*Driver
	delays  region.Delays
	rx2     radio.DataRate
	seen    map[string]bool
	fCnts   map[radio.DevAddr]uint32
	tried   map[uint64]radio.Downlink
	acks    map[radio.TxResult]int
	id      uint64
}

func (e *echo) GatewayEvent(radio.GatewayEvent) {}

func (e *echo) Uplink(up radio.Uplink) {
	if e.seen[string(up.PHYPayload)] {
		return
	}
	e.seen[string(up.PHYPayload)] = true
	d, err := frame.ParseData(up.PHYPayload)
	if err != nil {
		panic(err)
	}
	if d.FCnt%10 != 0 {
		return
	}
	e.fCnts[d.DevAddr]++
	phy, err := frame.BuildDownlink(frame.Data{MType: frame.UnconfirmedDown, DevAddr: d.DevAddr}, e.fCnts[d.DevAddr],
		frame.SessionKeys{})
	if err != nil {
		panic(err)
	}
	e.transmit(radio.Downlink{
		Gateway: up.Gateway, PHYPayload: phy, Time: up.Time.Add(e.delays.RX1),
		Frequency: up.Frequency, DataRate: up.DataRate, Power: 1400,
	})
}

func (e *echo) transmit(d radio.Downlink) {
	e.id++
	d.ID = e.id
	e.tried[d.ID] = d
	if err := e.drivers[d.Gateway].Transmit(d); err != nil {
		panic(err)
	}
}

func (e *echo) TxAck(a radio.TxAck) {
	e.acks[a.Result]++
	d := e.tried[a.ID]
	delete(e.tried, a.ID)
	if a.Result != radio.TxOK && d.Frequency != 869_525_000 {
		d.Time, d.Frequency, d.DataRate = d.Time.Add(e.delays.Between), 869_525_000, e.rx2
		e.transmit(d)
	}
}

// fleet lets 200 devices send every 10 minutes through two gateways, and
// returns what the gateways have transmitted.
func fleet(t *testing.T, duration time.Duration) (log []air.Transmission) {
	const devices, interval = 200, 10 * time.Minute
	synctest.Test(t, func(t *testing.T) {
		plan, err := region.Lookup("EU_863_870_TTN")
		if err != nil {
			t.Fatal(err)
		}
		a, begin := air.New(3), time.Now()
		a.Log(func(tx air.Transmission) { log = append(log, tx) })
		server := newEcho(t, plan)
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		defer wg.Wait()
		defer cancel()
		for i := range 2 {
			d := fleetGateway(t, a, plan, begin, i)
			server.drivers[radio.EUI64{byte(i)}] = d
			wg.Go(func() { _ = d.Run(ctx, server) })
		}
		synctest.Wait()
		heard, missed, sent := 0, 0, 0
		for i := range devices {
			v, err := a.Device(air.DeviceOptions{
				Name: fmt.Sprint(i), DevAddr: radio.DevAddr{1, byte(i)}, Plan: plan, DataRate: uint8(i % 6),
				Heard: func(air.Heard) { heard++ },
				Missed: func(m air.Missed) {
					missed++
					t.Errorf("%s: %s", m.Device, m.Reason)
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			var send func()
			send = func() {
				sent++
				if _, err := v.Send(frame.Data{HasFPort: true, FPort: 1, FRMPayload: []byte("0123456789")}); err != nil {
					t.Error(err)
				}
				a.At(time.Now().Add(interval), send)
			}
			a.At(begin.Add(time.Second+time.Duration(i)*interval/devices), send)
		}
		wg.Go(func() { _ = a.Run(ctx) })
		time.Sleep(duration)
		synctest.Wait()
		if want := int(duration/interval) * devices; sent < want-devices || sent > want+devices {
			t.Errorf("%d frames sent, want %d", sent, want)
		}
		if refused := server.acks[radio.TxCollisionPacket]; len(log) != heard || heard < sent/10-sent/100 || refused > heard {
			t.Errorf("%d sent, %d transmissions, %d heard, %d missed, answers %v", sent, len(log), heard, missed, server.acks)
		}
	})
	return log
}

// fleetGateway gives gateway i of the fleet: each with its own counter and drift.
func fleetGateway(t *testing.T, a *air.Air, plan *region.Plan, begin time.Time, i int) *Driver {
	t.Helper()
	d, err := New(Options{
		Air: a, Now: func() radio.HostTime { return radio.HostTime(time.Since(begin)) }, Jitter: 30 * time.Millisecond,
		Loss: 0.01,
		Receiver: air.ReceiverOptions{
			EUI: radio.EUI64{byte(i)}, Plan: plan, Counter: uint32(i) * 3_000_000_000,
			Drift: 40 - 70*i,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func newEcho(t *testing.T, plan *region.Plan) *echo {
	t.Helper()
	rx2, err := plan.DataRate(plan.BandRX2().DataRate)
	if err != nil {
		t.Fatal(err)
	}
	return &echo{
		drivers: map[radio.EUI64]*Driver{}, delays: plan.Delays(), rx2: rx2, seen: map[string]bool{},
		fCnts: map[radio.DevAddr]uint32{}, tried: map[uint64]radio.Downlink{}, acks: map[radio.TxResult]int{},
	}
}

// Two gateways with clocks of their own serve a fleet: every transmission that
// they take is heard, and a second run is the same.
func TestFleet(t *testing.T) {
	const duration = 4 * time.Hour
	first, second := fleet(t, duration), fleet(t, duration)
	if len(first) != len(second) {
		t.Fatalf("%d and %d transmissions", len(first), len(second))
	}
	for i, tx := range first {
		if other := second[i]; tx.Counter != other.Counter || tx.Gateway != other.Gateway || tx.TakenBy != other.TakenBy ||
			!tx.Begin.Equal(other.Begin) {
			t.Fatalf("transmission %d is %+v, was %+v", i, other, tx)
		}
	}
}
