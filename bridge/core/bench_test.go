package core

import (
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"lorawand/bridge/gateway"
	"lorawand/bridge/session"
	"lorawand/radio"
	"lorawand/radio/region"
)

func BenchmarkUplink(b *testing.B) {
	plan, err := region.Lookup("EU_863_870")
	if err != nil {
		b.Fatal(err)
	}
	devices, gateways := session.NewRegistry(0), gateway.NewRegistry()
	dev := &session.Device{
		ID: session.ID{Application: "app1", Device: "dev1"}, DevEUI: radio.EUI64{1}, Version: session.V1_0_4, Plan: plan.ID(),
		Session: &session.Session{DevAddr: radio.DevAddr{1, 2, 3, 4}, Keys: testKeys(1)},
	}
	if err := errors.Join(devices.Add(dev), gateways.Add(&gateway.Gateway{ID: "gw", EUI: gwA, Plan: plan})); err != nil {
		b.Fatal(err)
	}
	c, err := New(Options{Devices: devices, Gateways: gateways, Entropy: rand.Reader, DefaultPlan: plan})
	if err != nil {
		b.Fatal(err)
	}
	now := Now{Host: 1, Wall: radio.WallTime{Time: time.Now(), Quality: radio.TimeNTP}}
	c.Step(now, GatewayChanged{radio.GatewayEvent{Gateway: gwA, Kind: radio.GatewayConnected}})
	s := &stand{devices: map[string]*session.Device{"dev1": dev}, T: new(testing.T)}
	ups := make([]radio.Uplink, 4096)
	fCnt := uint32(0)
	b.ReportAllocs()
	for b.Loop() {
		if fCnt%uint32(len(ups)) == 0 {
			b.StopTimer()
			for i := range ups {
				ups[i] = radio.Uplink{
					Gateway: gwA, PHYPayload: s.phy("dev1", fCnt+uint32(i), payload("x")), Frequency: 868_100_000,
					DataRate: radio.LoRaDataRate(7, 125_000), CodingRate: radio.CodingRate45, Receptions: []radio.Reception{{}},
				}
			}
			b.StartTimer()
		}
		now.Host = now.Host.Add(3 * time.Millisecond)
		now.Wall.Time = now.Wall.Time.Add(3 * time.Millisecond)
		c.Step(now, Heard{ups[fCnt%uint32(len(ups))]})
		fCnt++
	}
	if c.Stats().Published != uint64(fCnt) {
		b.Fatalf("%d of %d published: %+v", c.Stats().Published, fCnt, c.Stats())
	}
}
