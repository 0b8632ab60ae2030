package udp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"lorawand/concentrator"
	"lorawand/radio"
	"lorawand/radio/gwmp"
)

func TestUplink(t *testing.T) {
	for _, version := range []uint8{1, 2} {
		b := start(t, Options{})
		p := b.peer("")
		body := gwmp.AppendPush(nil, []radio.Uplink{rxpk(4_294_967_290, "abc")}, &radio.Status{Received: 3})
		p.send(gwmp.Packet{Version: version, Token: 77, Type: gwmp.PushData, EUI: euiA, Body: body})
		if pk := p.wants(gwmp.PushAck, 77); pk.Version != version {
			t.Errorf("version %d is answered with %d", version, pk.Version)
		}
		up := b.ups(1)[0]
		if up.Gateway != euiA || string(up.PHYPayload) != "abc" || up.Time.Counter() != 4_294_967_290 || up.Received == 0 {
			t.Errorf("uplink %+v", up)
		}
		r := up.Receptions[0]
		if r.NoDownlink || r.Token.Gateway != euiA || r.Token.Time != up.Time || r.Token.Host != up.Received {
			t.Errorf("token %+v", r.Token)
		}
		b.eventually("status", func() bool { return b.sink.kinds() == "connected status " })
		p.push(euiA, 78, rxpk(4, "def")) // the counter has wrapped
		p.wants(gwmp.PushAck, 78)
		if ups := b.ups(2); ups[1].Time-ups[0].Time != 10 {
			t.Errorf("times %d and %d, want 10 µs apart", ups[0].Time, ups[1].Time)
		}
	}
}

func TestDuplicatesAndGhosts(t *testing.T) {
	b := start(t, Options{})
	p := b.peer("")
	p.push(euiA, 1, rxpk(1000, "abc"))
	p.push(euiA, 1, rxpk(1000, "abc")) // one datagram, twice
	p.push(euiA, 2, rxpk(1000, "abc"))
	weak := rxpk(2003, "ghost")
	weak.Frequency, weak.Receptions[0].RSSI = 868_300_000, -11000
	p.push(euiA, 3, weak, rxpk(2000, "ghost"))
	p.push(euiA, 4, rxpk(3_000_000, "abc")) // the device has sent it again
	ups := b.ups(3)
	if string(ups[1].PHYPayload) != "ghost" || ups[1].Frequency != 868_100_000 {
		t.Errorf("of a frame and its ghost %v stays, want 868.1 MHz", ups[1].Frequency)
	}
	if s := b.d.Stats(); s.Duplicates != 2 {
		t.Errorf("%d duplicates counted, want 2", s.Duplicates)
	}
}

func TestSeveralGateways(t *testing.T) {
	b := start(t, Options{})
	p, q := b.peer(""), b.peer("")
	p.push(euiA, 1, rxpk(5, "same"))
	q.push(euiB, 1, rxpk(3_000_000_000, "same"))
	ups := b.ups(2)
	got := map[radio.EUI64]uint32{}
	for _, up := range ups {
		got[up.Gateway] = up.Time.Counter()
	}
	if got[euiA] != 5 || got[euiB] != 3_000_000_000 {
		t.Errorf("gateways and counters %v", got)
	}
}

func TestUnknownGateway(t *testing.T) {
	b := start(t, Options{})
	p := b.peer("")
	for range 5 {
		p.push(euiX, 1, rxpk(5, "x"))
		p.send(gwmp.Packet{Version: 2, Token: 2, Type: gwmp.PullData, EUI: euiX})
	}
	p.silent("an unknown gateway")
	b.eventually("counted", func() bool { return b.d.Stats().UnknownGateway == 10 })
	if ups, _ := b.sink.count(); ups != 0 || b.sink.kinds() != "refused " {
		t.Errorf("%d uplinks and events %q of an unknown gateway, want one refusal", ups, b.sink.kinds())
	}
	b.sink.mu.Lock()
	e := b.sink.events[0]
	b.sink.mu.Unlock()
	if from := p.LocalAddr().String(); e.Gateway != euiX || e.Address != from || e.Fault != "not in the configuration" {
		t.Errorf("%+v, want it of %v at %s", e, euiX, from)
	}
	if err := b.d.Transmit(radio.Downlink{Gateway: euiX}); !errors.Is(err, concentrator.ErrGateway) {
		t.Errorf("Transmit: %v, want ErrGateway", err)
	}
}

