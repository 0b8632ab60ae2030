// Package region has the frequency plans by the names that The Things Stack
// gives them, and the regional rules that follow from a plan: channels, data
// rates, RX1 and RX2, sub-bands with duty cycle and power, dwell time, sizes.
//
// A Plan never changes once made and may be used by several goroutines. What
// the bands have in common comes from brocaar/lorawan/band, which holds the
// tables of RP002-1.0.3; what it lacks or has wrong is data in bands.go, what
// plans and authorities add is data in plans.go.
//
// A plan is that of its network. What holds for a device depends on the version
// of its regional parameters (Plan.For), and in AS923 and AU915 on whether it was
// told of dwell times (Plan.Told).
package region

import (
	"errors"
	"fmt"
	"time"

	"lorawand/radio"
)

// Reasons for refusing a plan, a data rate or a frequency.
var (
	ErrPlan      = errors.New("no such frequency plan")
	ErrDataRate  = errors.New("no such data rate in the frequency plan")
	ErrFrequency = errors.New("no such frequency in the frequency plan")
)

// dwellTime is the longest frame where dwell time is limited.
const dwellTime = 400 * time.Millisecond

// Channel is an uplink channel with the data rate indices in use on it.
type Channel struct {
	Frequency    radio.Frequency
	MinDR, MaxDR uint8
}

// CFList says which channels a join-accept tells a device of: the frequencies
// of channels beyond those that every device of the band has (type 0), or the
// masks of those that it may use (type 1), channel 0 in the lowest bit of the
// first mask. One of the two is set; neither is where there is nothing to tell.
//
// Source: RP002-1.0.4, the section on the join-accept CFList of each band.
type CFList struct {
	Frequencies []radio.Frequency // 1 to 5, multiples of 100 Hz
	Masks       []uint16          // 5 or 6: channels 0 to 71 or 95
}

// SubBand is a range of frequencies that share a duty cycle and a power.
type SubBand struct {
	Low, High radio.Frequency // from Low up to, not including, High
	DutyCycle int             // in ‰ of each hour; 1000 is no limit
	MaxEIRP   radio.Decibel   // dBm
}

// Window is what a receive window listens on.
type Window struct {
	Frequency radio.Frequency
	DataRate  uint8 // index
}

// Delays are when receive windows open, from the end of the uplink.
type Delays struct {
	RX1, JoinAccept1 time.Duration
	Between          time.Duration // from RX1 to RX2, joins too
}

// DwellLimits says in which direction a frame may last no longer than 400 ms.
type DwellLimits struct {
	Uplink, Downlink bool
}

// LBT is how a gateway has to listen before it talks. The zero value is not at
// all.
type LBT struct {
	Target  radio.Decibel // dBm: a channel with more is taken
	Scan    time.Duration // how long is listened
	Airtime time.Duration // how long a frame may last then
}

// Plan is a frequency plan, as a device of a version sees it that is known to
// keep some limits, or of which nothing is known.
type Plan struct {
	*facts
	band   *bandTables
	place  uint8 // of band among the tables of the versions
	limits limits
}

// facts are what is alike for all devices of a plan.
type facts struct {
	id       string
	channels []Channel
	numbers  []uint8 // of the channels, as devices count them
	rx2      Window
	subBands []SubBand
	cfList   CFList
	dwell    DwellLimits // what the plan asks for
	lbt      LBT
	places   *[numVersions]uint8 // of the tables that hold for each version
	views    views
}

// For returns the plan as a device with this version of the regional parameters
// has it. A version before that of the band is taken for the band's first.
func (p *Plan) For(v Version) *Plan {
	if v >= numVersions {
		v = VersionUnknown
	}
	return p.views.at(p.places[v], p.limits)
}

// Lookup returns the plan of an id such as "EU_863_870_TTN", or ErrPlan.
func Lookup(id string) (*Plan, error) {
	for _, p := range plans {
		if p.id == id {
			return p, nil
		}
	}
	return nil, fmt.Errorf("%w: %q", ErrPlan, id)
}

// IDs returns the ids of all plans in the order of the table.
func IDs() []string {
	ids := make([]string, len(plans))
	for i, p := range plans {
		ids[i] = p.id
	}
	return ids
}

// ID returns the plan's name in The Things Stack.
func (p *Plan) ID() string { return p.id }

// BandID returns the name that The Things Stack gives the band: "EU_863_870".
func (p *Plan) BandID() string { return p.band.id }

// Channels returns the uplink channels that gateways hear, in the order in
// which devices number them (UplinkChannel has the number). The caller must not
// change them.
func (p *Plan) Channels() []Channel { return p.channels }

