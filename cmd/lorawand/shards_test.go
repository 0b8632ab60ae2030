//go:build !small && (amd64 || arm64 || arm.7)

package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"lorawand/bridge/admin"
	"lorawand/bridge/store/jetstream/natstest"
	"lorawand/cmd/lorawand/config"
	"lorawand/cmd/lorawand/demo"
	"lorawand/concentrator/air"
	"lorawand/concentrator/udp"
	"lorawand/radio"
	"lorawand/radio/frame"
	"lorawand/radio/region"
)

// TestShards has two pairs on the same servers, each with a bucket of its own, with the configuration of
// the README. The one gateway is connected to pair 1, which hands on what is for devices of pair 2; and it
// goes on doing so when the other machine of pair 2 leads.
func TestShards(t *testing.T) {
	t.Parallel()
	c := natstest.Start(t, 1, freeTCP)
	network, forward := shardTables(t)
	const of1, of2 = `"00000000/8"`, `"01000000/8"`
	a := newShard(t, c, "pair2", "a", strings.Replace(network, of1, of2, 1))
	b := newShard(t, c, "pair2", "b", strings.Replace(network, of1, of2, 1))
	one := newShard(t, c, "pair1", "one", network+forward(a.udp)+forward(b.udp))
	one.must(shardDevice("dev1", 1), "device", "import", "-", "--application", "app1")
	a.must(shardDevice("dev2", 2), "device", "import", "-", "--application", "app2")
	key1 := one.must("", "api-key", "create", "--application", "app1")
	key2 := a.must("", "api-key", "create", "--application", "app2")
	one.begin("lease for")
	a.begin("lease for")
	b.begin("this machine stands by")
	one.watch("app1", key1)
	a.watch("app2", key2)
	w := newShardAir(t, one.udp)
	for i, first := range []byte{0, 1} {
		w.join(i)
		if s, _ := w.devices[i].Session(); s.DevAddr[0] != first {
			t.Errorf("device %d has DevAddr %v", i+1, s.DevAddr)
		}
	}
	w.both(0, one, "app1", "dev1")
	w.both(1, a, "app2", "dev2")
	w.both(1, a, "app2", "dev2")
	var heard uint64
	err := ask(t.Context(), a.config, "status", nil, func(s admin.Status) error { heard = s.Uplinks; return nil })
	if err != nil || heard != w.sent[1] {
		t.Errorf("pair 2 has heard %d frames, want the %d of its own device, %v", heard, w.sent[1], err)
	}
	if err := a.stop(); err != nil {
		t.Error(err)
	}
	b.watch("app2", key2)
	w.both(1, b, "app2", "dev2")
	w.both(0, one, "app1", "dev1")
}

// shardTables returns the configuration of the README: of pair 1, and of the way to a machine of pair 2.
func shardTables(t *testing.T) (network string, forward func(server string) string) {
	t.Helper()
	var text strings.Builder
	for line := range strings.Lines(chapter(t, "../../bridge/store/jetstream/README.md", "More than one pair")) {
		if code, isCode := strings.CutPrefix(line, "    "); isCode {
			text.WriteString(code)
		}
	}
	network, rest, found := strings.Cut(text.String(), "[[forward]]\n")
	const server = `"10.0.1.10:1700"`
	if !found || !strings.Contains(rest, server) {
		t.Fatalf("the README has no such tables:\n%s", &text)
	}
	return strings.Replace(network, "[network]\n", "[network]\nrx1_delay = \"1s\"\n", 1), func(to string) string {
		return "[[forward]]\n" + strings.Replace(rest, server, fmt.Sprintf("%q", to), 1)
	}
}

// shardDevice is a device that joins a pair.
func shardDevice(id string, pair int) string {
	return fmt.Sprintf(`{"ids":{"device_id":%q,"dev_eui":"%016X","join_eui":"70B3D57ED000000%d"},"lorawan_version":"MAC_V1_0_4",`+
		`"lorawan_phy_version":"PHY_V1_0_4","frequency_plan_id":"EU_863_870_TTN","supports_join":true,`+
		`"root_keys":{"app_key":{"key":%q}}}`, id, pair, pair, testApp)
}

// shard is a machine of a pair.
type shard struct {
	*site
	config    config.Config
	mqtt, udp string
	ups       chan message
	stop      func() error
}

