// Package v3 reads and writes the topics and the JSON of The Things Stack's v3 MQTT
// API. It writes messages by hand, field by field in the order of The Things Stack,
// without maps and with few allocations. It reads messages of clients as leniently
// as The Things Stack.
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

// Message is a message about a device, or one that is retained.
type Message struct {
	Application string // "" for a status, as Device is
	Device      string // "" for what Home Assistant is told
	Suffix      string // Up and the like; of what is retained the whole topic
	Payload     []byte // JSON; it must not change after the message was handed over
	Again       bool   // it was published before, and is only for those who are there
}

// Topic returns the topic of the message for a client that uses the application uid
// "app1" or "app1@ttn".
func (m *Message) Topic(uid string) string {
	if m.IsStatus() {
		return m.Suffix
	}
	return "v3/" + uid + "/devices/" + m.Device + "/" + m.Suffix
}

// AppendTopic appends the result of Topic.
func (m *Message) AppendTopic(dst []byte, uid string) []byte {
	if m.IsStatus() {
		return append(dst, m.Suffix...)
	}
	dst = append(append(dst, "v3/"...), uid...)
	dst = append(append(dst, "/devices/"...), m.Device...)
	return append(append(dst, '/'), m.Suffix...)
}

// UID returns the application uid of a client: with the tenant if the client has
// logged in with one.
func UID(application, tenant string) string {
	if tenant == "" {
		return application
	}
	return application + "@" + tenant
}

// sharePrefix begins the filter of a shared subscription: $share/{group}/{filter}.
const sharePrefix = "$share/"

// Filter rewrites the topic filter of a client to its own application, as The
// Things Stack does: "#" and "v3/#" become "v3/{uid}/#", and "v3/+/…" becomes
// "v3/{uid}/…", where uid is the application as the client has logged in, see UID.
// A filter with the name of the application stays as it is, with or without the
// tenant. In $share/{group}/{filter} the filter is rewritten. ok is false for a
// filter that the client may not subscribe to.
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

// FilterUID returns the application uid in a filter that Filter has rewritten,
// without $share.
func FilterUID(filter string) string {
	uid, _, _ := strings.Cut(strings.TrimPrefix(filter, "v3/"), "/")
	return uid
}

// ValidFilter reports whether MQTT allows a filter: it is not empty, "#" stands
// alone in the last level, "+" stands alone in its level, and a shared subscription
// has a group and a filter (MQTT 5.0, 4.7.1 and 4.8.2).
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

// Limits of a filter. The longest topic has 6 levels and 122 bytes; a shared
// subscription adds $share and a group.
const (
	maxFilterLevels = 16
	maxFilterLength = 256 // bytes
)

// IsLong reports whether a filter has more bytes or levels than any client needs.
// Work with a filter costs time and memory for each level.
func IsLong(filter string) bool {
	return len(filter) > maxFilterLength || strings.Count(filter, "/") >= maxFilterLevels
}

// Matches reports whether a topic matches a filter without $share (MQTT 5.0,
// 4.7.1). A filter that begins with a wildcard does not match topics that begin
// with "$".
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

// ParsePush splits the topic of a client's publish. ok is false unless it is
// down/push or down/replace of the client's own application.
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
