// Package packet checks what clients of MQTT send. The MQTT library takes packets
// that MQTT forbids. So each is checked before the library sees it: against MQTT 5.0
// for clients of MQTT 5, against 3.1.1 for older ones. A check takes time linear in
// the bytes of the packet. It also writes what goes out.
package packet

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/mochi-mqtt/server/v2/packets"

	"lorawand/bridge/v3"
)

// Refusal is why a packet is refused: a reason code (MQTT 5.0, 2.4).
type Refusal byte

// Refusals, and none.
const (
	Accepted         Refusal = 0x00
	Malformed        Refusal = 0x81 // cannot be read (MQTT 5.0, 4.13.1)
	ProtocolError    Refusal = 0x82 // can be read, and must not be sent
	WrongVersion     Refusal = 0x84
	BadAuthMethod    Refusal = 0x8c
	TopicNameInvalid Refusal = 0x90
	TooLarge         Refusal = 0x95
)

// Error implements error.
func (f Refusal) Error() string { return fmt.Sprintf("packet refused with reason 0x%02x", byte(f)) }

// Word returns the reason as one word.
func (f Refusal) Word() string {
	switch f {
	case Malformed:
		return "malformed_packet"
	case ProtocolError:
		return "protocol_error"
	case WrongVersion:
		return "unsupported_protocol_version"
	case BadAuthMethod:
		return "bad_authentication_method"
	case TopicNameInvalid:
		return "topic_name_invalid"
	case TooLarge:
		return "packet_too_large"
	}
	return fmt.Sprintf("0x%02x", byte(f))
}

// flagDup says in the first byte of a PUBLISH that it is sent once more.
const flagDup = 8

// Bits of the flags of a CONNECT (MQTT 5.0, 3.1.2.3).
const (
	connectReserved = 1 << iota
	_               // clean start
	connectWill
	connectWillQoS1
	connectWillQoS2
	connectWillRetain
	connectPassword
	connectUserName

	connectWillQoS = connectWillQoS1 | connectWillQoS2
)

// filtersBytes is how many bytes of filters cost what a packet does, at least: some 16 filters.
const filtersBytes = 64

// publishBytes is how many bytes of a PUBLISH cost what a packet does, at least: two downlinks. There are no more than
// mostPublish of it: the more there are the less each costs, and a hundred clients must not wait for seconds.
const (
	publishBytes = 64
	mostPublish  = 64
)

// Weight returns as how many packets one counts that has n bytes after its length: as none if it answers a
// PUBLISH or PUBREL of the broker, and as more if it has many filters or is a long PUBLISH.
func Weight(first byte, n int) int {
	switch first >> 4 {
	case packets.Puback, packets.Pubrec, packets.Pubcomp:
		return 0
	case packets.Subscribe, packets.Unsubscribe:
		return 1 + n/filtersBytes
	case packets.Publish:
		return 1 + min(n/publishBytes, mostPublish)
	}
	return 1
}

// CheckConnect checks the body of a CONNECT and returns its protocol level. Of a
// level that is not served only the level is read.
func CheckConnect(first byte, rest []byte) (level byte, f Refusal) {
	r := body{rest: rest}
	name := r.text()
	level = r.uint8()
	switch {
	case r.refusal != Accepted || first != packets.Connect<<4:
		return level, Malformed
	case level < 3 || level > 5:
		return level, Accepted // answered with "not supported"
	case string(name) != protocolNames[level]:
		return level, WrongVersion
	}
	flags := r.uint8()
	r.uint16() // keep-alive
	r.check(flags&connectReserved == 0, Malformed)
	r.check(flags&connectWill != 0 || flags&(connectWillQoS|connectWillRetain) == 0, Malformed)
	r.check(flags&connectWillQoS != connectWillQoS, Malformed)
	r.check(level == 5 || flags&connectUserName != 0 || flags&connectPassword == 0, Malformed)
	r.level = level
	if level == 5 {
		r.properties(packets.Connect)
	}
	r.text() // client id
	if flags&connectWill != 0 {
		if level == 5 {
			r.properties(will)
		}
		r.topic()
		r.binary()
	}
	if flags&connectUserName != 0 {
		r.text()
	}
	if flags&connectPassword != 0 {
		r.binary()
	}
	r.end()
	return level, r.refusal
}

// protocolNames are the names that go with the protocol levels.
var protocolNames = [...]string{3: "MQIsdp", 4: "MQTT", 5: "MQTT"}

// Check checks a packet that is no CONNECT. first is its first byte, rest
// what follows the remaining length.
func Check(level, first byte, rest []byte) Refusal {
	r := body{rest: rest, level: level}
	flags := first & 0x0f
	switch first >> 4 {
	case packets.Publish:
		r.publish(flags)
	case packets.Puback, packets.Pubrec, packets.Pubcomp:
		r.check(flags == 0, Malformed)
		r.acknowledgement(first >> 4)
	case packets.Pubrel:
		r.check(flags == 2, Malformed)
		r.acknowledgement(packets.Pubrel)
	case packets.Subscribe:
		r.check(flags == 2, Malformed)
		r.filters(packets.Subscribe)
	case packets.Unsubscribe:
		r.check(flags == 2, Malformed)
		r.filters(packets.Unsubscribe)
	case packets.Pingreq:
		r.check(flags == 0, Malformed)
	case packets.Disconnect:
		r.check(flags == 0, Malformed)
		r.disconnect()
	case packets.Auth:
		// No client has an authentication method (MQTT 5.0, 4.12).
		return ProtocolError
	default: // 0, and what only servers send
		return ProtocolError
	}
	r.end()
	return r.refusal
}

