package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"lorawand/bridge/admin/admintest"
	"lorawand/bridge/broker"
	"lorawand/bridge/v3"
)

// withBroker gives the house a broker that runs. It returns the broker's address.
func (h *house) withBroker() (addr string) {
	h.Helper()
	b, err := broker.New(broker.Options{
		Listen: []string{"127.0.0.1:0"}, Keys: h.State.Keys, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		h.Fatal(err)
	}
	h.admin.o.Broker = b
	admintest.Run(h.T, b.Run)
	admintest.WaitFor(h.T, "the broker serves", b.Serving)
	return b.Addrs()[0].String()
}

// newKey creates an API key and returns its id and its text.
func (h *house) newKey(application, name string) (id, text string) {
	h.Helper()
	parts, err := h.ask("key.create", fmt.Sprintf(`{"application_id":%q,"name":%q}`, application, name))
	if err != nil {
		h.Fatal(err)
	}
	var k NewKey
	if err := json.Unmarshal([]byte(parts[0]), &k); err != nil {
		h.Fatal(err)
	}
	return k.ID, k.Text
}

// connect connects an MQTT client. Its session is kept unless clean.
func (h *house) connect(addr, id, user, key string, clean bool) paho.Client {
	h.Helper()
	c := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" +
		addr).SetClientID(id).SetUsername(user).SetPassword(key).
		SetProtocolVersion(4).SetCleanSession(clean).SetAutoReconnect(false))
	if token := c.Connect(); !token.WaitTimeout(20*time.Second) || token.Error() != nil {
		h.Fatalf("%s: connect: %v", id, token.Error())
	}
	h.Cleanup(func() { c.Disconnect(0) })
	return c
}

// metrics returns what a scrape gets.
func (h *house) metrics() string {
	h.Helper()
	ctx, cancel := context.WithTimeout(h.Context(), 20*time.Second)
	defer cancel()
	text, err := h.admin.metrics(ctx)
	if err != nil {
		h.Fatal(err)
	}
	return string(text)
}

func (h *house) mqttList(args string) (out []MQTTClient) {
	h.Helper()
	parts, err := h.ask("mqtt.list", args)
	if err != nil {
		h.Fatal(err)
	}
	for _, p := range parts {
		var c MQTTClient
		if err := json.Unmarshal([]byte(p), &c); err != nil {
			h.Fatal(err)
		}
		out = append(out, c)
	}
	return out
}

