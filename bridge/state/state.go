// Package state knows what the store holds: how each room's state becomes records
// and is read again, what a backup brings back, and the committer that writes.
package state

import (
	"errors"
	"fmt"
	"strings"

	"lorawand/bridge/access"
	"lorawand/bridge/session"
	"lorawand/bridge/store"
	"lorawand/radio"
)

// Kinds of records in the store.
const (
	KindDevice   = "device"   // key: application/device; a device with its session
	KindCounters = "counters" // key: application/device; what changes with each frame
	KindDownlink = "downlink" // key: application/device/number; an item of a downlink queue
	KindKey      = "api-key"  // key: the id of an API key
	KindLedger   = "ledger"   // key: EUI of a gateway; what it has sent lately

	// KindTombstone has what was used of devices and sessions that are no more.
	// Key: as session.Tombstones names them.
	KindTombstone = "tombstone"
)

// recordVersion is the version of all of these but devices. That of devices is
// 2 since their counters have another layout: an older lorawand, which would go
// on without the counters, refuses them.
const (
	recordVersion = 1
	deviceVersion = 2
)

// ErrState is the reason for a store whose records cannot be understood.
var ErrState = errors.New("unusable record in the store")

// Record is what the store keeps of one thing.
type Record = store.Record

// State is what the store holds.
type State struct {
	Devices *session.Registry
	Keys    *access.Registry
	Ledgers map[radio.EUI64]Spent

	Tombstones *session.Tombstones
}

// records are what a store holds, or a backup.
type records interface {
	Records(kind string) []store.Record
}

// Load reads the state. wrongMICs bounds what forged frames may cost, see
// session.NewRegistry; tenant is what user names may have behind an "@".
func Load(s records, wrongMICs int, tenant string) (State, error) {
	st := State{Devices: session.NewRegistry(wrongMICs), Keys: access.NewRegistry(tenant)}
	queues, err := loadQueues(s)
	if err != nil {
		return State{}, err
	}
	if st.Ledgers, err = loadLedgers(s); err != nil {
		return State{}, err
	}
	if st.Tombstones, err = loadTombstones(s, nil); err != nil {
		return State{}, err
	}
	devices, err := loadDevices(s, nil)
	if err != nil {
		return State{}, err
	}
	for _, d := range devices {
		d.Queue.Load(queues[d.Key()])
		if err := st.Devices.Add(d); err != nil {
			return State{}, fmt.Errorf("%w: device %v: %w", ErrState, d.ID, err)
		}
	}
	for _, r := range s.Records(KindKey) {
		if r.Version != recordVersion {
			return State{}, fmt.Errorf("%w: API key %s: version %d", ErrState, r.Key, r.Version)
		}
		k, err := access.UnmarshalKey(r.Data)
		if err == nil {
			err = st.Keys.Add(k)
		}
		if err != nil {
			return State{}, fmt.Errorf("%w: API key %s: %w", ErrState, r.Key, err)
		}
	}
	return st, nil
}

// loadDevices reads the devices with their sessions. passOver takes the faults
// of single ones; nil: they are an error.
func loadDevices(s records, passOver func(error)) ([]*session.Device, error) {
	counters := map[string][]byte{}
	for _, r := range s.Records(KindCounters) {
		counters[r.Key] = r.Data
	}
	var out []*session.Device
	for _, r := range s.Records(KindDevice) {
		d, err := loadDevice(r, counters[r.Key])
		if err == nil {
			out = append(out, d)
			continue
		}
		err = fmt.Errorf("%w: device %s: %w", ErrState, r.Key, err)
		if passOver == nil {
			return nil, err
		}
		passOver(err)
	}
	return out, nil
}

func loadDevice(r store.Record, counters []byte) (*session.Device, error) {
	if r.Version < 1 || r.Version > deviceVersion {
		return nil, fmt.Errorf("version %d", r.Version)
	}
	d, err := session.UnmarshalDevice(r.Data)
	if err != nil {
		return nil, err
	}
	if d.ID.String() != r.Key {
		return nil, fmt.Errorf("it says that it is %v", d.ID)
	}
	if counters == nil {
		return d, nil
	}
	// Counters are of the session in use, which may be known as offered only:
	// the device has taken it up since. Those of an earlier session do not count.
	for _, s := range []*session.Session{d.Session, d.Pending} {
		if s == nil {
			continue
		}
		err := s.SetCounterBytes(counters)
		if err == nil && s == d.Pending {
			d.Session, d.Pending = d.Pending, nil
		}
		if !errors.Is(err, session.ErrOtherSession) {
			return d, err
		}
	}
	return d, nil
}

