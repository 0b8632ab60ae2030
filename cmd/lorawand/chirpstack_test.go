//go:build !small && !mips && !mipsle

package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/brocaar/chirpstack-api/go/v3/gw"
	"github.com/eclipse/paho.golang/paho"
	"github.com/golang/protobuf/proto"
	"github.com/golang/protobuf/ptypes"

	"lorawand/bridge/event"
	"lorawand/concentrator/air"
	"lorawand/concentrator/udp"
	"lorawand/radio"
	"lorawand/radio/frame"
	"lorawand/radio/region"
)

// chirpStack is a ChirpStack network on a mosquitto: it decodes what gateways tell and answers as one does.
type chirpStack struct {
	*farMosquitto
	json bool
	id   uint32
}

// csUplink is an uplink as the network reads it.
type csUplink struct {
	phy, context []byte
	frequency    uint32
	sf           uint32
}

// csItem is a window of a downlink.
type csItem struct {
	phy       []byte
	delay     time.Duration
	frequency uint32
	sf        uint32
}

// csTopic returns a topic of the gateway.
func csTopic(rest string) string {
	return "eu868/gateway/" + hex.EncodeToString(testEUI[:]) + "/" + rest
}

// uplink returns the next uplink.
func (c *chirpStack) uplink(pass ...string) (u csUplink) {
	c.Helper()
	p := c.next(csTopic("event/up"), append(pass, "event/stats")...)
	if c.json {
		var m struct {
			PHYPayload []byte
			TxInfo     struct {
				Frequency  uint32
				Modulation struct {
					LoRa struct{ SpreadingFactor uint32 }
				}
			}
			RxInfo struct {
				GatewayID string
				Context   []byte
			}
		}
		if err := json.Unmarshal(p.Payload, &m); err != nil || m.RxInfo.GatewayID != hex.EncodeToString(testEUI[:]) {
			c.Fatalf("%s: %v", p.Payload, err)
		}
		return csUplink{m.PHYPayload, m.RxInfo.Context, m.TxInfo.Frequency, m.TxInfo.Modulation.LoRa.SpreadingFactor}
	}
	var m gw.UplinkFrame
	if err := proto.Unmarshal(p.Payload, &m); err != nil || !bytes.Equal(m.RxInfo.GatewayId, testEUI[:]) {
		c.Fatalf("%v: %v", &m, err)
	}
	return csUplink{
		m.PhyPayload, m.RxInfo.Context, m.TxInfo.Frequency, m.TxInfo.GetLoraModulationInfo().GetSpreadingFactor(),
	}
}

// down sends a downlink and returns the statuses of its items.
func (c *chirpStack) down(context []byte, items ...csItem) string {
	c.Helper()
	c.id++
	var payload []byte
	if c.json {
		var texts []string
		for _, it := range items {
			phy, _ := json.Marshal(it.phy)
			ctx, _ := json.Marshal(context)
			texts = append(texts, fmt.Sprintf(`{"phyPayload":%s,"txInfo":{"frequency":%d,"power":14,"modulation":{"lora":{`+
				`"bandwidth":125000,"spreadingFactor":%d,"codeRate":"CR_4_5","polarizationInversion":true}},"timing":{"delay":`+
				`{"delay":"%.6fs"}},"context":%s}}`, phy, it.frequency, it.sf, it.delay.Seconds(), ctx))
		}
		payload = fmt.Appendf(nil, `{"downlinkId":%d,"items":[%s],"gatewayId":%q}`, c.id, strings.Join(texts, ","),
			hex.EncodeToString(testEUI[:]))
	} else {
		m := &gw.DownlinkFrame{Token: c.id, DownlinkId: make([]byte, 16), GatewayId: testEUI[:]}
		for _, it := range items {
			m.Items = append(m.Items, &gw.DownlinkFrameItem{PhyPayload: it.phy, TxInfo: &gw.DownlinkTXInfo{
				Frequency: it.frequency, Power: 14, Context: context, Timing: gw.DownlinkTiming_DELAY,
				TimingInfo: &gw.DownlinkTXInfo_DelayTimingInfo{
					DelayTimingInfo: &gw.DelayTimingInfo{Delay: ptypes.DurationProto(it.delay)},
				},
				ModulationInfo: &gw.DownlinkTXInfo_LoraModulationInfo{LoraModulationInfo: &gw.LoRaModulationInfo{
					Bandwidth: 125, SpreadingFactor: it.sf, CodeRate: "4/5", PolarizationInversion: true,
				}},
			}})
		}
		var err error
		if payload, err = proto.Marshal(m); err != nil {
			c.Fatal(err)
		}
	}
	c.command("down", payload)
	return c.ack()
}

