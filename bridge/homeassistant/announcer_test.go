//go:build !small

package homeassistant

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/bridge/session"
	"lorawand/bridge/v3"
)

// house is what an Announcer gets its facts from.
type house struct {
	*Announcer
	*testing.T

	mu       sync.Mutex
	apps     []string
	devices  []Device
	uplinks  map[session.ID][][]byte
	interval time.Duration
	sent     []v3.Message
	passes   int // over the devices
}

// newHouse returns a house with applications whose Announcer runs.
func newHouse(t *testing.T, apps ...string) *house {
	h := &house{T: t, apps: apps, uplinks: map[session.ID][][]byte{}}
	h.Announcer = New(Options{
		Applications: func() []string { h.mu.Lock(); defer h.mu.Unlock(); return h.apps },
		Devices: func(_ context.Context, application string, each func(Device) error) error {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.passes++
			for _, d := range h.devices {
				if d.ID.Application == application {
					if err := each(d); err != nil {
						return err
					}
				}
			}
			return nil
		},
		Uplinks:  func(id session.ID) [][]byte { return h.uplinks[id] },
		Interval: func(session.ID) time.Duration { return h.interval },
		Send:     func(m v3.Message) { h.mu.Lock(); defer h.mu.Unlock(); h.sent = append(h.sent, m) },
		Version:  "1.2.3", Logger: slog.New(slog.DiscardHandler),
	})
	return h
}

// start runs the Announcer as long as the test.
func (h *house) start() {
	ctx, cancel := context.WithCancel(context.Background())
	go func() { _ = h.Announcer.Run(ctx) }()
	h.Cleanup(func() { cancel(); synctest.Wait() })
	h.settle()
}

// settle waits until everything is sent.
func (h *house) settle() { time.Sleep(time.Minute) }

func (h *house) set(change func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change()
}

// take returns what was sent since the last call: for each message its device and the
// values, without the diagnostics; "gone" for one that was removed.
func (h *house) take() (out []string) {
	h.settle()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range h.sent {
		device := strings.TrimSuffix(strings.TrimPrefix(m.Suffix, "homeassistant/device/lorawand_"), "/config")
		if len(m.Payload) == 0 {
			out = append(out, device+" gone")
			continue
		}
		c := read(h.T, m.Suffix, m.Payload)
		out = append(out, fmt.Sprintf("%s %d", device, len(c.Components)-len(diagnostics)))
	}
	h.sent = nil
	return out
}

func (h *house) want(what string, want ...string) {
	h.Helper()
	if got := h.take(); strings.Join(got, ", ") != strings.Join(want, ", ") {
		h.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func (h *house) heard(device, members string) {
	h.Publish(v3.Message{Application: "app1", Device: device, Suffix: v3.Up, Payload: upOf(members)})
}

func deviceOf(app, id string) Device { return Device{ID: session.ID{Application: app, Device: id}} }

// What Home Assistant is told while devices come, speak and go.
func TestAnnouncer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, "app1")
		h.devices = []Device{deviceOf("app1", "dev1"), deviceOf("app2", "dev1")}
		h.start()
		h.want("the start", "app1_dev1 0")
		h.heard("dev1", `"decoded_payload":{"temperature":20},`)
		h.want("a value", "app1_dev1 1")
		h.heard("dev1", `"decoded_payload":{"temperature":21},`)
		h.want("the same value again")
		h.heard("dev1", `"decoded_payload":{"humidity":21},`)
		h.want("another value", "app1_dev1 2")
		h.heard("dev2", `"decoded_payload":{"humidity":21},`)
		h.want("a device that is not known")
		h.Publish(v3.Message{Application: "app1", Device: "dev1", Suffix: v3.Join, Payload: upOf("")})
		h.want("another message")
		h.set(func() {
			h.devices[0].Name = "Cellar"
			h.devices = append(h.devices, deviceOf("app1", "dev2"))
			h.uplinks[h.devices[2].ID] = [][]byte{upOf(`"decoded_payload":{"co2":1},`)}
		})
		h.Changed("app1")
		h.want("a name and a new device that was heard before", "app1_dev1 2", "app1_dev2 1")
		h.Changed("app1")
		h.want("nothing has changed")
		h.Online("app1")
		h.want("Home Assistant has come up", "app1_dev1 2", "app1_dev2 1")
		h.Online("app2")
		h.want("that of another application")
		h.set(func() { h.devices = h.devices[:2] })
		h.Changed("app1")
		h.want("a device is deleted", "app1_dev2 gone")
		h.set(func() { h.apps = nil })
		h.Changed("app1")
		h.want("the option is off", "app1_dev1 gone")
		h.Online("app1")
		h.want("nothing is left")
	})
}

