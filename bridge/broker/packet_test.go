package broker

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// text writes a UTF-8 string as MQTT does, or whatever else s holds.
func text(s string) string { return string(binary.BigEndian.AppendUint16(nil, uint16(len(s)))) + s }

// props writes properties with their length.
func props(p string) string { return string(binary.AppendUvarint(nil, uint64(len(p)))) + p }

// connectBody is a CONNECT from the protocol name on. with are the properties of
// MQTT 5, behind is what follows the flags and the keep-alive.
func connectBody(name string, level, flags byte, with, behind string) string {
	b := text(name) + string([]byte{level, flags, 0, 60})
	if level == 5 {
		b += props(with)
	}
	return b + behind
}

func TestCheckConnect(t *testing.T) {
	const login = 0xc2 // user name, password, clean
	user := text("id") + text("app1") + text("key")
	v5 := func(with string) string { return connectBody("MQTT", 5, login, with, user) }
	will := func(level byte, with, topic string) string {
		b := text("id")
		if level == 5 {
			b += props(with)
		}
		return connectBody("MQTT", level, login|connectWill, "", b+text(topic)+text("x")+text("app1")+text("key"))
	}
	tests := []struct {
		name string
		body string
		want refusal
	}{
		{"3.1", connectBody("MQIsdp", 3, login, "", user), accepted},
		{"3.1.1", connectBody("MQTT", 4, login, "", user), accepted},
		{"5", v5(""), accepted},
		{"level 0x84, a bridge", connectBody("MQTT", 0x84, login, "", user), accepted}, // and answered with "not supported"
		{"level 6", connectBody("MQTT", 6, login, "", "anything"), accepted},
		{"3.1 with the name of 3.1.1", connectBody("MQTT", 3, login, "", user), wrongVersion},
		{"3.1.1 named hj", connectBody("hj", 4, login, "", user), wrongVersion},
		{"3.1.1 named mqtt", connectBody("mqtt", 4, login, "", user), wrongVersion},
		{"3.1.1 named not in UTF-8", connectBody("M\xff", 4, login, "", user), malformed},
		{"5 named mqtt", connectBody("mqtt", 5, login, "", user), wrongVersion},
		{"5 without a name", connectBody("", 5, login, "", user), wrongVersion},
		{"3.1.1, reserved flag", connectBody("MQTT", 4, login|connectReserved, "", user), malformed},
		{"5, reserved flag", connectBody("MQTT", 5, login|connectReserved, "", user), malformed},
		{"3.1.1, will QoS without will", connectBody("MQTT", 4, login|connectWillQoS1, "", user), malformed},
		{"3.1.1, will retain without will", connectBody("MQTT", 4, login|connectWillRetain, "", user), malformed},
		{"5, will retain without will", connectBody("MQTT", 5, login|connectWillRetain, "", user), malformed},
		{"5, will QoS 3", connectBody("MQTT", 5, login|connectWill|connectWillQoS, "", text("id")+props("")+text("t")+text("x")+text("app1")+text("key")), malformed},
		{"3.1.1, password without user name", connectBody("MQTT", 4, connectPassword, "", text("id")+text("key")), malformed},
		{"5, password without user name", connectBody("MQTT", 5, connectPassword, "", text("id")+text("key")), accepted},
		{"3.1.1, bytes behind", connectBody("MQTT", 4, login, "", user+"x"), malformed},
		{"5, bytes behind", connectBody("MQTT", 5, login, "", user+"x"), malformed},
		{"3.1.1, cut short", connectBody("MQTT", 4, login, "", text("id")+text("app1")), malformed},
		{"nothing", "", malformed},
		{"client id with NUL", connectBody("MQTT", 4, login, "", text("i\x00d")+text("app1")+text("key")), malformed},
		{"client id with a surrogate", connectBody("MQTT", 4, login, "", text("\xed\xa0\x80")+text("app1")+text("key")), malformed},
		{"client id in an overlong form", connectBody("MQTT", 5, login, "", text("\xc0\xaf")+text("app1")+text("key")), malformed},
		{"user name not in UTF-8", connectBody("MQTT", 5, login, "", text("id")+text("\xff")+text("key")), malformed},
		{"3.1.1, will", will(4, "", "a/b"), accepted},
		{"3.1.1, will on a wildcard", will(4, "", "a/+"), malformed},
		{"3.1.1, will without topic", will(4, "", ""), malformed},
		{"5, will", will(5, "\x01\x01\x18\x00\x00\x00\x05\x08"+text("r"), "a/b"), accepted},
		{"5, will with payload format 2", will(5, "\x01\x02", "a/b"), protocolError},
		{"5, will with a topic alias", will(5, "\x23\x00\x01", "a/b"), malformed},
		{"5, will with a wildcard for a response topic", will(5, "\x08"+text("r/#"), "a/b"), malformed},
		{"session expiry", v5("\x11\x00\x00\x00\x05"), accepted},
		{"session expiry 0", v5("\x11\x00\x00\x00\x00"), accepted},
		{"session expiry twice", v5("\x11\x00\x00\x00\x05\x11\x00\x00\x00\x05"), protocolError},
		{"session expiry cut short", v5("\x11\x00\x00"), malformed},
		{"receive maximum 0", v5("\x21\x00\x00"), protocolError},
		{"receive maximum twice", v5("\x21\x00\x01\x21\x00\x01"), protocolError},
		{"maximum packet size 0", v5("\x27\x00\x00\x00\x00"), protocolError},
		{"topic alias maximum 0", v5("\x22\x00\x00"), accepted},
		{"topic alias maximum twice", v5("\x22\x00\x01\x22\x00\x01"), protocolError},
		{"request problem information 2", v5("\x17\x02"), protocolError},
		{"request problem information twice", v5("\x17\x01\x17\x01"), protocolError},
		{"request response information 2", v5("\x19\x02"), protocolError},
		{"user property twice", v5("\x26" + text("a") + text("b") + "\x26" + text("a") + text("b")), accepted},
		{"user property not in UTF-8", v5("\x26" + text("a") + text("\xff")), malformed},
		{"authentication method", v5("\x15" + text("SCRAM-SHA-1")), badAuthMethod},
		{"authentication method twice", v5("\x15" + text("a") + "\x15" + text("b")), protocolError},
		{"authentication data without method", v5("\x16" + text("a")), protocolError},
		{"subscription identifier", v5("\x0b\x01"), malformed},
		{"a property that does not exist", v5("\x7f"), malformed},
		{"a property of servers", v5("\x24\x01"), malformed},
		{"properties longer than the packet", text("MQTT") + "\x05\xc2\x00\x3c\x7f" + user, malformed},
		{"length of the properties not as short as it can be", text("MQTT") + "\x05\xc2\x00\x3c\x80\x00" + user, malformed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, got := checkConnect(0x10, []byte(tt.body)); got != tt.want {
				t.Errorf("got 0x%02x, want 0x%02x", byte(got), byte(tt.want))
			}
		})
	}
	if _, got := checkConnect(0x11, []byte(v5(""))); got != malformed {
		t.Errorf("flags of the first byte: got 0x%02x", byte(got))
	}
}

