// Package packettest writes parts of MQTT packets for tests, right ones and wrong ones.
package packettest

import "encoding/binary"

// Text writes a UTF-8 string as MQTT does, or whatever else s holds.
func Text(s string) string { return string(binary.BigEndian.AppendUint16(nil, uint16(len(s)))) + s }

// Props writes properties with their length.
func Props(p string) string { return string(binary.AppendUvarint(nil, uint64(len(p)))) + p }

// ConnectBody is a CONNECT from the protocol name on. with are the properties of
// MQTT 5, behind is what follows the flags and the keep-alive.
func ConnectBody(name string, level, flags byte, with, behind string) string {
	b := Text(name) + string([]byte{level, flags, 0, 60})
	if level == 5 {
		b += Props(with)
	}
	return b + behind
}
