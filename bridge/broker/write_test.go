package broker

import (
	"bytes"
	"strings"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"

	"lorawand/bridge/broker/packet"
	"lorawand/bridge/v3"
)

// appendPublish makes the bytes that the library would send.
func TestAppendPublish(t *testing.T) {
	for _, version := range []byte{4, 5} {
		for _, size := range []int{0, 1, 90, 91, 92, 127, 128, 1000, 16300, 16384, 70000} {
			for qos := range byte(3) {
				for _, ids := range [][]int{nil, {1}, {127, 128, 268435455}} {
					i := item{
						via: &via{uid: "app1@ttn", ids: ids},
						msg: &message{Message: v3.Message{
							Device: "dev1", Suffix: v3.DownQueued,
							Payload: bytes.Repeat([]byte{'x'}, size),
						}}, qos: qos,
					}
					id, again := uint16(qos)*0x0102, qos > 0 && size%2 == 0
					want := packets.Packet{
						FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: qos, Dup: again}, ProtocolVersion: version,
						TopicName: "v3/app1@ttn/devices/dev1/down/queued", Payload: i.msg.Payload, PacketID: id,
						Properties: packets.Properties{SubscriptionIdentifier: ids},
					}
					var b bytes.Buffer
					if err := want.PublishEncode(&b); err != nil {
						t.Fatal(err)
					}
					if got := appendPublish([]byte("before"), version, &i, id, again); !bytes.Equal(got[6:], b.Bytes()) {
						t.Errorf("MQTT %d, QoS %d, %d bytes, identifiers %v: %.60x, want %.60x", version, qos, size, ids, got[6:],
							b.Bytes())
					}
				}
			}
		}
	}
	// in no room that was set aside
	long := item{
		via: &via{uid: "app1"},
		msg: &message{Message: v3.Message{Device: strings.Repeat("d", 300), Suffix: v3.Up}},
	}
	if got := appendPublish(nil, 4, &long, 0, false); !bytes.HasSuffix(got, []byte("ddd/up")) ||
		len(got) != 3+2+len("v3/app1/devices//up")+300 {
		t.Errorf("%d bytes: %q", len(got), got)
	}
}

func TestAppendPublishAllocates(t *testing.T) {
	i := item{
		via: &via{uid: "app1", ids: []int{7}},
		msg: &message{Message: v3.Message{Device: "dev1", Suffix: v3.Up, Payload: make([]byte, 1000)}},
	}
	buf := make([]byte, 0, 2048)
	if n := testing.AllocsPerRun(100, func() { appendPublish(buf, 5, &i, 0, false) }); n != 0 {
		t.Errorf("%v allocations for a packet", n)
	}
}

func TestAppendPubrel(t *testing.T) {
	var b bytes.Buffer
	pk := packet.Pubrel(0x1234)
	pk.ProtocolVersion = 4
	if err := pk.PubrelEncode(&b); err != nil {
		t.Fatal(err)
	}
	if got := packet.AppendPubrel(nil, 0x1234); !bytes.Equal(got, b.Bytes()) {
		t.Errorf("%x, want %x", got, b.Bytes())
	}
}
