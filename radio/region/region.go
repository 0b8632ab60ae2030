// Package region has the frequency plans by the names that The Things Stack
// gives them, and the regional rules that follow from a plan: channels, data
// rates, RX1 and RX2, sub-bands with duty cycle and power, dwell time, sizes.
//
// A Plan never changes once made and may be used by several goroutines. What
// the bands have in common comes from brocaar/lorawan/band, which holds the
// tables of RP002-1.0.3; what plans and authorities add is data in plans.go.
package region

import (
	"errors"
	"fmt"
	"time"

	"github.com/brocaar/lorawan"
	"github.com/brocaar/lorawan/band"

	"lorawand/radio"
)

// Reasons for refusing a plan, a data rate or a frequency.
var (
	ErrPlan      = errors.New("no such frequency plan")
	ErrDataRate  = errors.New("no such data rate in the frequency plan")
	ErrFrequency = errors.New("no such frequency in the frequency plan")
)

// maxDataRates is how many data rate indices there are (RP002: 4 bits).
const maxDataRates = 16

// cfListFrequencies is how many channels a CFList of type 0 has room for.
const cfListFrequencies = 5

// Channel is an uplink channel.
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
	Masks       []uint16          // 5: channels 0 to 71
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

// Plan is a frequency plan.
type Plan struct {
	id        string
	bandID    string
	channels  []Channel
	rx2       Window
	bandRX2   Window
	subBands  []SubBand
	dwellTime time.Duration
	cfList    CFList

	rates  [maxDataRates]rate
	rx1    [maxDataRates][]uint8
	delays Delays
}

type rate struct {
	radio.DataRate
	up, down   bool // which frames use it; neither is an index left free
	maxPayload int  // MACPayload (M of RP002), bytes
}

func (r rate) valid() bool { return r.up || r.down }

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
func (p *Plan) BandID() string { return p.bandID }

// Channels returns the uplink channels in the order in which devices number
// them. The caller must not change them.
func (p *Plan) Channels() []Channel { return p.channels }

// CFList returns what a join-accept tells of the plan's channels. The caller
// must not change it. With it a join-accept has 33 bytes instead of 17: it goes
// without where its window's DownlinkMaxMACPayload is below 28.
func (p *Plan) CFList() CFList { return p.cfList }

// Delays returns the receive delays of the band.
func (p *Plan) Delays() Delays { return p.delays }

// DwellTime returns the longest downlink that is allowed, or 0 for no limit.
func (p *Plan) DwellTime() time.Duration { return p.dwellTime }

// DataRate returns the data rate of an index of either direction, or
// ErrDataRate.
func (p *Plan) DataRate(index uint8) (radio.DataRate, error) {
	if int(index) >= len(p.rates) || !p.rates[index].valid() {
		return radio.DataRate{}, fmt.Errorf("%w: index %d in %s", ErrDataRate, index, p.id)
	}
	return p.rates[index].DataRate, nil
}

// UplinkDataRate returns the index of a data rate that devices send with, or
// ErrDataRate: what only downlinks use is not found.
func (p *Plan) UplinkDataRate(dr radio.DataRate) (uint8, error) {
	for i := range p.rates {
		if p.rates[i].up && p.rates[i].DataRate == dr {
			return uint8(i), nil
		}
	}
	return 0, fmt.Errorf("%w: %v in %s", ErrDataRate, dr, p.id)
}

// UplinkChannel returns the number of the channel with a frequency and a data
// rate index, or ErrFrequency.
func (p *Plan) UplinkChannel(f radio.Frequency, dr uint8) (int, error) {
	for i, c := range p.channels {
		if c.Frequency == f && c.MinDR <= dr && dr <= c.MaxDR {
			return i, nil
		}
	}
	return 0, fmt.Errorf("%w: %v at data rate %d in %s", ErrFrequency, f, dr, p.id)
}

// MaxMACPayload returns the longest MACPayload of an uplink data rate index in
// bytes (M of RP002, no repeater), or ErrDataRate.
func (p *Plan) MaxMACPayload(dr uint8) (int, error) {
	if int(dr) >= len(p.rates) || !p.rates[dr].up {
		return 0, fmt.Errorf("%w: uplink index %d in %s", ErrDataRate, dr, p.id)
	}
	return p.rates[dr].maxPayload, nil
}

