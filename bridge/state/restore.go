package state

import (
	"lorawand/bridge/session"
	"lorawand/bridge/store"
	"lorawand/radio"
	"lorawand/radio/frame"
)

// Restored says what was restored, and from where it goes on.
type Restored struct {
	Devices int  `json:"devices"`
	Skipped int  `json:"skipped"` // of these: skipped ahead, since the store did not know what they had used
	Damaged bool `json:"damaged"` // the store could not be read to its end
}

// Merge returns what a store is to hold when a backup takes the place of what
// it holds: the backup; but FCntDown, JoinNonces, FCntUp and DevNonces go on
// from whichever of both has used more of them, and what only the store has
// leaves tombstones. Devices of which the store cannot say what they have used
// since the backup skip ahead: those that it does not know, or knows in an
// older state than the backup, and all if it could not be read to its end.
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

	past := session.NewPast(were, left)
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
		case KindMQTTSession, KindMQTTMessage: // clients have had these messages since
		default:
			records = append(records, r)
		}
	}
	return records, result, nil
}

// addLost adds to the tombstones what there was and is no more.
func addLost(t *session.Tombstones, were, are []*session.Device) {
	type keys struct {
		addr radio.DevAddr
		keys frame.SessionKeys
	}
	sessions, euis := map[keys]bool{}, map[radio.EUI64]bool{}
	for _, d := range are {
		euis[d.DevEUI] = euis[d.DevEUI] || d.SupportsJoin
		for _, s := range []*session.Session{d.Session, d.Pending} {
			if s != nil {
				sessions[keys{s.DevAddr, s.Keys}] = true
			}
		}
	}
	for _, d := range were {
		for _, s := range []*session.Session{d.Session, d.Pending} {
			if s != nil && !sessions[keys{s.DevAddr, s.Keys}] {
				t.AddSession(d, s)
			}
		}
		if !euis[d.DevEUI] {
			t.AddNonces(d)
		}
	}
}
