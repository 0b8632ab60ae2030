//go:build !small

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"lorawand/bridge"
	"lorawand/bridge/event"
	"lorawand/concentrator/udp"
	"lorawand/radio"
)

// network is another network server: the server's end of the Semtech UDP protocol, with a real socket.
type network struct {
	*udp.Driver
	ups  chan radio.Uplink
	acks chan radio.TxAck
	on   chan radio.GatewayEvent
}

func (n *network) Uplink(up radio.Uplink)             { n.ups <- up }
func (n *network) TxAck(ack radio.TxAck)              { n.acks <- ack }
func (n *network) GatewayEvent(ev radio.GatewayEvent) { n.on <- ev }

func newNetwork(t *testing.T) *network {
	t.Helper()
	clock := bridge.NewClock(nil)
	d, err := udp.Listen(udp.Options{Listen: "127.0.0.1:0", Gateways: []radio.EUI64{testEUI}, Now: clock.Host})
	if err != nil {
		t.Fatal(err)
	}
	n := &network{d, make(chan radio.Uplink, 100), make(chan radio.TxAck, 100), make(chan radio.GatewayEvent, 100)}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = d.Run(ctx, n) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	return n
}

// of waits for what comes next.
func of[T any](t *testing.T, ch <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("no %s in %v", what, patience)
		panic("not reached")
	}
}

// pulled waits until a network has the way down to the gateway: it answers only what came behind it.
func (n *network) pulled(t *testing.T) {
	t.Helper()
	for of(t, n.on, "gateway").Kind != radio.GatewayConnected {
	}
}

// pair is a daemon that hands frames to two networks, and its gateway: the first gets those that are not
// ours, the second those of one DevAddr, which is ours.
type pair struct {
	*testing.T
	*site
	*running
	foreign, all *network
	gateway      *forwarder
	sent         chan radio.Downlink
}

func newPair(t *testing.T) *pair {
	p := &pair{T: t, foreign: newNetwork(t), all: newNetwork(t), sent: make(chan radio.Downlink, 10)}
	const servers = "[[forward]]\nserver = %q\n[[forward]]\nserver = %q\nframes = \"all\"\ndev_addrs = [%q]\n"
	p.site = newSite(t, fmt.Sprintf(servers, p.foreign.Addr(), p.all.Addr(), testAddr))
	p.must(settledDevice("dev1", testAddr.String(), 5), "device", "import", "-", "--application", "app1")
	p.running = p.start()
	gw, err := udp.NewForwarder(udp.ForwarderOptions{
		Server: p.d.udp.Addr().String(), EUI: testEUI,
		Transmit: func(d radio.Downlink) radio.TxResult { p.sent <- d; return radio.TxOK },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = gw.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	p.foreign.pulled(t)
	p.all.pulled(t)
	p.gateway = &forwarder{gw, t}
	return p
}

// down has a network send, and returns what it is told.
func (p *pair) down(n *network, d radio.Downlink) radio.TxResult {
	p.T.Helper()
	d.ID, d.Gateway, d.PHYPayload = 5, testEUI, []byte{0x60, 1, 2, 3, 4, 0, 0, 0, 9, 9, 9, 9}
	d.DataRate, d.Power = radio.LoRaDataRate(7, 125_000), 1400
	if err := n.Transmit(d); err != nil {
		p.T.Fatal(err)
	}
	return of(p.T, n.acks, "TX_ACK").Result
}

// Two networks get what is for them, as from a packet forwarder, and nothing of a device of ours but
// where it is asked for. The downlinks of both go through the gateway and the plan of this one.
func TestForwardedFrames(t *testing.T) {
	p := newPair(t)
	ours := p.gateway.send(1, "hello")
	theirs := slices.Clone(ours)
	theirs[4] = 0x26 // of the DevAddr
	p.gateway.again(theirs)
	up := of(t, p.foreign.ups, "frame of another network")
	if up.Gateway != testEUI || string(up.PHYPayload) != string(theirs) || up.Receptions[0].RSSI != -3500 ||
		up.Frequency != 868_500_000 || up.GatewayTime.IsZero() {
		t.Errorf("the network gets %+v", up)
	}
	if up := of(t, p.all.ups, "frame of ours"); string(up.PHYPayload) != string(ours) {
		t.Errorf("the network for all gets %+v", up)
	}

	const rx1 = radio.Frequency(868_500_000)
	if got := p.down(p.foreign, radio.Downlink{Frequency: rx1, Immediate: true}); got != radio.TxOK {
		t.Errorf("at once, the network is told %v", got)
	}
	of(t, p.sent, "downlink")
	for p.d.forwarding.States()[0].Transmitted == 0 { // from then on the gateway is one that answers
		time.Sleep(time.Millisecond)
	}
	at := up.Time.Add(time.Minute)
	if got := p.down(p.foreign, radio.Downlink{Frequency: rx1, Time: at}); got != radio.TxOK {
		t.Errorf("the network is told %v", got)
	}
	d := of(t, p.sent, "downlink")
	if d.Time.Counter() != at.Counter() || d.Frequency != rx1 || d.Power != 1400 || d.Uplink {
		t.Errorf("the gateway gets %+v", d)
	}
	for _, tt := range []struct {
		name string
		d    radio.Downlink
		want radio.TxResult
	}{
		{"for the same time", radio.Downlink{Frequency: rx1, Time: at}, radio.TxCollisionPacket},
		{"outside of the band", radio.Downlink{Frequency: 915_000_000, Time: at.Add(time.Second)}, radio.TxFreq},
		{"for a time that is past", radio.Downlink{Frequency: rx1, Time: up.Time.Add(-time.Second)}, radio.TxTooLate},
	} {
		if got := p.down(p.all, tt.d); got != tt.want {
			t.Errorf("%s the other network is told %v, want %v", tt.name, got, tt.want)
		}
	}
	p.checkForwarded(p.site, p.foreign.Addr().String())
	p.checkBeyond(p.site, nil, 0, nil)
}

// checkForwarded checks what people are told of it.
func (r *running) checkForwarded(s *site, server string) {
	r.Helper()
	metrics := map[string]float64{}
	for _, m := range r.d.forwardMetrics() {
		metrics[m.Name+" "+m.Labels[1]] = m.Value
	}
	for name, want := range map[string]float64{
		"forward_frames_total": 1, "forward_acknowledged_total": 1, "forward_downlinks_total": 2, "forward_gateways_answered": 1,
		"forward_lost_total": 0, "forward_malformed_total": 0,
	} {
		if got := metrics[name+" "+server]; got != want {
			r.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	refused := 0
	for _, e := range r.d.bridge.Events().Recent(func(e *event.Event) bool { return e.Kind == event.ForeignRefused }) {
		if refused++; e.Address == server || e.Gateway == "" || e.Err == nil || e.At.IsZero() {
			r.Errorf("%+v", e)
		}
	}
	if refused != 3 {
		r.Errorf("people are told of %d refusals, want 3", refused)
	}
	out := s.must("", "gateway", "airtime", "--proof")
	if !strings.Contains(out, "other network") || !strings.Contains(out, server) {
		r.Errorf("the proof of the airtime:\n%s", out)
	}
	if out := s.must("", "events"); !strings.Contains(out, "COLLISION_PACKET") {
		r.Errorf("the events:\n%s", out)
	}
}

// A server that does not answer holds nothing up.
func TestForwardNowhere(t *testing.T) {
	s := newSite(t, "[[forward]]\nserver = \"127.0.0.1:9\"\n")
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
	if st := r.d.servers(); len(st) != 1 || st[0].Answered != 0 {
		t.Errorf("%+v", st)
	}
}