// DownlinkMaxMACPayload returns the longest MACPayload of a downlink data rate
// index in bytes (M of RP002, no repeater), or ErrDataRate.
func (p *Plan) DownlinkMaxMACPayload(dr uint8) (int, error) {
	if int(dr) >= len(p.rates) || !p.rates[dr].down {
		return 0, fmt.Errorf("%w: downlink index %d in %s", ErrDataRate, dr, p.id)
	}
	return p.rates[dr].maxPayload, nil
}

// MaxDownlinkPayload returns the longest FRMPayload that any downlink of the
// plan can carry, in bytes: the largest MACPayload less the 8 of FHDR and
// FPort. It is what The Things Stack refuses pushes by.
func (p *Plan) MaxDownlinkPayload() int {
	longest := 0
	for _, r := range p.rates {
		if r.down {
			longest = max(longest, r.maxPayload)
		}
	}
	return max(longest-8, 0)
}

// RX1 returns the first receive window of an uplink, for the RX1 data rate
// offset in force (0 to 7; of a join-request 0), or ErrDataRate.
func (p *Plan) RX1(up radio.Frequency, dr, offset uint8) (Window, error) {
	if int(dr) >= len(p.rx1) || int(offset) >= len(p.rx1[dr]) {
		return Window{}, fmt.Errorf("%w: RX1 of index %d with offset %d in %s", ErrDataRate, dr, offset, p.id)
	}
	return Window{Frequency: up, DataRate: p.rx1[dr][offset]}, nil
}

// RX2 returns the second receive window that the plan asks for in a
// join-accept. A device that nobody told listens on BandRX2.
func (p *Plan) RX2() Window { return p.rx2 }

// BandRX2 returns the second receive window of the band's specification.
func (p *Plan) BandRX2() Window { return p.bandRX2 }

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

// build makes a Plan from its data and the band's tables.
func build(d planData) (*Plan, error) {
	var b bandData
	for _, c := range bands {
		if c.id == d.band {
			b = c
		}
	}
	cfg, err := band.GetConfig(band.Name(b.id), false, lorawan.DwellTimeNoLimit)
	if err != nil {
		return nil, fmt.Errorf("region: plan %s: %w", d.id, err)
	}
	defaults := cfg.GetDefaults()
	p := &Plan{
		id: d.id, bandID: b.id, channels: d.channels, rx2: d.rx2, bandRX2: b.rx2,
		subBands: b.subBands, dwellTime: d.dwellTime,
		delays: Delays{
			RX1: defaults.ReceiveDelay1, JoinAccept1: defaults.JoinAcceptDelay1,
			Between: defaults.ReceiveDelay2 - defaults.ReceiveDelay1,
		},
	}
	for i := range p.rates {
		if p.rates[i], err = bandRate(cfg, i); err != nil {
			return nil, fmt.Errorf("region: plan %s: %w", d.id, err)
		}
		for offset := 0; offset < 8; offset++ {
			dr, err := cfg.GetRX1DataRateIndex(i, offset)
			if err != nil {
				break // the band's table ends here
			}
			p.rx1[i] = append(p.rx1[i], uint8(dr))
		}
	}
	p.cfList = cfList(cfg, d.channels)
	return p, nil
}

// cfList collects the multi-rate channels that devices do not have already.
func cfList(cfg band.Band, channels []Channel) CFList {
	var l CFList
	for _, c := range channels {
		if _, err := cfg.GetUplinkChannelIndex(uint32(c.Frequency), true); err == nil {
			continue
		}
		if c.MinDR < c.MaxDR && len(l.Frequencies) < cfListFrequencies {
			l.Frequencies = append(l.Frequencies, c.Frequency)
		}
	}
	return l
}

// bandRate takes one data rate from the band's table; those of modulations
// that no gateway of ours receives stay invalid.
func bandRate(cfg band.Band, index int) (rate, error) {
	dr, err := cfg.GetDataRate(index)
	if err != nil {
		return rate{}, nil // an index that the band leaves free
	}
	var r rate
	switch dr.Modulation {
	case band.LoRaModulation:
		r.DataRate = radio.LoRaDataRate(uint8(dr.SpreadFactor), uint32(dr.Bandwidth)*1000)
	case band.FSKModulation:
		r.DataRate = radio.FSKDataRate(uint32(dr.BitRate))
	default:
		return rate{}, nil
	}
	size, err := cfg.GetMaxPayloadSizeForDataRateIndex("", "", index)
	if err != nil {
		return rate{}, err
	}
	r.maxPayload = size.M
	up, err := cfg.GetDataRateIndex(true, dr)
	r.up = err == nil && up == index
	down, err := cfg.GetDataRateIndex(false, dr)
	r.down = err == nil && down == index
	return r, nil
}
