package main

import (
	"testing"
	"testing/synctest"
	"time"

	"lorawand/bridge/v3"
	"lorawand/concentrator/air"
	"lorawand/concentrator/virtual"
	"lorawand/radio"
	"lorawand/radio/frame"
)

// rejoinLife is a device of LoRaWAN 1.1 that sends rejoin-requests of all types, and data
// between them, while a part of the join-accepts is lost.
type rejoinLife struct {
	*world
	device *air.Device
	deaf   bool
	joined int               // join-accepts that the device has taken
	joins  int               // that the application was told of
	ups    int               // the same of its frames
	heard  []byte            // FRMPayloads
	keys   map[frame.Key]int // of its sessions
	nonces []uint32
}

// A device that rejoins all the time never loses its session, whatever is lost: each of its
// frames is published, each downlink is heard, no JoinNonce and no key comes twice.
func TestAirRejoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &rejoinLife{world: newWorld(t, "EU_863_870_TTN"), keys: map[frame.Key]int{}}
		l.gateway(virtual.Options{Receiver: air.ReceiverOptions{
			EUI: radio.EUI64{0xA}, Counter: 4_290_000_000, Deaf: func(string) bool { return l.deaf },
		}}, true)
		l.message = func(m v3.Message) {
			switch m.Suffix {
			case v3.Join:
				l.joins++
			case v3.Up:
				l.ups++
			}
		}
		var missed []string
		l.device = l.otaa(1, air.DeviceOptions{
			Version: air.V1_1, DataRate: 5, RSSI: -6000, SNR: 850,
			Heard:  l.hears,
			Missed: func(m air.Missed) { missed = append(missed, m.Reason) },
		})
		l.run()
		l.does(l.device.Join())
		answered, uplinks := 1, 0
		for n := range 60 {
			for range 1 + n%2 {
				l.does(l.device.Send(frame.Data{HasFPort: true, FPort: 1, FRMPayload: []byte{byte(n)}}))
				uplinks++
			}
			l.push("dev0001", false, `{"downlinks":[{"f_port":9,"frm_payload":"AQ=="}]}`)
			l.does(l.device.Send(frame.Data{HasFPort: true, FPort: 1}))
			uplinks++
			l.deaf = n%3 == 1
			l.does(l.device.Rejoin([]frame.JoinType{frame.Rejoin0, frame.Rejoin1, frame.Rejoin2}[n/2%3]))
			l.deaf = false
			answered++
		}
		l.stop()
		if l.joins != answered || l.joined != answered-20 || len(missed) != 20 {
			t.Errorf("%d requests: the application was told of %d, the device has taken %d, missed %q", answered, l.joins,
				l.joined, missed)
		}
		if l.ups != uplinks || len(l.heard) != 60 {
			t.Errorf("%d of %d uplinks were published, %d of 60 downlinks heard", l.ups, uplinks, len(l.heard))
		}
		l.checkNew()
	})
}

// hears notes what the device has taken.
func (l *rejoinLife) hears(h air.Heard) {
	if a := h.JoinAccept; a != nil {
		l.joined++
		s, _ := l.device.Session()
		l.keys[s.Keys.FNwkSIntKey]++
		l.nonces = append(l.nonces, a.JoinNonce)
	} else if h.Data.FPort == 9 {
		l.heard = append(l.heard, h.Data.FRMPayload...)
	}
}

// does waits until what the device has sent was answered.
func (l *rejoinLife) does(_ air.Sent, err error) {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
	time.Sleep(30 * time.Second)
	synctest.Wait()
}

// checkNew looks that no JoinNonce and no key comes twice.
func (l *rejoinLife) checkNew() {
	l.Helper()
	for i := 1; i < len(l.nonces); i++ {
		if l.nonces[i] <= l.nonces[i-1] {
			l.Errorf("JoinNonce %d after %d", l.nonces[i], l.nonces[i-1])
		}
	}
	if len(l.keys) != l.joined {
		l.Errorf("%d sessions have %d keys", l.joined, len(l.keys))
	}
}
