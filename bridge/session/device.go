// Package session has the devices with their sessions, MAC state, counters and
// queues, and the rules that these obey: which device a frame is of, what its
// full frame counter is, and whether it may be believed.
//
// It does no I/O, takes no lock and reads no clock: whoever owns a Registry
// hands in the time.
package session

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"lorawand/bridge/session/macstate"
	"lorawand/radio"
	"lorawand/radio/frame"
)

// Reasons for refusing a device, or for not serving it.
var (
	ErrID       = errors.New("not an id: lower-case letters, digits and single inner dashes, 3 to 36 characters")
	ErrInvalid  = errors.New("not a usable device")
	ErrUnserved = errors.New("not served by this version")
)

// ID names a device within its application.
type ID struct {
	Application string
	Device      string
}

// String returns "app1/dev1".
func (id ID) String() string { return id.Application + "/" + id.Device }

// Compare orders ids by application, then by device.
func (id ID) Compare(other ID) int {
	return cmp.Or(cmp.Compare(id.Application, other.Application), cmp.Compare(id.Device, other.Device))
}

// idPattern is that of The Things Stack (identifiers.proto).
var idPattern = regexp.MustCompile(`^[a-z0-9](?:-?[a-z0-9]){2,}$`)

// MaxIDLength is the longest id of an application or a device.
const MaxIDLength = 36

// CheckID returns ErrID for text that cannot name an application or a device.
func CheckID(s string) error {
	if len(s) > MaxIDLength || !idPattern.MatchString(s) {
		return fmt.Errorf("%w: %.60q", ErrID, s)
	}
	return nil
}

// Version is a version of the LoRaWAN link layer.
type Version uint8

// Versions, oldest first.
const (
	VersionUnknown Version = iota
	V1_0_0
	V1_0_1
	V1_0_2
	V1_0_3
	V1_0_4
	V1_1
)

var versionNames = [...]string{"", "1.0", "1.0.1", "1.0.2", "1.0.3", "1.0.4", "1.1"}

// String returns "1.0.3" and the like, or "unknown".
func (v Version) String() string {
	if v > VersionUnknown && int(v) < len(versionNames) {
		return versionNames[v]
	}
	return "unknown"
}

// ParseVersion reads what String returns. Another text gives VersionUnknown.
func ParseVersion(s string) Version {
	switch s {
	case "1.0.0":
		return V1_0_0
	case "1.1.0":
		return V1_1
	}
	for v := V1_0_0; v <= V1_1; v++ {
		if versionNames[v] == s {
			return v
		}
	}
	return VersionUnknown
}

// Device is an end device as its owner has registered it, and its session.
type Device struct {
	ID         ID
	DevEUI     radio.EUI64 // zero: not told, with ABP only
	JoinEUI    radio.EUI64
	HasJoinEUI bool // an all-zero JoinEUI is in use

	Version      Version
	VersionName  string // as the owner's file has it
	PHYVersion   string // of the regional parameters, as the owner's file has it
	Plan         string // frequency plan id
	SupportsJoin bool
	ClassB       bool
	ClassC       bool
	Multicast    bool
	SkipCrypto   bool // the application encrypts and decrypts payloads itself

	RootKeys frame.RootKeys
	Settings Settings
	Session  *Session // nil: none
	Pending  *Session // offered by a join, until the device sends in it; nil: none
	// Earlier was offered before Pending: see Registry.Offer. nil: none was, or it has gone.
	Earlier *Session `json:",omitempty"`

	UsedDevNonces []uint16 // the last ones; before 1.0.4
	LastDevNonce  uint16   // from 1.0.4 on
	LastJoinNonce uint32   // 24 bits
	NextRJCount1  uint32   `json:",omitempty"` // the smallest that a rejoin-request of type 1 may have

	// DevNoncesForgotten says that the device may begin with DevNonce 0, which
	// LastDevNonce cannot say where a JoinNonce was used.
	DevNoncesForgotten bool `json:",omitempty"`

	Name        string
	Description string
	Attributes  map[string]string
	VersionIDs  VersionIDs
	Locations   map[string]Location
	Formatters  Formatters

	// What follows is kept otherwise, or not at all.

	History  macstate.History `json:"-"` // of the uplinks since the start
	Queue    Queue            `json:"-"` // downlinks, item by item
	registry *Registry        // that it is in; nil: none
	change   Change           // since TakeChange
	key      string           // see Key

	moved        bool           // since TakeChange
	nextLocation radio.HostTime // when a location may be stored again
}

