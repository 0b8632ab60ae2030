// Package state defines the records in the store. It turns the state of each
// package into records and reads it again: a device and its counters in records.go.
// It also merges a restored backup with the store, and has the committer, which
// writes to the store.
package state

import (
	"errors"
	"fmt"
	"strings"

	"lorawand/bridge/access"
	"lorawand/bridge/codec"
	"lorawand/bridge/session"
	"lorawand/bridge/session/tombstone"
	"lorawand/bridge/store"
	"lorawand/radio"
)

// Kinds of records in the store.
const (
	KindDevice      = "device"       // key: application/device; a device with its session
	KindCounters    = "counters"     // key: application/device; the values that change with each frame
	KindDownlink    = "downlink"     // key: application/device/number; an item of a downlink queue
	KindKey         = "api-key"      // key: the id of an API key
	KindKeyUse      = "api-key-use"  // key: the id of an API key; the day on which it was used last
	KindMQTTSession = "mqtt-session" // key: application/client id; a persistent session
	KindMQTTMessage = "mqtt-message" // key: application/client id/number; a message that waits for the client
	KindLedger      = "ledger"       // key: EUI of a gateway; its airtime of the last hour
	KindAirtime     = "airtime"      // key: EUI of a gateway/place in a ring; its airtime of an hour, for the record

	KindApplication = "application" // key: its id; its settings
	KindCodec       = "codec"       // key: brand/codec; scripts of a device maker
	KindModel       = "model"       // key: brand/model; the codec of each version of the model

	// KindTombstone holds the used counters of devices and sessions that no longer
	// exist. Key: the names that tombstone.Set gives them.
	KindTombstone = "tombstone"

	KindPage = "page" // key: password; what is stored of the password of the web page
)

// recordVersion is the version of all records except those of devices. The version
// of devices is 2 since the layout of their counters changed: an older lorawand
// would lose the counters, so it must refuse the records.
const (
	recordVersion = 1
	deviceVersion = 2
)

// ErrState is the reason for refusing a store with an unusable record.
var ErrState = errors.New("unusable record in the store")

// Record is a record of the store.
type Record = store.Record

// State is the content of the store.
type State struct {
	Devices *session.Registry
	Keys    *access.Registry
	Ledgers map[radio.EUI64]Spent
	Hours   map[radio.EUI64][]AirtimeHour // oldest first

	Tombstones *tombstone.Set

	Applications *access.Applications
	Codecs       *codec.Library

	WrongMICs int // that Devices pays for a second
}

// records is a store or a backup.
type records interface {
	Records(kind string) []store.Record
}

// Load reads the state. wrongMICs bounds the work that forged frames can cause, see
// session.NewRegistry; tenant is the tenant that user names may have after an "@".
func Load(s records, wrongMICs int, tenant string) (State, error) {
	st := State{Devices: session.NewRegistry(wrongMICs), Keys: access.NewRegistry(tenant), WrongMICs: wrongMICs}
	queues, err := loadQueues(s)
	if err != nil {
		return State{}, err
	}
	if st.Ledgers, err = loadLedgers(s); err != nil {
		return State{}, err
	}
	if st.Hours, err = loadHours(s); err != nil {
		return State{}, err
	}
	if st.Tombstones, err = loadTombstones(s, nil); err != nil {
		return State{}, err
	}
	devices, err := loadDevices(s, nil)
	if err != nil {
		return State{}, err
	}
	ShareScripts(devices...)
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
	if st.Applications, err = loadApplications(s); err != nil {
		return State{}, err
	}
	if st.Codecs, err = loadCodecs(s); err != nil {
		return State{}, err
	}
	return st, loadKeyUse(s, st.Keys)
}

// loadDevices reads the devices with their sessions. passOver gets the fault of
// each bad device, and loading goes on; if passOver is nil, the first fault ends
// it.
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
		return nil, fmt.Errorf("its value has the id %v", d.ID)
	}
	if counters == nil {
		return d, nil
	}
	// The counters belong to the session in use. The device record may have this
	// session only as the offered one, because the device has taken it up since.
	// Counters of an earlier session are ignored.
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

// loadQueues reads the waiting downlinks of each device, in their order.
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
