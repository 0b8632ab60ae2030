package udp

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"lorawand/concentrator"
	"lorawand/radio"
	"lorawand/radio/gwmp"
)

func transmit(t *testing.T, d *Driver, id uint64) {
	t.Helper()
	err := d.Transmit(radio.Downlink{
		ID: id, Gateway: euiA, PHYPayload: []byte("down"), Frequency: 869_525_000, DataRate: radio.LoRaDataRate(9, 125_000), Power: 2700, Time: 1<<32 + 5,
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestDownlink(t *testing.T) {
	for _, version := range []uint8{1, 2} {
		b := start(t, Options{AckTimeout: 200 * time.Millisecond})
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
			p.send(gwmp.Packet{Version: 2, Token: pk.Token, Type: gwmp.TxAck, EUI: euiA, Body: gwmp.AppendAck(nil, radio.TxCollisionPacket)})
			p.send(gwmp.Packet{Version: 2, Token: pk.Token, Type: gwmp.TxAck, EUI: euiA}) // once more
		}
		b.eventually("TX_ACK", func() bool { _, n := b.sink.count(); return n > 0 })
		time.Sleep(30 * time.Millisecond)
		want := radio.TxCollisionPacket
		if version == 1 {
			want = radio.TxNoAck
		}
		b.sink.mu.Lock()
		if len(b.sink.acks) != 1 || b.sink.acks[0].ID != 42 || b.sink.acks[0].Result != want || b.sink.acks[0].RoundTrip <= 0 {
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
	g := newGateway(euiA)
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
	thief.send(gwmp.Packet{Version: 2, Token: pk.Token, Type: gwmp.TxAck, EUI: euiA, Body: gwmp.AppendAck(nil, radio.TxTooLate)})
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
