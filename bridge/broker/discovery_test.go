package broker

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"

	"lorawand/bridge/v3"
)

// discovery has a device of each application.
type discovery struct {
	online  chan string
	looks   *atomic.Int32 // at what is retained
	payload *atomic.Value // "": "of " and the application
}

func configTopic(app string) string { return "homeassistant/device/lorawand_" + app + "_dev1/config" }

func configOf(app, payload string) v3.Message {
	return v3.Message{Application: app, Suffix: configTopic(app), Payload: []byte(payload)}
}

func (d discovery) Retained(app string) []v3.Message {
	d.looks.Add(1)
	payload, _ := d.payload.Load().(string)
	return []v3.Message{configOf(app, cmp.Or(payload, "of "+app))}
}

// Announces takes devices whose ids begin with "home".
func (d discovery) Announces(app, filter string) bool {
	device, ok := strings.CutPrefix(filter, "v3/"+app+"/devices/home")
	device, up := strings.CutSuffix(device, "/up")
	return ok && up && !strings.Contains(device, "/")
}

func (d discovery) Online(app string) { d.online <- app }

func startDiscovery(t *testing.T, l Limits) (*bench, discovery) {
	d := discovery{make(chan string, 100), new(atomic.Int32), new(atomic.Value)}
	return startWith(t, func(o *Options) { o.Discovery, o.Limits = d, l }), d
}

// What Home Assistant is told reaches the keys of the application that may read, by its
// topics only.
func TestDiscoveryIsolation(t *testing.T) {
	s, _ := startDiscovery(t, Limits{})
	for _, tt := range []struct {
		name, app, key, filter string
		code                   byte // 0: granted
		retained               bool
	}{
		{"all", "app1", s.key1, "homeassistant/#", 0, true},
		{"as Home Assistant does", "app1", s.key1, "homeassistant/+/+/config", 0, true},
		{"without a match", "app1", s.key1, "homeassistant/+/+/+/config", 0, false},
		{"with the tenant", "app1@ttn", s.key1, "homeassistant/#", 0, true},
		{"a key that may only read", "app1", s.readOnly, "homeassistant/#", 0, true},
		{"a key that may not read", "app1", s.writeOnly, "homeassistant/#", 0x80, false},
		{"the topic of another application", "app2", s.key2, configTopic("app1"), 0, false},
		{"everything", "app1", s.key1, "#", 0, false},
		{"shared", "app1", s.key1, "$share/g/homeassistant/#", 0x80, false},
		{"with a wildcard before", "app1", s.key1, "+/#", 0x80, false},
		{"a level too few", "app1", s.key1, "homeassistant", 0x80, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := s.loginAs(4, "", tt.app, tt.key)
			r.T = t
			r.send(subscribePacket(9, 0, tt.filter))
			got := map[byte]packets.Packet{} // in any order: MQTT 3.1.1, 3.8.4
			for range map[bool]int{false: 1, true: 2}[tt.retained] {
				pk, err := r.receive(patience)
				if err != nil {
					t.Fatal(err)
				}
				got[pk.FixedHeader.Type] = pk
			}
			if codes := got[packets.Suback].ReasonCodes; len(codes) != 1 || codes[0] != tt.code {
				t.Fatalf("answered with %v", codes)
			}
			app, _, _ := strings.Cut(tt.app, "@")
			if tt.retained {
				pk := got[packets.Publish]
				if pk.TopicName != configTopic(app) || string(pk.Payload) != "of "+app || !pk.FixedHeader.Retain {
					t.Errorf("%s %q", pk.TopicName, pk.Payload)
				}
			}
			other := map[string]string{"app1": "app2", "app2": "app1"}[app]
			s.Publish(configOf(other, "foreign"))
			s.Publish(configOf(app, "news"))
			if tt.retained {
				r.gets(configTopic(app), "news", 0)
			}
			s.dispatched()
			r.silent("what is not for this key")
		})
	}
}

