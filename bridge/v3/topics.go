// Package v3 has the topics and the JSON of The Things Stack's v3 MQTT API,
// both ways. Messages are written by hand, field by field in the order that
// The Things Stack has them, without maps and with few allocations; what comes
// from clients is read as leniently as it reads.
//
// It does no I/O, reads no clock and draws no randomness.
package v3

import (
	"strings"
)

// Suffixes of the topics below v3/{application}/devices/{device}/.
const (
	Join        = "join"
	Up          = "up"
	Normalized  = "up/normalized"
	Solved      = "location/solved"
	DownQueued  = "down/queued"
	DownSent    = "down/sent"
	DownAck     = "down/ack"
	DownNack    = "down/nack"
	DownFailed  = "down/failed"
	DownPush    = "down/push"    // from clients
	DownReplace = "down/replace" // from clients
)

// Message is what is published for a device, or a status.
type Message struct {
	Application string // a status has none, and no Device
	Device      string
	Suffix      string // Up and the like; of a status the whole topic
	Payload     []byte // JSON; must not change once it was handed over
}

// Topic returns the topic below which the message stands for a client that
// calls the application uid: "app1", or "app1@ttn".
func (m *Message) Topic(uid string) string {
	if m.IsStatus() {
		return m.Suffix
	}
	return "v3/" + uid + "/devices/" + m.Device + "/" + m.Suffix
}

// AppendTopic appends what Topic returns.
func (m *Message) AppendTopic(dst []byte, uid string) []byte {
	if m.IsStatus() {
		return append(dst, m.Suffix...)
	}
	dst = append(append(dst, "v3/"...), uid...)
	dst = append(append(dst, "/devices/"...), m.Device...)
	return append(append(dst, '/'), m.Suffix...)
}

// UID returns how a client calls its application: with the tenant, if it has
// logged in with that.
func UID(application, tenant string) string {
	if tenant == "" {
		return application
	}
	return application + "@" + tenant
}

// sharePrefix begins the filter of a shared subscription: $share/{group}/{filter}.
const sharePrefix = "$share/"

// Filter rewrites the topic filter of a client to its own application, as The
// Things Stack does: "#" and "v3/#" become "v3/{uid}/#", and "v3/+/…"
// "v3/{uid}/…", where uid is how the client has logged in, see UID. A filter that
// names the application stays as it is, with the tenant or without. In
// $share/{group}/{filter} the filter is rewritten. ok is false for what may not be
// subscribed to.
func Filter(filter, application, tenant string) (rewritten string, ok bool) {
	if IsLong(filter) {
		return "", false
	}
	if rest, shared := strings.CutPrefix(filter, sharePrefix); shared {
		group, inner, found := strings.Cut(rest, "/")
		if !found || group == "" {
			return "", false
		}
		inner, ok = ownFilter(inner, application, tenant)
		return sharePrefix + group + "/" + inner, ok
	}
	return ownFilter(filter, application, tenant)
}

func ownFilter(filter, application, tenant string) (string, bool) {
	uid := UID(application, tenant)
	if filter == "#" || filter == "v3/#" {
		return "v3/" + uid + "/#", true
	}
	rest, ok := strings.CutPrefix(filter, "v3/")
	if !ok {
		return "", false
	}
	level, below, more := strings.Cut(rest, "/")
	switch level {
	case "+":
		level = uid
	case application, uid:
	default:
		return "", false
	}
	if !more {
		return "v3/" + level, true
	}
	return "v3/" + level + "/" + below, true
}

// FilterUID returns how a filter that Filter has rewritten, without $share, calls
// its application.
func FilterUID(filter string) string {
	uid, _, _ := strings.Cut(strings.TrimPrefix(filter, "v3/"), "/")
	return uid
}

// ValidFilter reports whether MQTT allows a filter at all: it is not empty, "#"
// stands alone at the end, "+" alone in its level, and a shared subscription
// names a group and a filter (MQTT 5.0, 4.7.1 and 4.8.2).
func ValidFilter(filter string) bool {
	if rest, shared := strings.CutPrefix(filter, sharePrefix); shared {
		group, inner, found := strings.Cut(rest, "/")
		if !found || group == "" || strings.ContainsAny(group, "+#") {
			return false
		}
		filter = inner
	}
	if filter == "" || len(filter) > 65535 || strings.ContainsRune(filter, 0) {
		return false
	}
	for {
		level, rest, more := strings.Cut(filter, "/")
		switch {
		case level == "#" && !more:
			return true
		case level != "+" && strings.ContainsAny(level, "+#"):
			return false
		case !more:
			return true
		}
		filter = rest
	}
}

// Limits of a filter. The longest topic has 6 levels and 122 bytes; $share and a
// group come on top.
const (
	maxFilterLevels = 16
	maxFilterLength = 256 // bytes
)

// IsLong reports whether a filter has more bytes or levels than any client needs.
// What is done with a filter costs time and memory for each level.
func IsLong(filter string) bool {
	return len(filter) > maxFilterLength || strings.Count(filter, "/") >= maxFilterLevels
}

// Matches reports whether a topic matches a filter without $share (MQTT 5.0,
// 4.7.1). Topics that begin with "$" are not for filters that begin with a
// wildcard.
func Matches(filter, topic string) bool {
	if strings.HasPrefix(topic, "$") && (strings.HasPrefix(filter, "+") || strings.HasPrefix(filter, "#")) {
		return false
	}
	for {
		f, fRest, fMore := strings.Cut(filter, "/")
		if f == "#" {
			return true
		}
		t, tRest, tMore := strings.Cut(topic, "/")
		if f != "+" && f != t {
			return false
		}
		if !tMore {
			return !fMore || fRest == "#"
		}
		if !fMore {
			return false
		}
		filter, topic = fRest, tRest
	}
}

// Shared returns the group and the filter of a shared subscription.
func Shared(filter string) (group, inner string, ok bool) {
	rest, ok := strings.CutPrefix(filter, sharePrefix)
	if !ok {
		return "", filter, false
	}
	group, inner, _ = strings.Cut(rest, "/")
	return group, inner, true
}

// ParsePush takes the topic of a client's publish apart. ok is false unless it
// is down/push or down/replace of the client's own application.
func ParsePush(topic, application, tenant string) (device, suffix string, ok bool) {
	own, ok := ownFilter(topic, application, tenant)
	if !ok || strings.ContainsAny(topic, "+#") {
		return "", "", false
	}
	_, rest, _ := strings.Cut(own[len("v3/"):], "/")
	rest, ok = strings.CutPrefix(rest, "devices/")
	if !ok {
		return "", "", false
	}
	device, suffix, _ = strings.Cut(rest, "/")
	return device, suffix, device != "" && (suffix == DownPush || suffix == DownReplace)
}