// FixedChannels reports whether all channels of the band are laid down, and
// devices are told of them by masks.
func (p *Plan) FixedChannels() bool { return p.band.fixed }

// CFList returns what a join-accept tells of the plan's channels; nothing where
// the device's version knows no masks. The caller must not change it. With it a
// join-accept has 33 bytes instead of 17: it goes without where its window's
// DownlinkMaxMACPayload is below 28.
func (p *Plan) CFList() CFList {
	if p.band.edition.noMasks {
		return CFList{Frequencies: p.cfList.Frequencies}
	}
	return p.cfList
}

// Delays returns the receive delays of the band.
func (p *Plan) Delays() Delays { return p.band.delays }

// DwellTime returns the longest downlink that is allowed, or 0 for no limit.
func (p *Plan) DwellTime() time.Duration {
	if p.dwell.Downlink {
		return dwellTime
	}
	return 0
}

// DwellLimits returns the limits of the plan: what TxParamSetupReq is to tell
// devices, where TxParamSetup says that they understand it.
func (p *Plan) DwellLimits() DwellLimits { return p.dwell }

// LBT returns how the plan's gateways listen before they talk; ok is false if they
// need not.
func (p *Plan) LBT() (l LBT, ok bool) { return p.lbt, p.lbt != (LBT{}) }

// TxParamSetup returns whether devices of the version know TxParamSetupReq in
// this band.
func (p *Plan) TxParamSetup() bool { return p.band.edition.txParamSetup }

// Told returns the plan as it is for a device that is known to keep these
// limits, because it has answered TxParamSetupReq or was registered so. Where
// nothing is known, RX1 has no answer for what depends on it, and a downlink is
// no longer than either takes: in AS923 devices start either way, by their
// regional parameters and by their maker. (The Things Stack starts from no limit
// to downlinks with 1.0.3 rev A and from one with 1.0.2 rev B; LoRaMac-node has
// one with 1.0.3 and none with RP002-1.0.1.) Limits change nothing in bands
// without TxParamSetupReq.
func (p *Plan) Told(l DwellLimits) *Plan {
	if !p.band.edition.txParamSetup {
		return p
	}
	return p.views.at(p.place, limitsOf(l))
}

// DataRate returns the data rate of an index of either direction, or
// ErrDataRate.
func (p *Plan) DataRate(index uint8) (radio.DataRate, error) {
	if int(index) >= len(p.band.rates) || !p.band.rates[index].valid() {
		return radio.DataRate{}, p.noDataRate("index", index)
	}
	return p.band.rates[index].DataRate, nil
}

// LRFHSS reports whether an index is an uplink data rate of LR-FHSS in the
// device's version. No gateway hears such yet: the other methods return ErrDataRate.
func (p *Plan) LRFHSS(index uint8) bool {
	return index < maxDataRates && p.band.edition.lrFHSS>>index&1 == 1
}

// noDataRate is why an index is refused.
func (p *Plan) noDataRate(what string, index uint8) error {
	if p.LRFHSS(index) {
		return fmt.Errorf("%w: %s %d in %s is LR-FHSS, which no gateway hears yet", ErrDataRate, what, index, p.id)
	}
	return fmt.Errorf("%w: %s %d in %s", ErrDataRate, what, index, p.id)
}

// UplinkDataRate returns the index of a data rate that devices send with, or
// ErrDataRate: what only downlinks use is not found.
func (p *Plan) UplinkDataRate(dr radio.DataRate) (uint8, error) {
	for i, r := range p.band.rates {
		if r.up && r.DataRate == dr {
			return uint8(i), nil
		}
	}
	return 0, fmt.Errorf("%w: %v in %s", ErrDataRate, dr, p.id)
}

// UplinkChannel returns the number that devices give the channel with a
// frequency and a data rate index, or ErrFrequency. Channels that the band lays
// down (US915, AU915: 0 to 71) have their number also where the plan's gateways
// don't hear them.
func (p *Plan) UplinkChannel(f radio.Frequency, dr uint8) (int, error) {
	for i, c := range p.band.channels {
		if c.Frequency == f && c.MinDR <= dr && dr <= c.MaxDR {
			return i, nil
		}
	}
	if !p.band.fixed {
		for i, c := range p.channels {
			if c.Frequency == f && c.MinDR <= dr && dr <= c.MaxDR {
				return int(p.numbers[i]), nil
			}
		}
	}
	return 0, fmt.Errorf("%w: %v at data rate %d in %s", ErrFrequency, f, dr, p.id)
}

