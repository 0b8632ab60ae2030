package region

import (
	"fmt"
	"slices"

	"github.com/brocaar/lorawan"
	"github.com/brocaar/lorawan/band"

	"lorawand/radio"
)

const (
	maxDataRates = 16 // RP002: an index has 4 bits
	maxOffsets   = 8  // RP002: an RX1 data rate offset has 3 bits

	cfListFrequencies = 5 // RP002: CFList type 0
	maskChannels      = 16

	// What a block of a fixed band's channels has: 8 of 125 kHz, and one of
	// the wide ones that come behind the 64 of 125 kHz.
	blockChannels  = 8
	narrowChannels = 64
)

// bandTables is what all plans of a band share, in one edition of its regional
// parameters.
type bandTables struct {
	*bandData
	edition     edition
	channels    []Channel         // those that every device has, by number
	rx1Channels []radio.Frequency // fixed: RX1 by channel number, over and over
	rx2         Window
	delays      Delays
	rates       [maxDataRates]rate
	rx1         [2][maxDataRates][]uint8 // by downlink dwell time, data rate and offset
}

// rate is a data rate; its sizes are MACPayloads (M of RP002) in bytes, without
// and with a limit to dwell time.
type rate struct {
	radio.DataRate
	up, down       bool // which frames use it; neither is an index left free
	maxUp, maxDown [2]int
}

func (r rate) valid() bool { return r.up || r.down }

func (t *bandTables) rx1DataRate(limited bool, dr, offset uint8) (rate uint8, ok bool) {
	rows := &t.rx1[column(limited)]
	if int(dr) >= len(rows) || int(offset) >= len(rows[dr]) {
		return 0, false
	}
	return rows[dr][offset], true
}

var plans = buildAll()

// buildAll panics on a faulty table: that is found by any test, not by users.
func buildAll() []*Plan {
	tables := make(map[string]*versions, len(bands))
	for i := range bands {
		d := &bands[i]
		t, err := buildEditions(d)
		if err != nil {
			panic(fmt.Errorf("region: band %s: %w", d.id, err))
		}
		tables[d.id] = t
	}
	out := make([]*Plan, len(planTable))
	for i, d := range planTable {
		out[i] = buildPlan(d, tables[d.band])
	}
	return out
}

// configs are the library's tables of a band: without and with a limit to dwell
// time.
type configs [2]band.Band

func loadConfigs(name band.Name) (c configs, err error) {
	for i, dwell := range []lorawan.DwellTime{lorawan.DwellTimeNoLimit, lorawan.DwellTime400ms} {
		if c[i], err = band.GetConfig(name, false, dwell); err != nil {
			return c, err
		}
	}
	return c, nil
}

// versions are the tables of a band, and which of them hold for each version.
type versions struct {
	tables []*bandTables
	places [numVersions]uint8
}

// buildEditions makes a band's tables for each version; versions that are alike
// share theirs.
func buildEditions(d *bandData) (*versions, error) {
	own, err := loadConfigs(d.library)
	if err != nil {
		return nil, err
	}
	var out versions
	for v := range numVersions {
		e := d.editionOf(v)
		i := slices.IndexFunc(out.tables, func(t *bandTables) bool { return t.edition == e })
		if i >= 0 {
			out.places[v] = uint8(i)
			continue
		}
		rates := own
		if e.ratesOfUS915 {
			if rates, err = loadConfigs(band.US915); err != nil {
				return nil, err
			}
		}
		t, err := buildBand(d, e, own, rates)
		if err != nil {
			return nil, err
		}
		out.places[v] = uint8(len(out.tables))
		out.tables = append(out.tables, t)
	}
	return &out, nil
}

// buildPlan makes a Plan from its data and its band.
func buildPlan(d planData, of *versions) *Plan {
	t := of.tables[of.places[VersionUnknown]]
	p := &facts{id: d.id, channels: d.channels, rx2: d.rx2, subBands: d.subBands, dwell: d.dwell, lbt: d.lbt}
	if t.fixed {
		p.channels = block(t, d)
	}
	if p.rx2 == (Window{}) {
		p.rx2 = t.rx2
	}
	if p.subBands == nil {
		p.subBands = t.subBands
	}
	p.cfList = cfList(t, p.channels)
	p.numbers = numbers(t, p.channels)
	p.places, p.views = &of.places, make(views, 0, len(of.tables)*int(numLimits))
	for i, t := range of.tables {
		for l := range numLimits {
			p.views = append(p.views, Plan{facts: p, band: t, place: uint8(i), limits: l})
		}
	}
	return p.views.at(p.places[VersionUnknown], notTold)
}

// block returns the channels of a fixed band that a plan's gateways hear.
func block(t *bandTables, d planData) []Channel {
	first, wide := blockChannels*(d.block-1), narrowChannels+d.block-1
	switch {
	case d.wideOnly:
		return t.channels[wide : wide+1]
	case t.wide:
		return append(slices.Clone(t.channels[first:first+blockChannels]), t.channels[wide])
	}
	return t.channels[first : first+blockChannels]
}

