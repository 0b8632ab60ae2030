package packet

import "github.com/mochi-mqtt/server/v2/packets"

// will stands for a will's properties, which have a table of their own in a
// CONNECT; no packet has the type 0.
const will = 0

// property is how a property is written, where it may stand, and what it may be
// (MQTT 5.0, 2.2.2.2).
type property struct {
	form propertyForm
	in   uint16 // packet types, one bit each; 0: no such property, or of servers only
	most uint32 // largest value of a number; 0: any
	zero bool   // 0 is allowed
	many bool   // may stand there more than once
}

type propertyForm uint8

const (
	formByte propertyForm = iota
	formUint16
	formUint32
	formVarint
	formText
	formTopic
	formBinary
	formPair
)

func types(ts ...byte) (bits uint16) {
	for _, t := range ts {
		bits |= 1 << t
	}
	return bits
}

var (
	inMessage = types(packets.Publish, will)
	inAnswer  = types(packets.Puback, packets.Pubrec, packets.Pubrel, packets.Pubcomp, packets.Disconnect)
)

// properties are those that a client may send, by their identifiers.
var properties = [...]property{
	0x01: {form: formByte, in: inMessage, most: 1, zero: true},                           // payload format indicator
	0x02: {form: formUint32, in: inMessage, zero: true},                                  // message expiry interval
	0x03: {form: formText, in: inMessage},                                                // content type
	0x08: {form: formTopic, in: inMessage},                                               // response topic
	0x09: {form: formBinary, in: inMessage},                                              // correlation data
	0x0b: {form: formVarint, in: types(packets.Subscribe)},                               // subscription identifier
	0x11: {form: formUint32, in: types(packets.Connect, packets.Disconnect), zero: true}, // session expiry interval
	0x15: {form: formText, in: types(packets.Connect)},                                   // authentication method
	0x16: {form: formBinary, in: types(packets.Connect)},                                 // authentication data
	0x17: {form: formByte, in: types(packets.Connect), most: 1, zero: true},              // request problem information
	0x18: {form: formUint32, in: types(will), zero: true},                                // will delay interval
	0x19: {form: formByte, in: types(packets.Connect), most: 1, zero: true},              // request response information
	0x1f: {form: formText, in: inAnswer},                                                 // reason string
	0x21: {form: formUint16, in: types(packets.Connect)},                                 // receive maximum
	0x22: {form: formUint16, in: types(packets.Connect), zero: true},                     // topic alias maximum
	0x23: {form: formUint16, in: types(packets.Publish)},                                 // topic alias
	0x26: {form: formPair, in: 0xffff, many: true},                                       // user property
	0x27: {form: formUint32, in: types(packets.Connect)},                                 // maximum packet size
}

const (
	propertyAuthMethod = 0x15
	propertyAuthData   = 0x16
)

// properties reads the properties of a packet of a type.
func (r *body) properties(typ byte) {
	n := r.varint()
	p := body{rest: r.take(n), level: r.level, refusal: r.refusal}
	var seen uint64
	for len(p.rest) > 0 {
		id := p.varint()
		if id >= len(properties) || properties[id].in&(1<<typ) == 0 {
			p.check(false, Malformed)
			break
		}
		def := &properties[id]
		p.check(def.many || seen&(1<<id) == 0, ProtocolError)
		seen |= 1 << id
		p.value(def)
	}
	// A client that wants to authenticate otherwise than by user name and
	// password is told that this is not served (MQTT 5.0, 4.12).
	p.check(seen&(1<<propertyAuthData) == 0 || seen&(1<<propertyAuthMethod) != 0, ProtocolError)
	p.check(seen&(1<<propertyAuthMethod) == 0, BadAuthMethod)
	r.check(p.refusal == Accepted, p.refusal)
}

// value reads the value of a property.
func (r *body) value(def *property) {
	var n uint32
	switch def.form {
	case formByte:
		n = uint32(r.uint8())
	case formUint16:
		n = uint32(r.uint16())
	case formUint32:
		n = r.uint32()
	case formVarint:
		n = uint32(r.varint())
	case formText:
		r.text()
		return
	case formTopic:
		r.topic()
		return
	case formBinary:
		r.binary()
		return
	case formPair:
		r.text()
		r.text()
		return
	}
	r.check(n != 0 || def.zero, ProtocolError)
	r.check(def.most == 0 || n <= def.most, ProtocolError)
}
