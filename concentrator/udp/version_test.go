package udp

import (
	"testing"
	"time"

	"lorawand/radio"
	"lorawand/radio/gwmp"
)

// Forwarders are taken at their word whatever version they say, and are answered
// in the same.
func TestVersions(t *testing.T) {
	for _, version := range []uint8{0, 1, 2, 3, 255} {
		b := start(t, Options{})
		p := b.peer("")
		if !p.pull(euiA, version) {
			t.Fatalf("version %d: no PULL_ACK", version)
		}
		p.send(gwmp.Packet{
			Version: version, Token: 7, Type: gwmp.PushData, EUI: euiA,
			Body: gwmp.AppendPush(nil, []radio.Uplink{rxpk(1000, "abc")}, nil),
		})
		if pk := p.wants(gwmp.PushAck, 7); pk.Version != version {
			t.Errorf("version %d is answered with %d", version, pk.Version)
		}
		b.ups(1)
		transmit(t, b.d, 42)
		if pk := p.wants(gwmp.PullResp, 0); pk.Version != version {
			t.Errorf("version %d gets a PULL_RESP of %d", version, pk.Version)
		}
	}
}

var ackVersionsTests = []struct {
	name    string
	pull    uint8 // version of PULL_DATA
	ack     uint8 // version of TX_ACK
	token   func(asked uint16) uint16
	others  int  // downlinks that wait beside
	echoed  bool // an earlier TX_ACK had its token
	refused bool // the refusal arrives
}{
	{name: "version 2", pull: 2, ack: 2, token: same, refused: true},
	{name: "version 2, another token", pull: 2, ack: 2, token: other},
	{name: "version 1 beside PULL_DATA of version 2", pull: 2, ack: 1, token: same, refused: true},
	{name: "version 1", pull: 1, ack: 1, token: same, refused: true},
	{name: "version 1 without a token", pull: 1, ack: 1, token: other, refused: true},
	{name: "version 1 without a token, of one among many", pull: 1, ack: 1, token: other, others: 1},
	{name: "version 1, another token from one that sends them back", pull: 1, ack: 1, token: other, echoed: true},
	{name: "version 3", pull: 3, ack: 3, token: same, refused: true},
	{name: "version 0", pull: 2, ack: 0, token: same, refused: true},
}

// A TX_ACK is an answer in every version. In version 1 a PULL_RESP has no token
// that could come back with it.
func TestAckVersions(t *testing.T) {
	for _, tt := range ackVersionsTests {
		t.Run(tt.name, func(t *testing.T) {
			o := Options{AckTimeout: 200 * time.Millisecond}
			if tt.refused { // each is answered
				o.AckTimeout = patience
			}
			b := start(t, o)
			p := b.peer("")
			if !p.pull(euiA, tt.pull) {
				t.Fatal("no PULL_ACK")
			}
			want := 1
			if tt.echoed {
				transmit(t, b.d, 1)
				p.send(gwmp.Packet{Version: tt.ack, Token: p.wants(gwmp.PullResp, 0).Token, Type: gwmp.TxAck, EUI: euiA})
				b.eventually("the first TX_ACK", func() bool { _, n := b.sink.count(); return n == 1 })
				want++
			}
			for i := range tt.others {
				transmit(t, b.d, uint64(100+i))
				p.wants(gwmp.PullResp, 0)
				want++
			}
			transmit(t, b.d, 42)
			asked := p.wants(gwmp.PullResp, 0).Token
			p.send(gwmp.Packet{
				Version: tt.ack, Token: tt.token(asked), Type: gwmp.TxAck, EUI: euiA,
				Body: gwmp.AppendAck(nil, radio.TxTooLate),
			})
			b.eventually("an answer to each", func() bool { _, n := b.sink.count(); return n == want })
			b.sink.mu.Lock()
			defer b.sink.mu.Unlock()
			result := radio.TxNoAck
			if tt.refused {
				result = radio.TxTooLate
			}
			for _, a := range b.sink.acks {
				if a.ID == 42 && a.Result != result {
					t.Errorf("answer %v, want %v", a.Result, result)
				}
			}
			if s := b.d.Stats(); s.Malformed != 0 || (s.StrayAcks == 0) != tt.refused {
				t.Errorf("%d malformed, %d stray", s.Malformed, s.StrayAcks)
			}
		})
	}
}

func same(token uint16) uint16  { return token }
func other(token uint16) uint16 { return token + 1 }
