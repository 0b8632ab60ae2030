package state

import (
	"fmt"

	"lorawand/bridge/session/tombstone"
	"lorawand/bridge/store"
)

// loadTombstones reads the tombstones. passOver gets the fault of each bad
// tombstone, and loading goes on; if passOver is nil, the first fault ends it.
func loadTombstones(s records, passOver func(error)) (*tombstone.Set, error) {
	t := tombstone.New()
	for _, r := range s.Records(KindTombstone) {
		err := t.Load(r.Key, r.Data)
		if err == nil && r.Version != recordVersion {
			err = fmt.Errorf("version %d", r.Version)
		}
		if err != nil {
			err = fmt.Errorf("%w: tombstone %s: %w", ErrState, r.Key, err)
			if passOver == nil {
				return nil, err
			}
			passOver(err)
		}
	}
	t.Settle()
	return t, nil
}

// TombstoneRecords returns the records of tombstones.
func TombstoneRecords(ts ...tombstone.Entry) []store.Record {
	var out []store.Record
	for _, t := range ts {
		out = append(out, store.Record{Kind: KindTombstone, Key: t.Key, Version: recordVersion, Data: t.Data})
	}
	return out
}
