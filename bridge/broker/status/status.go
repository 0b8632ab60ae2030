// Package status has the statuses that the broker retains, and says who may see what is
// retained.
package status

import (
	"slices"
	"strings"
	"sync"

	"lorawand/bridge/access"
	"lorawand/bridge/v3"
)

// maxRetained bounds the statuses: any packet forwarder may be a gateway where unknown
// ones are taken.
const maxRetained = 1024

// Allowed reports whether a key may see what a topic, or a filter, names of what is
// retained, and by such names only: statuses whatever its application, and what Home
// Assistant is told of the devices of its own.
func Allowed(topic string, l access.Login) bool {
	if v3.IsDiscovery(topic) {
		return l.Rights.Has(access.TrafficRead)
	}
	return l.Rights.Has(access.GatewaysRead)
}

// Filter rewrites the topic filter of a client, as v3.Filter does. One that names
// what is retained stays as it is.
func Filter(asked string, l access.Login) (rewritten string, ok bool) {
	if v3.IsStatusFilter(asked) && !v3.IsLong(asked) {
		return strings.Clone(asked), Allowed(asked, l) // not a part of a packet, which may be long
	}
	return v3.Filter(asked, l.Application, l.Tenant)
}

// Discovery has what Home Assistant is told of the devices of each application. Its
// methods may be called from any goroutine, and do not block.
type Discovery interface {
	// Retained returns the messages of an application.
	Retained(application string) []v3.Message
	// Announces reports whether a filter is the topic of the values of a device: Home
	// Assistant subscribes to that of each.
	Announces(application, filter string) bool
	// Online is told that the Home Assistant of an application has come up.
	Online(application string)
}

// Retained are the last statuses, and what Home Assistant is told. It may be used by
// several goroutines.
type Retained struct {
	Discovery Discovery // nil: nothing

	mu      sync.Mutex
	byTopic map[string]v3.Message
}

// Put takes a status, in the place of the last one on its topic.
func (r *Retained) Put(m v3.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byTopic == nil {
		r.byTopic = map[string]v3.Message{}
	}
	if _, known := r.byTopic[m.Suffix]; known || len(r.byTopic) < maxRetained {
		r.byTopic[m.Suffix] = m
	}
}

// All returns what is retained for an application of the kinds that some filters name:
// the statuses, and what Home Assistant is told.
func (r *Retained) All(application string, filters []string) (out []v3.Message) {
	if r.Discovery != nil && slices.ContainsFunc(filters, v3.IsDiscovery) {
		out = r.Discovery.Retained(application)
	}
	isStatus := func(f string) bool { return v3.IsStatusFilter(f) && !v3.IsDiscovery(f) }
	if !slices.ContainsFunc(filters, isStatus) {
		return out
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.byTopic {
		out = append(out, m)
	}
	return out
}
