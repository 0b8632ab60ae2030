package packet

import (
	"strings"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"

	"lorawand/bridge/broker/packettest"
	"lorawand/radio/fuzztest"
)

const login = 0xc2 // user name, password, clean

// user is what a client with a login says behind the properties.
var user = packettest.Text("id") + packettest.Text("app1") + packettest.Text("key")

// v5 is a CONNECT of MQTT 5 with properties.
func v5(with string) string { return packettest.ConnectBody("MQTT", 5, login, with, user) }

// connectCase is a CONNECT and what becomes of it.
type connectCase struct {
	name string
	body string
	want Refusal
}

func checkConnects(t *testing.T, tests []connectCase) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, got := CheckConnect(0x10, []byte(tt.body)); got != tt.want {
				t.Errorf("got 0x%02x, want 0x%02x", byte(got), byte(tt.want))
			}
		})
	}
}

func TestCheckConnect(t *testing.T) {
	checkConnects(t, []connectCase{
		{"3.1", packettest.ConnectBody("MQIsdp", 3, login, "", user), Accepted},
		{"3.1.1", packettest.ConnectBody("MQTT", 4, login, "", user), Accepted},
		{"5", v5(""), Accepted},
		// and answered with "not supported"
		{"level 0x84, a bridge", packettest.ConnectBody("MQTT", 0x84, login, "", user), Accepted},
		{"level 6", packettest.ConnectBody("MQTT", 6, login, "", "anything"), Accepted},
		{"3.1 with the name of 3.1.1", packettest.ConnectBody("MQTT", 3, login, "", user), WrongVersion},
		{"3.1.1 named hj", packettest.ConnectBody("hj", 4, login, "", user), WrongVersion},
		{"3.1.1 named mqtt", packettest.ConnectBody("mqtt", 4, login, "", user), WrongVersion},
		{"3.1.1 named not in UTF-8", packettest.ConnectBody("M\xff", 4, login, "", user), Malformed},
		{"5 named mqtt", packettest.ConnectBody("mqtt", 5, login, "", user), WrongVersion},
		{"5 without a name", packettest.ConnectBody("", 5, login, "", user), WrongVersion},
		{"3.1.1, reserved flag", packettest.ConnectBody("MQTT", 4, login|connectReserved, "", user), Malformed},
		{"5, reserved flag", packettest.ConnectBody("MQTT", 5, login|connectReserved, "", user), Malformed},
		{"3.1.1, will QoS without will", packettest.ConnectBody("MQTT", 4, login|connectWillQoS1, "", user), Malformed},
		{"3.1.1, will retain without will", packettest.ConnectBody("MQTT", 4, login|connectWillRetain, "", user), Malformed},
		{"5, will retain without will", packettest.ConnectBody("MQTT", 5, login|connectWillRetain, "", user), Malformed},
		{"5, will QoS 3", packettest.ConnectBody("MQTT", 5, login|connectWill|connectWillQoS, "",
			packettest.Text("id")+packettest.Props("")+packettest.Text("t")+packettest.Text("x")+packettest.Text("app1")+
				packettest.Text("key")), Malformed},
		{"3.1.1, password without user name", packettest.ConnectBody("MQTT", 4, connectPassword, "",
			packettest.Text("id")+packettest.Text("key")), Malformed},
		{"5, password without user name", packettest.ConnectBody("MQTT", 5, connectPassword, "",
			packettest.Text("id")+packettest.Text("key")), Accepted},
		{"3.1.1, bytes behind", packettest.ConnectBody("MQTT", 4, login, "", user+"x"), Malformed},
		{"5, bytes behind", packettest.ConnectBody("MQTT", 5, login, "", user+"x"), Malformed},
		{
			"3.1.1, cut short", packettest.ConnectBody("MQTT", 4, login, "", packettest.Text("id")+packettest.Text("app1")),
			Malformed,
		},
		{"nothing", "", Malformed},
	})
	if _, got := CheckConnect(0x11, []byte(v5(""))); got != Malformed {
		t.Errorf("flags of the first byte: got 0x%02x", byte(got))
	}
}