// MaxMACPayload returns the longest MACPayload of an uplink data rate index in
// bytes (M of RP002, no repeater), 0 where dwell time leaves no room for any,
// or ErrDataRate.
func (p *Plan) MaxMACPayload(dr uint8) (int, error) {
	if int(dr) >= len(p.band.rates) || !p.band.rates[dr].up {
		return 0, p.noDataRate("uplink index", dr)
	}
	limited := p.dwell.Uplink
	if p.limits != notTold {
		limited = (p.limits-told)&uplinkLimit != 0
	}
	return p.band.rates[dr].maxUp[column(limited)], nil
}

// DownlinkMaxMACPayload returns the longest MACPayload of a downlink data rate
// index in bytes (M of RP002, no repeater) that devices of all versions of the
// regional parameters since 1.0.2 take, 0 where dwell time leaves no room for
// any, or ErrDataRate.
func (p *Plan) DownlinkMaxMACPayload(dr uint8) (int, error) {
	if int(dr) >= len(p.band.rates) || !p.band.rates[dr].down {
		return 0, p.noDataRate("downlink index", dr)
	}
	return p.band.rates[dr].maxDown[p.downlinkLimit()], nil
}

// MaxDownlinkPayload returns the longest FRMPayload that any downlink of the
// plan can carry, in bytes: the largest MACPayload less the 8 of FHDR and
// FPort. It is what The Things Stack refuses pushes by.
func (p *Plan) MaxDownlinkPayload() int {
	longest := 0
	for _, r := range p.band.rates {
		if r.down {
			longest = max(longest, r.maxDown[p.downlinkLimit()])
		}
	}
	return max(longest-8, 0)
}

// downlinkLimit is which of two sizes holds: what the plan forbids stays
// forbidden, whatever a device was told.
func (p *Plan) downlinkLimit() int {
	switch {
	case p.dwell.Downlink, p.limits == notTold && p.band.edition.txParamSetup:
		return column(true)
	case p.limits == notTold:
		return column(false)
	}
	return column(p.keepsDownlink())
}

// keepsDownlink reports whether a device that was told limits keeps one for
// downlinks.
func (p *Plan) keepsDownlink() bool { return (p.limits-told)&downlinkLimit != 0 }

// column is where tables by dwell time have what holds without a limit to it
// and with one.
func column(limited bool) int {
	if limited {
		return 1
	}
	return 0
}

// RX1 returns the first receive window of an uplink, for the RX1 data rate
// offset in force (0 to 7; of a join-request 0). It returns ErrDataRate where
// the band has no such window or it depends on a dwell time that the device was
// not told (AS923 after DR0 and DR1), and ErrFrequency where the uplink was on
// no channel of a band that derives the window's frequency from its number.
func (p *Plan) RX1(up radio.Frequency, dr, offset uint8) (Window, error) {
	rate, ok := p.rx1DataRate(dr, offset)
	if !ok && p.LRFHSS(dr) {
		return Window{}, p.noDataRate("RX1 of index", dr)
	}
	if !ok {
		return Window{}, fmt.Errorf("%w: RX1 of index %d with offset %d in %s", ErrDataRate, dr, offset, p.id)
	}
	if !p.band.fixed {
		return Window{Frequency: up, DataRate: rate}, nil
	}
	for i, c := range p.band.channels {
		if c.Frequency == up {
			return Window{Frequency: p.band.rx1Channels[i%len(p.band.rx1Channels)], DataRate: rate}, nil
		}
	}
	return Window{}, fmt.Errorf("%w: RX1 of %v in %s", ErrFrequency, up, p.id)
}

// rx1DataRate returns what RX1 uses by all that is known of the device.
func (p *Plan) rx1DataRate(dr, offset uint8) (rate uint8, ok bool) {
	if p.limits != notTold {
		return p.band.rx1DataRate(p.keepsDownlink(), dr, offset)
	}
	free, ok := p.band.rx1DataRate(false, dr, offset)
	limited, _ := p.band.rx1DataRate(true, dr, offset)
	return free, ok && free == limited
}

// RX2 returns the second receive window that the plan asks for in a
// join-accept. A device that nobody told listens on BandRX2.
func (p *Plan) RX2() Window { return p.rx2 }

// BandRX2 returns the second receive window of the band's specification.
func (p *Plan) BandRX2() Window { return p.band.rx2 }

// SubBand returns the sub-band of a frequency, or ErrFrequency where nothing
// may be sent.
func (p *Plan) SubBand(f radio.Frequency) (SubBand, error) {
	for _, s := range p.subBands {
		if s.Low <= f && f < s.High {
			return s, nil
		}
	}
	return SubBand{}, fmt.Errorf("%w: %v lies in no sub-band of %s", ErrFrequency, f, p.id)
}
