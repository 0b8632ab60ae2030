package region

import "slices"

// edition is what a band's regional parameters say from a version on.
type edition struct {
	from Version // VersionUnknown: from the first one on

	power *power
	rx1   *rx1Table // nil: that of the library

	noMasks      bool // a join-accept tells no channel masks: no CFList of type 1
	oneByOne     bool // each LinkADRReq is obeyed by itself, and ChMaskCntl 7 leaves too little
	blockMask    bool // ChMaskCntl 5 is known
	txParamSetup bool // TxParamSetupReq is known
	ratesOfUS915 bool // data rates, RX1 and sizes
	shortDR2     bool // DR2 of AS923 takes 59 bytes without a limit to dwell time, and not 123
	shortDown    bool // downlinks keep to shortDR2: the device may be of before and may be not

	boot        DwellLimits // until a TxParamSetupReq tells others
	bootUnknown bool        // sources differ, see Told

	lrFHSS uint16 // a bit for each data rate index that is LR-FHSS
}

// editionOf returns the edition that holds for a version: the last one that is
// not newer. Of a device of which nothing is known it is the newest, but for the
// sizes that older ones do not take.
func (d *bandData) editionOf(v Version) edition {
	var e edition
	for _, next := range d.editions {
		if v == VersionUnknown || next.from <= v {
			e = next
		}
	}
	if v == VersionUnknown {
		e.shortDown = slices.ContainsFunc(d.editions, func(e edition) bool { return e.shortDR2 })
	}
	return e
}

// always are the editions of a band that differs by version in no more than power.
func always(w *power) []edition { return []edition{{power: w}} }

// What differs by version. An edition has all of its rules: what a row leaves out
// is not as in the row before. Sources: LoRaWAN regional parameters 1.0.2 rev B,
// 1.0.3 rev A, 1.1 rev B and RP002-1.0.0 to RP002-1.0.4, as The Things Stack
// 3.32.1 (pkg/band) has them by version.
var (
	eu868Editions = []edition{
		{power: &power16To5},
		{from: V1_0_2B, power: &power16To7},
		{from: RP002_1_0_2, power: &power16To7, lrFHSS: 0x0f00},
	}

	// CFLists of type 1 came with the regional parameters 1.0.3 (section 2.5.4
	// there): devices of before take a join-accept without one.
	us915Editions = []edition{
		{power: &power30To10, noMasks: true, boot: dwellUplink, oneByOne: true},
		{from: V1_0_2A, power: &power30To10, noMasks: true, boot: dwellUplink},
		{from: V1_0_3A, power: &power30To14, boot: dwellUplink, blockMask: true},
		{from: RP002_1_0_2, power: &power30To14, boot: dwellUplink, blockMask: true, lrFHSS: 0x0060},
	}

	// 1.1 rev A has no TxParamSetupReq again. The Things Stack lets devices of it
	// start with a limit that nothing could lift: without, as those of before.
	au915Editions = []edition{
		{power: &power30To10, noMasks: true, ratesOfUS915: true, oneByOne: true},
		{from: V1_0_2A, power: &power30To10, noMasks: true, ratesOfUS915: true},
		{from: V1_0_2B, power: &power30To10, noMasks: true},
		{from: V1_0_3A, power: &power30To14, txParamSetup: true, boot: dwellUplink, blockMask: true},
		{from: V1_1A, power: &power30To10, blockMask: true},
		{from: V1_1B, power: &power30To14, txParamSetup: true, boot: dwellUplink, blockMask: true},
		{
			from: RP002_1_0_2, power: &power30To14, txParamSetup: true, boot: dwellUplink, blockMask: true,
			lrFHSS: 0x0080,
		},
	}

	as923Editions = []edition{
		{rx1: &as923RX1To5, power: &power14To5, txParamSetup: true, bootUnknown: true, shortDR2: true},
		{from: V1_0_2B, rx1: &as923RX1To5, power: &power16To7, txParamSetup: true, bootUnknown: true, shortDR2: true},
		{from: RP002_1_0_0, rx1: &as923RX1, power: &power16To7, txParamSetup: true, bootUnknown: true, shortDR2: true},
		{from: RP002_1_0_1, rx1: &as923RX1, power: &power16To7, txParamSetup: true, bootUnknown: true},
	}

	in865Editions = []edition{{rx1: &in865RX1, power: &power30To10}}

	kr920Editions = []edition{
		{rx1: &kr920RX1, power: &power20KR},
		{from: V1_0_2B, rx1: &kr920RX1, power: &power14To7},
	}

	cn470Editions = []edition{
		{power: &power17CN, noMasks: true, oneByOne: true},
		{from: V1_0_2B, power: &power19To7, noMasks: true},
		{from: V1_0_3A, power: &power19To7},
	}
)
