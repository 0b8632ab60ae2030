package state

import (
	"fmt"

	"lorawand/bridge/session"
	"lorawand/bridge/store"
)

// loadTombstones reads what was used of devices and sessions that are no more.
// passOver takes the faults of single ones; nil: they are an error.
func loadTombstones(s records, passOver func(error)) (*session.Tombstones, error) {
	t := session.NewTombstones()
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

// TombstoneRecords returns what the store keeps of tombstones.
func TombstoneRecords(ts ...session.Tombstone) []store.Record {
	var out []store.Record
	for _, t := range ts {
		out = append(out, store.Record{Kind: KindTombstone, Key: t.Key, Version: recordVersion, Data: t.Data})
	}
	return out
}
