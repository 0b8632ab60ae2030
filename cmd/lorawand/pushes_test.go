package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/bridge/v3"
	"lorawand/concentrator/air"
	"lorawand/concentrator/sx1302/sx1302test"
	"lorawand/radio"
	"lorawand/radio/frame"
)

// pushed are items pushed to devices of Class C at random times, beside devices of Class
// A that talk.
type pushed struct {
	*world
	rnd    *rand.Rand           // of the test
	onAir  *rand.Rand           // of the devices: they run in another goroutine
	pushed map[string]time.Time // by payload
	heard  map[string]time.Time // when its transmission began
	twice  int
	ends   map[string][]string // the final messages of each item
	wrong  []string
}

func newPushes(w *world) *pushed {
	p := &pushed{
		world: w, rnd: rand.New(rand.NewPCG(1, 2)), onAir: rand.New(rand.NewPCG(3, 4)), pushed: map[string]time.Time{},
		heard: map[string]time.Time{},
		ends:  map[string][]string{},
	}
	w.message = func(m v3.Message) {
		var v struct {
			Sent *struct {
				Payload []byte `json:"frm_payload"`
			} `json:"downlink_sent"`
			Failed *struct {
				Downlink struct {
					Payload []byte `json:"frm_payload"`
				} `json:"downlink"`
			} `json:"downlink_failed"`
		}
		if err := json.Unmarshal(m.Payload, &v); err != nil {
			p.wrong = append(p.wrong, err.Error())
		}
		switch {
		case v.Sent != nil:
			p.ends[string(v.Sent.Payload)] = append(p.ends[string(v.Sent.Payload)], m.Suffix)
		case v.Failed != nil:
			p.ends[string(v.Failed.Downlink.Payload)] = append(p.ends[string(v.Failed.Downlink.Payload)], m.Suffix)
		}
	}
	return p
}

// classC adds a device of Class C that behaves as LoRaMac-node does: when it has joined it
// sends confirmed frames until a downlink comes, and after each frame it hears nothing
// while its state is written to flash.
func (p *pushed) classC(i int) *air.Device {
	p.Helper()
	var v *air.Device
	answered := false
	var send func()
	send = func() {
		if answered {
			return
		}
		d := frame.Data{HasFPort: true, FPort: 1, FRMPayload: []byte("up")}
		if _, err := v.Send(d); err != nil {
			p.wrong = append(p.wrong, err.Error())
		}
		p.air.At(time.Now().Add(20*time.Second), send)
	}
	v = p.otaa(i, air.DeviceOptions{
		DataRate: 5, RSSI: -8000, SNR: 700, ClassC: true, Confirms: true, Shut: 60 * time.Millisecond,
		Heard: func(h air.Heard) {
			if h.JoinAccept != nil {
				p.air.At(time.Now().Add(time.Second), send)
				return
			}
			if answered = true; h.Data.FPort != 15 {
				return
			}
			if _, again := p.heard[string(h.Data.FRMPayload)]; again {
				p.twice++
			}
			p.heard[string(h.Data.FRMPayload)] = h.Begin
		},
		Missed: func(m air.Missed) { p.wrong = append(p.wrong, m.Device+": "+m.Reason) },
	})
	p.devices.Device(deviceID(fmt.Sprintf("dev%04d", i))).ClassC = true
	return v
}

// classA adds a device of Class A that sends every ten minutes or so.
func (p *pushed) classA(i int) *air.Device {
	p.Helper()
	var v *air.Device
	var send func()
	send = func() {
		d := frame.Data{HasFPort: true, FPort: 1, FRMPayload: []byte("up")}
		if p.onAir.IntN(4) == 0 {
			d.MType = frame.ConfirmedUp
		}
		if _, err := v.Send(d); err != nil {
			p.wrong = append(p.wrong, err.Error())
		}
		p.air.At(time.Now().Add(5*time.Minute+time.Duration(p.onAir.Int64N(int64(10*time.Minute)))), send)
	}
	v = p.otaa(i, air.DeviceOptions{
		DataRate: uint8(3 + i%3), RSSI: -8000, SNR: 700,
		Heard: func(h air.Heard) {
			if h.JoinAccept != nil {
				p.air.At(time.Now().Add(time.Duration(p.onAir.Int64N(int64(10*time.Minute)))), send)
			}
		},
		Missed: func(m air.Missed) { p.wrong = append(p.wrong, m.Device+": "+m.Reason) },
	})
	return v
}