func TestCheckPacket(t *testing.T) {
	const id = "\x00\x07"
	tests := []struct {
		name  string
		level byte
		first byte
		body  string
		want  refusal
	}{
		{"publish", 4, 0x30, text("a/b") + "x", accepted},
		{"publish, QoS 1", 4, 0x32, text("a/b") + id + "x", accepted},
		{"publish, no payload", 5, 0x30, text("a/b") + props(""), accepted},
		{"publish, QoS 3", 4, 0x36, text("a/b") + id, malformed},
		{"publish, QoS 0 again", 5, 0x38, text("a/b") + props(""), malformed},
		{"publish, packet id 0", 5, 0x32, text("a/b") + "\x00\x00" + props(""), protocolError},
		{"publish, no packet id", 4, 0x32, text("a/b"), malformed},
		{"publish, no topic", 4, 0x30, text(""), malformed},
		{"publish, wildcard", 5, 0x30, text("a/+/b") + props(""), topicNameInvalid},
		{"publish, NUL", 4, 0x30, text("a\x00"), malformed},
		{"publish, topic longer than the packet", 4, 0x30, "\x00\x09a", malformed},
		{"publish, nothing", 4, 0x30, "", malformed},
		{"publish, payload format 1", 5, 0x30, text("a") + props("\x01\x01"), accepted},
		{"publish, payload format 2", 5, 0x30, text("a") + props("\x01\x02"), protocolError},
		{"publish, payload format twice", 5, 0x30, text("a") + props("\x01\x01\x01\x01"), protocolError},
		{"publish, message expiry twice", 5, 0x30, text("a") + props("\x02\x00\x00\x00\x01\x02\x00\x00\x00\x01"), protocolError},
		{"publish, response topic", 5, 0x30, text("a") + props("\x08"+text("r/s")), accepted},
		{"publish, response topic with a wildcard", 5, 0x30, text("a") + props("\x08"+text("r/#")), malformed},
		{"publish, response topic not in UTF-8", 5, 0x30, text("a") + props("\x08"+text("\xff")), malformed},
		{"publish, topic alias 0", 5, 0x30, text("a") + props("\x23\x00\x00"), protocolError},
		{"publish, topic alias", 5, 0x30, text("") + props("\x23\x00\x01"), accepted}, // and answered with "topic alias invalid"
		{"publish, subscription identifier", 5, 0x30, text("a") + props("\x0b\x01"), malformed},
		{"publish, session expiry", 5, 0x30, text("a") + props("\x11\x00\x00\x00\x01"), malformed},

		{"puback", 4, 0x40, id, accepted},
		{"puback, flags", 4, 0x41, id, malformed},
		{"puback, a byte", 4, 0x40, "\x00", malformed},
		{"puback, packet id 0", 5, 0x40, "\x00\x00", protocolError},
		{"puback of 3.1.1 with a reason", 4, 0x40, id + "\x00", malformed},
		{"puback with a reason", 5, 0x40, id + "\x10", accepted},
		{"puback with a reason of others", 5, 0x40, id + "\xff", protocolError},
		{"puback with properties", 5, 0x40, id + "\x00" + props("\x1f"+text("why")), accepted},
		{"puback with a property that does not exist", 5, 0x40, id + "\x00" + props("\x7f"), malformed},
		{"puback, bytes behind", 5, 0x40, id + "\x00" + props("") + "x", malformed},
		{"pubrec, flags", 5, 0x52, id, malformed},
		{"pubrel", 4, 0x62, id, accepted},
		{"pubrel, flags", 4, 0x60, id, malformed},
		{"pubrel, packet id 0", 4, 0x62, "\x00\x00", protocolError},
		{"pubcomp, not found", 5, 0x70, id + "\x92", accepted},
		{"pubcomp, flags", 4, 0x72, id, malformed},

		{"subscribe", 4, 0x82, id + text("#") + "\x02", accepted},
		{"subscribe, flags", 4, 0x80, id + text("#") + "\x00", malformed},
		{"subscribe, packet id 0", 5, 0x82, "\x00\x00" + props("") + text("#") + "\x00", protocolError},
		{"subscribe, no filter", 5, 0x82, id + props(""), protocolError},
		{"subscribe, empty filter", 5, 0x82, id + props("") + text("") + "\x00", malformed},
		{"subscribe, # not at the end", 4, 0x82, id + text("v3/#/x") + "\x00", malformed},
		{"subscribe, + not alone", 4, 0x82, id + text("v3/app1/+x") + "\x00", malformed},
		{"subscribe, no options", 5, 0x82, id + props("") + text("#"), malformed},
		{"subscribe, reserved bits of 3.1.1", 4, 0x82, id + text("#") + "\x04", malformed},
		{"subscribe, QoS 3", 5, 0x82, id + props("") + text("#") + "\x03", malformed},
		{"subscribe, reserved bit 7", 5, 0x82, id + props("") + text("#") + "\x80", malformed},
		{"subscribe, reserved bit 6", 5, 0x82, id + props("") + text("#") + "\x40", malformed},
		{"subscribe, retain handling 2", 5, 0x82, id + props("") + text("#") + "\x20", accepted},
		{"subscribe, retain handling 3", 5, 0x82, id + props("") + text("#") + "\x30", protocolError},
		{"subscribe, no local", 5, 0x82, id + props("") + text("#") + "\x04", accepted},
		{"subscribe, no local on a shared one", 5, 0x82, id + props("") + text("$share/g/#") + "\x04", protocolError},
		{"subscribe, group without a name", 5, 0x82, id + props("") + text("$share//#") + "\x00", malformed},
		{"subscribe, group with a wildcard", 5, 0x82, id + props("") + text("$share/+/#") + "\x00", malformed},
		{"subscribe, subscription identifier", 5, 0x82, id + props("\x0b\xff\xff\xff\x7f") + text("#") + "\x00", accepted},
		{"subscribe, subscription identifier 0", 5, 0x82, id + props("\x0b\x00") + text("#") + "\x00", protocolError},
		{"subscribe, subscription identifier of 5 bytes", 5, 0x82, id + props("\x0b\xff\xff\xff\xff\x01") + text("#") + "\x00", malformed},
		{"subscribe, subscription identifier twice", 5, 0x82, id + props("\x0b\x01\x0b\x02") + text("#") + "\x00", protocolError},
		{"unsubscribe", 5, 0xa2, id + props("") + text("#"), accepted},
		{"unsubscribe, flags", 4, 0xa0, id + text("#"), malformed},
		{"unsubscribe, packet id 0", 4, 0xa2, "\x00\x00" + text("#"), protocolError},
		{"unsubscribe, no filter", 4, 0xa2, id, protocolError},
		{"unsubscribe, # not at the end", 4, 0xa2, id + text("a/#/b"), malformed},

		{"ping", 4, 0xc0, "", accepted},
		{"ping, flags", 4, 0xc1, "", malformed},
		{"ping with a body", 5, 0xc0, "x", malformed},
		{"disconnect", 4, 0xe0, "", accepted},
		{"disconnect, flags", 5, 0xe1, "", malformed},
		{"disconnect of 3.1.1 with a body", 4, 0xe0, "\x00", malformed},
		{"disconnect with will", 5, 0xe0, "\x04", accepted},
		{"disconnect with a session expiry", 5, 0xe0, "\x00" + props("\x11\x00\x00\x00\x05"), accepted},
		{"disconnect with a reason of servers", 5, 0xe0, "\x8b", protocolError},
		{"authentication", 5, 0xf0, "\x18" + props("\x15"+text("a")), protocolError},
		{"type 15 of 3.1.1", 4, 0xf0, "", protocolError},
		{"type 0", 5, 0x00, "", protocolError},
		{"connack from a client", 4, 0x20, "\x00\x00", protocolError},
		{"suback from a client", 5, 0x90, id + props("") + "\x00", protocolError},
		{"pingresp from a client", 4, 0xd0, "", protocolError},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := checkPacket(tt.level, tt.first, []byte(tt.body)); got != tt.want {
				t.Errorf("got 0x%02x, want 0x%02x", byte(got), byte(tt.want))
			}
		})
	}
}

