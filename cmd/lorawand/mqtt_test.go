package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"lorawand/bridge/admin"
	"lorawand/bridge/v3"
)

// connectAs returns a client that is connected and whose session is kept.
func (r *running) connectAs(id, user, key string) mqtt.Client {
	r.Helper()
	o := mqtt.NewClientOptions().AddBroker("tcp://" +
		r.d.mqttAddr().String()).SetClientID(id).SetUsername(user).SetPassword(key).
		SetCleanSession(false).SetAutoReconnect(false)
	c := mqtt.NewClient(o)
	if t := c.Connect(); !t.WaitTimeout(patience) || t.Error() != nil {
		r.Fatalf("connect: %v", t.Error())
	}
	return c
}

// The owner sees who is connected with which key, who is away, and what waits.
func TestMQTTList(t *testing.T) {
	s := newSite(t, "")
	if status, _, errOut := s.cli("", "mqtt", "list"); status != 1 || !strings.Contains(errOut, "lorawand") {
		t.Errorf("without a daemon: exit status %d\n%s", status, errOut)
	}
	d := s.start()
	long := strings.Repeat("x", 80)
	key := strings.TrimSpace(s.must("", "api-key", "create", "--application", "app1", "--name", "Node-RED "+long))
	other := strings.TrimSpace(s.must("", "api-key", "create", "--application", "app2"))
	flow := d.connectAs("flow-"+long, "app1", key)
	defer flow.Disconnect(0)
	gone := d.connectAs("gone", "app2", other)
	if st := gone.Subscribe("#", 1, nil); !st.WaitTimeout(patience) || st.Error() != nil {
		t.Fatal(st.Error())
	}
	gone.Disconnect(100)
	client := func(application string) (c admin.MQTTClient) {
		if err := json.Unmarshal([]byte(s.must("", "mqtt", "list", "--json", "--application", application)), &c); err != nil {
			t.Fatal(err)
		}
		return c
	}
	until := func(is func(admin.MQTTClient) bool) (c admin.MQTTClient) {
		for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
			if c = client("app2"); is(c) {
				break
			}
		}
		return c
	}
	until(func(c admin.MQTTClient) bool { return !c.Connected })
	d.d.broker.Publish(v3.Message{Application: "app2", Device: "dev1", Suffix: v3.Up, Payload: []byte("{}")})
	away := until(func(c admin.MQTTClient) bool { return c.Queue > 0 })
	if away.ID != "gone" || away.Application != "app2" || away.Connected || away.Queue != 1 || away.Address != "" {
		t.Errorf("who is away: %+v", away)
	}
	connected := client("app1")
	if connected.ID != "flow-"+long || connected.KeyName != "Node-RED "+long || !connected.Connected ||
		connected.Address != "127.0.0.1" ||
		connected.Over != "tcp" || connected.Version != "3.1.1" || connected.Dropped != 0 {
		t.Errorf("who is connected: %+v", connected)
	}
	table := s.must("", "mqtt", "list")
	contains(t, "list", table, "CLIENT", "flow-xxxxxx…", "Node-RED …", "127.0.0.1", "gone", "away", "DROPPED")
	for line := range strings.Lines(table) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	contains(t, "list --wide", s.must("", "mqtt", "list", "--wide"), "flow-"+long, "Node-RED "+long, connected.KeyID,
		"tcp", "3.1.1")
}

func TestClientRow(t *testing.T) {
	longest := admin.MQTTClient{
		ID: strings.Repeat("ä", 256), Application: strings.Repeat("a", 36), KeyName: strings.Repeat("k", 100),
		Connected: true,
		Since:     3 * 365 * 86400, Address: "2001:db8:1111:2222:3333:4444:5555:6666", Queue: 1_000_000, Dropped: 1 << 60,
	}
	columns := 0
	for cell := range strings.SplitSeq(clientRow(&longest), "\t") {
		columns += max(utf8.RuneCountInString(cell), 5) + 2
	}
	if columns-2 > 80 {
		t.Errorf("%d columns: %s", columns-2, clientRow(&longest))
	}
	for s, want := range map[float64]string{
		0: "0s", 59.9: "59s", 754: "12m34s", 86399: "23h59m", 86400: "1d",
		1e8: "1157d",
	} {
		if got := roughly(s); got != want {
			t.Errorf("%v s: %s, want %s", s, got, want)
		}
	}
}

