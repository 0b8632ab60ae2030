//go:build !small

package homeassistant

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// told returns how many devices of each application are told of.
func (h *house) told() string {
	return fmt.Sprint(len(h.Retained("app1")), len(h.Retained("app2")))
}

// Each application has an equal share, whatever the others have and whichever came first.
func TestShares(t *testing.T) {
	for _, first := range []string{"app1", "app2"} {
		synctest.Test(t, func(t *testing.T) {
			h := newHouse(t, first)
			for i := range maxDevices + 20 {
				h.devices = append(h.devices, deviceOf("app1", fmt.Sprintf("dev%d", i)), deviceOf("app2", fmt.Sprintf("dev%d", i)))
			}
			h.start()
			for _, step := range []struct {
				apps []string
				want string
			}{
				{[]string{"app1", "app2"}, "250 250"},
				{[]string{"app1"}, "500 0"},
				{[]string{"app2", "app1"}, "250 250"},
				{[]string{"app2"}, "0 500"},
				{nil, "0 0"},
			} {
				h.set(func() { h.apps = step.apps })
				h.Changed("app1")
				h.Changed("app2")
				h.settle()
				if got := h.told(); got != step.want {
					t.Errorf("%s first, %v: %s, want %s", first, step.apps, got, step.want)
				}
			}
			if len(h.used) != 0 {
				t.Errorf("%v bytes of nothing", h.used)
			}
		})
	}
}

// A known device is told of with what is new of it though others have taken all the room,
// and a device that was too many is when another goes.
func TestRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, "app1")
		for i := range maxDevices + 1 {
			h.devices = append(h.devices, deviceOf("app1", fmt.Sprintf("dev%03d", i)))
		}
		h.start()
		var names []string
		for i := range maxValues {
			names = append(names, fmt.Sprintf(`"%0*d":1`, maxName, i))
		}
		for i := range maxDevices - 1 {
			h.heard(fmt.Sprintf("dev%03d", i), `"decoded_payload":{`+strings.Join(names, ",")+`},`)
			if i%maxWaiting == maxWaiting-1 {
				h.settle()
			}
		}
		h.take()
		last := fmt.Sprintf("app1_dev%03d", maxDevices-1)
		h.heard(fmt.Sprintf("dev%03d", maxDevices-1), `"decoded_payload":{"temperature":1},`)
		h.want("a value", last+" 1")
		h.set(func() { h.devices[maxDevices-1].Name = strings.Repeat("n", 100) })
		h.Changed("app1")
		h.want("a name", last+" 1")
		h.set(func() { h.devices = h.devices[1:] })
		h.Changed("app1")
		h.want("one goes", "app1_dev000 gone", fmt.Sprintf("app1_dev%03d 0", maxDevices))
	})
}

// A device has the values that it sends now.
func TestValuesChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, "app1")
		h.devices = []Device{deviceOf("app1", "dev1")}
		h.start()
		h.want("the start", "app1_dev1 0")
		h.heard("dev1", `"decoded_payload":{"a":"n/a","b":"n/a"},`)
		h.want("texts", "app1_dev1 2")
		h.heard("dev1", `"decoded_payload":{"a":1},`)
		h.want("a text is a number", "app1_dev1 2")
		h.heard("dev1", `"decoded_payload":{"b":true},`)
		h.want("a text is a boolean: the sensor goes, another comes", "app1_dev1 2", "app1_dev1 2")
		h.heard("dev1", `"decoded_payload":{"a":"n/a","b":"n/a"},`)
		h.want("a text for once")
		for _, change := range []func(){
			func() { h.devices[0].DevEUI = "0102030405060708" },
			func() { h.devices[0].Decoder++ },
		} {
			h.set(change)
			h.Changed("app1")
			h.want("another device: the values go", "app1_dev1 2", "app1_dev1 0")
			h.heard("dev1", `"decoded_payload":{"a":1,"b":true},`)
			h.want("its values", "app1_dev1 2")
		}
		var names []string
		for i := range maxValues {
			names = append(names, fmt.Sprintf(`"n%d":1`, i))
		}
		h.heard("dev1", `"decoded_payload":{`+strings.Join(names, ",")+`},`)
		h.want("all places", fmt.Sprintf("app1_dev1 %d", maxValues))
		h.heard("dev1", `"decoded_payload":{"late":1},`)
		h.want("no place: all were seen lately")
		for range outdated {
			h.heard("dev1", `"decoded_payload":{`+strings.Join(names[1:], ",")+`},`)
		}
		h.take()
		h.heard("dev1", `"decoded_payload":{"late":1},`)
		h.want("the one not seen for longest goes", fmt.Sprintf("app1_dev1 %d", maxValues+1),
			fmt.Sprintf("app1_dev1 %d", maxValues))
	})
}

// However often devices change, the application is looked through once a second.
func TestComparedSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, "app1")
		h.devices = []Device{deviceOf("app1", "dev1")}
		h.start()
		h.take()
		before := h.passes
		for i := range 100 {
			h.set(func() { h.devices[0].Name = fmt.Sprint(i) })
			h.Changed("app1")
			time.Sleep(100 * time.Millisecond)
		}
		if n := len(h.take()); n < 2 || n > 12 || h.passes-before > 12 {
			t.Errorf("%d messages, %d passes in 10 s", n, h.passes-before)
		}
		if m := h.Retained("app1")[0]; read(t, m.Suffix, m.Payload).Device.Name != "99" {
			t.Errorf("%s", m.Payload)
		}
	})
}

// Who subscribes before the devices were looked through finds the topics of those that
// were there at the start.
func TestEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, "app1")
		o := h.o
		for i := range maxDevices + 20 {
			o.Early = append(o.Early, deviceOf("app1", fmt.Sprintf("dev%d", i)).ID)
		}
		o.Early = append(o.Early, deviceOf("app2", "dev0").ID)
		h.devices = []Device{deviceOf("app1", "dev1")}
		h.Announcer = New(o)
		is := func(app string, n int, want bool) {
			t.Helper()
			if got := h.Announces(app, fmt.Sprintf("v3/%s/devices/dev%d/up", app, n)); got != want {
				t.Errorf("%s/dev%d: %v", app, n, got)
			}
		}
		is("app1", 0, true)
		is("app1", maxDevices-1, true)
		is("app1", maxDevices, false)
		is("app2", 0, false)
		h.start()
		is("app1", 0, false)
		is("app1", 1, true)
	})
}
