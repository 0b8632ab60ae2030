package state

import (
	"fmt"

	"lorawand/bridge/store"
)

// Kept is a store that knows whether it may be older than what it has confirmed.
type Kept interface {
	Store
	Behind() bool
}

// CatchUp makes all counters that must never go back skip ahead if the store may be
// older than what it has confirmed, see store.Store.Behind and
// session.Device.SkipAhead. It changes the loaded state, and reports whether it had
// to. With an error nothing is stored, and the next start skips ahead from the same
// place again.
func CatchUp(s Kept, st State) (bool, error) {
	if !s.Behind() {
		return false, nil
	}
	records := []store.Record{store.CaughtUp()}
	for _, d := range st.Devices.All() {
		d.SkipAhead()
		r, err := DeviceRecords(d)
		if err != nil {
			return true, err
		}
		records = append(records, r...)
	}
	if err := s.Commit(records...); err != nil {
		return true, fmt.Errorf("bridge: skip ahead: %w", err)
	}
	return true, nil
}