// loadQueues reads the downlinks that wait, by device, in their order.
func loadQueues(s records) (map[string][]*session.Item, error) {
	queues := map[string][]*session.Item{}
	for _, r := range s.Records(KindDownlink) {
		it, err := session.UnmarshalItem(r.Data)
		if err == nil && r.Version != recordVersion {
			err = fmt.Errorf("version %d", r.Version)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: downlink %s: %w", ErrState, r.Key, err)
		}
		device := r.Key[:max(strings.LastIndexByte(r.Key, '/'), 0)]
		queues[device] = append(queues[device], it)
	}
	return queues, nil
}

// DeviceRecords returns what the store keeps of a device.
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

// TakeChange returns the records of what has changed of a device, and takes that
// for stored. lag says that a crash may lose it.
func TakeChange(d *session.Device) (records []store.Record, lag bool, err error) {
	if d.TakeChange() == session.CountersChanged {
		return []store.Record{CountersRecord(d, d.Session.Marks())}, true, nil
	}
	r, err := DeviceRecord(d)
	if err != nil {
		return nil, false, err
	}
	if d.Session == nil {
		return []store.Record{r, NoCountersRecord(d)}, false, nil
	}
	return []store.Record{r, CountersRecord(d, d.Session.Marks())}, false, nil
}

// settledRecords returns what a clean stop leaves in the store of a device whose
// marks are above its counters. Both its records have marks; that of the device
// is written only if its own are.
func SettledRecords(d *session.Device) []store.Record {
	settled, changed := *d, false
	settle := func(s *session.Session) *session.Session {
		if s == nil || s.Marks() == s.Settled() {
			return s
		}
		changed = true
		return s.WithMarks(s.Settled())
	}
	settled.Session, settled.Pending = settle(d.Session), settle(d.Pending)
	if !changed {
		return nil
	}
	if settled.Pending == d.Pending && d.Session.Lowers() {
		return []store.Record{CountersRecord(d, d.Session.Settled())}
	}
	records, err := DeviceRecords(&settled)
	if err != nil {
		return nil // then the next start goes on behind the marks
	}
	return records
}

// deviceRecord returns the record of a device with its sessions. Their marks are
// those that are on their way to the store too.
func DeviceRecord(d *session.Device) (store.Record, error) {
	marked := *d
	for _, s := range []**session.Session{&marked.Session, &marked.Pending} {
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

// CountersRecord returns what the store keeps of the counters of the session
// in use.
func CountersRecord(d *session.Device, m session.Marks) store.Record {
	return store.Record{Kind: KindCounters, Key: d.Key(), Version: recordVersion, Data: session.AppendCounters(nil, d.Session, m)}
}

// noCountersRecord deletes them.
func NoCountersRecord(d *session.Device) store.Record {
	return store.Record{Kind: KindCounters, Key: d.Key()}
}

// itemKey names an item so that the order of the keys is that of the queue.
func itemKey(d *session.Device, seq uint64) string { return fmt.Sprintf("%v/%016x", d.ID, seq) }

// itemRecords returns what the store keeps of items: of all of them or, with an
// error, of none.
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

// noItemRecord deletes an item.
func NoItemRecord(d *session.Device, seq uint64) store.Record {
	return store.Record{Kind: KindDownlink, Key: itemKey(d, seq)}
}

// KeyRecord returns what the store keeps of an API key.
func KeyRecord(k access.Key) (store.Record, error) {
	b, err := access.MarshalKey(k)
	if err != nil {
		return store.Record{}, fmt.Errorf("bridge: API key: %w", err)
	}
	return store.Record{Kind: KindKey, Key: k.ID, Version: recordVersion, Data: b}, nil
}

// ReserveFirst asks for a counter for the first downlink of each device. It returns
// the records that reserve them, and what is to be called when they are stored, or
// cannot be: then a counter is asked for again when it is needed.
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