// Each client is listed with its key and its state, those of an application on their own;
// one that is away stays in the list as long as its session is kept.
func TestMQTTClients(t *testing.T) {
	h := newHouse(t)
	if list := h.mqttList(`{}`); len(list) != 0 {
		t.Errorf("without a broker: %+v", list)
	}
	addr := h.withBroker()
	id1, key1 := h.newKey("app1", "first")
	id2, key2 := h.newKey("app2", "")
	kept := h.connect(addr, "kept", "app1", key1, false)
	h.connect(addr, "clean", "app2@ttn", key2, true)
	if token := kept.Subscribe("#", 1, nil); !token.WaitTimeout(20*time.Second) || token.Error() != nil {
		t.Fatal(token.Error())
	}
	list := h.mqttList(`{}`)
	if len(list) != 2 {
		t.Fatalf("%+v", list)
	}
	for i, want := range []MQTTClient{
		{ID: "kept", Application: "app1", KeyID: id1, KeyName: "first", Connected: true, Over: "tcp", Version: "3.1.1"},
		{ID: "clean", Application: "app2", KeyID: id2, Connected: true, Over: "tcp", Version: "3.1.1"},
	} {
		got := list[i]
		if got.Address != "127.0.0.1" || got.Since < 0 || got.Since > 20 {
			t.Errorf("%s: address %q, for %v s", got.ID, got.Address, got.Since)
		}
		got.Address, got.Since = "", 0
		if got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	if list := h.mqttList(`{"application_id":"app2"}`); len(list) != 1 || list[0].ID != "clean" {
		t.Errorf("of app2: %+v", list)
	}
	if list := h.mqttList(`{"application_id":"app3"}`); len(list) != 0 {
		t.Errorf("of app3: %+v", list)
	}

	kept.Disconnect(100)
	admintest.WaitFor(h.T, "the client is away", func() bool { return !h.mqttList(`{"application_id":"app1"}`)[0].Connected })
	h.admin.o.Broker.Publish(v3.Message{Application: "app1", Device: "dev1", Suffix: v3.Up, Payload: []byte("{}")})
	admintest.WaitFor(h.T, "a message waits", func() bool { return h.mqttList(`{"application_id":"app1"}`)[0].Queue == 1 })
}

// A revoked key ends its connections and sessions, here one and two, and no others.
func TestRevokeDisconnects(t *testing.T) {
	h := newHouse(t)
	addr := h.withBroker()
	id, key := h.newKey("app1", "old")
	_, other := h.newKey("app1", "new")
	gone := h.connect(addr, "gone", "app1", key, false)
	h.connect(addr, "away", "app1", key, false).Disconnect(100)
	stays := h.connect(addr, "stays", "app1", other, true)
	admintest.WaitFor(h.T, "one is away", func() bool {
		away := 0
		for _, c := range h.mqttList(`{}`) {
			if !c.Connected {
				away++
			}
		}
		return away == 1
	})
	h.steps([]step{{
		name: "revoke", op: "key.revoke", args: `{"id":"` + id + `"}`, parts: 1, with: []string{`"disconnected":3`},
	}})
	admintest.WaitFor(h.T, "the client is disconnected", func() bool { return !gone.IsConnectionOpen() })
	if list := h.mqttList(`{}`); len(list) != 1 || list[0].ID != "stays" || !stays.IsConnectionOpen() {
		t.Errorf("left: %+v", list)
	}
	c := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + addr).SetUsername("app1").SetPassword(key))
	if token := c.Connect(); !token.WaitTimeout(20*time.Second) || token.Error() == nil {
		t.Error("the revoked key lets a client in")
	}
}

// The numbers of the broker stand in the metrics, the state and /readyz.
func TestBrokerNumbers(t *testing.T) {
	h := newHouse(t)
	for _, line := range strings.Split(h.metrics(), "\n") {
		if strings.HasPrefix(line, "lorawand_mqtt_") {
			t.Errorf("without a broker: %s", line)
		}
	}
	addr := h.withBroker()
	_, key := h.newKey("app1", "")
	c := h.connect(addr, "one", "app1", key, false)
	h.connect(addr, "two", "app1", key, true)
	got := make(chan string, 1)
	if token := c.Subscribe("#", 0, func(_ paho.Client, m paho.Message) { got <- m.Topic() }); !token.WaitTimeout(
		20*time.Second) || token.Error() != nil {
		t.Fatal(token.Error())
	}
	h.admin.o.Broker.Publish(v3.Message{Application: "app1", Device: "dev1", Suffix: v3.Up, Payload: []byte("{}")})
	select {
	case topic := <-got:
		if topic != "v3/app1/devices/dev1/up" {
			t.Errorf("topic %s", topic)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("no message")
	}
	bad := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + addr).SetUsername("app1").SetPassword("NNSXS.A.B").
		SetProtocolVersion(4))
	if token := bad.Connect(); !token.WaitTimeout(20*time.Second) || token.Error() == nil {
		t.Error("a wrong key lets a client in")
	}
	admintest.WaitFor(h.T, "the message is counted", func() bool { return h.admin.o.Broker.Stats().Delivered == 1 })
	text := "\n" + h.metrics()
	for _, want := range []string{
		"lorawand_mqtt_clients 2", "lorawand_mqtt_sessions 2", "lorawand_mqtt_published_total 1",
		"lorawand_mqtt_delivered_total 1", `lorawand_mqtt_dropped_total{queue="outbox"} 0`,
		`lorawand_mqtt_dropped_total{queue="client"} 0`, "lorawand_mqtt_refused_total 0", "lorawand_mqtt_bad_logins_total 1",
		"lorawand_mqtt_faults_total 0",
	} {
		if !strings.Contains(text, "\n"+want+"\n") {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	h.steps([]step{{name: "status", op: "status", args: `{}`, parts: 1, with: []string{`"mqtt_clients":2`, `"mqtt_sessions":2`}}})
}