func newShard(t *testing.T, c *natstest.Cluster, bucket, name, more string) *shard {
	t.Helper()
	s := &shard{site: newSite(t, more), mqtt: freeTCP(t), udp: freeUDP(t), ups: make(chan message, 100)}
	s.onNATS(c, name)
	conf, err := os.ReadFile(s.conf)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(conf), `["127.0.0.1:0"]`, fmt.Sprintf("[%q]", s.mqtt), 1)
	text = strings.Replace(text, `listen = "127.0.0.1:0"`, fmt.Sprintf("listen = %q", s.udp), 1)
	s.write("lorawand.toml", strings.Replace(text, "[store]\n", fmt.Sprintf("[store]\nbucket = %q\n", bucket), 1))
	if s.config, err = config.Load(s.conf, true); err != nil {
		t.Fatal(err)
	}
	return s
}

// begin starts the machine.
func (s *shard) begin(status string) {
	s.Helper()
	s.stop = sync.OnceValue(s.follow())
	s.Cleanup(func() { _ = s.stop() })
	s.awaitStatus(status)
}

// watch waits until the machine leads, and logs a client in that gets what its devices send.
func (s *shard) watch(application, key string) {
	s.Helper()
	s.awaitStatus("lease for")
	ctx, cancel := context.WithCancel(context.Background())
	ready := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = demo.Login{Broker: s.mqtt, User: application, Password: strings.TrimSpace(key)}.Watch(ctx,
			"v3/"+application+"/devices/+/up", func() { close(ready) },
			func(topic string, payload []byte) { s.ups <- message{topic, payload} })
	})
	s.Cleanup(func() { cancel(); wg.Wait() })
	select {
	case <-ready:
	case <-time.After(patience):
		s.Fatal("no subscription")
	}
}

// shardAir is a gateway, and a device of each pair.
type shardAir struct {
	testing.TB
	devices [2]*air.Device
	sent    [2]uint64 // frames of each
	heard   chan air.Heard
}

func newShardAir(t *testing.T, server string) *shardAir {
	t.Helper()
	plan, err := region.Lookup("EU_863_870_TTN")
	if err != nil {
		t.Fatal(err)
	}
	w := &shardAir{TB: t, heard: make(chan air.Heard, 100)}
	ether := air.New(1)
	var f *udp.Forwarder
	receiver := ether.Listen(air.ReceiverOptions{EUI: testEUI, Plan: plan, Hear: func(up radio.Uplink) { f.Uplink(up) }})
	f, err = udp.NewForwarder(udp.ForwarderOptions{
		Server: server, EUI: testEUI, KeepAlive: 100 * time.Millisecond, Transmit: receiver.Transmit,
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range w.devices {
		o := air.DeviceOptions{
			Name: fmt.Sprintf("dev%d", i+1), Plan: plan, DataRate: 5, RSSI: -7000, SNR: 800, Version: air.V1_0_4,
			DevEUI: radio.EUI64{7: byte(i + 1)}, JoinEUI: radio.EUI64{0x70, 0xB3, 0xD5, 0x7E, 0xD0, 0, 0, byte(i + 1)},
			Heard: func(h air.Heard) { w.heard <- h },
		}
		_ = o.RootKeys.AppKey.UnmarshalText([]byte(testApp))
		if w.devices[i], err = ether.Device(o); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = f.Run(ctx) })
	wg.Go(func() { _ = ether.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	return w
}

// join has a device join. A gateway that was just connected may not send yet, so it tries again.
func (w *shardAir) join(i int) {
	w.Helper()
	for range 5 {
		w.sent[i]++
		if _, err := w.devices[i].Join(); err != nil {
			w.Fatal(err)
		}
		select {
		case h := <-w.heard:
			if h.JoinAccept != nil && h.Device == w.devices[i].Name() {
				return
			}
		case <-time.After(8 * time.Second):
		}
	}
	w.Fatalf("device %d does not join", i+1)
}

// both has a device send, and its machine send to it.
func (w *shardAir) both(i int, s *shard, application, device string) {
	w.Helper()
	s.must("", "downlink", "push", application, device, "--f-port", "7", "--hex", "BEEF")
	for range 5 {
		w.sent[i]++
		if _, err := w.devices[i].Send(frame.Data{HasFPort: true, FPort: 2, FRMPayload: []byte("hello")}); err != nil {
			w.Fatal(err)
		}
		m := of(w.TB.(*testing.T), s.ups, "uplink")
		if !strings.Contains(m.topic, "/"+device+"/") || !strings.Contains(string(m.payload), `"frm_payload":"aGVsbG8="`) {
			w.Errorf("%s: %s", m.topic, m.payload)
		}
		select {
		case h := <-w.heard:
			if h.Data != nil && string(h.Data.FRMPayload) == "\xBE\xEF" && h.Device == device {
				return
			}
		case <-time.After(4 * time.Second):
		}
	}
	w.Fatalf("%s does not hear its downlink", device)
}
