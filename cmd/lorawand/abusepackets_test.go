package main

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
)

// mutator makes packets that are wrong out of packets that are right. The same
// seed makes the same packets.
type mutator struct {
	*rand.Rand
	seeds [][]byte
}

func newMutator(seed uint64, seeds [][]byte) *mutator {
	return &mutator{rand.New(rand.NewPCG(seed, 1)), seeds}
}

// next returns one packet, or what is left of it.
func (m *mutator) next() []byte {
	p := bytes.Clone(m.seeds[m.IntN(len(m.seeds))])
	for range 1 + m.IntN(4) {
		p = m.change(p)
	}
	if m.IntN(2) == 0 {
		p = withLength(p)
	}
	return p
}

// change changes a packet at one place.
func (m *mutator) change(p []byte) []byte {
	if len(p) < 2 {
		return append(p, byte(m.Uint32()))
	}
	i := m.IntN(len(p))
	j := i + m.IntN(min(len(p)-i, 16))
	switch m.IntN(8) {
	case 0:
		p[i] ^= 1 << m.IntN(8)
	case 1:
		p[i] = [...]byte{0, 1, 0x7f, 0x80, 0xff, '#', '+', '/', '$'}[m.IntN(9)]
	case 2:
		p[i] = byte(m.Uint32())
	case 3:
		return p[:i]
	case 4:
		return append(p[:i:i], p[j:]...)
	case 5:
		return append(p[:j:j], p[i:]...)
	case 6:
		other := m.seeds[m.IntN(len(m.seeds))]
		return append(p[:i:i], other[m.IntN(len(other)):]...)
	case 7: // a length, of a string or of properties
		if i+2 <= len(p) {
			binary.BigEndian.PutUint16(p[i:], uint16([...]int{0, 1, len(p) - i, len(p) - i - 2, 0xffff}[m.IntN(5)]))
		}
	}
	return p
}

// withLength puts the length of a packet right, so that what is wrong lies deeper.
func withLength(p []byte) []byte {
	if len(p) < 2 {
		return p
	}
	i := 1
	for i < len(p)-1 && i < 4 && p[i] >= 0x80 {
		i++
	}
	body := p[i+1:]
	return append(binary.AppendUvarint([]byte{p[0]}, uint64(len(body))), body...)
}

func text(s string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...)
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// packetOf is a packet with a body.
func packetOf(first byte, body ...[]byte) []byte {
	b := join(body...)
	return append(binary.AppendUvarint([]byte{first}, uint64(len(b))), b...)
}

// connectSeeds are CONNECTs of each version, with what they can have.
func connectSeeds(user, password string) [][]byte {
	var out [][]byte
	login := join(text(user), text(password))
	// Session expiry, receive maximum, maximum packet size, topic alias maximum,
	// response and problem information, a user property (MQTT 5.0, 3.1.2.11).
	properties := join([]byte{0x11, 0, 0, 0, 60, 0x21, 0, 9, 0x27, 0, 0, 9, 0, 0x22, 0, 9, 0x19, 1, 0x17, 0, 0x26},
		text("k"), text("v"))
	method := join([]byte{0x15}, text("SCRAM"), []byte{0x16}, text("data"))
	will := join([]byte{0x18, 0, 0, 0, 1, 0x01, 1, 0x02, 0, 0, 0, 9, 0x03}, text("text"), []byte{0x08},
		text("answer"), []byte{0x09}, text("id"))
	for name, level := range map[string]byte{"MQIsdp": 3, "MQTT": 4} {
		head := join(text(name), []byte{level})
		out = append(out,
			packetOf(0x10, head, []byte{0xc2, 0, 60}, text("mutated"), login),
			packetOf(0x10, head, []byte{0xc0, 0, 60}, text("kept"), login),
			packetOf(0x10, head, []byte{0xee, 0, 60}, text("mutated"), text("v3/app1/devices/dev1/up"), text("will"), login))
	}
	head := join(text("MQTT"), []byte{5})
	with := func(p []byte) []byte { return append(binary.AppendUvarint(nil, uint64(len(p))), p...) }
	return append(out,
		packetOf(0x10, head, []byte{0xc2, 0, 60, 0}, text("mutated"), login),
		packetOf(0x10, head, []byte{0xc0, 0, 60}, with(properties), text("kept"), login),
		packetOf(0x10, head, []byte{0xc2, 0, 60}, with(method), text("mutated"), login),
		packetOf(0x10, head, []byte{0xee, 0, 60}, with(properties), text("mutated"), with(will),
			text("v3/app1/devices/dev1/up"), text("will"), login))
}

// sessionSeeds are the packets that follow a CONNECT, of MQTT 3 or 5.
func sessionSeeds(v5 bool) [][]byte {
	no := []byte{} // properties
	if v5 {
		no = []byte{0}
	}
	id := []byte{0, 7}
	const push = "v3/app2/devices/dev1/down/push"
	item := []byte(`{"downlinks":[{"f_port":15,"frm_payload":"vu8=","priority":"NORMAL"}]}`)
	out := [][]byte{
		packetOf(0x30, text(push), no, item),
		packetOf(0x32, text(push), id, no, item),
		packetOf(0x35, text("v3/app1/devices/dev1/down/push"), id, no, item),
		packetOf(0x62, id),
		packetOf(0x40, id), packetOf(0x50, id), packetOf(0x70, id),
		packetOf(0x82, id, no, text("#"), []byte{1}, text("v3/+/devices/+/up"), []byte{2}),
		packetOf(0x82, id, no, text("$share/group/v3/app2/#"), []byte{1}),
		packetOf(0x82, id, no, text("v3/app1/#"), []byte{0}),
		packetOf(0xa2, id, no, text("#"), text("v3/+/devices/+/up")),
		packetOf(0xc0), packetOf(0xe0),
	}
	if v5 {
		properties := join([]byte{0x01, 1, 0x02, 0, 0, 0, 9, 0x23, 0, 1, 0x08}, text("answer"), []byte{0x09},
			text("id"), []byte{0x03}, text("text"), []byte{0x26}, text("k"), text("v"))
		out = append(out,
			packetOf(0x32, text(push), id, []byte{byte(len(properties))}, properties, item),
			packetOf(0x82, id, []byte{2, 0x0b, 9}, text("#"), []byte{0x2d}),
			packetOf(0x40, id, []byte{0x10, 0}), packetOf(0x50, id, []byte{0x80, 0}), packetOf(0x62, id, []byte{0x92, 0}),
			packetOf(0xe0, []byte{4, 5, 0x11, 0, 0, 0, 9}), packetOf(0xf0, []byte{0x18, 0}))
	}
	return out
}
