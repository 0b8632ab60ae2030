package v3

import (
	"fmt"
	"unicode/utf8"

	"lorawand/bridge/session"
	"lorawand/radio"
)

// Limits of a push. They are those of The Things Stack unless the comment says
// otherwise.
const (
	// MaxPushSize is the size of an MQTT packet in bytes.
	MaxPushSize = 64 << 10
	// MaxPushItems leaves 128 bytes for each item of the largest push: enough for
	// 51 bytes of payload, the maximum at the slowest data rates. The Things Stack
	// takes 100 000 items.
	MaxPushItems = 512
	// MaxFPort is the last port for applications (LoRaWAN 1.0.3, 4.3.2). The Things
	// Stack also takes 225 to 255.
	MaxFPort = 223
	// MaxFRMPayload is in bytes. The band and the data rate allow less.
	MaxFRMPayload = 255
	// MaxCorrelationIDs limits the correlation ids of an item. Each has at most 100
	// characters. The Things Stack has no limit.
	MaxCorrelationIDs = 32
	// MaxGateways limits the gateways that an item may name. The Things Stack has
	// no limit.
	MaxGateways = 32

	maxCorrelationIDLength = 100  // characters
	maxAttempts            = 100  // in a message; MaxRetries is lower
	maxSessionKeyID        = 2048 // bytes
)

// ParseDownlinks reads the payload of a down/push or down/replace:
// {"downlinks":[…]}. An empty list is valid: a replace with it empties the queue.
// Text behind the object is ignored.
//
// The items are checked as far as that is possible without their device. The error
// is an *Error and holds for each of the items. The items are returned as far as
// they could be read; there may be none. An item may have Decoded without
// FRMPayload: it may then lack the FPort too, and SetEncoded completes it. The
// correlation ids and the priority of an item are those that the application has
// given, even HIGHEST.
func ParseDownlinks(payload []byte) ([]session.Item, error) {
	if len(payload) > MaxPushSize {
		return nil, NotDecoded(fmt.Sprintf("%d bytes, at most %d", len(payload), MaxPushSize))
	}
	p := pushReader{reader: reader{b: payload}}
	p.push()
	if err := p.err(); err != nil {
		return p.items, err
	}
	return p.items, nil
}

// pushReader reads a push.
type pushReader struct {
	reader
	items   []session.Item
	refused *Error // the first forbidden value
}

// err returns the fault that The Things Stack would find first. It decodes the
// whole message, then validates it, then checks the payload of each item, and at
// last the ports.
func (p *pushReader) err() *Error {
	if p.faults > 0 {
		return NotDecoded(p.fault)
	}
	if p.refused != nil {
		return p.refused
	}
	for i := range p.items {
		it := &p.items[i]
		if len(it.FRMPayload) == 0 && it.Decoded == nil {
			return NoPayload()
		}
		if it.Confirmed && it.MaxAttempts > MaxRetries {
			return TooManyRetries()
		}
	}
	for i := range p.items {
		if it := &p.items[i]; it.FPort == 0 && len(it.FRMPayload) > 0 {
			return NoFPort() // the formatter may give the port
		}
	}
	return nil
}

// invalid records a forbidden value.
func (p *pushReader) invalid(field, reason string) {
	if p.refused == nil {
		p.refused = Invalid(p.path(field), reason)
	}
}

// SetEncoded gives an item the result of the payload formatter for its
// decoded_payload. i is the index of the item in the push.
func SetEncoded(it *session.Item, i int, fPort uint8, payload []byte, warnings []string) *Error {
	it.FPort, it.FRMPayload, it.DecodedWarnings = fPort, payload, warnings
	p := pushReader{reader: reader{item: i + 1}}
	switch {
	case len(payload) > MaxFRMPayload:
		it.FRMPayload = payload[:MaxFRMPayload]
		return Invalid(p.path("frm_payload"), fmt.Sprintf("value length must be at most %d bytes", MaxFRMPayload))
	case fPort == 0:
		return NoFPort()
	case fPort > MaxFPort:
		return Invalid(p.path("f_port"), fmt.Sprintf("value must be inside range [1, %d]", MaxFPort))
	}
	return nil
}

