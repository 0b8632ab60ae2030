package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"lorawand/concentrator/air"
	"lorawand/concentrator/sx1302/sx1302test"
	"lorawand/radio"
	"lorawand/radio/frame"
	"lorawand/radio/region"
)

// listed waits until the list of gateways says something.
func (s *site) listed(t *testing.T, what string) {
	t.Helper()
	eventually(t, patience, "gateway list says "+what, func() bool {
		return strings.Contains(s.must("", "gateway", "list"), what)
	})
}

// TestUnplugged: a gateway whose board is unplugged is told to be down, with the reason, and
// works again when the board is back, as another tty.
func TestUnplugged(t *testing.T) {
	s := newChipSite(t, `device = "usb"`)
	plan, err := region.Lookup("EU_863_870_TTN")
	if err != nil {
		t.Fatal(err)
	}
	key := strings.TrimSpace(s.must("", "api-key", "create", "--application", "app1"))
	s.must("", "device", "create", "dev", "--application", "app1", "--dev-eui", "0000000000000001",
		"--dev-addr", "00000001", "--nwk-s-key", strings.Repeat("01", 16), "--app-s-key", strings.Repeat("02", 16))
	w := air.New(7)
	nwk, app := frame.Key([]byte(strings.Repeat("\x01", 16))), frame.Key([]byte(strings.Repeat("\x02", 16)))
	v, err := w.Device(air.DeviceOptions{
		Name: "dev", Plan: plan, DataRate: 5, RSSI: -9740, SNR: 325, DevAddr: radio.DevAddr{3: 1},
		Keys: frame.SessionKeys{FNwkSIntKey: nwk, SNwkSIntKey: nwk, NwkSEncKey: nwk, AppSKey: app},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	t.Cleanup(wg.Wait)
	t.Cleanup(cancel)
	wg.Go(func() { _ = w.Run(ctx) })
	sim := &simulation{air: w, chip: sx1302test.Options{EUI: chipEUI}}
	u, board := plugIn(t, sim.open, s.concentrator())
	r := s.startOn(u.open, nil)
	told := func(what string) { s.listed(t, what) }
	told("eui-0016c001f1234567")
	told("connected")
	quality := r.d.bridge.Now().Wall.Quality.String()
	contains(t, "the clock", s.must("", "gateway", "list", "--json"), fmt.Sprintf(`"clock":%q`, quality))
	ups := r.watch("app1", key, "v3/+/devices/+/up")
	heard := func() {
		t.Helper()
		up := frame.Data{MType: frame.UnconfirmedUp, FPort: 1, HasFPort: true, FRMPayload: []byte{1}}
		if _, err := v.Send(up); err != nil {
			t.Fatal(err)
		}
		if m := next(t, ups); !strings.Contains(string(m.payload), `"gateway_id":"eui-0016c001f1234567"`) {
			t.Errorf("%s", m.payload)
		}
	}
	heard()
	if err := board.Unplug(); err != nil {
		t.Fatal(err)
	}
	told("does not work: ")
	told("no USB bridge of a concentrator is plugged in")
	u.plug(t, 3)
	eventually(t, patience, "it works again", func() bool {
		return !strings.Contains(s.must("", "gateway", "list"), "does not work")
	})
	told("connected")
	heard()
	r.stop()
	if n := u.bridge.Lines(); len(n) < 10 || n[len(n)-1].Pin != 8 {
		t.Errorf("at the end the lines were not set: %v", n)
	}
}
