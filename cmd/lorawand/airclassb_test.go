package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/bridge/v3"
	"lorawand/concentrator/air"
	"lorawand/concentrator/udp"
	"lorawand/radio"
	"lorawand/radio/frame"
	"lorawand/radio/region"
)

// Devices of Class B tell when they have ping slots, and hear what is pushed for them in these, by
// the GPS time of a packet forwarder (tmms): each item once, and none beside a slot. Their uplinks
// go on meanwhile.
func TestAirClassB(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const devices, items = 4, 100
		p := newPushes(newWorld(t, "EU_863_870_TTN"))
		p.remote(remoteOptions{
			Receiver: air.ReceiverOptions{EUI: radio.EUI64{0xA}, Counter: 4_290_000_000, GPS: true},
			Jitter:   3 * time.Millisecond, Local: true,
		}, true)
		windows := map[int]int{}
		brokenOff := 0 // frames in a ping slot during which the device sent, which nobody can foresee
		var all []*air.Device
		for i := range devices {
			all = append(all, p.classB(i, uint8(2*i), windows, &brokenOff))
		}
		p.run()
		for _, v := range all {
			if _, err := v.Join(); err != nil {
				t.Error(err)
			}
			time.Sleep(8 * time.Second)
		}
		time.Sleep(10 * time.Minute)
		for n := range items {
			payload := fmt.Sprintf("%04d", n)
			p.pushed[payload] = time.Now()
			p.push(fmt.Sprintf("dev%04d", p.rnd.IntN(devices)), false,
				fmt.Sprintf(`{"downlinks":[{"f_port":15,"frm_payload":%q}]}`, base64.StdEncoding.EncodeToString([]byte(payload))))
			time.Sleep(time.Duration(p.rnd.Int64N(int64(40 * time.Second))))
		}
		time.Sleep(10 * time.Minute)
		p.stop()
		checkOverlaps(p, p.sent)
		checkDutyCycle(p, p.sent)
		unheard := 0
		for payload := range p.pushed {
			if ends := p.ends[payload]; len(ends) != 1 || ends[0] != v3.DownSent {
				t.Errorf("item %s: %v", payload, ends)
			}
			if p.heard[payload].IsZero() {
				unheard++
			}
		}
		if unheard != brokenOff || unheard > items/10 {
			t.Errorf("%d items unheard, and %d uplinks broke a ping slot off", unheard, brokenOff)
		}
		if len(p.wrong) > 0 || p.twice > 0 {
			t.Errorf("%d heard twice, %d things went wrong: %s", p.twice, len(p.wrong), p.wrong[:min(len(p.wrong), 5)])
		}
		if windows[4] < items*2/3 || windows[1]+windows[2] < 3 || windows[3] > 0 {
			t.Errorf("heard in windows %v", windows)
		}
	})
}

// classB adds a device of Class B that sends every few minutes.
func (p *pushed) classB(i int, periodicity uint8, windows map[int]int, brokenOff *int) *air.Device {
	p.Helper()
	var v *air.Device
	var send func()
	send = func() {
		if _, err := v.Send(frame.Data{HasFPort: true, FPort: 1, FRMPayload: []byte("up")}); err != nil {
			p.wrong = append(p.wrong, err.Error())
		}
		p.air.At(time.Now().Add(3*time.Minute+time.Duration(p.onAir.Int64N(int64(3*time.Minute)))), send)
	}
	v = p.otaa(i, air.DeviceOptions{
		DataRate: 5, RSSI: -8000, SNR: 700, ClassB: true, Periodicity: periodicity,
		Heard: func(h air.Heard) {
			if h.JoinAccept != nil {
				p.air.At(time.Now().Add(time.Second), send)
				return
			}
			if h.Data.FPort != 15 {
				return
			}
			windows[h.Window]++
			if _, again := p.heard[string(h.Data.FRMPayload)]; again {
				p.twice++
			}
			p.heard[string(h.Data.FRMPayload)] = h.Begin
		},
		Missed: func(m air.Missed) {
			if m.Reason == "broken off: the device has sent again" {
				*brokenOff++
				return
			}
			p.wrong = append(p.wrong, m.Device+": "+m.Reason)
		},
	})
	p.devices.Device(deviceID(fmt.Sprintf("dev%04d", i))).ClassB = true
	return v
}

// The same over real sockets: what waits behind the windows of an uplink is heard in a ping slot.
func TestClassBOverUDP(t *testing.T) {
	s := newSite(t, "")
	device := strings.Replace(settledDevice("dev1", testAddr.String(), 1), `"mac_settings":{`,
		`"supports_class_b":true,"mac_settings":{"ping_slot_periodicity":"PING_EVERY_1S",`, 1)
	s.must(device, "device", "import", "--application", "app1", "-")
	r := s.start()
	heard, send := r.classBDevice()
	send()
	item := `{"f_port":15,"frm_payload":"AQ=="}`
	push := fmt.Sprintf(`{"downlinks":[%s,%s]}`, item, item)
	if err := r.d.bridge.Push(context.Background(), deviceID("dev1"), false, []byte(push)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{1, 4} {
		select {
		case h := <-heard:
			if h.Window != want {
				t.Errorf("heard in window %d, want %d (4 is a ping slot)", h.Window, want)
			}
		case <-time.After(15 * time.Second):
			t.Fatalf("nothing heard\n%s", r.logged())
		}
	}
}

// classBDevice puts a device of Class B and a packet forwarder with GPS time on the air, and returns
// what the device hears, and how it sends.
func (r *running) classBDevice() (heard <-chan air.Heard, send func()) {
	r.Helper()
	plan, err := region.Lookup("EU_863_870_TTN")
	if err != nil {
		r.Fatal(err)
	}
	ether, ch := air.New(1), make(chan air.Heard, 10)
	var f *udp.Forwarder
	receiver := ether.Listen(air.ReceiverOptions{
		EUI: testEUI, Plan: plan, GPS: true, Hear: func(up radio.Uplink) { f.Uplink(up) },
	})
	if f, err = udp.NewForwarder(udp.ForwarderOptions{
		Server: r.d.udp.Addr().String(), EUI: testEUI, Transmit: receiver.Transmit, GPS: true,
	}); err != nil {
		r.Fatal(err)
	}
	v, err := ether.Device(air.DeviceOptions{
		Name: "dev1", Plan: plan, DataRate: 5, DevAddr: testAddr, Keys: testKeys(r.TB), ClassB: true,
		Heard:  func(h air.Heard) { ch <- h },
		Missed: func(m air.Missed) { r.Errorf("missed: %s", m.Reason) },
	})
	if err != nil {
		r.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = f.Run(ctx) })
	wg.Go(func() { _ = ether.Run(ctx) })
	r.Cleanup(func() { cancel(); wg.Wait() })
	eventually(r, patience, "the way for downlinks", func() bool { return len(r.d.udp.Links()) > 0 })
	return ch, func() {
		if _, err := v.Send(frame.Data{HasFPort: true, FPort: 15, FRMPayload: []byte("up")}); err != nil {
			r.Error(err)
		}
	}
}
