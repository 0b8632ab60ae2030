package main

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/bridge/v3"
	"lorawand/concentrator/air"
	"lorawand/concentrator/virtual"
	"lorawand/radio"
	"lorawand/radio/frame"
)

// This counts in fake time what TestAnswersRideAlong counts on real sockets.
func TestAirAnswersRideAlong(t *testing.T) {
	tests := []struct {
		rx1Delay, wait time.Duration
		count          int
	}{
		{5 * time.Second, 80 * time.Millisecond, 100},
		{5 * time.Second, 700 * time.Millisecond, 50},
		{time.Second, 500 * time.Millisecond, 50},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%v, answered after %v", tt.rx1Delay, tt.wait), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, "EU_863_870_TTN")
				w.rx1Delay = tt.rx1Delay
				for i := range answerGateways {
					w.gateway(virtual.Options{Receiver: answerReceiver(i)}, false)
				}
				w.message = func(m v3.Message) {
					if m.Suffix == v3.Up {
						go func() {
							time.Sleep(tt.wait)
							w.push(m.Device, false, `{"downlinks":[{"f_port":9,"frm_payload":"AA=="}]}`)
						}()
					}
				}
				var heard answersHeard
				var devices []*air.Device
				for i := range answerDevices {
					devices = append(devices, w.otaa(i, heard.options()))
				}
				w.run()
				for _, v := range devices { // the joins let every gateway answer once
					if _, err := v.Join(); err != nil {
						t.Fatal(err)
					}
					time.Sleep(500 * time.Millisecond)
				}
				time.Sleep(10 * time.Second)
				for n := range tt.count {
					if _, err := devices[n%answerDevices].Send(frame.Data{
						MType: frame.ConfirmedUp, HasFPort: true, FPort: 2,
						FRMPayload: []byte("answer me"),
					}); err != nil {
						t.Fatal(err)
					}
					time.Sleep((tt.rx1Delay + 500*time.Millisecond) / answerDevices)
				}
				time.Sleep(10 * time.Second)
				w.stop()
				if heard.together != tt.count || len(heard.apart) > 0 {
					t.Errorf("%d of %d answers came with the acknowledgement in RX1; else: %s", heard.together, tt.count,
						strings.Join(heard.apart, "; "))
				}
			})
		})
	}
}

// answerReceiver returns gateway i, which hears each device with another strength.
func answerReceiver(i int) air.ReceiverOptions {
	return air.ReceiverOptions{
		EUI: answerGateway(i), Counter: uint32(i) << 30,
		Signal: func(dev string) (rssi, snr radio.Decibel) {
			var n int
			_, _ = fmt.Sscanf(dev, "dev%d", &n)
			return radio.Decibel(-6000 - 500*((n+i)%answerGateways)), 800
		},
	}
}

// answersHeard counts the answers that came in RX1 together with the acknowledgement,
// and describes everything else that devices have heard or missed.
type answersHeard struct {
	together int
	apart    []string
}

func (a *answersHeard) options() air.DeviceOptions {
	return air.DeviceOptions{
		DataRate: 5,
		Heard: func(h air.Heard) {
			if d := h.Data; d != nil && h.Window == 1 && d.ACK && d.FPort == 9 && !d.FPending {
				a.together++
			} else if d != nil {
				a.apart = append(a.apart, fmt.Sprintf("%s in RX%d: ACK %v, f_port %d", h.Device, h.Window, d.ACK, d.FPort))
			}
		},
		Missed: func(m air.Missed) { a.apart = append(a.apart, m.Device+" missed: "+m.Reason) },
		Silent: func(air.Sent) { a.apart = append(a.apart, "nothing heard") },
	}
}