func TestCheckConnectTexts(t *testing.T) {
	will := func(level byte, with, topic string) string {
		b := packettest.Text("id")
		if level == 5 {
			b += packettest.Props(with)
		}
		return packettest.ConnectBody("MQTT", level, login|connectWill, "", b+packettest.Text(topic)+packettest.Text("x")+
			packettest.Text("app1")+packettest.Text("key"))
	}
	checkConnects(t, []connectCase{
		{"client id with NUL", packettest.ConnectBody("MQTT", 4, login, "", packettest.Text("i\x00d")+packettest.Text("app1")+
			packettest.Text("key")), Malformed},
		{"client id with a surrogate", packettest.ConnectBody("MQTT", 4, login, "",
			packettest.Text("\xed\xa0\x80")+packettest.Text("app1")+packettest.Text("key")), Malformed},
		{"client id in an overlong form", packettest.ConnectBody("MQTT", 5, login, "",
			packettest.Text("\xc0\xaf")+packettest.Text("app1")+packettest.Text("key")), Malformed},
		{"user name not in UTF-8", packettest.ConnectBody("MQTT", 5, login, "",
			packettest.Text("id")+packettest.Text("\xff")+packettest.Text("key")), Malformed},
		{"3.1.1, will", will(4, "", "a/b"), Accepted},
		{"3.1.1, will on a wildcard", will(4, "", "a/+"), Malformed},
		{"3.1.1, will without topic", will(4, "", ""), Malformed},
		{"5, will", will(5, "\x01\x01\x18\x00\x00\x00\x05\x08"+packettest.Text("r"), "a/b"), Accepted},
		{"5, will with payload format 2", will(5, "\x01\x02", "a/b"), ProtocolError},
		{"5, will with a topic alias", will(5, "\x23\x00\x01", "a/b"), Malformed},
		{"5, will with a wildcard for a response topic", will(5, "\x08"+packettest.Text("r/#"), "a/b"), Malformed},
	})
}

func TestCheckConnectProperties(t *testing.T) {
	checkConnects(t, []connectCase{
		{"session expiry", v5("\x11\x00\x00\x00\x05"), Accepted},
		{"session expiry 0", v5("\x11\x00\x00\x00\x00"), Accepted},
		{"session expiry twice", v5("\x11\x00\x00\x00\x05\x11\x00\x00\x00\x05"), ProtocolError},
		{"session expiry cut short", v5("\x11\x00\x00"), Malformed},
		{"receive maximum 0", v5("\x21\x00\x00"), ProtocolError},
		{"receive maximum twice", v5("\x21\x00\x01\x21\x00\x01"), ProtocolError},
		{"maximum packet size 0", v5("\x27\x00\x00\x00\x00"), ProtocolError},
		{"topic alias maximum 0", v5("\x22\x00\x00"), Accepted},
		{"topic alias maximum twice", v5("\x22\x00\x01\x22\x00\x01"), ProtocolError},
		{"request problem information 2", v5("\x17\x02"), ProtocolError},
		{"request problem information twice", v5("\x17\x01\x17\x01"), ProtocolError},
		{"request response information 2", v5("\x19\x02"), ProtocolError},
		{"user property twice", v5("\x26" + packettest.Text("a") + packettest.Text("b") + "\x26" + packettest.Text("a") +
			packettest.Text("b")), Accepted},
		{"user property not in UTF-8", v5("\x26" + packettest.Text("a") + packettest.Text("\xff")), Malformed},
		{"authentication method", v5("\x15" + packettest.Text("SCRAM-SHA-1")), BadAuthMethod},
		{"authentication method twice", v5("\x15" + packettest.Text("a") + "\x15" + packettest.Text("b")), ProtocolError},
		{"authentication data without method", v5("\x16" + packettest.Text("a")), ProtocolError},
		{"subscription identifier", v5("\x0b\x01"), Malformed},
		{"a property that does not exist", v5("\x7f"), Malformed},
		{"a property of servers", v5("\x24\x01"), Malformed},
		{"properties longer than the packet", packettest.Text("MQTT") + "\x05\xc2\x00\x3c\x7f" + user, Malformed},
		{
			"length of the properties not as short as it can be", packettest.Text("MQTT") + "\x05\xc2\x00\x3c\x80\x00" + user,
			Malformed,
		},
	})
}

// id is a packet identifier.
const id = "\x00\x07"

// packetCase is a packet and what becomes of it.
type packetCase struct {
	name  string
	level byte
	first byte
	body  string
	want  Refusal
}

