package main

import (
	"context"
	"os"
	"strings"
	"sync"
	"testing"

	"lorawand/cmd/lorawand/config"
	"lorawand/concentrator/air"
	"lorawand/concentrator/sx1302/board"
	"lorawand/concentrator/sx1302/sx1302test"
	"lorawand/radio"
	"lorawand/radio/frame"
	"lorawand/radio/region"
)

// openings counts the boards that were opened and closed.
type openings struct {
	plug opener

	mu             sync.Mutex
	opened, closed int
}

func (o *openings) open(s *config.SX1302, c *config.Concentrator) (*board.Hardware, error) {
	h, err := o.plug(s, c)
	if err != nil {
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.opened++
	unplug := h.Close
	h.Close = func() error {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.closed++
		return unplug()
	}
	return h, nil
}

func (o *openings) want(t *testing.T, when string, opened, closed int) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.opened != opened || o.closed != closed {
		t.Errorf("%s: opened %d times and closed %d, want %d and %d", when, o.opened, o.closed, opened, closed)
	}
}

// A reload starts a concentrator on board anew where its chip is to work
// otherwise, and only there; it stays the same gateway.
func TestReloadOnboard(t *testing.T) {
	for name, path := range chipPaths {
		t.Run(name, func(t *testing.T) { reloadOnboard(t, path) })
	}
}

func reloadOnboard(t *testing.T, path func(opener) opener) {
	t.Helper()
	s := newChipSite(t, "")
	key := strings.TrimSpace(s.must("", "api-key", "create", "--application", "app1"))
	w := air.New(7)
	devices := euAndUSDevices(t, s, w)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	t.Cleanup(wg.Wait)
	t.Cleanup(cancel)
	wg.Go(func() { _ = w.Run(ctx) })
	board := &openings{plug: path((&simulation{air: w, chip: sx1302test.Options{EUI: chipEUI}}).open)}
	r, reload := s.reloading(board.open)
	rig := &onboardRig{site: s, devices: devices, reload: reload, board: board}
	rig.connected(t)
	rig.ups = r.watch("app1", key, "v3/+/devices/+/up")
	rig.heard(t, 0)
	conf, err := os.ReadFile(s.conf)
	if err != nil {
		t.Fatal(err)
	}
	first := string(conf)
	other := rig.otherPlan(t, first)
	rig.goneAndBack(t, first, other)
	if n := r.d.boards.stats(); n.Starts != 3 || n.Forwarded != 5 {
		t.Errorf("%d starts and %d frames counted, want 3 and 5", n.Starts, n.Forwarded)
	}

	// The EUI that it has anyway is now in the configuration, and out of it again.
	s.write("lorawand.toml", strings.Replace(first, `"sx1302"`, "\"sx1302\"\neui = \"0016C001F1234567\"", 1))
	reload("the configuration is reloaded")
	rig.connected(t)
	s.write("lorawand.toml", first)
	reload("the configuration is reloaded")
	rig.connected(t)
	rig.heard(t, 0)
}

// onboardRig is a daemon with a simulated board, two devices on its air, and the uplinks
// that it publishes.
type onboardRig struct {
	site    *site
	devices []*air.Device
	reload  func(string)
	board   *openings
	ups     <-chan message
}

// euAndUSDevices registers a device for each of two plans, and puts both on the air.
func euAndUSDevices(t *testing.T, s *site, w *air.Air) (devices []*air.Device) {
	t.Helper()
	for i, id := range []string{"EU_863_870_TTN", "US_902_928_FSB_2"} {
		plan, err := region.Lookup(id)
		if err != nil {
			t.Fatal(err)
		}
		name, addr := []string{"eu", "us"}[i], radio.DevAddr{1, 0, 0, byte(i)}
		s.must("", "device", "create", "dev-"+name, "--application", "app1", "--plan", id, "--dev-eui",
			radio.EUI64{7: byte(i + 1)}.String(),
			"--dev-addr", addr.String(), "--nwk-s-key", "11111111111111111111111111111111", "--app-s-key", "22222222222222222222222222222222")
		var nwk, app frame.Key
		for k := range nwk {
			nwk[k], app[k] = 0x11, 0x22
		}
		v, err := w.Device(air.DeviceOptions{
			Name: "dev-" + name, Plan: plan, DataRate: 3, RSSI: -9740, SNR: 325, DevAddr: addr,
			Keys: frame.SessionKeys{FNwkSIntKey: nwk, SNwkSIntKey: nwk, NwkSEncKey: nwk, AppSKey: app},
		})
		if err != nil {
			t.Fatal(err)
		}
		devices = append(devices, v)
	}
	return devices
}

