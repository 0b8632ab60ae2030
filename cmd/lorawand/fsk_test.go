package main

import (
	"context"
	"encoding/json"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"lorawand/bridge/admin"
	"lorawand/concentrator/air"
	"lorawand/concentrator/udp"
	"lorawand/radio"
	"lorawand/radio/frame"
	"lorawand/radio/region"
)

// A device at DR7 of EU868 sends in FSK, and is answered in RX1 in FSK. The air
// and the daemon agree with what RP002 has on FSK: 5 bytes of preamble, 3 of
// sync word, 1 of length and 2 of CRC around the PHYPayload, at 50 kbit/s.
func TestFSK(t *testing.T) {
	s := newSite(t, "")
	s.must(settledDevice("dev1", testAddr.String(), 1), "device", "import", "-", "--application", "app1")
	key := strings.TrimSpace(s.must("", "api-key", "create", "--application", "app1"))
	r := s.start()
	ch := r.watch("app1", key, "v3/app1/devices/dev1/up")
	heard, send := fskDevice(r)
	s.must("", "downlink", "push", "app1", "dev1", "--f-port", "9", "--frm-payload", "vu8=")
	send("FSK")

	m := next(t, ch)
	// MHDR, FHDR, FPort, 3 bytes, MIC: 16 bytes.
	for _, want := range []string{`"data_rate":{"fsk":{"bit_rate":50000}}`, `"frequency":"868800000"`, `"consumed_airtime":"0.004320s"`, `"frm_payload":"RlNL"`} {
		if !strings.Contains(string(m.payload), want) {
			t.Errorf("%s is not in %s", want, m.payload)
		}
	}
	const airtime = (5 + 3 + 1 + 15 + 2) * 8 * time.Second / 50_000 // 15 bytes down
	select {
	case h := <-heard:
		if h.Window != 1 || h.DataRate != radio.FSKDataRate(50_000) || h.Frequency != 868_800_000 ||
			string(h.Data.FRMPayload) != "\xbe\xef" {
			t.Errorf("heard in RX%d %v on %v: %X", h.Window, h.DataRate, h.Frequency, h.Data.FRMPayload)
		}
		if got := h.End.Sub(h.Begin); got != airtime {
			t.Errorf("%v on the air, want %v", got, airtime)
		}
	case <-time.After(patience):
		t.Fatalf("the device hears nothing\n%s", r.logged())
	}
	var used time.Duration // rises to the whole when the host's clock has the frame over
	eventually(t, time.Second, "the airtime is in the ledger", func() bool {
		var g admin.Gateway
		if err := json.Unmarshal([]byte(s.must("", "gateway", "list", "--json")), &g); err != nil || len(g.SubBands) != 1 {
			t.Fatalf("%+v, %v", g, err)
		}
		used = time.Duration(math.Round(g.SubBands[0].Used * float64(time.Hour)))
		return used >= airtime-time.Microsecond
	})
	if used > airtime+time.Microsecond {
		t.Errorf("%v of the duty cycle used, want %v", used, airtime)
	}
}

// fskDevice puts a device and a packet forwarder on the air, and returns what
// the device hears, and how it sends.
func fskDevice(r *running) (heard <-chan air.Heard, send func(text string)) {
	r.Helper()
	plan, err := region.Lookup("EU_863_870_TTN")
	if err != nil {
		r.Fatal(err)
	}
	ether, ch := air.New(1), make(chan air.Heard, 10)
	var f *udp.Forwarder
	receiver := ether.Listen(air.ReceiverOptions{EUI: testEUI, Plan: plan, Hear: func(up radio.Uplink) { f.Uplink(up) }})
	if f, err = udp.NewForwarder(udp.ForwarderOptions{
		Server: r.d.udp.Addr().String(), EUI: testEUI,
		Transmit: receiver.Transmit,
	}); err != nil {
		r.Fatal(err)
	}
	v, err := ether.Device(air.DeviceOptions{
		Name: "dev1", Plan: plan, DataRate: 7, DevAddr: testAddr, Keys: testKeys(r.TB),
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
	return ch, func(text string) {
		if _, err := v.Send(frame.Data{HasFPort: true, FPort: 15, FRMPayload: []byte(text)}); err != nil {
			r.Error(err)
		}
	}
}
