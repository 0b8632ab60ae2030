package v3

import (
	"strings"
	"time"

	"lorawand/radio"
)

// Topics of statuses. A status belongs to no application, and its message is
// retained.
const (
	statusPrefix = "lorawand/"
	statusTopic  = statusPrefix + "status"
)

// IsStatusFilter reports whether a topic filter names statuses.
func IsStatusFilter(filter string) bool { return strings.HasPrefix(filter, statusPrefix) }

// IsStatus reports whether a message is a status.
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
