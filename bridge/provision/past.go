package provision

import (
	"slices"

	"lorawand/bridge/session"
	"lorawand/bridge/session/tombstone"
	"lorawand/bridge/state"
)

// Past is what devices have used, and must not use again: that of those that are
// registered, and the tombstones of those that are no more.
type Past struct {
	Devices    *session.Registry
	Tombstones *tombstone.Set
}

// Bury returns the tombstones of what a device was and is no more; is is nil
// if it was deleted.
func (p Past) Bury(was, is *session.Device) []state.Record {
	t := p.Tombstones
	var out []state.Record
	for _, s := range was.Sessions() {
		if !slices.Contains(is.Sessions(), s) {
			out = append(out, state.TombstoneRecords(t.AddSession(was, s)...)...)
		}
	}
	if is == nil || is.DevEUI != was.DevEUI {
		out = append(out, state.TombstoneRecords(t.AddNonces(was)...)...)
	}
	return out
}

// revive has a device that is to be registered go on from what was used under
// the same keys, by whichever device. What it has in common with old, which it
// takes the place of and which may be nil, has gone on already. It reports
// whether that has changed the device.
func (p Past) revive(d, old *session.Device) (changed bool) {
	for _, s := range d.Sessions() {
		if slices.Contains(old.Sessions(), s) {
			continue
		}
		changed = p.Devices.Continue(s, d.Version) || changed
		changed = p.Tombstones.Revive(s, d.Version) || changed
	}
	if d.SupportsJoin && (old == nil || old.DevEUI != d.DevEUI) {
		changed = p.Tombstones.ReviveNonces(d) || changed
	}
	return changed
}