// Refusals of clients are among the events, with the reason, for people and for programs.
func TestRefusedClientsInEvents(t *testing.T) {
	s := newSite(t, "")
	d := s.start()
	key := strings.TrimSpace(s.must("", "api-key", "create", "--application", "app1", "--rights", "traffic-read"))
	o := mqtt.NewClientOptions().AddBroker("tcp://" +
		d.d.mqttAddr().String()).SetClientID("flow\x1b[31m").SetUsername("app2").SetPassword(key)
	if t := mqtt.NewClient(o).Connect(); !t.WaitTimeout(patience) || t.Error() == nil {
		d.Error("a key of another application is let in")
	}
	c := d.connectAs("flow", "app1", key)
	defer c.Disconnect(0)
	if p := c.Publish("v3/app1/devices/dev1/down/push", 1, false, "{}"); !p.WaitTimeout(patience) ||
		p.Error() != nil {
		t.Fatal(p.Error())
	}
	if p := c.Subscribe("v3/app2/#", 1, nil); !p.WaitTimeout(patience) {
		t.Fatal("no SUBACK")
	}
	text := s.must("", "events")
	contains(t, "events", text, "MQTT client refused (unknown_application)  application app2  client flow\uFFFD[31m  at "+
		"127.0.0.1",
		"MQTT publish refused (no_right)  application app1  client flow  topic v3/app1/devices/dev1/down/push  at 127.0.0.1",
		"MQTT subscription refused (not_of_the_application)  application app1  client flow  topic v3/app2/#")
	contains(t, "events --json", s.must("", "events", "--json"),
		`"kind":"mqtt_client_refused","reason":"unknown_application","application_id":"app2","address":"127.0.0.1"`)
	if strings.Contains(text+d.logged(), key) {
		t.Error("a key is shown")
	}
}

// The day on which a key was used last is shown, and outlives a restart. It is
// written with what is written anyway, and once a day.
func TestLastUseOfKeys(t *testing.T) {
	s := newSite(t, "")
	conf, err := os.ReadFile(s.conf)
	if err != nil {
		t.Fatal(err)
	}
	s.write("lorawand.toml", strings.Replace(string(conf), "ephemeral = true", "", 1))
	d := s.start()
	key := strings.TrimSpace(s.must("", "api-key", "create", "--application", "app1"))
	lastUse := func() string {
		var k admin.Key
		if err := json.Unmarshal([]byte(s.must("", "api-key", "list", "--json")), &k); err != nil {
			t.Fatal(err)
		}
		return k.LastUse
	}
	if got := lastUse(); got != "" {
		t.Errorf("before the first use: %q", got)
	}
	before := time.Now().UTC().Format(time.DateOnly)
	d.connectAs("flow", "app1", key).Disconnect(0)
	commits := d.d.store.Stats().Commits
	for range 5 {
		d.connectAs("flow", "app1", key).Disconnect(0)
	}
	after := time.Now().UTC().Format(time.DateOnly)
	if got := lastUse(); got != before && got != after {
		t.Errorf("last use %q, want %s", got, after)
	}
	if n := d.d.store.Stats().Commits - commits; n > 1 {
		t.Errorf("%d commits for logins", n)
	}
	contains(t, "list", s.must("", "api-key", "list"), "LAST USE", lastUse())
	d.stop()
	if got := lastUse(); got != before && got != after {
		t.Errorf("after the stop: last use %q", got)
	}
}