// Key returns ID.String(), which names the device in the store. It is made with
// its first use, and kept: every frame asks for it. The ID must not change.
func (d *Device) Key() string {
	if d.key == "" {
		d.key = d.ID.String()
	}
	return d.key
}

// Sessions returns the sessions that a device, which may be nil, has: that in use, and those offered.
func (d *Device) Sessions() []*Session {
	if d == nil {
		return nil
	}
	all := [...]*Session{d.Session, d.Pending, d.Earlier}
	return slices.DeleteFunc(all[:], func(s *Session) bool { return s == nil })
}

// Settings are what the owner asks of the MAC layer. nil is the default.
type Settings struct {
	ResetsFCnt      bool   // ABP: the device may begin its counter anew
	Counter16       bool   // frame counters have 16 bits only
	ResetsJoinNonce bool   // the device may begin its DevNonces anew
	RX1Delay        *uint8 // s, 1 to 15
	RX1DROffset     *uint8
	RX2DataRate     *uint8 // index
	RX2Frequency    *radio.Frequency
	Frequencies     []radio.Frequency // channels that the device has from its factory
	UplinkDwell     *bool             `json:",omitempty"` // frames of at most 400 ms
	DownlinkDwell   *bool             `json:",omitempty"`
	Desired         Desired
	MAC             macstate.Settings `json:",omitzero"`
	TestPort        bool              `json:",omitempty"` // FPort 224 goes both ways: the device is under test
}

// TestPort is the FPort of the test protocol (LoRaWAN L2 1.0.4, 4.3.2; TS009). The
// Things Stack does not publish what comes on it either.
const TestPort = 224

// Desired is what the owner wants a join to bring about. nil leaves it to the
// network and the frequency plan.
type Desired struct {
	RX1Delay    *uint8 // s, 1 to 15
	RX1DROffset *uint8
	RX2DataRate *uint8 // index
}

// Session is what a join or a personalisation gives.
type Session struct {
	DevAddr radio.DevAddr
	Keys    frame.SessionKeys
	KeyID   []byte // session_key_id; none with ABP

	// Heard says that FCntUp holds the last counter that was accepted; before
	// the first uplink there is none.
	Heard  bool
	FCntUp uint32

	// The last counters that were used, 0 for none: the first downlink of a
	// session has 1. LoRaWAN 1.0.x has one counter, which stands in both.
	NFCntDown uint32
	AFCntDown uint32
	NStored   uint32 // the marks in the store; see counters.go
	AStored   uint32
	NUnsent   uint32 // how many counters, up to NFCntDown, nothing was sent with: since the last downlink that was
	AUnsent   uint32
	asked     Marks // the store is to have
	asking    bool  // and has not answered yet
	recorded  Marks // in the record of the device
	repeats   int   // of the last uplink
	last      lastFrame

	// ConfFCntDown is the counter of the last confirmed downlink: with LoRaWAN
	// 1.1 the MIC of its acknowledgement covers it.
	ConfFCntDown uint32
	confFCnt     uint16 // that the last uplink has acknowledged

	PassedOver bool    `json:",omitempty"` // the device was offered this session, and goes on in the one before
	Anew       bool    `json:",omitempty"` // it was asked for without the counters of the session before
	Rejoin1    bool    `json:",omitempty"` // the same, with a rejoin-request of type 1
	device     *Device // of a Registry; nil: it is in none
	cipher     *frame.Cipher

	MAC *macstate.State `json:",omitempty"` // nil: nothing was asked of the device; SetMAC replaces it

	// Parameters that the device is known to use. nil: those of the band, and
	// what Settings say. SetParameters replaces them; what it points to never
	// changes.
	Parameters *Parameters
}

// Parameters are what MAC commands and join-accepts can change. A pointer is nil
// where the device was not told.
type Parameters struct {
	MaxEIRP          radio.Decibel // dBm
	ADRDataRate      uint8
	ADRTXPower       uint8
	ADRNbTrans       uint8
	ADRAckLimitExp   *uint8 `json:",omitempty"` // ADR_ACK_LIMIT is 2^n frames, n 0 to 15 (ADRParamSetupReq)
	ADRAckDelayExp   *uint8 `json:",omitempty"` // ADR_ACK_DELAY is 2^n frames, n 0 to 15 (ADRParamSetupReq)
	RX1Delay         uint8  // s, 1 to 15
	RX1DROffset      uint8
	RX2DataRate      uint8
	RX2Frequency     radio.Frequency
	UplinkDwell      *bool  `json:",omitempty"` // frames of at most 400 ms; nil: it was not told
	DownlinkDwell    *bool  `json:",omitempty"`
	MaxDutyCycle     *uint8 `json:",omitempty"` // share of the time on air is 1/2^n, n 0 to 15 (DutyCycleReq)
	RejoinTimePeriod *uint8 `json:",omitempty"` // a rejoin-request each 2^(n+10) s, n 0 to 15 (RejoinParamSetupReq)
	Channels         []Channel
}