// What is retained, and which topics Home Assistant subscribes to for it.
func TestRetained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, "app1", "app2")
		h.devices = []Device{deviceOf("app1", "dev1"), deviceOf("app1", "dev2"), deviceOf("app2", "dev3")}
		h.start()
		for app, want := range map[string]int{"app1": 2, "app2": 1, "app3": 0} {
			all := h.Retained(app)
			if len(all) != want {
				t.Errorf("%s has %d", app, len(all))
			}
			for _, m := range all {
				if c := read(t, m.Suffix, m.Payload); m.Application != app || !h.Announces(app, c.StateTopic) {
					t.Errorf("%s: %s %s", app, m.Application, c.StateTopic)
				}
			}
		}
		for _, tt := range []struct {
			app, filter string
			want        bool
		}{
			{"app1", "v3/app1/devices/dev1/up", true},
			{"app1", "v3/app1@ttn/devices/dev1/up", true},
			{"app1", "v3/app1/devices/dev3/up", false},
			{"app2", "v3/app2/devices/dev1/up", false},
			{"app1", "v3/app1/devices/+/up", false},
			{"app1", "v3/app1/devices/dev1/up/normalized", false},
			{"app1", "v3/app1/devices/dev1/join", false},
			{"app1", "homeassistant/device/dev1/up", false},
			{"app1", "#", false},
			{"app1", "v3/app1/x/y/devices/dev1/up", false},
			{"app1", "v3/app1/devices/x/devices/dev1/up", false},
			{"app1", "v3/x/app1/devices/dev1/up", false},
			{"app1", "v3/+/devices/dev1/up", false},
			{"app1", "v3/app2/devices/dev1/up", false},
			{"app1", "v3//devices/dev1/up", false},
			{"app1", "v3/app1/devices/dev1/x/up", false},
			{"app1", "$share/g/v3/app1/devices/dev1/up", false},
		} {
			if got := h.Announces(tt.app, tt.filter); got != tt.want {
				t.Errorf("%s: %s: %v", tt.app, tt.filter, got)
			}
		}
	})
}

// Devices and values are bounded in number and in bytes, and what goes makes room.
func TestAnnouncerBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, "app1")
		for i := range maxDevices + 20 {
			h.devices = append(h.devices, deviceOf("app1", fmt.Sprintf("dev%d", i)))
		}
		h.start()
		if got := len(h.take()); got != maxDevices {
			t.Errorf("%d devices at the start", got)
		}
		var names []string
		for i := range maxValues + 8 {
			names = append(names, fmt.Sprintf(`"%0*d":1`, maxName, i))
		}
		for i := range maxDevices {
			h.heard(fmt.Sprintf("dev%d", i), `"decoded_payload":{`+strings.Join(names, ",")+`},`)
			if i%maxWaiting == maxWaiting-1 {
				h.settle() // what waits to be read has a bound too
			}
		}
		h.take()
		size := 0
		for _, m := range h.Retained("app1") {
			size += len(m.Payload)
			if c := read(t, m.Suffix, m.Payload); len(c.Components) > maxValues+len(diagnostics) {
				t.Fatalf("%d components", len(c.Components))
			}
		}
		if used := h.used["app1"]; size > maxBytes || used < size || used > maxBytes || size < maxBytes/2 {
			t.Errorf("%d bytes, counted as %d", size, used)
		}
		h.set(func() { h.devices = h.devices[maxDevices:] })
		h.Changed("app1")
		if got := h.take(); len(h.Retained("app1")) != 20 || len(got) != maxDevices+20 {
			t.Errorf("%d are left, %d messages", len(h.Retained("app1")), len(got))
		}
	})
}

// However often a client says that Home Assistant has come up, it is told at most once a
// second.
func TestOnlineOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, "app1")
		h.devices = []Device{deviceOf("app1", "dev1")}
		h.start()
		h.take()
		for range 100 {
			h.Online("app1")
			time.Sleep(100 * time.Millisecond)
		}
		if n := len(h.take()); n < 2 || n > 12 {
			t.Errorf("%d times in 10 s", n)
		}
	})
}

// A device is unavailable after three of its usual intervals, in steps; it is told when
// that is another step.
func TestExpire(t *testing.T) {
	for _, tt := range []struct {
		interval, before, want time.Duration
	}{
		{0, unknownStep, unknownStep},
		{0, time.Hour, time.Hour},
		{time.Second, time.Hour, 15 * time.Minute},
		{5 * time.Minute, time.Hour, 15 * time.Minute},
		{10 * time.Minute, unknownStep, time.Hour},
		{12 * time.Hour, time.Hour, 3 * 24 * time.Hour},
		{1 << 60, time.Hour, 7 * 24 * time.Hour},
	} {
		if got := stepOf(tt.interval, tt.before); got != tt.want {
			t.Errorf("%v after %v: %v, want %v", tt.interval, tt.before, got, tt.want)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, "app1")
		h.devices = []Device{deviceOf("app1", "dev1")}
		h.start()
		h.want("the start", "app1_dev1 0")
		h.set(func() { h.interval = 5 * time.Minute })
		for range 3 {
			h.heard("dev1", "")
		}
		h.want("too few uplinks")
		h.heard("dev1", "")
		h.want("the interval is known", "app1_dev1 0")
		m := h.Retained("app1")[0]
		if c := read(t, m.Suffix, m.Payload); c.Components["rssi"].Expire != 900 {
			t.Errorf("%d s", c.Components["rssi"].Expire)
		}
	})
}
