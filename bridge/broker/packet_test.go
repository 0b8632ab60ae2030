package broker

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"lorawand/bridge/broker/packettest"
)

// framed puts a fixed header before a body.
func framed(first byte, body string) []byte {
	return append(binary.AppendUvarint([]byte{first}, uint64(len(body))), body...)
}

// A client gets the bytes of its case before its connection ends.
func TestRefusedPackets(t *testing.T) {
	s := start(t, Limits{})
	connect := func(level byte, with string) []byte {
		return framed(0x10, packettest.ConnectBody("MQTT", level, 0xc2, with,
			packettest.Text("id")+packettest.Text("app1")+packettest.Text(s.key1)))
	}
	tests := []struct {
		name string
		send [][]byte
		want string // what comes after a good CONNACK, in hexadecimal
	}{
		{"5, doubled property", [][]byte{connect(5, "\x11\x00\x00\x00\x05\x11\x00\x00\x00\x05")}, "2003008200"},
		{"5, authentication method", [][]byte{connect(5, "\x15"+packettest.Text("x"))}, "2003008c00"},
		{"5, wrong name", [][]byte{framed(0x10, packettest.ConnectBody("mqtt", 5, 0xc2, "", ""))}, "2003008400"},
		{
			"5, CONNECT's length not as short as it can be",
			[][]byte{append([]byte{0x10, connect(5, "")[1] | 0x80, 0}, connect(5, "")[2:]...)},
			"2003008100",
		},
		{
			"3.1.1, wrong name",
			[][]byte{framed(0x10, packettest.ConnectBody("mqtt", 4, 0xc2, "", packettest.Text("id")+packettest.Text("app1")+
				packettest.Text(s.key1)))},
			"",
		},
		{
			"3.1.1, no client id but a session",
			[][]byte{framed(0x10, packettest.ConnectBody("MQTT", 4, 0xc0, "", packettest.Text("")+packettest.Text("app1")+
				packettest.Text(s.key1)))},
			"20020002",
		},
		{"a ping before the CONNECT", [][]byte{{0xc0, 0}}, ""},
		{"5, ping with a body", [][]byte{connect(5, ""), {0xc0, 1, 0}}, "e0028100"},
		{"5, second CONNECT", [][]byte{connect(5, ""), connect(5, "")}, "e0028200"},
		{"5, too long a packet", [][]byte{connect(5, ""), {0x30, 0xff, 0xff, 0x7f}}, "e0029500"},
		{
			"5, length not as short as it can be",
			[][]byte{connect(5, ""), {0x30, 0x86, 0x00, 0, 1, 'a', 0, 'x', 'y'}},
			"e0028100",
		},
		{"5, length of five bytes", [][]byte{connect(5, ""), {0x30, 0xff, 0xff, 0xff, 0xff, 0x01}}, "e0028100"},
		{
			"5, response topic with a wildcard",
			[][]byte{connect(5, ""), framed(0x30, packettest.Text("a")+packettest.Props("\x08"+packettest.Text("#")))},
			"e0028100",
		},
		{"3.1.1, ping with a body", [][]byte{connect(4, ""), {0xc0, 1, 0}}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := dialRaw(t, s.addr).lastWords(tt.send); hex.EncodeToString(got) != tt.want {
				t.Errorf("got %x, want %s", got, tt.want)
			}
		})
	}
}

// lastWords sends packets, and returns what the broker sends before it closes the
// connection. Where there are several, the first one is a good CONNECT.
func (r *raw) lastWords(send [][]byte) []byte {
	r.Helper()
	for i, p := range send {
		r.bytes(p...)
		if i == 0 && len(send) > 1 {
			r.version = p[8]
			if ack := r.want(packets.Connack); ack.ReasonCode != 0 {
				r.Fatalf("CONNACK 0x%02x", ack.ReasonCode)
			}
		}
	}
	_ = r.SetReadDeadline(time.Now().Add(patience))
	var got bytes.Buffer
	if _, err := got.ReadFrom(r.r); err != nil {
		r.Errorf("the connection stays open: %v", err)
	}
	return got.Bytes()
}

// A good packet that comes in pieces, or with others in one, is read all the same.
func TestReadInPieces(t *testing.T) {
	s := start(t, Limits{})
	r := s.login("dev")
	long := publishPacket(1, 1, "v3/app1/devices/dev1/down/push", string(bytes.Repeat([]byte("x"), 60_000)))
	var b bytes.Buffer
	for range 2 {
		long.FixedHeader.Remaining = 0
		if err := long.PublishEncode(&b); err != nil {
			t.Fatal(err)
		}
	}
	b.Write([]byte{0xc0, 0})
	for p := b.Bytes(); len(p) > 0; {
		n := min(len(p), 7919)
		r.bytes(p[:n]...)
		p = p[n:]
	}
	r.want(packets.Puback)
	r.want(packets.Puback)
	r.want(packets.Pingresp)
	if n := len(s.pushes); n != 2 {
		t.Errorf("%d pushes, want 2", n)
	}
}