var pushFields = []string{"downlinks"}

func (p *pushReader) push() {
	if p.peek() != '{' {
		p.wrong("the message", "an object")
		return
	}
	var seen uint32
	for name := range p.members {
		if p.known(name, pushFields, &seen) != "" {
			p.downlinks()
		}
	}
}

func (p *pushReader) downlinks() {
	if p.peek() != '[' {
		p.wrong("downlinks", "a list")
		return
	}
	n := 0
	for range p.elements {
		if n++; n > MaxPushItems {
			p.skip()
			continue
		}
		var it session.Item
		p.item = n
		p.downlink(&it)
		p.item = 0
		p.items = append(p.items, it)
	}
	if n > MaxPushItems {
		// One message about the whole push, and not hundreds.
		p.items, p.refused = nil, nil
		p.invalid("downlinks", fmt.Sprintf("value must contain no more than %d items", MaxPushItems))
	}
}

// downlinkFields are the fields of ApplicationDownlink. Its warnings are ignored,
// as in The Things Stack.
//
// Source: api/ttn/lorawan/v3/messages.proto of v3.32.
var downlinkFields = []string{
	"session_key_id", "f_port", "f_cnt", "frm_payload", "decoded_payload", "confirmed", "class_b_c", "priority",
	"correlation_ids", "confirmed_retry",
}

func (p *pushReader) downlink(it *session.Item) {
	if p.peek() != '{' {
		p.wrong("", "an object")
		return
	}
	var seen uint32
	retry := false
	for name := range p.members {
		switch p.known(name, downlinkFields, &seen) {
		case "session_key_id":
			it.SessionKeyID = p.limited("session_key_id", maxSessionKeyID)
		case "f_port":
			it.FPort = p.fPort()
		case "f_cnt":
			it.FCnt = p.uint32("f_cnt")
		case "frm_payload":
			it.FRMPayload = p.limited("frm_payload", MaxFRMPayload)
		case "decoded_payload":
			it.Decoded = p.object("decoded_payload")
		case "confirmed":
			it.Confirmed = p.bool("confirmed")
		case "class_b_c":
			it.ClassBC = p.classBC()
		case "priority":
			it.Priority = p.priority()
		case "correlation_ids":
			it.CorrelationIDs = p.correlationIDs()
		case "confirmed_retry":
			retry = true
			p.retry(it)
		}
	}
	if it.Confirmed && !retry {
		it.Attempt = 1
	}
}

// limited reads at most this many bytes.
func (p *pushReader) limited(field string, most int) []byte {
	b := p.bytes(field)
	if len(b) > most {
		p.invalid(field, fmt.Sprintf("value length must be at most %d bytes", most))
	}
	return b
}

// fPort reads a port. A number that does not fit uint8 returns as 0, and is
// refused.
func (p *pushReader) fPort() uint8 {
	v := p.uint32("f_port")
	if v > MaxFPort && v != session.TestPort { // that depends on the device, see CheckItems
		p.invalid("f_port", fmt.Sprintf("value must be inside range [1, %d]", MaxFPort))
	}
	if v > 255 {
		return 0
	}
	return uint8(v)
}

func (p *pushReader) priority() radio.Priority {
	v, ok := p.reader.priority("priority")
	if !ok {
		p.invalid("priority", "value must be one of the defined enum values")
	}
	return v
}

