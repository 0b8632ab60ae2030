package packet

import "github.com/mochi-mqtt/server/v2/packets"

// inMQTT5 are the codes of MQTT 5 for those of MQTT 3.
var inMQTT5 = map[packets.Code]packets.Code{
	packets.Err3ClientIdentifierNotValid: packets.ErrClientIdentifierNotValid,
	packets.Err3ServerUnavailable:        packets.ErrServerBusy,
}

// RefusedConnack returns the CONNACK that refuses a client of a level of the protocol, for a
// reason that MQTT 3 has.
func RefusedConnack(version byte, why packets.Code) []byte {
	if code, ok := inMQTT5[why]; ok && version == 5 {
		return []byte{packets.Connack << 4, 3, 0, code.Code, 0}
	}
	return []byte{packets.Connack << 4, 2, 0, why.Code}
}
