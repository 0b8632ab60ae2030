package bridge

import (
	"errors"
	"fmt"

	"lorawand/bridge/access"
	"lorawand/bridge/session"
	"lorawand/bridge/store"
)

// Kinds of records in the store.
const (
	KindDevice   = "device"   // key: application/device; a device with its session
	KindCounters = "counters" // key: application/device; what changes with each frame
	KindKey      = "api-key"  // key: the id of an API key
)

// recordVersion is the version of all of these.
const recordVersion = 1

// ErrState is the reason for a store whose records cannot be understood.
var ErrState = errors.New("unusable record in the store")

// State is what the store holds.
type State struct {
	Devices *session.Registry
	Keys    *access.Registry
}

// Load reads the state. wrongMICs bounds what forged frames may cost, see
// session.NewRegistry; tenant is what user names may have behind an "@".
func Load(s *store.Store, wrongMICs int, tenant string) (State, error) {
	st := State{Devices: session.NewRegistry(wrongMICs), Keys: access.NewRegistry(tenant)}
	counters := map[string][]byte{}
	for _, r := range s.Records(KindCounters) {
		counters[r.Key] = r.Data
	}
	for _, r := range s.Records(KindDevice) {
		d, err := loadDevice(r, counters[r.Key])
		if err == nil {
			err = st.Devices.Add(d)
		}
		if err != nil {
			return State{}, fmt.Errorf("%w: device %s: %w", ErrState, r.Key, err)
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

func loadDevice(r store.Record, counters []byte) (*session.Device, error) {
	if r.Version != recordVersion {
		return nil, fmt.Errorf("version %d", r.Version)
	}
	d, err := session.UnmarshalDevice(r.Data)
	if err != nil {
		return nil, err
	}
	if d.ID.String() != r.Key {
		return nil, fmt.Errorf("it says that it is %v", d.ID)
	}
	if d.Session == nil || counters == nil {
		return d, nil
	}
	// Counters of an earlier session do not count.
	if err := d.Session.SetCounterBytes(counters); err != nil && !errors.Is(err, session.ErrCounters) {
		return nil, err
	}
	return d, nil
}

// DeviceRecords returns what the store keeps of a device.
func DeviceRecords(d *session.Device) ([]store.Record, error) {
	b, err := session.MarshalDevice(d)
	if err != nil {
		return nil, fmt.Errorf("bridge: device %v: %w", d.ID, err)
	}
	records := []store.Record{{Kind: KindDevice, Key: d.ID.String(), Version: recordVersion, Data: b}}
	if d.Session != nil {
		records = append(records, CountersRecord(d))
	}
	return records, nil
}

// KeyRecord returns what the store keeps of an API key.
func KeyRecord(k access.Key) (store.Record, error) {
	b, err := access.MarshalKey(k)
	if err != nil {
		return store.Record{}, fmt.Errorf("bridge: API key: %w", err)
	}
	return store.Record{Kind: KindKey, Key: k.ID, Version: recordVersion, Data: b}, nil
}
