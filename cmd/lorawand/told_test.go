package main

import (
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"lorawand/radio"
)

// The end of a downlink waits for a client that has not acknowledged the message about it: 1.5 s, and not 250 ms.
func TestEndWaitsForClient(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	s.must(settledDevice("dev1", testAddr.String(), 1), "device", "import", "-", "--application", "app1")
	key := strings.TrimSpace(s.must("", "api-key", "create", "--application", "app1"))
	r := s.start()
	sent := make(chan struct{}, 10)
	c := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + r.d.mqttAddr().String()).SetClientID("app").
		SetUsername("app1").SetPassword(key).SetAutoAckDisabled(true))
	done := func(token paho.Token) {
		t.Helper()
		if !token.WaitTimeout(patience) || token.Error() != nil {
			t.Fatalf("no answer within %v, or %v", patience, token.Error())
		}
	}
	done(c.Connect())
	t.Cleanup(func() { c.Disconnect(0) })
	done(c.Subscribe("v3/app1/devices/+/down/sent", 1, func(paho.Client, paho.Message) { sent <- struct{}{} }))
	done(c.Publish("v3/app1/devices/dev1/down/push", 1, false, `{"downlinks":[{"f_port":1,"frm_payload":"AQ=="}]}`))
	written := func() int64 {
		t.Helper()
		stats, err := r.d.bridge.Stats(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return stats.Wear.Pushes
	}
	before, began := written(), time.Now()
	r.transmitter(testEUI, func(radio.Downlink) radio.TxResult { return radio.TxOK }).send(1, "hello")
	select {
	case <-sent:
	case <-time.After(patience):
		t.Fatalf("nothing was sent:\n%s", r.logged())
	}
	for end := time.Now().Add(patience); written() == before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it is not stored within %v", patience)
		}
	}
	if after := time.Since(began); after < 1500*time.Millisecond {
		t.Errorf("stored after %v", after)
	}
}
