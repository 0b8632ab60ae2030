// Package status has the statuses that the broker retains, and says who may see them.
package status

import (
	"sync"

	"lorawand/bridge/access"
	"lorawand/bridge/v3"
)

// maxRetained bounds the statuses: any packet forwarder may be a gateway where unknown
// ones are taken.
const maxRetained = 1024

// Allowed reports whether a key may see statuses: whatever its application, and by
// their names only.
func Allowed(l access.Login) bool { return l.Rights.Has(access.GatewaysRead) }

// Filter rewrites the topic filter of a client, as v3.Filter does. One that names
// statuses stays as it is.
func Filter(asked string, l access.Login) (rewritten string, ok bool) {
	if v3.IsStatusFilter(asked) && !v3.IsLong(asked) {
		return asked, Allowed(l)
	}
	return v3.Filter(asked, l.Application, l.Tenant)
}

// Retained are the last statuses. It may be used by several goroutines.
type Retained struct {
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

// Matching returns the statuses that a filter names.
func (r *Retained) Matching(filter string) (out []v3.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for topic, m := range r.byTopic {
		if v3.IsStatusFilter(filter) && v3.Matches(filter, topic) {
			out = append(out, m)
		}
	}
	return out
}
