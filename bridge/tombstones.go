package bridge

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

// tombstoneRecords returns what the store keeps of tombstones.
func tombstoneRecords(ts ...session.Tombstone) []store.Record {
	var out []store.Record
	for _, t := range ts {
		out = append(out, store.Record{Kind: KindTombstone, Key: t.Key, Version: recordVersion, Data: t.Data})
	}
	return out
}

// buried returns the tombstones of what a device was and is no more; is is nil
// if it was deleted.
func (c *Core) buried(was, is *session.Device) []store.Record {
	t := c.opts.Tombstones
	var out []store.Record
	for _, s := range []*session.Session{was.Session, was.Pending} {
		if is == nil || s != is.Session && s != is.Pending {
			out = append(out, tombstoneRecords(t.AddSession(was, s)...)...)
		}
	}
	if is == nil || is.DevEUI != was.DevEUI {
		out = append(out, tombstoneRecords(t.AddNonces(was)...)...)
	}
	return out
}

// revive has a device that is to be registered go on from what was used under
// the same keys, by whichever device. What it has in common with old, which it
// takes the place of and which may be nil, has gone on already. It reports
// whether that has changed the device.
func (c *Core) revive(d, old *session.Device) (changed bool) {
	for _, s := range []*session.Session{d.Session, d.Pending} {
		if s == nil || old != nil && (s == old.Session || s == old.Pending) {
			continue
		}
		changed = c.opts.Devices.Continue(s, d.Version) || changed
		changed = c.opts.Tombstones.Revive(s, d.Version) || changed
	}
	if d.SupportsJoin && (old == nil || old.DevEUI != d.DevEUI) {
		changed = c.opts.Tombstones.ReviveNonces(d) || changed
	}
	return changed
}
