package v3

import (
	"strings"
	"time"

	"lorawand/radio"
)

// Topics outside of v3/. Their messages are retained. A status belongs to no
// application; what Home Assistant is told of devices does.
const (
	statusPrefix = "lorawand/"
	statusTopic  = statusPrefix + "status"

	// DiscoveryPrefix begins the topics of Home Assistant's discovery.
	DiscoveryPrefix = "homeassistant/"
	// HomeAssistantStatus is where Home Assistant says that it has come up.
	HomeAssistantStatus = DiscoveryPrefix + "status"
)

// IsDiscovery reports whether a topic, or a topic filter, is of Home Assistant's discovery.
func IsDiscovery(topic string) bool { return strings.HasPrefix(topic, DiscoveryPrefix) }

// IsStatusFilter reports whether a topic filter names what is retained: statuses or
// Home Assistant's discovery.
func IsStatusFilter(filter string) bool {
	return strings.HasPrefix(filter, statusPrefix) || IsDiscovery(filter)
}

// IsStatus reports whether a message is one that is retained.
func (m *Message) IsStatus() bool { return IsStatusFilter(m.Suffix) }

// Status returns the message that says whether lorawand is running. at is the zero
// time where the calendar is not known.
func Status(online bool, version string, at time.Time) Message {
	w := writer{b: []byte{'{'}}
	w.text("status", onlineText(online))
	w.text("version", version)
	w.time("time", at)
	return Message{Suffix: statusTopic, Payload: append(w.b, '}')}
}

// GatewayStatus returns the message that says whether a gateway is connected.
func GatewayStatus(id string, eui radio.EUI64, online bool, at time.Time) Message {
	w := writer{b: []byte{'{'}}
	w.text("status", onlineText(online))
	w.open("gateway_ids", '{')
	w.text("gateway_id", id)
	w.hex("eui", eui[:])
	w.close('}')
	w.time("time", at)
	return Message{Suffix: statusPrefix + "gateways/" + id + "/status", Payload: append(w.b, '}')}
}

func onlineText(online bool) string {
	if online {
		return "online"
	}
	return "offline"
}