func (c *chirpStack) command(what string, payload []byte) {
	c.Helper()
	p := &paho.Publish{QoS: 1, Topic: csTopic("command/" + what), Payload: payload}
	if _, err := c.Publish(c.Context(), p); err != nil {
		c.Fatal(err)
	}
}

// ack returns the statuses of the next acknowledgement, which is of the last downlink.
func (c *chirpStack) ack() (statuses string) {
	c.Helper()
	p := c.next(csTopic("event/ack"), "event/stats", "command/", "event/up")
	var id uint32
	var words []string
	if c.json {
		var m struct {
			DownlinkID uint32
			Items      []struct{ Status string }
		}
		if err := json.Unmarshal(p.Payload, &m); err != nil {
			c.Fatal(err)
		}
		id = m.DownlinkID
		for _, it := range m.Items {
			words = append(words, it.Status)
		}
	} else {
		var m gw.DownlinkTXAck
		if err := proto.Unmarshal(p.Payload, &m); err != nil {
			c.Fatal(err)
		}
		id = m.Token
		for _, it := range m.Items {
			words = append(words, it.Status.String())
		}
	}
	if id != c.id {
		c.Fatalf("acknowledged: %d, want %d", id, c.id)
	}
	return strings.Join(words, " ")
}

// expectState expects that the network is told next that the gateway is on line, or is not.
func (c *chirpStack) expectState(online bool) {
	c.Helper()
	p := c.next(csTopic("state/conn"), "event/stats")
	is := strings.Contains(string(p.Payload), `"state":"ONLINE"`)
	if !c.json {
		var m gw.ConnState
		if err := proto.Unmarshal(p.Payload, &m); err != nil || !bytes.Equal(m.GatewayId, testEUI[:]) {
			c.Fatalf("%v: %v", &m, err)
		}
		is = m.State == gw.ConnState_ONLINE
	}
	if is != online {
		c.Errorf("on line: %v, want %v: %s", is, online, p.Payload)
	}
}

// csSite is a daemon with a ChirpStack network behind a hop, and its gateway on an air.
type csSite struct {
	*testing.T
	*site
	*running
	net     *chirpStack
	hop     *hop
	gateway *forwarder
	device  *air.Device // of the network
	heard   chan air.Heard
	mu      sync.Mutex
	sent    []air.Transmission
}

// csRoot has the root keys of the network's device.
var csRoot = frame.RootKeys{AppKey: frame.Key{0xc5, 1, 2, 3}}

func newCSSite(t *testing.T, asJSON, tls bool, version, more string) *csSite {
	c := &csSite{T: t, site: newSite(t, ""), heard: make(chan air.Heard, 10)}
	clients, door := freeTCP(t), freeTCP(t)
	_, port, _ := strings.Cut(door, ":")
	listener, scheme, files := "listener "+port+" 127.0.0.1\n", "mqtt", ""
	if tls {
		words := strings.NewReplacer("bridge_cafile", "ca_cert", "bridge_certfile", "tls_cert", "bridge_keyfile", "tls_key")
		files, scheme = words.Replace(c.mutualTLS(&listener)), "mqtts"
	}
	c.net = &chirpStack{farMosquitto: startMosquitto(t, clients, listener+"allow_anonymous true\n"), json: asJSON}
	c.hop = newHop(t, door)
	marshaler := map[bool]string{true: "json", false: "protobuf"}[asJSON]
	c.add(fmt.Sprintf("[[chirpstack]]\nserver = \"%s://127.0.0.1:%s\"\ntopic_prefix = \"eu868\"\nmarshaler = %q\n"+
		"protocol_version = %q\n%s%s", scheme, c.hop.port(), marshaler, version, files, more))
	c.must(settledDevice("dev1", testAddr.String(), 5), "device", "import", "-", "--application", "app1")
	c.running = c.start()
	return c
}

// alone has a gateway without an air, which takes every downlink. Frames come to it by its counter.
func (c *csSite) alone() {
	c.gateway = c.transmitter(testEUI, func(radio.Downlink) radio.TxResult { return radio.TxOK })
	c.net.expectState(true)
}