// play has all devices join, and then pushes items for the first devices.
func (p *pushed) play(classC, classA, items int) {
	p.Helper()
	var all []*air.Device
	for i := range classC + classA {
		if i < classC {
			all = append(all, p.classC(i))
		} else {
			all = append(all, p.classA(i))
		}
	}
	p.run()
	time.Sleep(6 * time.Second) // the start of the chip
	for _, v := range all {
		if _, err := v.Join(); err != nil {
			p.Error(err)
		}
		time.Sleep(8 * time.Second)
	}
	time.Sleep(2 * time.Minute)
	for n := range items {
		payload := fmt.Sprintf("%04d", n)
		p.pushed[payload] = time.Now()
		item := map[string]any{"f_port": 15, "frm_payload": []byte(payload)}
		body, err := json.Marshal(map[string]any{"downlinks": []any{item}})
		if err != nil {
			p.Fatal(err)
		}
		p.push(fmt.Sprintf("dev%04d", p.rnd.IntN(classC)), false, string(body))
		time.Sleep(time.Duration(p.rnd.Int64N(int64(12 * time.Second))))
	}
	time.Sleep(time.Minute)
	p.stop()
}

// check looks whether each item has one end, and what is said to be sent was heard.
func (p *pushed) check(items int) {
	p.Helper()
	sent := 0
	var after []time.Duration
	for payload, at := range p.pushed {
		ends := p.ends[payload]
		if len(ends) != 1 {
			p.Errorf("item %s has %d ends: %v", payload, len(ends), ends)
			continue
		}
		heard, ok := p.heard[payload]
		if isSent := ends[0] == v3.DownSent; isSent != ok {
			p.Errorf("item %s: %s, and heard: %v", payload, ends[0], ok)
		} else if isSent {
			sent++
			after = append(after, heard.Sub(at))
		}
	}
	checkOverlaps(p, p.sent)
	checkDutyCycle(p, p.sent)
	if len(p.wrong) > 0 || p.twice > 0 {
		p.Errorf("%d frames were heard twice, %d things went wrong: %s",
			p.twice, len(p.wrong), p.wrong[:min(len(p.wrong), 5)])
	}
	slices.Sort(after)
	if len(after) < items*9/10 {
		p.Fatalf("only %d of %d were sent", len(after), items)
	}
	half := after[len(after)/2]
	p.Logf("%d of %d sent; from push to air %v in the middle, %v for 99 %%, %v at most",
		sent, items, half, after[len(after)*99/100], after[len(after)-1])
	if half > 250*time.Millisecond {
		p.Errorf("half of the items are on the air after %v", half)
	}
}

// Items for devices of Class C come to one end each, and what was sent is heard, beside
// devices of Class A, through a packet forwarder on the same network.
func TestAirPushes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const items = 1000
		p := newPushes(newWorld(t, "EU_863_870_TTN"))
		p.remote(remoteOptions{
			Receiver: air.ReceiverOptions{EUI: radio.EUI64{0xA}, Counter: 4_290_000_000},
			Jitter:   3 * time.Millisecond, Local: true,
		}, true)
		p.play(10, 200, items)
		p.check(items)
	})
}

// The same through a model of the chip.
func TestAirPushesChip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		items := 1000 / emulatedShare
		p := newPushes(newWorld(t, "EU_863_870_TTN"))
		p.chipOn(radio.EUI64{0xC}, sx1302test.Options{}, 0)
		p.gateways.Gateway(radio.EUI64{0xC}).EnforceDutyCycle = true
		p.play(10, 200, items)
		p.check(items)
	})
}
