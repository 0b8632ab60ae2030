package main

import (
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// A client that may read gateways sees whether they are connected: the state when it
// subscribes, and every change, also the end of the daemon. No client gets that without
// subscribing to it by name.
func TestStatuses(t *testing.T) {
	s := newSite(t, "")
	s.must(deviceJSON("dev1", testAddr.String()), "device", "import", "-", "--application", "app1")
	key := func(rights string) string {
		return strings.TrimSpace(s.must("", "api-key", "create", "--application", "app1", "--rights", rights))
	}
	reader, plain := key("gateways-read"), key("traffic-read")
	r := s.start()
	gateway := "lorawand/gateways/eui-a1c0ffee00000001/status"
	own := r.watch("app1", reader, "lorawand/status")
	text := wants(t, own, "status", `{"status":"online","version":"`, `","time":"`)
	if strings.Contains(text, "gateway") {
		t.Errorf("%s", text)
	}
	of := r.watch("app1", reader, "lorawand/gateways/+/status")
	if m := next(t, of); m.topic != gateway || !strings.HasPrefix(string(m.payload), `{"status":"offline","gateway_ids":{"gateway_id":"eui-a1c0ffee00000001","eui":"A1C0FFEE00000001"}`) {
		t.Errorf("%s: %s", m.topic, m.payload)
	}
	f := r.forwarder(testEUI)
	wants(t, of, "eui-a1c0ffee00000001/status", `{"status":"online",`)
	wants(t, r.watch("app1", reader, "lorawand/#"), "status", `{"status":"online",`)
	all := r.watch("app1", key("all"), "#")
	f.send(1, "x")
	if m := next(t, all); m.topic != "v3/app1/devices/dev1/up" {
		t.Errorf("%s: %s", m.topic, m.payload)
	}
	for _, tt := range []struct {
		key, filter string
		granted     byte
	}{
		{plain, "lorawand/status", 0x80},
		{reader, "$share/g/lorawand/status", 0x80},
		{reader, "lorawand/status", 1},
		{reader, "lorawand", 0x80},
	} {
		if got, retained := r.subscribe(tt.key, tt.filter); got != tt.granted || retained != (got == 1) {
			t.Errorf("%s is answered with %#x, a retained message: %v", tt.filter, got, retained)
		}
	}
	r.stop()
	wants(t, own, "status", `{"status":"offline",`)
	wants(t, of, "eui-a1c0ffee00000001/status", `{"status":"offline",`)
}

// subscribe returns what a SUBSCRIBE with QoS 1 is answered with, and whether a retained
// message comes.
func (r *running) subscribe(key, filter string) (code byte, retained bool) {
	r.Helper()
	c := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" +
		r.d.mqttAddr().String()).SetUsername("app1").SetPassword(key))
	defer c.Disconnect(0)
	came := make(chan bool, 10)
	token := c.Connect()
	if token.WaitTimeout(patience) && token.Error() == nil {
		token = c.Subscribe(filter, 1, func(_ paho.Client, m paho.Message) { came <- m.Retained() })
	}
	if !token.WaitTimeout(patience) {
		r.Fatal("no SUBACK")
	}
	for _, code = range token.(*paho.SubscribeToken).Result() { // of the only filter
	}
	within := 200 * time.Millisecond
	if code <= 2 { // granted
		within = patience
	}
	select {
	case retained = <-came:
	case <-time.After(within):
	}
	return code, retained
}
