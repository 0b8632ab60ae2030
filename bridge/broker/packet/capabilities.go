package packet

import (
	"math"

	mqtt "github.com/mochi-mqtt/server/v2"

	"lorawand/bridge/broker/limits"
)

// Capabilities turn off what the library bounds badly; the broker has its own bounds
// instead. Expiry by the calendar is off: a gateway boots in 1970, and
// when its clock is set every message and session would be 56 years old.
func Capabilities(l limits.Limits) *mqtt.Capabilities {
	c := mqtt.NewDefaultServerCapabilities()
	c.MaximumClients = math.MaxInt64 // the broker counts itself
	c.MaximumPacketSize = uint32(l.PacketSize)
	c.MaximumClientWritesPending = 1
	c.MaximumInflight = math.MaxUint16
	c.ReceiveMaximum = uint16(l.ReceiveMaximum)
	c.TopicAliasMaximum = 0
	c.MaximumMessageExpiryInterval = 0
	c.MaximumSessionExpiryInterval = math.MaxUint32
	c.Compatibilities.NoInheritedPropertiesOnAck = true
	return c
}