// onAir puts the gateway and the network's device on the air.
func (c *csSite) onAir() {
	plan, err := region.Lookup("EU_863_870_TTN")
	if err != nil {
		c.T.Fatal(err)
	}
	ether := air.New(1)
	ether.Log(func(t air.Transmission) { c.mu.Lock(); defer c.mu.Unlock(); c.sent = append(c.sent, t) })
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	c.T.Cleanup(func() { cancel(); wg.Wait() })
	var f *udp.Forwarder
	receiver := ether.Listen(air.ReceiverOptions{
		EUI: testEUI, Counter: 1 << 30, Plan: plan, Hear: func(up radio.Uplink) { f.Uplink(up) },
	})
	if f, err = udp.NewForwarder(udp.ForwarderOptions{
		Server: c.d.udp.Addr().String(), EUI: testEUI, Transmit: receiver.Transmit,
	}); err != nil {
		c.T.Fatal(err)
	}
	c.gateway = &forwarder{f, c.T}
	wg.Go(func() { _ = f.Run(ctx) })
	if c.device, err = ether.Device(air.DeviceOptions{
		Name: "theirs", Plan: plan, DataRate: 5, RSSI: -6000, SNR: 800, JoinEUI: radio.EUI64{1}, DevEUI: radio.EUI64{2},
		RootKeys: csRoot, Heard: func(h air.Heard) { c.heard <- h },
		Missed: func(m air.Missed) { c.T.Errorf("missed: %s", m.Reason) },
	}); err != nil {
		c.T.Fatal(err)
	}
	wg.Go(func() { _ = ether.Run(ctx) })
}

// A device of a ChirpStack network joins through our gateway and gets a downlink in RX2, as its RX1 has no
// place; a network cut ends and comes again. In both forms and both versions of MQTT, and over TLS with
// certificates of both sides.
func TestChirpStackMosquitto(t *testing.T) {
	tool(t, "mosquitto")
	for _, tt := range []struct {
		name, version string
		json, tls     bool
	}{{"json over TLS and MQTT 5", "mqttv50", true, true}, {"protobuf over MQTT 3.1.1", "mqttv311", false, false}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newCSSite(t, tt.json, tt.tls, tt.version, "")
			c.onAir()
			c.net.expectState(true)
			keys := c.joins()
			c.answers(keys)
			c.hop.cut(true)
			c.net.expectState(false)
			c.hop.cut(false)
			c.net.expectState(true)
			c.check(2)
			c.stop()
			c.net.expectState(false)
		})
	}
}

// check checks what holds after every run; so many transmissions were made.
func (c *csSite) check(sent int) {
	c.T.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.sent) != sent {
		c.T.Errorf("sent: %+v", c.sent)
	}
	c.checkBeyond(c.site, nil, 0, c.sent)
}

// joins has the network's device join by the network's join-accept.
func (c *csSite) joins() frame.SessionKeys {
	c.T.Helper()
	if _, err := c.device.Join(); err != nil {
		c.T.Fatal(err)
	}
	up := c.net.uplink()
	req, err := frame.ParseJoinRequest(up.phy)
	if err != nil || !req.CheckMIC(csRoot.AppKey) {
		c.T.Fatalf("%x: %v", up.phy, err)
	}
	accept := frame.JoinAccept{JoinNonce: 7, DevAddr: radio.DevAddr{0x27, 1, 2, 3}, RXDelay: 1}
	phy, err := frame.BuildJoinAccept(accept, csRoot, req)
	keys, err2 := frame.DeriveSessionKeys(accept, csRoot, req)
	if err != nil || err2 != nil {
		c.T.Fatal(err, err2)
	}
	if got := c.net.down(up.context, csItem{phy, 5 * time.Second, up.frequency, up.sf},
		csItem{phy, 6 * time.Second, 869_525_000, 12}); got != "OK IGNORED" {
		c.T.Fatalf("the join-accept: %s\n%s", got, c.logged())
	}
	if h := c.hears("join-accept"); h.JoinAccept == nil || h.Window != 1 || h.JoinAccept.DevAddr != accept.DevAddr {
		c.T.Fatalf("the device hears %+v", h)
	}
	return keys
}

// hears waits for what the network's device hears.
func (c *csSite) hears(what string) air.Heard {
	c.T.Helper()
	select {
	case h := <-c.heard:
		return h
	case <-time.After(patience):
		c.T.Fatalf("no %s in %v\n%s", what, patience, c.logged())
		panic("not reached")
	}
}

// answers has the network answer a frame of its device, with a first window that has no place.
func (c *csSite) answers(keys frame.SessionKeys) {
	c.T.Helper()
	hello := frame.Data{MType: frame.ConfirmedUp, HasFPort: true, FPort: 3, FRMPayload: []byte("hello")}
	if _, err := c.device.Send(hello); err != nil {
		c.T.Fatal(err)
	}
	up := c.net.uplink()
	d, err := frame.ParseData(up.phy)
	if err != nil || !d.CheckUplinkMIC(keys.FNwkSIntKey, 0) || string(d.Decrypt(keys.AppSKey, 0)) != "hello" {
		c.T.Fatalf("%x: %v", up.phy, err)
	}
	phy, err := frame.BuildDownlink(frame.Data{
		MType: frame.UnconfirmedDown, DevAddr: d.DevAddr, ACK: true, HasFPort: true, FPort: 4, FRMPayload: []byte("world"),
	}, 0, keys)
	if err != nil {
		c.T.Fatal(err)
	}
	if got := c.net.down(up.context, csItem{phy, time.Second, 915_000_000, up.sf},
		csItem{phy, 2 * time.Second, 869_525_000, 12}); got != "TX_FREQ OK" {
		c.T.Fatalf("%s\n%s", got, c.logged())
	}
	if h := c.hears("downlink"); h.Window != 2 || h.Data == nil || !h.Data.ACK || string(h.Data.FRMPayload) != "world" {
		c.T.Errorf("the device hears %+v", h)
	}
}

