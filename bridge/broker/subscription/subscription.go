// Package subscription has subscriptions, taken apart once and not for each message.
package subscription

import (
	"strings"

	"lorawand/bridge/v3"
)

// Subscription is what a client has subscribed to.
type Subscription struct {
	Filter     string // as the client knows it, rewritten to its application
	QoS        byte
	Identifier int    // 0: none
	Status     bool   // the filter names what is retained
	UID        string // how the filter calls the application
	Share      string // "{group}/{filter}" of a shared one, with the plain name of the application; "": it is not shared
	below      string // of the filter, what stands below v3/{uid}/; "": nothing
}

// New returns the subscription of a client of an application.
func New(filter string, qos byte, identifier int, application string) Subscription {
	s := Subscription{Filter: filter, QoS: qos, Identifier: identifier}
	group, inner, shared := v3.Shared(filter)
	if s.Status = v3.IsStatusFilter(inner); s.Status {
		return s
	}
	s.UID = v3.FilterUID(inner)
	_, s.below, _ = strings.Cut(strings.TrimPrefix(inner, "v3/"), "/")
	if shared {
		s.Share = group + "/v3/" + application + inner[len("v3/")+len(s.UID):]
	}
	return s
}

// Matches reports whether messages of a device get to the client. below is what stands
// below v3/{uid}/ in their topic.
func (s *Subscription) Matches(below string) bool {
	return s.below != "" && v3.Matches(s.below, below)
}