// Home Assistant says that it has come up: who may read is believed, for his own
// application, and nobody else gets to know.
func TestBirth(t *testing.T) {
	s, d := startDiscovery(t, Limits{})
	watcher := s.loginAs(4, "watcher", "app2", s.key2).subscribe(0, "homeassistant/+") // nothing of that is retained
	for _, tt := range []struct {
		app, key, topic, payload string
		want                     string
	}{
		{"app1", s.key1, "homeassistant/status", "online", "app1"},
		{"app1@ttn", s.key1, "homeassistant/status", "online", "app1"},
		{"app2", s.key2, "homeassistant/status", "online", "app2"},
		{"app1", s.key1, "homeassistant/status", "offline", ""},
		{"app1", s.writeOnly, "homeassistant/status", "online", ""},
		{"app1", s.key1, "homeassistant/x", "online", ""},
		{"app1", s.key1, configTopic("app2"), "x", ""},
	} {
		r := s.loginAs(4, "", tt.app, tt.key)
		r.send(packets.Packet{
			FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1, Retain: true}, PacketID: 7,
			TopicName: tt.topic, Payload: []byte(tt.payload),
		})
		r.want(packets.Puback)
		got := ""
		select {
		case got = <-d.online:
		default:
		}
		if got != tt.want {
			t.Errorf("%s %s by %s: %q, want %q", tt.topic, tt.payload, tt.app, got, tt.want)
		}
	}
	s.dispatched()
	watcher.silent("what others have published")
}

// Home Assistant subscribes to the topic of each device that it is told of: these do not
// count, others do.
func TestDiscoverySubscriptions(t *testing.T) {
	s, _ := startDiscovery(t, Limits{Subscriptions: 4})
	r := s.login("home")
	var filters []string
	for i := range 20 {
		filters = append(filters, fmt.Sprintf("v3/app1/devices/home%d/up", i))
	}
	r.subscribe(0, filters...)
	r.subscribe(0, "v3/app1/devices/a/up", "v3/app1/devices/b/up", "v3/app1/devices/c/up", "v3/app1/devices/d/up")
	r.subscribe(0, filters...)
	r.send(subscribePacket(9, 0, "v3/app1/devices/e/up"))
	if code := r.want(packets.Suback).ReasonCodes[0]; code != 0x80 {
		t.Errorf("one too many is answered with 0x%02x", code)
	}
}

// However often one packet asks for what is retained, it is looked up once and each message
// comes once.
func TestRetainedOnce(t *testing.T) {
	s, d := startDiscovery(t, Limits{})
	many := func(filter string) []string { return slices.Repeat([]string{filter}, 500) }
	for _, tt := range []struct {
		name    string
		filters []string
		look    int
	}{
		{"the same filter", many("homeassistant/#"), 1},
		{"several filters", []string{"homeassistant/#", "homeassistant/+/+/config", configTopic("app1")}, 1},
		{"no such filter", many("v3/app1/#"), 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := s.login("")
			r.T = t
			before := d.looks.Load()
			r.send(subscribePacket(9, 1, tt.filters...))
			for range 1 + tt.look {
				if _, err := r.receive(patience); err != nil {
					t.Fatal(err)
				}
			}
			r.silent("the same once more")
			if n := d.looks.Load() - before; int(n) != tt.look {
				t.Errorf("looked up %d times", n)
			}
		})
	}
}

// What is retained counts once, whatever number of clients of the application it waits for.
func TestRetainedIsShared(t *testing.T) {
	s, d := startDiscovery(t, Limits{})
	d.payload.Store(strings.Repeat("x", 10_000))
	for i := range 5 {
		r := s.persistent("app1", s.key1, fmt.Sprint("c", i))
		r.subscribe(1, "homeassistant/#")
	}
	s.eventually("all is on its way", func() bool {
		n := 0
		for i := range 5 {
			queued, inflight := s.waiting(fmt.Sprint("app1/c", i))
			n += queued + inflight
		}
		return n == 5
	})
	if n := s.kept.Load(); n < 10_000 || n > 15_000 {
		t.Errorf("%d bytes are kept", n)
	}
	s.Publish(configOf("app1", d.payload.Load().(string)))
	s.dispatched()
	if n := s.kept.Load(); n < 10_000 || n > 15_000 {
		t.Errorf("%d bytes are kept when it was published once more", n)
	}
	s.recounted()
}

// What is sent again reaches who is there, and does not wait for who is away.
func TestSentAgain(t *testing.T) {
	s, _ := startDiscovery(t, Limits{})
	away := s.resume("away", false)
	away.subscribe(1, "homeassistant/+/lorawand_app1_new/config")
	s.away(away)
	there := s.login("there")
	there.subscribe(0, "homeassistant/+/lorawand_app1_new/config")
	m := v3.Message{Application: "app1", Suffix: "homeassistant/device/lorawand_app1_new/config", Payload: []byte("x")}
	for i, again := range []bool{true, false, true} {
		m.Again = again
		s.Publish(m)
		there.gets(m.Suffix, "x", 0)
		s.dispatched()
		if n, _ := s.waiting("app1/away"); n != min(i, 1) {
			t.Errorf("%d messages wait after %d", n, i+1)
		}
	}
}