// cfList collects the channels that devices are to use: by mask, or those of
// several data rates that they do not have already.
func cfList(t *bandTables, channels []Channel) CFList {
	var l CFList
	if t.fixed {
		l.Masks = make([]uint16, (len(t.channels)+maskChannels-1)/maskChannels)
	}
	for _, c := range channels {
		n := slices.Index(t.channels, c)
		switch {
		case t.fixed:
			l.Masks[n/maskChannels] |= 1 << (n % maskChannels)
		case n < 0 && c.MinDR < c.MaxDR && len(l.Frequencies) < cfListFrequencies:
			l.Frequencies = append(l.Frequencies, c.Frequency)
		}
	}
	return l
}

// numbers are those that devices give a plan's channels: first come those of the
// band, then the others in order.
func numbers(t *bandTables, channels []Channel) []uint8 {
	out := make([]uint8, len(channels))
	next := len(t.channels)
	for i, c := range channels {
		n := slices.Index(t.channels, c)
		if n < 0 {
			n = next
			next++
		}
		out[i] = uint8(n)
	}
	return out
}

// buildBand makes the tables of a band from its data and the library's: those of
// its own, and those with the data rates.
func buildBand(d *bandData, e edition, own, rates configs) (*bandTables, error) {
	t := &bandTables{bandData: d, edition: e}
	for i, cfg := range rates {
		if err := t.readRates(cfg, i); err != nil {
			return nil, err
		}
		t.readRX1(cfg, i)
	}
	if err := t.readChannels(own[0]); err != nil {
		return nil, err
	}
	defaults := own[0].GetDefaults()
	t.rx2 = Window{Frequency: radio.Frequency(defaults.RX2Frequency), DataRate: uint8(defaults.RX2DataRate)}
	t.delays = Delays{
		RX1: defaults.ReceiveDelay1, JoinAccept1: defaults.JoinAcceptDelay1,
		Between: defaults.ReceiveDelay2 - defaults.ReceiveDelay1,
	}
	return t, nil
}

// readRates takes the data rates; those of modulations that no gateway of ours
// receives stay invalid.
func (t *bandTables) readRates(cfg band.Band, limited int) error {
	for i := range t.rates {
		dr, err := cfg.GetDataRate(i)
		if err != nil || t.lastRate > 0 && i > int(t.lastRate) {
			continue // an index that the band leaves free
		}
		r := &t.rates[i]
		switch dr.Modulation {
		case band.LoRaModulation:
			r.DataRate = radio.LoRaDataRate(uint8(dr.SpreadFactor), uint32(dr.Bandwidth)*1000)
		case band.FSKModulation:
			r.DataRate = radio.FSKDataRate(uint32(dr.BitRate))
		default:
			continue
		}
		up, err := cfg.GetDataRateIndex(true, dr)
		r.up = err == nil && up == i
		down, err := cfg.GetDataRateIndex(false, dr)
		r.down = err == nil && down == i

		newest, err := cfg.GetMaxPayloadSizeForDataRateIndex(t.sizesOf, "", i)
		if err != nil {
			return err
		}
		older, err := cfg.GetMaxPayloadSizeForDataRateIndex(band.LoRaWAN_1_0_3, band.RegParamRevA, i)
		if err != nil {
			return err
		}
		r.maxUp[limited], r.maxDown[limited] = newest.M, newest.M
		if t.edition.shortDR2 {
			r.maxUp[limited] = min(newest.M, older.M)
		}
		if t.edition.shortDR2 || t.edition.shortDown {
			r.maxDown[limited] = min(newest.M, older.M)
		}
	}
	return nil
}

// readRX1 takes the RX1 data rates from the edition's own table or the library's.
func (t *bandTables) readRX1(cfg band.Band, limited int) {
	for dr := range t.rx1[limited] {
		switch {
		case !t.rates[dr].up:
		case t.edition.rx1 == nil:
			t.rx1[limited][dr] = libraryRX1(cfg, dr)
		case dr < len(t.edition.rx1[limited]):
			t.rx1[limited][dr] = t.edition.rx1[limited][dr]
		}
	}
}

// libraryRX1 returns a row of the library's RX1 table.
func libraryRX1(cfg band.Band, dr int) []uint8 {
	var row []uint8
	for offset := range maxOffsets {
		down, err := cfg.GetRX1DataRateIndex(dr, offset)
		if err != nil {
			break // the row ends here
		}
		row = append(row, uint8(down))
	}
	return row
}

// readChannels takes the channels that every device has, less the data rates
// that no gateway of ours receives.
func (t *bandTables) readChannels(cfg band.Band) error {
	if t.bandData.channels != nil {
		t.channels = t.bandData.channels
		return nil
	}
	t.channels = make([]Channel, len(cfg.GetUplinkChannelIndices()))
	for i := range t.channels {
		c, err := cfg.GetUplinkChannel(i)
		if err != nil {
			return err
		}
		if t.edition.ratesOfUS915 {
			if c.MaxDR = 3; c.MinDR > 0 {
				c.MinDR, c.MaxDR = 4, 4 // 500 kHz
			}
		}
		for c.MaxDR > c.MinDR && !t.rates[c.MaxDR].up {
			c.MaxDR--
		}
		t.channels[i] = Channel{Frequency: radio.Frequency(c.Frequency), MinDR: uint8(c.MinDR), MaxDR: uint8(c.MaxDR)}
	}
	if !t.fixed {
		return nil
	}
	for i := 0; ; i++ {
		c, err := cfg.GetDownlinkChannel(i)
		if err != nil {
			return nil // that was the last one
		}
		t.rx1Channels = append(t.rx1Channels, radio.Frequency(c.Frequency))
	}
}