// Nothing of a device of ours leaves; our own downlink keeps its place, and the network is told that with the
// protocol's word; channels that it wishes for change nothing.
func TestChirpStackConflict(t *testing.T) {
	tool(t, "mosquitto")
	t.Parallel()
	c := newCSSite(t, true, false, "mqttv50", "")
	c.alone()
	own := c.gateway.send(1, "hello") // the way to the gateway is measured by its answers
	time.Sleep(time.Second)
	theirs := bytes.Clone(own)
	theirs[4] = 0x26 // of the DevAddr
	c.gateway.confirmed(2)
	c.gateway.again(theirs)
	up := c.net.uplink()
	if !bytes.Equal(up.phy, theirs) || up.frequency != 868_500_000 || up.sf != 7 {
		t.Errorf("the network gets %+v", up)
	}
	time.Sleep(500 * time.Millisecond) // the answer to our own device has its place
	phy := []byte{0x60, 1, 2, 3, 0x26, 0, 0, 0, 9, 9, 9, 9}
	got := c.net.down(up.context, csItem{phy, 5 * time.Second, 868_500_000, 7},
		csItem{phy, 8 * time.Second, 868_500_000, 7})
	if got != "COLLISION_PACKET OK" {
		t.Errorf("%s\n%s", got, c.logged())
	}
	if got := c.net.down([]byte("other"), csItem{phy, 5 * time.Second, 868_500_000, 7}); got != "INTERNAL_ERROR" {
		t.Errorf("an unknown context: %s", got)
	}
	c.net.command("config", []byte(`{"version":"v7"}`))
	kept := func(e *event.Event) bool {
		return e.Kind == event.ChannelsKept && e.Word == "v7" && e.GatewayEUI == testEUI
	}
	for end := time.Now().Add(patience); len(c.d.bridge.Events().Recent(kept)) == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("people are not told of the channels")
		}
	}
	metrics := map[string]float64{}
	for _, m := range c.d.chirpStackMetrics() {
		metrics[m.Name] = m.Value
	}
	for name, want := range map[string]float64{
		"chirpstack_frames_total": 1, "chirpstack_downlinks_total": 2, "chirpstack_refused_total": 1,
		"chirpstack_transmitted_total": 1, "chirpstack_gateways_connected": 1, "chirpstack_lost_total": 0,
		"chirpstack_malformed_total": 0,
	} {
		if metrics[name] != want {
			t.Errorf("%s is %v, want %v", name, metrics[name], want)
		}
	}
	contains(t, "events", c.must("", "events"), "other network server wants other channels", "v7")
	c.check(0) // on no simulated air
}

// Frames of our own devices leave where they are asked for, by DevAddr here.
func TestChirpStackAll(t *testing.T) {
	tool(t, "mosquitto")
	t.Parallel()
	c := newCSSite(t, false, false, "mqttv311", fmt.Sprintf("frames = \"all\"\ndev_addrs = [%q]\n", testAddr))
	c.alone()
	own := c.gateway.send(1, "hello")
	if up := c.net.uplink(); !bytes.Equal(up.phy, own) {
		t.Errorf("the network gets %x", up.phy)
	}
}

// A broker that nobody reaches holds nothing up, and is a problem.
func TestChirpStackNowhere(t *testing.T) {
	s := newSite(t, "")
	s.add("[[chirpstack]]\nserver = \"mqtt://127.0.0.1:9\"\n[[forward]]\nserver = \"127.0.0.1:9\"\n")
	s.must(deviceJSON("dev1", testAddr.String()), "device", "import", "-", "--application", "app1")
	key := strings.TrimSpace(s.must("", "api-key", "create", "--application", "app1"))
	r := s.start()
	ups := r.watch("app1", key, "v3/app1/devices/+/up")
	f := r.forwarder(testEUI)
	for n := range uint32(20) {
		theirs := f.send(n+1, "hello")
		theirs[4] = 0x26
		f.again(theirs)
		next(t, ups)
	}
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		udp, mqtt := r.d.servers(), r.d.chirpStackServers()
		if len(udp) == 1 && udp[0].Gateways == 1 && len(mqtt) == 1 && mqtt[0].Gateways == 1 && mqtt[0].Answered == 0 &&
			mqtt[0].MQTT && strings.Contains(mqtt[0].Fault, "connection refused") {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%+v, %+v", udp, mqtt)
		}
	}
}