func checkPackets(t *testing.T, tests []packetCase) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Check(tt.level, tt.first, []byte(tt.body)); got != tt.want {
				t.Errorf("got 0x%02x, want 0x%02x", byte(got), byte(tt.want))
			}
		})
	}
}

func TestCheckPublish(t *testing.T) {
	checkPackets(t, []packetCase{
		{"publish", 4, 0x30, packettest.Text("a/b") + "x", Accepted},
		{"publish, QoS 1", 4, 0x32, packettest.Text("a/b") + id + "x", Accepted},
		{"publish, no payload", 5, 0x30, packettest.Text("a/b") + packettest.Props(""), Accepted},
		{"publish, QoS 3", 4, 0x36, packettest.Text("a/b") + id, Malformed},
		{"publish, QoS 0 again", 5, 0x38, packettest.Text("a/b") + packettest.Props(""), Malformed},
		{"publish, packet id 0", 5, 0x32, packettest.Text("a/b") + "\x00\x00" + packettest.Props(""), ProtocolError},
		{"publish, no packet id", 4, 0x32, packettest.Text("a/b"), Malformed},
		{"publish, no topic", 4, 0x30, packettest.Text(""), Malformed},
		{"publish, wildcard", 5, 0x30, packettest.Text("a/+/b") + packettest.Props(""), TopicNameInvalid},
		{"publish, NUL", 4, 0x30, packettest.Text("a\x00"), Malformed},
		{"publish, topic longer than the packet", 4, 0x30, "\x00\x09a", Malformed},
		{"publish, nothing", 4, 0x30, "", Malformed},
		{"publish, payload format 1", 5, 0x30, packettest.Text("a") + packettest.Props("\x01\x01"), Accepted},
		{"publish, payload format 2", 5, 0x30, packettest.Text("a") + packettest.Props("\x01\x02"), ProtocolError},
		{
			"publish, payload format twice", 5, 0x30, packettest.Text("a") + packettest.Props("\x01\x01\x01\x01"),
			ProtocolError,
		},
		{"publish, message expiry twice", 5, 0x30, packettest.Text("a") +
			packettest.Props("\x02\x00\x00\x00\x01\x02\x00\x00\x00\x01"), ProtocolError},
		{
			"publish, response topic", 5, 0x30, packettest.Text("a") + packettest.Props("\x08"+packettest.Text("r/s")),
			Accepted,
		},
		{"publish, response topic with a wildcard", 5, 0x30, packettest.Text("a") +
			packettest.Props("\x08"+packettest.Text("r/#")), Malformed},
		{"publish, response topic not in UTF-8", 5, 0x30, packettest.Text("a") +
			packettest.Props("\x08"+packettest.Text("\xff")), Malformed},
		{"publish, topic alias 0", 5, 0x30, packettest.Text("a") + packettest.Props("\x23\x00\x00"), ProtocolError},
		// and answered with "topic alias invalid"
		{"publish, topic alias", 5, 0x30, packettest.Text("") + packettest.Props("\x23\x00\x01"), Accepted},
		{"publish, subscription identifier", 5, 0x30, packettest.Text("a") + packettest.Props("\x0b\x01"), Malformed},
		{"publish, session expiry", 5, 0x30, packettest.Text("a") + packettest.Props("\x11\x00\x00\x00\x01"), Malformed},
	})
}

func TestCheckAcknowledgement(t *testing.T) {
	checkPackets(t, []packetCase{
		{"puback", 4, 0x40, id, Accepted},
		{"puback, flags", 4, 0x41, id, Malformed},
		{"puback, a byte", 4, 0x40, "\x00", Malformed},
		{"puback, packet id 0", 5, 0x40, "\x00\x00", ProtocolError},
		{"puback of 3.1.1 with a reason", 4, 0x40, id + "\x00", Malformed},
		{"puback with a reason", 5, 0x40, id + "\x10", Accepted},
		{"puback with a reason of others", 5, 0x40, id + "\xff", ProtocolError},
		{"puback with properties", 5, 0x40, id + "\x00" + packettest.Props("\x1f"+packettest.Text("why")), Accepted},
		{"puback with a property that does not exist", 5, 0x40, id + "\x00" + packettest.Props("\x7f"), Malformed},
		{"puback, bytes behind", 5, 0x40, id + "\x00" + packettest.Props("") + "x", Malformed},
		{"pubrec, flags", 5, 0x52, id, Malformed},
		{"pubrel", 4, 0x62, id, Accepted},
		{"pubrel, flags", 4, 0x60, id, Malformed},
		{"pubrel, packet id 0", 4, 0x62, "\x00\x00", ProtocolError},
		{"pubcomp, not found", 5, 0x70, id + "\x92", Accepted},
		{"pubcomp, flags", 4, 0x72, id, Malformed},
	})
}

