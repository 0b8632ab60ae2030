// This package is not in the builds for MIPS, whose MQTT library cannot be the broker of these tests.
//go:build !mips && !mipsle

package chirpstack

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/brocaar/chirpstack-api/go/v3/gw"
	"github.com/golang/protobuf/proto"
	"github.com/golang/protobuf/ptypes"
	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"lorawand/bridge/foreign"
	"lorawand/bridge/foreign/links"
	"lorawand/radio"
)

var (
	gwA = radio.EUI64{0xa, 7: 1}
	gwB = radio.EUI64{0xb, 7: 2}
)

// broker is the broker of a ChirpStack network, in memory, and the network: it keeps what it gets.
type broker struct {
	*mqtt.Server
	mu    sync.Mutex
	got   []packets.Packet
	conns []net.Conn
	off   bool // nobody can connect
	hung  bool // connections that are opened now take everything and say nothing
	slow  time.Duration
	twice bool // each PUBACK comes twice
	again int  // PUBACKs that came once more
}

// farConn is the broker's end of a connection, on which everything takes a while to come back.
type farConn struct {
	net.Conn
	b    *broker
	slow time.Duration
}

// Write writes whole packets.
func (c farConn) Write(b []byte) (int, error) {
	time.Sleep(c.slow)
	n, err := c.Conn.Write(b)
	c.b.mu.Lock()
	twice := c.b.twice
	c.b.mu.Unlock()
	for rest := b; twice && err == nil && len(rest) > 1; {
		length, k := binary.Uvarint(rest[1:])
		p := rest[:1+k+int(length)]
		rest = rest[len(p):]
		if p[0]>>4 == packets.Puback {
			_, err = c.Conn.Write(p)
			c.b.set(func() { c.b.again++ })
		}
	}
	return n, err
}

// letIn lets every client do everything.
type letIn struct{ mqtt.HookBase }

func (*letIn) ID() string { return "let in" }
func (*letIn) Provides(b byte) bool {
	return b == mqtt.OnConnectAuthenticate || b == mqtt.OnACLCheck
}
func (*letIn) OnConnectAuthenticate(*mqtt.Client, packets.Packet) bool { return true }
func (*letIn) OnACLCheck(*mqtt.Client, string, bool) bool              { return true }

func newBroker(t *testing.T) *broker {
	t.Helper()
	b := &broker{Server: mqtt.New(&mqtt.Options{
		InlineClient: true, SysTopicResendInterval: 1 << 20, Logger: slog.New(slog.DiscardHandler),
	})}
	if err := b.AddHook(&letIn{}, nil); err != nil {
		t.Fatal(err)
	}
	if err := b.Serve(); err != nil {
		t.Fatal(err)
	}
	if err := b.Subscribe("#", 1, func(_ *mqtt.Client, _ packets.Subscription, p packets.Packet) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.got = append(b.got, p)
	}); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *broker) dial(context.Context) (net.Conn, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.off {
		return nil, errors.New("no route to host")
	}
	near, far := net.Pipe()
	b.conns = append(b.conns, far)
	if b.hung {
		go func() { _, _ = io.Copy(io.Discard, far) }()
		return near, nil
	}
	end := farConn{far, b, b.slow}
	go func() { _ = b.EstablishConnection("pipe", end) }()
	return near, nil
}

// cut ends all connections; with off there are no new ones.
func (b *broker) cut(off bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.off = off
	for _, c := range b.conns {
		_ = c.Close()
	}
	b.conns = nil
}

// take returns the payloads on a topic that have come since the last call.
func (b *broker) take(topic string) (out [][]byte) {
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	var rest []packets.Packet
	for _, p := range b.got {
		if p.TopicName == topic {
			out = append(out, p.Payload)
		} else {
			rest = append(rest, p)
		}
	}
	b.got = rest
	return out
}

// retained returns the retained message of a topic.
func (b *broker) retained(topic string) []byte {
	synctest.Wait()
	p, _ := b.Topics.Retained.Get(topic)
	return p.Payload
}

// stand are the links with one network, in the fake time of a bubble.
type stand struct {
	*testing.T
	*links.Links
	*broker
	form    string
	calls   sync.Mutex // by the goroutines of several links
	asks    []foreign.Request
	replies []func(foreign.Result)
	told    []string // changes and wishes
	stop    func()
	begun   time.Time
}

// forms are run by inForms.
var forms = []string{"protobuf", "json"}

// inForms runs a test in both forms, each in a bubble.
func inForms(t *testing.T, run func(*stand)) {
	for _, form := range forms {
		t.Run(form, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStand(t, form)
				defer s.end()
				run(s)
			})
		})
	}
}