func (p *pushReader) correlationIDs() []string {
	const field = "correlation_ids"
	if p.peek() != '[' {
		p.wrong(field, "a list")
		return nil
	}
	var ids []string
	for range p.elements {
		id := p.string(field)
		switch {
		case len(ids) == MaxCorrelationIDs:
			p.invalid(field, fmt.Sprintf("value must contain no more than %d items", MaxCorrelationIDs))
			continue
		case utf8.RuneCountInString(id) > maxCorrelationIDLength:
			p.invalid(field, fmt.Sprintf("value length must be at most %d runes", maxCorrelationIDLength))
		}
		ids = append(ids, id)
	}
	return ids
}

var retryFields = []string{"attempt", "max_attempts"}

func (p *pushReader) retry(it *session.Item) {
	if p.peek() != '{' {
		p.wrong("confirmed_retry", "an object")
		return
	}
	var seen uint32
	for name := range p.members {
		switch p.known(name, retryFields, &seen) {
		case "attempt":
			if it.Attempt = p.uint32("confirmed_retry.attempt"); it.Attempt > maxAttempts {
				p.invalid("confirmed_retry.attempt", fmt.Sprintf("value must be at most %d", maxAttempts))
			}
		case "max_attempts":
			if it.MaxAttempts = p.uint32("confirmed_retry.max_attempts"); it.MaxAttempts == 0 || it.MaxAttempts > maxAttempts {
				p.invalid("confirmed_retry.max_attempts", fmt.Sprintf("value must be inside range (0, %d]", maxAttempts))
			}
		}
	}
}

var classBCFields = []string{"gateways", "absolute_time"}

func (p *pushReader) classBC() *session.ClassBC {
	c := new(session.ClassBC)
	if p.peek() != '{' {
		p.wrong("class_b_c", "an object")
		return c
	}
	var seen uint32
	for name := range p.members {
		switch p.known(name, classBCFields, &seen) {
		case "gateways":
			c.Gateways = p.gateways()
		case "absolute_time":
			c.AbsoluteTime = p.time("class_b_c.absolute_time")
		}
	}
	return c
}

func (p *pushReader) gateways() []session.GatewayAntenna {
	const field = "class_b_c.gateways"
	if p.peek() != '[' {
		p.wrong(field, "a list")
		return nil
	}
	var gs []session.GatewayAntenna
	for range p.elements {
		if len(gs) == MaxGateways {
			p.invalid(field, fmt.Sprintf("value must contain no more than %d items", MaxGateways))
			p.skip()
			continue
		}
		gs = append(gs, p.gateway(field))
	}
	return gs
}

var (
	gatewayFields    = []string{"gateway_ids", "antenna_index", "group_index"}
	gatewayIDsFields = []string{"gateway_id", "eui"}
)

// gateway reads a gateway of class_b_c. Its EUI is base64 here, unlike everywhere
// else.
func (p *pushReader) gateway(field string) (g session.GatewayAntenna) {
	if p.peek() != '{' {
		p.wrong(field, "an object")
		return g
	}
	var seen uint32
	for name := range p.members {
		switch p.known(name, gatewayFields, &seen) {
		case "gateway_ids":
			p.gatewayIDs(&g)
		case "antenna_index":
			g.Antenna = p.uint32(field + ".antenna_index")
		case "group_index":
			g.Group = p.uint32(field + ".group_index")
		}
	}
	if session.CheckID(g.GatewayID) != nil {
		p.invalid(field+".gateway_ids.gateway_id", "value must be an id")
	}
	return g
}

func (p *pushReader) gatewayIDs(g *session.GatewayAntenna) {
	const field = "class_b_c.gateways.gateway_ids"
	if p.peek() != '{' {
		p.wrong(field, "an object")
		return
	}
	var seen uint32
	for name := range p.members {
		switch p.known(name, gatewayIDsFields, &seen) {
		case "gateway_id":
			g.GatewayID = p.string(field + ".gateway_id")
		case "eui":
			b := p.bytes(field + ".eui")
			if len(b) > 0 && len(b) != len(g.EUI) {
				p.invalid(field+".eui", "value length must be 8 bytes")
				continue
			}
			copy(g.EUI[:], b)
		}
	}
}