// packet puts a fixed header before a body.
func packet(first byte, body string) []byte {
	return append(binary.AppendUvarint([]byte{first}, uint64(len(body))), body...)
}

// What a client is answered on the wire before its connection ends.
func TestRefusedPackets(t *testing.T) {
	s := start(t, Limits{})
	connect := func(level byte, with string) []byte {
		return packet(0x10, connectBody("MQTT", level, 0xc2, with, text("id")+text("app1")+text(s.key1)))
	}
	tests := []struct {
		name string
		send [][]byte
		want string // what comes after a good CONNACK, in hexadecimal
	}{
		{"5, doubled property", [][]byte{connect(5, "\x11\x00\x00\x00\x05\x11\x00\x00\x00\x05")}, "2003008200"},
		{"5, authentication method", [][]byte{connect(5, "\x15"+text("x"))}, "2003008c00"},
		{"5, wrong name", [][]byte{packet(0x10, connectBody("mqtt", 5, 0xc2, "", ""))}, "2003008400"},
		{"5, CONNECT's length not as short as it can be", [][]byte{append([]byte{0x10, connect(5, "")[1] | 0x80, 0}, connect(5, "")[2:]...)}, "2003008100"},
		{"3.1.1, wrong name", [][]byte{packet(0x10, connectBody("mqtt", 4, 0xc2, "", text("id")+text("app1")+text(s.key1)))}, ""},
		{"3.1.1, no client id but a session", [][]byte{packet(0x10, connectBody("MQTT", 4, 0xc0, "", text("")+text("app1")+text(s.key1)))}, "20020002"},
		{"a ping before the CONNECT", [][]byte{{0xc0, 0}}, ""},
		{"5, ping with a body", [][]byte{connect(5, ""), {0xc0, 1, 0}}, "e0028100"},
		{"5, second CONNECT", [][]byte{connect(5, ""), connect(5, "")}, "e0028200"},
		{"5, too long a packet", [][]byte{connect(5, ""), {0x30, 0xff, 0xff, 0x7f}}, "e0029500"},
		{"5, length not as short as it can be", [][]byte{connect(5, ""), {0x30, 0x86, 0x00, 0, 1, 'a', 0, 'x', 'y'}}, "e0028100"},
		{"5, length of five bytes", [][]byte{connect(5, ""), {0x30, 0xff, 0xff, 0xff, 0xff, 0x01}}, "e0028100"},
		{"5, response topic with a wildcard", [][]byte{connect(5, ""), packet(0x30, text("a")+props("\x08"+text("#")))}, "e0028100"},
		{"3.1.1, ping with a body", [][]byte{connect(4, ""), {0xc0, 1, 0}}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := dialRaw(t, s.addr)
			for i, p := range tt.send {
				r.bytes(p...)
				if i == 0 && len(tt.send) > 1 {
					r.version = p[8]
					if ack := r.want(packets.Connack); ack.ReasonCode != 0 {
						t.Fatalf("CONNACK 0x%02x", ack.ReasonCode)
					}
				}
			}
			_ = r.SetReadDeadline(time.Now().Add(2 * time.Second))
			var got bytes.Buffer
			if _, err := got.ReadFrom(r.r); err != nil {
				t.Errorf("the connection stays open: %v", err)
			}
			if hex.EncodeToString(got.Bytes()) != tt.want {
				t.Errorf("got %x, want %s", got.Bytes(), tt.want)
			}
		})
	}
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