// publish reads the body of a PUBLISH (MQTT 5.0, 3.3).
func (r *body) publish(flags byte) {
	qos := flags >> 1 & 3
	r.check(qos != 3 && (qos > 0 || flags&flagDup == 0), Malformed)
	topic := r.text()
	r.check(len(topic) > 0 || r.level == 5, Malformed) // with 5 there may be an alias, which the library refuses
	r.check(!bytes.ContainsAny(topic, "+#"), TopicNameInvalid)
	if qos > 0 {
		r.check(r.uint16() != 0, ProtocolError)
	}
	if r.level == 5 {
		r.properties(packets.Publish)
	}
	r.rest = nil // the payload
}

// acknowledgement reads the body of PUBACK, PUBREC, PUBREL or PUBCOMP (MQTT
// 5.0, 3.4 to 3.7).
func (r *body) acknowledgement(typ byte) {
	r.check(r.uint16() != 0, ProtocolError)
	if r.level == 5 {
		r.reason(typ)
	}
}

// disconnect reads the body of a DISCONNECT (MQTT 5.0, 3.14).
func (r *body) disconnect() {
	if r.level == 5 {
		r.reason(packets.Disconnect)
	}
}

// reason reads a reason code and the properties; each may be left out with all
// that follows.
func (r *body) reason(typ byte) {
	if len(r.rest) == 0 {
		return
	}
	r.check(strings.IndexByte(reasonCodes[typ], r.uint8()) >= 0, ProtocolError)
	if len(r.rest) > 0 {
		r.properties(typ)
	}
}

// reasonCodes are those that a client may send (MQTT 5.0, 2.4).
var reasonCodes = [16]string{
	packets.Puback:     "\x00\x10\x80\x83\x87\x90\x91\x97\x99",
	packets.Pubrec:     "\x00\x10\x80\x83\x87\x90\x91\x97\x99",
	packets.Pubrel:     "\x00\x92",
	packets.Pubcomp:    "\x00\x92",
	packets.Disconnect: "\x00\x04\x80\x81\x82\x83\x90\x93\x94\x95\x96\x97\x98\x99",
}

// Bits of the options of a subscription (MQTT 5.0, 3.8.3.1).
const (
	optionQoS            = 0x03
	optionNoLocal        = 0x04
	optionRetainHandling = 0x30
	optionReserved       = 0xc0
)

// maxFilters of one packet. No client may have nearly as many, and some work is done for
// each before it is refused.
const maxFilters = 1024

// filters reads the body of a SUBSCRIBE or UNSUBSCRIBE (MQTT 5.0, 3.8 and 3.10).
func (r *body) filters(typ byte) {
	r.check(r.uint16() != 0, ProtocolError)
	if r.level == 5 {
		r.properties(typ)
	}
	r.check(len(r.rest) > 0, ProtocolError)
	for n := 0; len(r.rest) > 0 && r.refusal == Accepted; n++ {
		r.check(n < maxFilters, TooLarge)
		filter := string(r.text())
		r.check(v3.ValidFilter(filter), Malformed)
		if typ == packets.Unsubscribe {
			continue
		}
		options := r.uint8()
		r.check(options&optionQoS != optionQoS, Malformed)
		if r.level < 5 {
			r.check(options&^optionQoS == 0, Malformed)
			continue
		}
		r.check(options&optionReserved == 0, Malformed)
		r.check(options&optionRetainHandling != optionRetainHandling, ProtocolError)
		_, _, shared := v3.Shared(filter)
		r.check(!shared || options&optionNoLocal == 0, ProtocolError)
	}
}

// body takes the body of a packet apart. After the first refusal it reads
// nothing more.
type body struct {
	rest    []byte
	level   byte
	refusal Refusal
}

func (r *body) check(ok bool, f Refusal) {
	if !ok && r.refusal == Accepted {
		r.refusal, r.rest = f, nil
	}
}

// end expects that nothing is left.
func (r *body) end() { r.check(len(r.rest) == 0, Malformed) }

func (r *body) take(n int) []byte {
	if n > len(r.rest) {
		r.check(false, Malformed)
		return nil
	}
	out := r.rest[:n]
	r.rest = r.rest[n:]
	return out
}

func (r *body) uint8() byte {
	b := r.take(1)
	if b == nil {
		return 0
	}
	return b[0]
}

func (r *body) uint16() uint16 { return uint16(r.uint8())<<8 | uint16(r.uint8()) }

func (r *body) uint32() uint32 { return uint32(r.uint16())<<16 | uint32(r.uint16()) }

// varint reads a variable byte integer, which must be as short as it can be
// (MQTT 5.0, 1.5.5).
func (r *body) varint() (n int) {
	for shift := 0; shift < 28; shift += 7 {
		b := r.uint8()
		n |= int(b&0x7f) << shift
		if b < 0x80 {
			r.check(b != 0 || shift == 0, Malformed)
			return n
		}
	}
	r.check(false, Malformed)
	return 0
}

func (r *body) binary() []byte { return r.take(int(r.uint16())) }

// text reads a UTF-8 string (MQTT 5.0, 1.5.4).
func (r *body) text() []byte {
	b := r.binary()
	r.check(utf8.Valid(b) && bytes.IndexByte(b, 0) < 0, Malformed)
	return b
}

// topic reads the name of a topic: without wildcards, and not empty.
func (r *body) topic() {
	t := r.text()
	r.check(len(t) > 0 && !bytes.ContainsAny(t, "+#"), Malformed)
}