func TestAcceptUnknown(t *testing.T) {
	b := start(t, Options{AcceptUnknown: true})
	p := b.peer("")
	for i := range MaxUnknown + 10 {
		p.send(gwmp.Packet{Version: 2, Token: uint16(i), Type: gwmp.PullData, EUI: radio.EUI64{9, byte(i)}})
	}
	b.eventually("all seen", func() bool {
		s := b.d.Stats()
		return s.Datagrams == MaxUnknown+10 &&
			s.UnknownGateway == 10
	})
	if n := strings.Count(b.sink.kinds(), "connected"); n != MaxUnknown {
		t.Errorf("%d gateways taken, want %d", n, MaxUnknown)
	}
	b.sink.mu.Lock()
	defer b.sink.mu.Unlock()
	if e := b.sink.events[MaxUnknown]; e.Kind != radio.GatewayRefused ||
		!strings.Contains(e.Fault, "64 such gateways are served already") {
		t.Errorf("the first too many: %+v", e)
	}
}

// A datagram that is malformed or not meant for us changes nothing.
func TestHostileDatagrams(t *testing.T) {
	b := start(t, Options{})
	p := b.peer("")
	if !p.pull(euiA, 2) {
		t.Fatal("no PULL_ACK")
	}
	b.d.mu.Lock()
	before := *b.d.gateways[euiA]
	b.d.mu.Unlock()
	head := string(gwmp.Packet{Version: 2, Type: gwmp.PushData, EUI: euiA}.Append(nil))
	ack := string(gwmp.Packet{Version: 2, Token: 1, Type: gwmp.TxAck, EUI: euiA}.Append(nil))
	resp := string(gwmp.Packet{Version: 2, Type: gwmp.PullResp}.Append(nil))
	bad := []string{
		"", "x", "GET / HTTP/1.1\r\n\r\n", strings.Repeat("\xff", 65507),
		head, head + "{", head + `{"rxpk":[{"tmst":`, head + `{"rxpk":7}`, head + strings.Repeat(`{"rxpk":[`, 7000),
		head + strings.Repeat("[", 60000),
		ack + "{", resp + "{}", string(gwmp.Packet{Version: 2, Type: gwmp.PushAck}.Append(nil)), "\x03" + head[1:],
	}
	for _, s := range bad {
		if _, err := p.Write([]byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	// A datagram is counted when it is read and counted as malformed a moment later.
	b.eventually("all read, and counted as malformed", func() bool {
		s := b.d.Stats()
		return s.Datagrams == uint64(len(bad))+1 && s.Malformed == uint64(len(bad))
	})
	b.d.mu.Lock()
	after := *b.d.gateways[euiA]
	b.d.mu.Unlock()
	if after.path != before.path || after.clock != before.clock || after.recent != before.recent {
		t.Errorf("the gateway has changed from %+v to %+v", before, after)
	}
	if ups, acks := b.sink.count(); ups+acks != 0 {
		t.Errorf("%d uplinks, %d acks", ups, acks)
	}
	if got := b.sink.kinds(); got != "connected dropped dropped " {
		t.Errorf("told is %q; want one of the gateway and one of the address", got)
	}
	p.push(euiA, 9, rxpk(5, "good"))
	b.ups(1)
}

func transmit(t *testing.T, d *Driver, id uint64) {
	t.Helper()
	err := d.Transmit(radio.Downlink{
		ID: id, Gateway: euiA, PHYPayload: []byte("down"), Frequency: 869_525_000, DataRate: radio.LoRaDataRate(9, 125_000),
		Power: 2700, Time: 1<<32 + 5,
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestDownlink(t *testing.T) {
	for _, version := range []uint8{1, 2} {
		b := start(t, Options{AckTimeout: map[uint8]time.Duration{1: 200 * time.Millisecond, 2: patience}[version]})
		p := b.peer("")
		if err := b.d.Transmit(radio.Downlink{Gateway: euiA}); !errors.Is(err, concentrator.ErrGateway) {
			t.Errorf("Transmit before PULL_DATA: %v, want ErrGateway", err)
		}
		if !p.pull(euiA, version) {
			t.Fatal("no PULL_ACK")
		}
		transmit(t, b.d, 42)
		pk := p.wants(gwmp.PullResp, 0)
		if pk.Version != version {
			t.Errorf("PULL_RESP of version %d to a gateway of version %d", pk.Version, version)
		}
		d, err := gwmp.ParseTx(pk.Body)
		if err != nil || string(d.PHYPayload) != "down" || d.Time != 5 || d.Frequency != 869_525_000 || d.Power != 2700 {
			t.Errorf("txpk %+v, %v", d, err)
		}
		if version == 2 {
			p.send(gwmp.Packet{
				Version: 2, Token: pk.Token, Type: gwmp.TxAck, EUI: euiA,
				Body: gwmp.AppendAck(nil, radio.TxCollisionPacket),
			})
			p.send(gwmp.Packet{Version: 2, Token: pk.Token, Type: gwmp.TxAck, EUI: euiA}) // once more
		}
		b.eventually("TX_ACK", func() bool { _, n := b.sink.count(); return n > 0 })
		time.Sleep(30 * time.Millisecond)
		want := radio.TxCollisionPacket
		if version == 1 {
			want = radio.TxNoAck
		}
		b.sink.mu.Lock()
		if len(b.sink.acks) != 1 || b.sink.acks[0].ID != 42 || b.sink.acks[0].Result != want ||
			b.sink.acks[0].RoundTrip <= 0 {
			t.Errorf("version %d: acks %+v, want one with %v", version, b.sink.acks, want)
		}
		b.sink.mu.Unlock()
	}
}

func TestEveryTransmitIsAnswered(t *testing.T) {
	b := start(t, Options{})
	p := b.peer("")
	if !p.pull(euiA, 2) {
		t.Fatal("no PULL_ACK")
	}
	for i := range maxUnanswered {
		transmit(t, b.d, uint64(i))
	}
	if err := b.d.Transmit(radio.Downlink{Gateway: euiA}); !errors.Is(err, concentrator.ErrGateway) {
		t.Errorf("Transmit beyond the limit: %v, want ErrGateway", err)
	}
	b.stop()
	if _, acks := b.sink.count(); acks != maxUnanswered {
		t.Errorf("%d answers after the stop, want %d", acks, maxUnanswered)
	}
	if err := b.d.Transmit(radio.Downlink{Gateway: euiA}); !errors.Is(err, concentrator.ErrGateway) {
		t.Errorf("Transmit after the stop: %v, want ErrGateway", err)
	}
}

func TestPinning(t *testing.T) {
	now := radio.HostTime(time.Hour)
	g := new(Driver).newGateway(euiA)
	at := func(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }
	const timeout = 30 * time.Second
	steps := []struct {
		after time.Duration
		from  string
		ok    bool
		why   string
	}{
		{0, "192.168.1.5:40000", true, "the first"},
		{time.Second, "192.168.1.5:40001", true, "a new port of the same IP"},
		{time.Second, "192.168.1.66:40000", false, "another IP"},
		{28 * time.Second, "192.168.1.66:40000", false, "another IP, 29 s of silence"},
		{time.Second, "192.168.1.66:40000", true, "another IP, 30 s of silence"},
		{time.Second, "192.168.1.5:40001", false, "the old IP"},
		{time.Second, "127.0.0.1:40000", true, "loopback beats any"},
		{time.Second, "192.168.1.66:40000", false, "nothing beats loopback"},
		{time.Second, "[::1]:40000", false, "not even another loopback address"},
		{30 * time.Second, "192.168.1.66:40000", true, "but silence does"},
	}
	for _, s := range steps {
		now = now.Add(s.after)
		before := g.path
		if ok := g.pull(at(s.from), 2, now, timeout); ok != s.ok {
			t.Fatalf("%s (%s): taken %v, want %v", s.why, s.from, ok, s.ok)
		}
		if want := map[bool]netip.AddrPort{true: at(s.from), false: before}[s.ok]; g.path != want {
			t.Fatalf("%s: path %v, want %v", s.why, g.path, want)
		}
	}
}

// Another address of the same machine claims to be the gateway.
func TestForeignAddress(t *testing.T) {
	b := start(t, Options{})
	own, thief := b.peer("127.0.0.1"), b.peer("127.0.0.2")
	if !own.pull(euiA, 2) {
		t.Fatal("no PULL_ACK")
	}
	own.push(euiA, 1, rxpk(1_000_000, "one"))
	own.wants(gwmp.PushAck, 1)
	b.ups(1)
	b.d.mu.Lock()
	clock := b.d.gateways[euiA].clock
	b.d.mu.Unlock()

	thief.push(euiA, 2, rxpk(3_000_000_000, "two"))
	thief.wants(gwmp.PushAck, 2)
	up := b.ups(2)[1]
	if !up.Receptions[0].NoDownlink {
		t.Error("an uplink from a foreign address can be answered")
	}
	thief.send(gwmp.Packet{Version: 2, Token: 3, Type: gwmp.PullData, EUI: euiA})
	thief.silent("PULL_DATA from a foreign address")
	transmit(t, b.d, 1)
	pk := own.wants(gwmp.PullResp, 0)
	thief.send(gwmp.Packet{
		Version: 2, Token: pk.Token, Type: gwmp.TxAck, EUI: euiA,
		Body: gwmp.AppendAck(nil, radio.TxTooLate),
	})
	b.eventually("stray ack", func() bool { return b.d.Stats().StrayAcks == 1 })
	if _, acks := b.sink.count(); acks != 0 {
		t.Error("the TX_ACK of a foreign address is taken")
	}
	own.send(gwmp.Packet{Version: 2, Token: pk.Token, Type: gwmp.TxAck, EUI: euiA})
	b.eventually("TX_ACK", func() bool { _, n := b.sink.count(); return n == 1 })
	b.d.mu.Lock()
	if got := b.d.gateways[euiA].clock; got != clock {
		t.Errorf("a foreign address has moved the clock from %+v to %+v", clock, got)
	}
	b.d.mu.Unlock()
	if s := b.d.Stats(); s.ForeignAddress != 2 {
		t.Errorf("%d counted, want 2", s.ForeignAddress)
	}
	if got := b.sink.kinds(); got != "connected dropped " {
		t.Errorf("told is %q", got)
	}
}

func TestOfflineAndCounterReset(t *testing.T) {
	var mu sync.Mutex
	now := radio.HostTime(time.Hour)
	move := func(d time.Duration) { mu.Lock(); now = now.Add(d); mu.Unlock() }
	b := start(t, Options{Now: func() radio.HostTime { mu.Lock(); defer mu.Unlock(); return now }})
	p := b.peer("")
	p.push(euiA, 1, rxpk(2_000_000_000, "one"))
	b.ups(1)
	move(time.Second)
	p.push(euiA, 2, rxpk(1_000_000, "two")) // it was restarted
	b.eventually("reset", func() bool { return b.sink.kinds() == "connected counter_reset " })
	move(91 * time.Second)
	b.eventually("off line", func() bool { return b.sink.kinds() == "connected counter_reset disconnected " })
	if !p.pull(euiA, 2) {
		t.Fatal("no PULL_ACK")
	}
	b.eventually("on line again", func() bool {
		return b.sink.kinds() == "connected counter_reset disconnected "+
			"connected "
	})
	move(91 * time.Second)
	if err := b.d.Transmit(radio.Downlink{Gateway: euiA}); !errors.Is(err, concentrator.ErrGateway) {
		t.Errorf("Transmit to a gateway that is off line: %v, want ErrGateway", err)
	}
}

func TestForwarder(t *testing.T) {
	b := start(t, Options{})
	sent := make(chan radio.Downlink, 1)
	f, err := NewForwarder(ForwarderOptions{
		Server: b.d.Addr().String(), EUI: euiA, KeepAlive: 50 * time.Millisecond, Status: 60 * time.Millisecond,
		Transmit: func(d radio.Downlink) radio.TxResult { sent <- d; return radio.TxTooEarly },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	f.Uplink(rxpk(7, "hello"))
	if up := b.ups(1)[0]; string(up.PHYPayload) != "hello" || up.Gateway != euiA {
		t.Errorf("uplink %+v", up)
	}
	b.eventually("status", func() bool { return strings.Contains(b.sink.kinds(), "status") })
	transmit(t, b.d, 9)
	if d := <-sent; string(d.PHYPayload) != "down" || d.Gateway != euiA {
		t.Errorf("the forwarder is to send %+v", d)
	}
	b.eventually("TX_ACK", func() bool { _, n := b.sink.count(); return n == 1 })
	b.sink.mu.Lock()
	if a := b.sink.acks[0]; a.Result != radio.TxTooEarly || a.ID != 9 {
		t.Errorf("ack %+v", a)
	}
	b.sink.mu.Unlock()
	byGPS := radio.Downlink{
		ID: 10, Gateway: euiA, PHYPayload: []byte("down"), Frequency: 869_525_000, DataRate: radio.LoRaDataRate(9, 125_000),
		GPS: radio.GPSTime(time.Second),
	}
	if err := b.d.Transmit(byGPS); err != nil {
		t.Fatal(err)
	}
	b.eventually("TX_ACK", func() bool { _, n := b.sink.count(); return n == 2 })
	b.sink.mu.Lock()
	if a := b.sink.acks[1]; a.Result != radio.TxGPSUnlocked || a.ID != 10 {
		t.Errorf("ack %+v of a forwarder without GPS", a)
	}
	b.sink.mu.Unlock()
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestKernelDrops(t *testing.T) {
	// Nobody reads, so a small buffer must run over.
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if granted := setReceiveBuffer(conn, 4096); granted == 0 {
		t.Fatal("the kernel does not tell the buffer's size")
	}
	if n, err := kernelDrops(conn); err != nil || n != 0 {
		t.Fatalf("%d drops before anything was sent, %v", n, err)
	}
	to := conn.LocalAddr().(*net.UDPAddr)
	out, err := net.DialUDP("udp", nil, to)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	for range 200 {
		if _, err := out.Write(make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	n, err := kernelDrops(conn)
	if err != nil || n == 0 || n >= 200 {
		t.Errorf("%d of 200 dropped, %v", n, err)
	}
}

func TestListenErrors(t *testing.T) {
	clock := func() radio.HostTime { return 0 }
	if _, err := Listen(Options{Listen: "127.0.0.1:1"}); err == nil {
		t.Error("a driver without a clock")
	}
	for _, addr := range []string{"nonsense", "127.0.0.1:99999", "192.0.2.1:1700"} {
		if _, err := Listen(Options{Listen: addr, Now: clock}); err == nil || !strings.Contains(err.Error(), "udp:") {
			t.Errorf("%s: %v", addr, err)
		}
	}
}

// A field that cannot be read costs no frame; that it is lost is counted, and
// said once.
func TestLostFields(t *testing.T) {
	b := start(t, Options{})
	p := b.peer("")
	for token := range uint16(2) {
		p.send(gwmp.Packet{Version: 2, Token: token, Type: gwmp.PushData, EUI: euiA, Body: fmt.Appendf(nil,
			`{"rxpk":[{"tmst":%d,"freq":868.1,"datr":"SF7BW125","rssi":"-60","foff":0.5,"data":"AA=="}]}`,
			5_000_000+uint32(token))})
		p.wants(gwmp.PushAck, token)
	}
	if r := b.ups(2)[1].Receptions[0]; r.Knows(radio.FieldRSSI) || r.Knows(radio.FieldFrequencyOffset) {
		t.Errorf("reception %+v", r)
	}
	if s := b.d.Stats(); s.LostFields != 4 || s.Faulty != 0 {
		t.Errorf("stats %+v, want 4 fields lost", s)
	}
	if n := strings.Count(b.log.String(), "field=foff"); n != 1 {
		t.Errorf("said %d times, want once:\n%s", n, b.log)
	}
}
