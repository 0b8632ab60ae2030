package access

import (
	"cmp"

	"lorawand/bridge/order"
)

// Keys returns the keys of an application, sorted by application, name and id; ""
// stands for all applications.
func (r *Registry) Keys(application string) []Key {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var out []Key
	for _, k := range r.keys {
		if application == "" || k.Application == application {
			out = append(out, k)
		}
	}
	order.By(out, func(a, b Key) int {
		return cmp.Or(cmp.Compare(a.Application, b.Application), cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// Key returns the key with this id, if there is one.
func (r *Registry) Key(id string) (Key, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	k, ok := r.keys[id]
	return k, ok
}