func newStand(t *testing.T, form string) *stand {
	s := &stand{T: t, broker: newBroker(t), form: form, begun: time.Now()}
	o := Options{
		Servers: []Server{{
			Address: "cs:1883", Prefix: "eu868/", JSON: form == "json", Dial: s.dial,
		}},
		Ask: func(r foreign.Request, reply func(foreign.Result)) {
			s.calls.Lock()
			defer s.calls.Unlock()
			s.asks, s.replies = append(s.asks, r), append(s.replies, reply)
		},
		Changed: func(server string, g radio.EUI64, fault error) {
			text := "connected"
			if fault != nil {
				text = fault.Error()
			}
			s.calls.Lock()
			defer s.calls.Unlock()
			s.told = append(s.told, fmt.Sprint(server, " ", g[7], " ", text))
		},
		Wishes: func(server string, g radio.EUI64, version string) {
			s.calls.Lock()
			defer s.calls.Unlock()
			s.told = append(s.told, fmt.Sprint(server, " ", g[7], " wants ", version))
		},
		Calendar: func() radio.WallTime { return radio.WallTime{Time: time.Now(), Quality: radio.TimeNTP} },
		Now:      s.host,
	}
	o.Servers[0].Client.ClientID, o.Servers[0].Client.KeepAlive = "lorawand.", 30*time.Second
	f, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Links = f
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = f.Run(ctx) }()
	s.stop = func() { cancel(); <-done }
	return s
}

func (s *stand) host() radio.HostTime { return radio.HostTime(time.Since(s.begun)) + 1 }

func (s *stand) end() {
	s.stop()
	_ = s.Close()
	time.Sleep(time.Minute) // of goroutines of the broker
}

// topic returns a topic of a gateway.
func topic(g radio.EUI64, rest string) string { return "eu868/gateway/" + hexOf(g) + "/" + rest }

// connect has a gateway connect, and waits until it is on line.
func (s *stand) connect(g radio.EUI64) {
	s.Helper()
	s.Gateway(g, true, nil)
	if got := s.retained(topic(g, "state/conn")); !bytes.Equal(got, s.state(g, true)) {
		s.Fatalf("state: %q", got)
	}
}

// state is what the network is told of a gateway, as the double reads it.
func (s *stand) state(g radio.EUI64, online bool) []byte {
	state := map[bool]string{true: "ONLINE", false: "OFFLINE"}[online]
	if s.form == "json" {
		return fmt.Appendf(nil, `{"gatewayId":%q,"state":%q}`, hexOf(g), state)
	}
	b, err := proto.Marshal(&gw.ConnState{GatewayId: g[:], State: gw.ConnState_State(gw.ConnState_State_value[state])})
	if err != nil {
		s.Fatal(err)
	}
	return b
}

// hear has a gateway hear a data frame of a DevAddr that ends with a byte. Its counter goes as the clock.
func (s *stand) hear(g radio.EUI64, addr byte, own bool) radio.ConcentratorTime {
	at := radio.ConcentratorTime(1<<32 + time.Since(s.begun).Microseconds())
	s.Uplink(radio.Uplink{
		Gateway: g, PHYPayload: append([]byte{0x40, addr, 2, 1, 0x26}, make([]byte, 7)...), Frequency: 868_300_000,
		DataRate: radio.LoRaDataRate(9, 125_000), CodingRate: radio.CodingRate45, Time: at,
		Receptions: []radio.Reception{
			{Channel: 1, RSSI: -9050, SNR: 525, Token: radio.UplinkToken{Gateway: g, Antenna: 1, Time: at, Host: s.host()}},
			{Antenna: 3, RSSI: -5000, NoDownlink: true},
		},
	}, own)
	synctest.Wait()
	return at
}

// context has a gateway hear a frame, and returns the context that the network gets with it.
func (s *stand) context(g radio.EUI64) ([]byte, radio.ConcentratorTime) {
	s.Helper()
	at := s.hear(g, 1, false)
	ups := s.take(topic(g, "event/up"))
	if len(ups) != 1 {
		s.Fatalf("%d uplinks", len(ups))
	}
	if s.form == "json" {
		var m struct{ RxInfo struct{ Context []byte } }
		if err := json.Unmarshal(ups[0], &m); err != nil {
			s.Fatal(err)
		}
		return m.RxInfo.Context, at
	}
	var m gw.UplinkFrame
	if err := proto.Unmarshal(ups[0], &m); err != nil {
		s.Fatal(err)
	}
	return m.RxInfo.Context, at
}

// want is an item of a downlink as a network asks for it.
type want struct {
	phy       string
	frequency uint32
	timing    string // now, delay, gps
	after     time.Duration
	context   []byte
	rate      uint32 // spreading factor; 50: FSK
}

// down sends a downlink to a gateway that names another one.
func (s *stand) down(to, named radio.EUI64, id uint32, items ...want) {
	s.Helper()
	s.send(to, "down", s.command(named, id, items...))
}

func (s *stand) send(to radio.EUI64, command string, payload []byte) {
	s.Helper()
	if err := s.Publish(topic(to, "command/"+command), payload, false, 1); err != nil {
		s.Fatal(err)
	}
	synctest.Wait()
}

