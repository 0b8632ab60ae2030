package state

import (
	"encoding/binary"
	"fmt"

	"lorawand/bridge/access"
	"lorawand/bridge/session"
	"lorawand/bridge/store"
)

// This file turns the counters, sessions and queues of devices, and the API keys,
// into records.

// DeviceRecords returns the records of a device and of its counters.
func DeviceRecords(d *session.Device) ([]store.Record, error) {
	r, err := DeviceRecord(d)
	if err != nil {
		return nil, err
	}
	records := []store.Record{r}
	if d.Session != nil {
		records = append(records, CountersRecord(d, d.Session.Settled()))
	}
	return records, nil
}

// TakeChange returns the records of a device's changes, and marks these changes as
// stored. lag says that a crash may lose them.
func TakeChange(d *session.Device) (records []store.Record, lag bool, err error) {
	what := d.TakeChange()
	if what == session.CountersChanged {
		return []store.Record{CountersRecord(d, d.Session.Marks())}, true, nil
	}
	r, err := DeviceRecord(d)
	if err != nil {
		return nil, false, err
	}
	lag = what == session.LocationChanged
	if d.Session == nil {
		return []store.Record{r, DeleteCounters(d)}, lag, nil
	}
	return []store.Record{r, CountersRecord(d, d.Session.Marks())}, lag, nil
}

// SettledRecords returns the records that a clean stop leaves of a device whose
// marks are above its counters, or whose location is not stored. Both its records
// have marks; the record of the device is written only if its own marks are too
// high.
func SettledRecords(d *session.Device) []store.Record {
	settled, changed := *d, d.Moved()
	settle := func(s *session.Session) *session.Session {
		if s == nil || s.Marks() == s.Settled() {
			return s
		}
		changed = true
		return s.WithMarks(s.Settled())
	}
	settled.Session, settled.Pending, settled.Earlier = settle(d.Session), settle(d.Pending), settle(d.Earlier)
	if !changed {
		return nil
	}
	if !d.Moved() && settled.Pending == d.Pending && settled.Earlier == d.Earlier && d.Session.Lowers() {
		return []store.Record{CountersRecord(d, d.Session.Settled())}
	}
	records, err := DeviceRecords(&settled)
	if err != nil {
		return nil // then the next start continues from the marks
	}
	return records
}

// DeviceRecord returns the record of a device with its sessions. The marks in it
// include those that are still on their way to the store.
func DeviceRecord(d *session.Device) (store.Record, error) {
	marked := *d
	for _, s := range []**session.Session{&marked.Session, &marked.Pending, &marked.Earlier} {
		if *s != nil {
			m := (*s).Marks()
			(*s).Recorded(m)
			*s = (*s).WithMarks(m)
		}
	}
	b, err := session.MarshalDevice(&marked)
	if err != nil {
		return store.Record{}, fmt.Errorf("bridge: device %v: %w", d.ID, err)
	}
	return store.Record{Kind: KindDevice, Key: d.ID.String(), Version: deviceVersion, Data: b}, nil
}

// CountersRecord returns the record of the counters of the session in use.
func CountersRecord(d *session.Device, m session.Marks) store.Record {
	return store.Record{
		Kind: KindCounters, Key: d.Key(), Version: recordVersion, Data: session.AppendCounters(nil, d.Session, m),
	}
}

// DeleteDevice returns the record that deletes a device.
func DeleteDevice(d *session.Device) store.Record {
	return store.Record{Kind: KindDevice, Key: d.Key()}
}

// DeleteCounters returns the record that deletes the counters of a device.
func DeleteCounters(d *session.Device) store.Record {
	return store.Record{Kind: KindCounters, Key: d.Key()}
}

// itemKey returns the key of an item. The keys sort in the order of the queue.
func itemKey(d *session.Device, seq uint64) string { return fmt.Sprintf("%v/%016x", d.ID, seq) }

// ItemRecords returns the records of items; with an error it returns none.
func ItemRecords(d *session.Device, items ...*session.Item) ([]store.Record, error) {
	out := make([]store.Record, 0, len(items))
	for _, it := range items {
		b, err := session.MarshalItem(it)
		if err != nil {
			return nil, fmt.Errorf("bridge: downlink for %v: %w", d.ID, err)
		}
		out = append(out, store.Record{Kind: KindDownlink, Key: itemKey(d, it.Seq), Version: recordVersion, Data: b})
	}
	return out, nil
}

// DeleteItems returns the records that delete items.
func DeleteItems(d *session.Device, items ...*session.Item) []store.Record {
	out := make([]store.Record, 0, len(items))
	for _, it := range items {
		out = append(out, store.Record{Kind: KindDownlink, Key: itemKey(d, it.Seq)})
	}
	return out
}

// KeyRecord returns the record of an API key.
func KeyRecord(k access.Key) (store.Record, error) {
	b, err := access.MarshalKey(k)
	if err != nil {
		return store.Record{}, fmt.Errorf("bridge: API key: %w", err)
	}
	return store.Record{Kind: KindKey, Key: k.ID, Version: recordVersion, Data: b}, nil
}

// KeyUseRecord returns the record of the last use of an API key: the day, 4 bytes
// in little-endian.
func KeyUseRecord(id string, day access.Day) store.Record {
	b := binary.LittleEndian.AppendUint32(nil, uint32(day))
	return store.Record{Kind: KindKeyUse, Key: id, Version: recordVersion, Data: b}
}

// DeleteKeyUse returns the record that deletes the last use of an API key.
func DeleteKeyUse(id string) store.Record { return store.Record{Kind: KindKeyUse, Key: id} }

// loadKeyUse reads when the API keys were used last.
func loadKeyUse(s records, keys *access.Registry) error {
	for _, r := range s.Records(KindKeyUse) {
		if r.Version != recordVersion || len(r.Data) != 4 {
			return fmt.Errorf("%w: last use of API key %s: version %d, %d bytes", ErrState, r.Key, r.Version, len(r.Data))
		}
		keys.SetUsed(r.Key, access.Day(binary.LittleEndian.Uint32(r.Data)))
	}
	return nil
}

// ReserveFirst reserves a counter for the first downlink of each device. It returns
// the records that reserve them, and a function to call with the result of storing
// them. After a failure a counter is reserved again when it is needed.
func ReserveFirst(devices []*session.Device) (records []store.Record, done func(error)) {
	marks := map[*session.Session]session.Marks{}
	for _, d := range devices {
		if d.Session == nil || d.Unserved() != nil {
			continue
		}
		if m := d.Session.FirstMarks(d.Version); m != d.Session.Marks() {
			d.Session.Ask(m)
			marks[d.Session] = m
			records = append(records, CountersRecord(d, m))
		}
	}
	return records, func(err error) {
		for s, m := range marks {
			if err == nil {
				s.Stored(m)
			}
		}
	}
}
