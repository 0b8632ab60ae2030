package region

import (
	"encoding/binary"
	"fmt"
	"time"

	"lorawand/radio"
)

// pingSlots are where devices of a band listen in ping slots, and for the beacon, before the
// network tells them otherwise.
type pingSlots struct {
	first    radio.Frequency
	step     radio.Frequency // of 8 channels that take turns; 0: there is one channel
	dataRate uint8
	// old is the data rate before the version that since names; since 0: it was never another.
	old   uint8
	since Version
}

// pingSlotsOf: the section on Class B of each band in RP002-1.0.4, and in the earlier
// regional parameters. For IN865 they differ; this is what brocaar/lorawan/band and
// LoRaMac-node have.
var pingSlotsOf = map[string]pingSlots{
	"EU_863_870": {first: 869_525_000, dataRate: 3},
	"EU_433":     {first: 434_665_000, dataRate: 3},
	"US_902_928": {first: 923_300_000, step: 600_000, dataRate: 8, old: 3, since: V1_0_2B},
	"AU_915_928": {first: 923_300_000, step: 600_000, dataRate: 8, old: 10, since: V1_1B},
	"AS_923":     {first: 923_400_000, dataRate: 3},
	"AS_923_2":   {first: 921_600_000, dataRate: 3},
	"AS_923_3":   {first: 916_800_000, dataRate: 3},
	"AS_923_4":   {first: 917_500_000, dataRate: 3},
	"IN_865_867": {first: 866_550_000, dataRate: 4},
	"KR_920_923": {first: 923_100_000, dataRate: 3},
	"RU_864_870": {first: 868_900_000, dataRate: 3},
	"CN_470_510": {first: 508_300_000, step: 200_000, dataRate: 2},

	"MA_869_870_DRAFT": {first: 869_525_000, dataRate: 3},
}

// Beacon is where and how a beacon of Class B is sent.
type Beacon struct {
	Window
	Before, Behind int // length of the reserved parts of the frame
}

// Size returns the length of the frame. Source: LoRaWAN L2 1.0.4, 13.1: Time, CRC, GwSpecific, CRC.
func (b *Beacon) Size() int { return b.Before + 4 + 2 + 7 + b.Behind + 2 }

// reserved are the lengths of the reserved parts of a beacon from SF8 to SF12.
//
// Source: LoRaWAN L2 1.0.4, 13.1 and 13.3.
var reserved = [...][2]int{{1, 3}, {2, 0}, {3, 1}, {4, 2}, {5, 3}}

// Beacon returns how the beacon of a time is sent, or ErrFrequency where the band has none, or the
// plan has it in no sub-band. It has
// the data rate of ping slots, and takes turns as those do of a device with DevAddr 0.
func (p *Plan) Beacon(t radio.GPSTime) (b Beacon, err error) {
	if b.Window, err = p.PingSlot(VersionUnknown, radio.DevAddr{}, t); err != nil {
		return b, err
	}
	if _, err = p.SubBand(b.Frequency); err != nil {
		return b, err
	}
	dr, err := p.DataRate(b.DataRate)
	if i := int(dr.SpreadingFactor) - 8; err == nil && i >= 0 && i < len(reserved) {
		b.Before, b.Behind = reserved[i][0], reserved[i][1]
		return b, nil
	}
	return b, fmt.Errorf("%w: a beacon in %s", ErrFrequency, p.band.id)
}

// beaconPeriod is the time from one beacon to the next (LoRaWAN L2 1.0.4, 12).
const beaconPeriod = 128 * time.Second

// PingSlot returns what a device listens on in its ping slots after the beacon of a time, or
// ErrFrequency where the band has no such channel. v is the version of its regional
// parameters. Where channels take turns it is (DevAddr + time of the beacon / 128 s) mod 8.
func (p *Plan) PingSlot(v Version, a radio.DevAddr, beacon radio.GPSTime) (Window, error) {
	s, ok := pingSlotsOf[p.band.id]
	if !ok {
		return Window{}, fmt.Errorf("%w: a ping slot in %s", ErrFrequency, p.band.id)
	}
	w := Window{Frequency: s.first, DataRate: s.dataRate}
	if s.since != 0 && v != VersionUnknown && v < s.since {
		w.DataRate = s.old
	}
	if s.step > 0 {
		turn := uint64(time.Duration(beacon)/beaconPeriod) + uint64(binary.BigEndian.Uint32(a[:]))
		w.Frequency += radio.Frequency(turn%8) * s.step
	}
	return w, nil
}