// connected waits until the gateway is connected.
func (o *onboardRig) connected(t *testing.T) {
	t.Helper()
	eventually(t, patience, "the gateway is connected", func() bool {
		out := o.site.must("", "gateway", "list")
		return strings.Contains(out, "eui-0016c001f1234567") && strings.Contains(out, "connected") &&
			strings.Count(out, "\n") == 2
	})
}

// heard has a device send a frame, and looks for texts in its message.
func (o *onboardRig) heard(t *testing.T, device int, want ...string) {
	t.Helper()
	if _, err := o.devices[device].Send(frame.Data{
		MType: frame.UnconfirmedUp, FPort: 1, HasFPort: true,
		FRMPayload: []byte{1},
	}); err != nil {
		t.Fatal(err)
	}
	m := next(t, o.ups)
	for _, w := range append(want, `"gateway_id":"eui-0016c001f1234567"`) {
		if !strings.Contains(string(m.payload), w) {
			t.Errorf("no %s in %s", w, m.payload)
		}
	}
}

// otherPlan changes settings that do not concern the chip, then tries a board that does
// not exist, and at last another plan. It returns the configuration with that.
func (o *onboardRig) otherPlan(t *testing.T, first string) (other string) {
	t.Helper()
	elsewhere := strings.Replace(first, "enforce_duty_cycle = false",
		"antenna_gain = 2.0\nlocation = { latitude = 1.5, longitude = 2.5, altitude = 3 }", 1)
	o.site.write("lorawand.toml", elsewhere)
	o.reload("the configuration is reloaded")
	o.heard(t, 0, `"latitude":1.5`)
	o.board.want(t, "with another place", 1, 0)

	o.site.write("lorawand.toml", strings.Replace(elsewhere, "rak2287", "rak2288", 1))
	o.reload("the configuration is not reloaded")
	o.heard(t, 0)
	o.board.want(t, "with a faulty file", 1, 0)
	other = strings.Replace(elsewhere, `"sx1302"`, "\"sx1302\"\nfrequency_plan = \"US_902_928_FSB_2\"", 1)
	o.site.write("lorawand.toml", other)
	o.reload("the configuration is reloaded")
	o.connected(t)
	o.heard(t, 1, `"latitude":1.5`)
	contains(t, "gateways", o.site.must("", "gateway", "list"), "US_902_928_FSB_2")
	contains(t, "events", o.site.must("", "events"), "gateway's counter has begun anew")
	o.board.want(t, "with another plan", 2, 1)
	o.reload("the configuration is reloaded") // nothing new
	o.board.want(t, "with the same file", 2, 1)
	return other
}

// goneAndBack takes the gateway out of the configuration, and puts it in again.
func (o *onboardRig) goneAndBack(t *testing.T, first, other string) {
	t.Helper()
	o.site.write("lorawand.toml", other[:strings.Index(other, "[[gateway]]")])
	o.reload("the configuration is reloaded")
	if list := o.site.must("", "gateway", "list"); strings.Contains(list, "0016c001f1234567") {
		t.Errorf("it is still there:\n%s", list)
	}
	o.board.want(t, "without the gateway", 2, 2)
	o.site.write("lorawand.toml", first)
	o.reload("the configuration is reloaded")
	o.connected(t)
	o.heard(t, 0)
	o.board.want(t, "there again", 3, 2)
}