func (s *stand) command(named radio.EUI64, id uint32, items ...want) []byte {
	s.Helper()
	if s.form == "json" {
		var texts []string
		for i := range items {
			texts = append(texts, items[i].json(s))
		}
		return fmt.Appendf(nil, `{"downlinkId":%d,"downlinkIdLegacy":"AAA=","items":[%s],"gatewayId":%q}`, id,
			strings.Join(texts, ","), hexOf(named))
	}
	m := &gw.DownlinkFrame{Token: id, DownlinkId: []byte("sixteen bytes id"), GatewayId: named[:]}
	for i := range items {
		m.Items = append(m.Items, items[i].protobuf())
	}
	b, err := proto.Marshal(m)
	if err != nil {
		s.Fatal(err)
	}
	return b
}

func (w *want) json(s *stand) string {
	modulation := fmt.Sprintf(`"lora":{"bandwidth":125000,"spreadingFactor":%d,"codeRate":"CR_4_5","polarizationInversion":true}`,
		w.rate)
	if w.rate == 50 {
		modulation = `"fsk":{"frequencyDeviation":25000,"datarate":50000}`
	}
	timing := map[string]string{
		"now": `"immediately":{}`, "delay": fmt.Sprintf(`"delay":{"delay":"%.9fs"}`, w.after.Seconds()),
		"gps": fmt.Sprintf(`"gpsEpoch":{"timeSinceGpsEpoch":"%.3fs"}`, w.after.Seconds()),
	}[w.timing]
	context, err := json.Marshal(w.context)
	phy, err2 := json.Marshal([]byte(w.phy))
	if err != nil || err2 != nil {
		s.Fatal(err, err2)
	}
	return fmt.Sprintf(`{"phyPayload":%s,"txInfo":{"frequency":%d,"power":14,"modulation":{%s},"timing":{%s},"context":%s}}`,
		phy, w.frequency, modulation, timing, context)
}

func (w *want) protobuf() *gw.DownlinkFrameItem {
	tx := &gw.DownlinkTXInfo{Frequency: w.frequency, Power: 14, Context: w.context}
	switch w.timing {
	case "delay":
		tx.Timing = gw.DownlinkTiming_DELAY
		tx.TimingInfo = &gw.DownlinkTXInfo_DelayTimingInfo{
			DelayTimingInfo: &gw.DelayTimingInfo{Delay: ptypes.DurationProto(w.after)},
		}
	case "gps":
		tx.Timing = gw.DownlinkTiming_GPS_EPOCH
		tx.TimingInfo = &gw.DownlinkTXInfo_GpsEpochTimingInfo{
			GpsEpochTimingInfo: &gw.GPSEpochTimingInfo{TimeSinceGpsEpoch: ptypes.DurationProto(w.after)},
		}
	}
	if w.rate == 50 {
		tx.ModulationInfo = &gw.DownlinkTXInfo_FskModulationInfo{FskModulationInfo: &gw.FSKModulationInfo{Datarate: 50000}}
	} else {
		tx.ModulationInfo = &gw.DownlinkTXInfo_LoraModulationInfo{LoraModulationInfo: &gw.LoRaModulationInfo{
			Bandwidth: 125, SpreadingFactor: w.rate, CodeRate: "4/5", PolarizationInversion: true,
		}}
	}
	return &gw.DownlinkFrameItem{PhyPayload: []byte(w.phy), TxInfo: tx}
}

// acks returns the acknowledgements of a gateway since the last call, as "7 OK IGNORED".
func (s *stand) acks(g radio.EUI64) (out []string) {
	s.Helper()
	for _, b := range s.take(topic(g, "event/ack")) {
		if s.form == "json" {
			var m struct {
				GatewayID  string
				DownlinkID uint32
				Items      []struct{ Status string }
			}
			if err := json.Unmarshal(b, &m); err != nil || m.GatewayID != hexOf(g) {
				s.Fatalf("%s: %v", b, err)
			}
			text := fmt.Sprint(m.DownlinkID)
			for _, it := range m.Items {
				text += " " + it.Status
			}
			out = append(out, text)
			continue
		}
		var m gw.DownlinkTXAck
		if err := proto.Unmarshal(b, &m); err != nil || !bytes.Equal(m.GatewayId, g[:]) ||
			string(m.DownlinkId) != "sixteen bytes id" {
			s.Fatalf("%v, %v", &m, err)
		}
		text := fmt.Sprint(m.Token)
		for _, it := range m.Items {
			text += " " + it.Status.String()
		}
		out = append(out, text)
	}
	return out
}

// answer gives the core's answer to the downlink that it was asked for last.
func (s *stand) answer(r foreign.Result) {
	s.Helper()
	if len(s.replies) == 0 {
		s.Fatal("the core is asked for nothing")
	}
	s.replies[len(s.replies)-1](r)
	synctest.Wait()
}