func TestCheckSubscribe(t *testing.T) {
	checkPackets(t, []packetCase{
		{"subscribe", 4, 0x82, id + packettest.Text("#") + "\x02", Accepted},
		{"subscribe, flags", 4, 0x80, id + packettest.Text("#") + "\x00", Malformed},
		{"subscribe, packet id 0", 5, 0x82, "\x00\x00" + packettest.Props("") + packettest.Text("#") + "\x00", ProtocolError},
		{"subscribe, no filter", 5, 0x82, id + packettest.Props(""), ProtocolError},
		{"subscribe, empty filter", 5, 0x82, id + packettest.Props("") + packettest.Text("") + "\x00", Malformed},
		{"subscribe, # not at the end", 4, 0x82, id + packettest.Text("v3/#/x") + "\x00", Malformed},
		{"subscribe, + not alone", 4, 0x82, id + packettest.Text("v3/app1/+x") + "\x00", Malformed},
		{"subscribe, no options", 5, 0x82, id + packettest.Props("") + packettest.Text("#"), Malformed},
		{"subscribe, reserved bits of 3.1.1", 4, 0x82, id + packettest.Text("#") + "\x04", Malformed},
		{"subscribe, QoS 3", 5, 0x82, id + packettest.Props("") + packettest.Text("#") + "\x03", Malformed},
		{"subscribe, reserved bit 7", 5, 0x82, id + packettest.Props("") + packettest.Text("#") + "\x80", Malformed},
		{"subscribe, reserved bit 6", 5, 0x82, id + packettest.Props("") + packettest.Text("#") + "\x40", Malformed},
		{"subscribe, retain handling 2", 5, 0x82, id + packettest.Props("") + packettest.Text("#") + "\x20", Accepted},
		{"subscribe, retain handling 3", 5, 0x82, id + packettest.Props("") + packettest.Text("#") + "\x30", ProtocolError},
		{"subscribe, no local", 5, 0x82, id + packettest.Props("") + packettest.Text("#") + "\x04", Accepted},
		{
			"subscribe, no local on a shared one", 5, 0x82, id + packettest.Props("") + packettest.Text("$share/g/#") + "\x04",
			ProtocolError,
		},
		{
			"subscribe, group without a name", 5, 0x82, id + packettest.Props("") + packettest.Text("$share//#") + "\x00",
			Malformed,
		},
		{
			"subscribe, group with a wildcard", 5, 0x82, id + packettest.Props("") + packettest.Text("$share/+/#") + "\x00",
			Malformed,
		},
		{"subscribe, subscription identifier", 5, 0x82, id + packettest.Props("\x0b\xff\xff\xff\x7f") + packettest.Text("#") +
			"\x00", Accepted},
		{
			"subscribe, subscription identifier 0", 5, 0x82, id + packettest.Props("\x0b\x00") + packettest.Text("#") + "\x00",
			ProtocolError,
		},
		{"subscribe, subscription identifier of 5 bytes", 5, 0x82, id + packettest.Props("\x0b\xff\xff\xff\xff\x01") +
			packettest.Text("#") + "\x00", Malformed},
		{"subscribe, subscription identifier twice", 5, 0x82, id + packettest.Props("\x0b\x01\x0b\x02") +
			packettest.Text("#") + "\x00", ProtocolError},
		{
			"subscribe, as many filters as may be", 4, 0x82, id + strings.Repeat(packettest.Text("#")+"\x00", maxFilters),
			Accepted,
		},
		{
			"subscribe, a filter too many", 5, 0x82,
			id + packettest.Props("") + strings.Repeat(packettest.Text("#")+"\x00", maxFilters+1), TooLarge,
		},
	})
}