// FuzzPacket: whatever is sent, a check ends, and what it lets pass does not make
// the library panic.
func FuzzPacket(f *testing.F) {
	f.Add(byte(5), byte(0x30), []byte(text("a")+props("\x01\x01")+"x"))
	f.Add(byte(5), byte(0x82), []byte("\x00\x07"+props("\x0b\x01")+text("#")+"\x00"))
	f.Add(byte(4), byte(0x62), []byte("\x00\x07"))
	f.Add(byte(0), byte(0x10), []byte(connectBody("MQTT", 5, 0xc6, "\x11\x00\x00\x00\x05", text("id")+props("")+text("t")+text("x")+text("app1")+text("key"))))
	f.Fuzz(func(t *testing.T, level, first byte, rest []byte) {
		var r refusal
		if first>>4 == packets.Connect {
			level, r = checkConnect(first, rest)
		} else {
			level = 3 + level%3
			r = checkPacket(level, first, rest)
		}
		if r != accepted || level < 3 || level > 5 {
			return
		}
		pk := packets.Packet{ProtocolVersion: level}
		if err := pk.FixedHeader.Decode(first); err != nil {
			t.Fatalf("the library refuses the first byte: %v", err)
		}
		pk.FixedHeader.Remaining = len(rest)
		switch first >> 4 {
		case packets.Connect:
			_ = pk.ConnectDecode(rest)
		case packets.Publish:
			_ = pk.PublishDecode(rest)
		case packets.Puback:
			_ = pk.PubackDecode(rest)
		case packets.Pubrec:
			_ = pk.PubrecDecode(rest)
		case packets.Pubrel:
			_ = pk.PubrelDecode(rest)
		case packets.Pubcomp:
			_ = pk.PubcompDecode(rest)
		case packets.Subscribe:
			_ = pk.SubscribeDecode(rest)
		case packets.Unsubscribe:
			_ = pk.UnsubscribeDecode(rest)
		case packets.Disconnect:
			_ = pk.DisconnectDecode(rest)
		}
	})
}
