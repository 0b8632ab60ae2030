package state

import (
	"lorawand/bridge/session"
	"lorawand/bridge/session/tombstone"
	"lorawand/bridge/store"
	"lorawand/radio"
	"lorawand/radio/frame"
)

// Restored has the numbers of a restored backup, and the reasons for skipping
// ahead.
type Restored struct {
	Devices int  `json:"devices"`
	Skipped int  `json:"skipped"` // of these: those whose use since the backup is unknown to the store
	Damaged bool `json:"damaged"` // the store could not be read to its end
}

// Merge returns the records of a store after a backup is restored: those of the
// backup, with some exceptions. FCntDown, JoinNonces, FCntUp and DevNonces continue
// from the backup or the store, whichever has used more. Devices and sessions that
// only the store has leave tombstones. A device skips ahead if the store cannot say
// what it has used since the backup: if the store does not know it, or knows an
// older state of it than the backup; and all devices skip ahead if the store could
// not be read to its end.
func Merge(b *store.Backup, old *store.Found) ([]store.Record, Restored, error) {
	devices, err := loadDevices(b, nil)
	if err != nil {
		return nil, Restored{}, err
	}
	tombstones, err := loadTombstones(b, nil)
	if err != nil {
		return nil, Restored{}, err
	}
	whole := old.Whole
	passOver := func(error) { whole = false }
	were, _ := loadDevices(old, passOver)
	left, _ := loadTombstones(old, passOver)

	past := tombstone.NewPast(were, left)
	result := Restored{Devices: len(devices), Damaged: !whole}
	for _, d := range devices {
		if !past.GoOn(d, whole) {
			result.Skipped++
		}
	}
	tombstones.Unite(left)
	addLost(tombstones, were, devices)

	records := TombstoneRecords(tombstones.All()...)
	for _, d := range devices {
		r, err := DeviceRecords(d)
		if err != nil {
			return nil, Restored{}, err
		}
		records = append(records, r...)
	}
	for _, r := range b.All() {
		switch r.Kind {
		case KindDevice, KindCounters, KindTombstone:
		case KindMQTTSession, KindMQTTMessage: // clients have received these messages since then
		default:
			records = append(records, r)
		}
	}
	return records, result, nil
}

// addLost adds tombstones for devices and sessions that were there and are gone.
func addLost(t *tombstone.Set, were, are []*session.Device) {
	type keys struct {
		addr radio.DevAddr
		keys frame.SessionKeys
	}
	sessions, euis := map[keys]bool{}, map[radio.EUI64]bool{}
	for _, d := range are {
		euis[d.DevEUI] = euis[d.DevEUI] || d.SupportsJoin
		for _, s := range d.Sessions() {
			sessions[keys{s.DevAddr, s.Keys}] = true
		}
	}
	for _, d := range were {
		for _, s := range d.Sessions() {
			if !sessions[keys{s.DevAddr, s.Keys}] {
				t.AddSession(d, s)
			}
		}
		if !euis[d.DevEUI] {
			t.AddNonces(d)
		}
	}
}