func TestCheckUnsubscribe(t *testing.T) {
	checkPackets(t, []packetCase{
		{"unsubscribe", 5, 0xa2, id + packettest.Props("") + packettest.Text("#"), Accepted},
		{"unsubscribe, flags", 4, 0xa0, id + packettest.Text("#"), Malformed},
		{"unsubscribe, packet id 0", 4, 0xa2, "\x00\x00" + packettest.Text("#"), ProtocolError},
		{"unsubscribe, no filter", 4, 0xa2, id, ProtocolError},
		{"unsubscribe, # not at the end", 4, 0xa2, id + packettest.Text("a/#/b"), Malformed},
		{
			"unsubscribe, as many filters as may be", 5, 0xa2,
			id + packettest.Props("") + strings.Repeat(packettest.Text("#"), maxFilters), Accepted,
		},
		{
			"unsubscribe, a filter too many", 4, 0xa2, id + strings.Repeat(packettest.Text("#"), maxFilters+1), TooLarge,
		},
	})
}

func TestCheckOthers(t *testing.T) {
	checkPackets(t, []packetCase{
		{"ping", 4, 0xc0, "", Accepted},
		{"ping, flags", 4, 0xc1, "", Malformed},
		{"ping with a body", 5, 0xc0, "x", Malformed},
		{"disconnect", 4, 0xe0, "", Accepted},
		{"disconnect, flags", 5, 0xe1, "", Malformed},
		{"disconnect of 3.1.1 with a body", 4, 0xe0, "\x00", Malformed},
		{"disconnect with will", 5, 0xe0, "\x04", Accepted},
		{"disconnect with a session expiry", 5, 0xe0, "\x00" + packettest.Props("\x11\x00\x00\x00\x05"), Accepted},
		{"disconnect with a reason of servers", 5, 0xe0, "\x8b", ProtocolError},
		{"authentication", 5, 0xf0, "\x18" + packettest.Props("\x15"+packettest.Text("a")), ProtocolError},
		{"type 15 of 3.1.1", 4, 0xf0, "", ProtocolError},
		{"type 0", 5, 0x00, "", ProtocolError},
		{"connack from a client", 4, 0x20, "\x00\x00", ProtocolError},
		{"suback from a client", 5, 0x90, id + packettest.Props("") + "\x00", ProtocolError},
		{"pingresp from a client", 4, 0xd0, "", ProtocolError},
	})
}

// FuzzPacket: whatever is sent, a check ends, and what it lets pass does not make
// the library panic.
func FuzzPacket(f *testing.F) {
	f.Add(byte(5), byte(0x30), []byte(packettest.Text("a")+packettest.Props("\x01\x01")+"x"))
	f.Add(byte(5), byte(0x82), []byte("\x00\x07"+packettest.Props("\x0b\x01")+packettest.Text("#")+"\x00"))
	f.Add(byte(4), byte(0x62), []byte("\x00\x07"))
	f.Add(byte(0), byte(0x10), []byte(packettest.ConnectBody("MQTT", 5, 0xc6, "\x11\x00\x00\x00\x05",
		packettest.Text("id")+packettest.Props("")+packettest.Text("t")+packettest.Text("x")+packettest.Text("app1")+
			packettest.Text("key"))))
	f.Fuzz(fuzztest.Quick(func(t *testing.T, level, first byte, rest []byte) {
		var r Refusal
		if first>>4 == packets.Connect {
			level, r = CheckConnect(first, rest)
		} else {
			level = 3 + level%3
			r = Check(level, first, rest)
		}
		if r != Accepted || level < 3 || level > 5 {
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
	}))
}

func TestWeight(t *testing.T) {
	for _, tt := range []struct {
		name  string
		first byte
		bytes int
		want  int
	}{
		{"PINGREQ", 0xc0, 0, 1},
		{"CONNECT", 0x10, 60_000, 1}, // before the login all share one row
		{"a push", 0x30, 63, 1},
		{"a longer push", 0x32, 128, 3},
		{"the longest push", 0x30, 64 << 10, 65},
		{"PUBREL", 0x62, 2, 1},
		{"PUBACK", 0x40, 2, 0},
		{"PUBREC", 0x50, 2, 0},
		{"PUBCOMP", 0x70, 2, 0},
		{"SUBSCRIBE of a filter", 0x82, 30, 1},
		{"SUBSCRIBE of many", 0x82, 6400, 101},
		{"UNSUBSCRIBE of many", 0xa2, 6400, 101},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Weight(tt.first, tt.bytes); got != tt.want {
				t.Errorf("it counts as %d, want %d", got, tt.want)
			}
		})
	}
}