// Channel is one of a device's channels.
type Channel = macstate.Channel

// VersionIDs say what the device is made of; they are shown with each uplink.
type VersionIDs struct {
	Brand, Model, Hardware, Firmware, Band string
}

// Location is a place on earth.
type Location struct {
	Latitude  float64 // degrees, north is positive
	Longitude float64 // degrees, east is positive
	Altitude  int32   // m
	Accuracy  int32   // m
	Source    string  // "SOURCE_REGISTRY" and the like
}

// Formatters are the device's payload formatters, as The Things Stack names them.
type Formatters struct {
	Up, UpParameter     string
	Down, DownParameter string

	// Set says that these hold, for both directions and even where there is none.
	// Without it the device has those of its application.
	Set bool `json:",omitempty"`
}

// Check returns ErrInvalid for a device that could not work, whatever version
// of ours it meets.
func (d *Device) Check() error {
	if err := CheckID(d.ID.Application); err != nil {
		return fmt.Errorf("application id: %w", err)
	}
	if err := CheckID(d.ID.Device); err != nil {
		return fmt.Errorf("device id: %w", err)
	}
	if err := d.checkMulticast(); err != nil {
		return err
	}
	if d.SupportsJoin {
		return d.checkOTAA()
	}
	if d.Session == nil {
		return fmt.Errorf("%w: neither joins nor has a session: it needs root keys (OTAA), "+
			"or a dev_addr and session keys (ABP)", ErrInvalid)
	}
	return d.Session.check()
}

func (d *Device) checkOTAA() error {
	switch {
	case d.DevEUI.IsZero():
		return fmt.Errorf("%w: joins without a dev_eui", ErrInvalid)
	case !d.HasJoinEUI:
		return fmt.Errorf("%w: joins without a join_eui", ErrInvalid)
	case d.RootKeys == (frame.RootKeys{}) && d.Session == nil:
		return fmt.Errorf("%w: joins without root keys", ErrInvalid)
	case d.Version == V1_1 && d.RootKeys.NwkKey.IsZero() && d.Session == nil:
		return fmt.Errorf("%w: joins with LoRaWAN 1.1 without a nwk_key", ErrInvalid)
	}
	if d.Session != nil {
		return d.Session.check()
	}
	return nil
}

func (s *Session) check() error {
	k := s.Keys
	if k.FNwkSIntKey.IsZero() || k.SNwkSIntKey.IsZero() || k.NwkSEncKey.IsZero() {
		return fmt.Errorf("%w: a session without network session keys", ErrInvalid)
	}
	if k.AppSKey.IsZero() {
		return fmt.Errorf("%w: a session without app_s_key", ErrInvalid)
	}
	return nil
}

// Unserved returns why the frames of a device are not taken by this version of
// lorawand, or nil. The error is ErrUnserved.
func (d *Device) Unserved() error {
	switch {
	case d.Version == VersionUnknown:
		return fmt.Errorf("%w: lorawan_version %.40q", ErrUnserved, d.VersionName)
	case d.ClassB && d.Multicast && !d.ClassC && !d.Settings.MAC.Ping.Known:
		return fmt.Errorf("%w: a multicast group of class B without mac_settings.ping_slot_periodicity", ErrUnserved)
	}
	if _, err := d.FrequencyPlan(); err != nil {
		return fmt.Errorf("%w: frequency plan %.40q", ErrUnserved, d.Plan)
	}
	return nil
}

// MarshalDevice returns the bytes that a store keeps of a device.
func MarshalDevice(d *Device) ([]byte, error) { return json.Marshal(d) }

// UnmarshalDevice reads what MarshalDevice wrote.
func UnmarshalDevice(b []byte) (*Device, error) {
	d := new(Device)
	if err := json.Unmarshal(b, d); err != nil {
		return nil, fmt.Errorf("session: device in the store: %w", err)
	}
	for _, s := range d.Sessions() {
		s.recorded = Marks{s.NStored, s.AStored}
		s.resume()
	}
	d.Formatters.Set = d.Formatters.Set || d.Formatters.Up != "" || d.Formatters.Down != "" // older records do not say
	return d, nil
}
