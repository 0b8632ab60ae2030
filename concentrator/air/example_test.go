package air_test

import (
	"context"
	"fmt"
	"time"

	"lorawand/concentrator/air"
	"lorawand/radio"
	"lorawand/radio/frame"
	"lorawand/radio/region"
)

// A device that joins, and sends every minute from then on.
func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	plan, err := region.Lookup("EU_863_870_TTN")
	if err != nil {
		panic(err)
	}
	a := air.New(1)
	gateway := a.Listen(air.ReceiverOptions{
		EUI: radio.EUI64{0x02, 0x42, 0x02, 0, 0, 0x24, 0x78, 0x03}, Plan: plan,
		Hear: func(up radio.Uplink) { fmt.Println("to the server:", up.Time, up.PHYPayload) },
	})
	_ = gateway.Transmit // takes the server's downlinks

	var dev *air.Device
	var send func()
	send = func() {
		if _, err := dev.Send(frame.Data{HasFPort: true, FPort: 15, FRMPayload: []byte("Temperature = 0.0")}); err != nil {
			fmt.Println(err)
		}
		a.At(time.Now().Add(time.Minute), send)
	}
	dev, err = a.Device(air.DeviceOptions{
		Name: "dev1", Plan: plan, DataRate: 5, RSSI: -3500, SNR: 500,
		DevEUI: radio.EUI64{0x42, 7: 1}, RootKeys: frame.RootKeys{AppKey: frame.Key{1}},
		Heard: func(h air.Heard) {
			if h.JoinAccept != nil {
				send()
				return
			}
			fmt.Printf("RX%d, %v from its opening: %x on FPort %d\n", h.Window, h.Margin, h.Data.FRMPayload, h.Data.FPort)
		},
		Missed: func(m air.Missed) { fmt.Println("not taken:", m.Reason) },
		Silent: func(s air.Sent) {
			if s.Join {
				_, _ = dev.Join() // again
			}
		},
	})
	if err != nil {
		panic(err)
	}
	if _, err := dev.Join(); err != nil {
		panic(err)
	}
	_ = a.Run(ctx)
}
