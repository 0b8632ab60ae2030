//go:build !small

package main

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// told reads a message of Home Assistant's discovery: the keys of what it has of the
// device.
func told(t *testing.T, m message) []string {
	t.Helper()
	var c struct {
		Topic      string                     `json:"stat_t"`
		Components map[string]json.RawMessage `json:"cmps"`
	}
	if err := json.Unmarshal(m.payload, &c); err != nil {
		t.Fatalf("%v: %s", err, m.payload)
	}
	if c.Topic != "v3/app1/devices/dev1/up" || m.topic != "homeassistant/device/lorawand_app1_dev1/config" {
		t.Errorf("%s: %s", m.topic, c.Topic)
	}
	return slices.Sorted(maps.Keys(c.Components))
}

// Home Assistant is told of a device and of its values from the moment on that the
// application has the option, again when it comes up or the daemon has begun anew, and
// that the device goes.
func TestHomeAssistant(t *testing.T) {
	s := newSite(t, "")
	decoder := s.write("decoder.js", `function decodeUplink(i) { return {data: {temperature: i.bytes[0]}} }`)
	s.must(deviceJSON("dev1", testAddr.String()), "device", "import", "-", "--application", "app1")
	s.must("", "application", "set", "app1", "--up-formatter", decoder)
	key := strings.TrimSpace(s.must("", "api-key", "create", "--application", "app1"))
	other := strings.TrimSpace(s.must("", "api-key", "create", "--application", "app2"))
	r := s.start()
	home := r.watch("app1", key, "homeassistant/#")
	foreign := r.watch("app2", other, "homeassistant/#")
	none(t, home, "an application without the option")
	s.must("", "application", "set", "app1", "--home-assistant")
	contains(t, "the application", s.must("", "application", "get", "app1"), "Home Assistant: is told of the devices\n")
	contains(t, "the application", s.must("", "application", "get", "app1", "--json"), `"home_assistant":true`)
	base := "last_seen,rssi,snr"
	is := func(what string, from <-chan message, want string) {
		t.Helper()
		if got := strings.Join(told(t, next(t, from)), ","); got != want {
			t.Errorf("%s: %s", what, got)
		}
	}
	is("the option", home, base)
	f := r.forwarder(testEUI)
	f.send(0, "\x15")
	is("an uplink", home, base+",temperature")
	is("a client that comes later", r.watch("app1", key, "homeassistant/+/+/config"), base+",temperature")
	r.birth(key)
	is("Home Assistant comes up", home, base+",temperature")
	none(t, foreign, "another application")
	r.stop()
	r = s.start()
	home = r.watch("app1", key, "homeassistant/#")
	is("a restart", home, base)
	s.must("", "device", "delete", "app1/dev1", "--yes")
	m := next(t, home)
	for len(m.payload) > 0 { // what is retained may have come once more when it was told at the start
		m = next(t, home)
	}
	if m.topic != "homeassistant/device/lorawand_app1_dev1/config" {
		t.Errorf("%s", m.topic)
	}
	none(t, r.watch("app1", key, "homeassistant/#"), "a device that is gone")
	s.must(deviceJSON("dev1", testAddr.String()), "device", "import", "-", "--application", "app1")
	is("a new device", home, base)
	s.must("", "application", "set", "app1", "--home-assistant=false")
	if m := next(t, home); len(m.payload) != 0 {
		t.Errorf("%s: %s", m.topic, m.payload)
	}
}

// birth says what Home Assistant says when it has come up.
func (r *running) birth(key string) {
	r.Helper()
	c := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" +
		r.d.mqttAddr().String()).SetUsername("app1").SetPassword(key))
	defer c.Disconnect(100)
	token := c.Connect()
	if token.WaitTimeout(patience) && token.Error() == nil {
		token = c.Publish("homeassistant/status", 1, false, "online")
	}
	if !token.WaitTimeout(patience) || token.Error() != nil {
		r.Fatalf("no PUBACK: %v", token.Error())
	}
}
