package region

import (
	"slices"

	"github.com/brocaar/lorawan/band"
)

// bandData is what a band has in all of its plans, beyond the tables of
// brocaar/lorawan/band.
type bandData struct {
	id       string    // as The Things Stack has it
	library  band.Name // as brocaar/lorawan/band has it
	subBands []SubBand // of plans that bring none
	// editions are what differs by version, oldest first; none: nothing does.
	editions []edition

	// channels that every device has, where the library has others.
	channels []Channel
	// lastRate is the highest data rate index, where the library has more.
	lastRate uint8
	// sizesOf is the LoRaWAN version of the library's sizes; empty: the newest.
	sizesOf string
	// fixed: all channels are laid down and devices are told of them by
	// masks; RX1 has channels of its own.
	fixed bool
	// wide: the last 8 of the channels have 500 kHz, one for each block of the
	// others.
	wide bool
}

// rx1Table has RX1 data rates by downlink dwell time (0 without limit, 1 with),
// data rate of the uplink and RX1 data rate offset.
type rx1Table [2][][]uint8

// bands: where no other source is given, the sub-bands are those of The Things
// Stack 3.32.1 (pkg/band), which checks downlinks by them.
var bands = []bandData{
	{
		id: "EU_863_870", library: band.EU868, editions: eu868Editions,
		// ERC Recommendation 70-03 annex 1 (bands K to P of ETSI EN 300
		// 220-2), with EIRP = ERP + 2.15 dB.
		subBands: []SubBand{
			{Low: 863_000_000, High: 865_000_000, DutyCycle: 1, MaxEIRP: 1615},
			{Low: 865_000_000, High: 868_000_000, DutyCycle: 10, MaxEIRP: 1615},
			{Low: 868_000_000, High: 868_600_000, DutyCycle: 10, MaxEIRP: 1615},
			{Low: 868_700_000, High: 869_200_000, DutyCycle: 1, MaxEIRP: 1615},
			{Low: 869_400_000, High: 869_650_000, DutyCycle: 100, MaxEIRP: 2915},
			{Low: 869_700_000, High: 870_000_000, DutyCycle: 10, MaxEIRP: 1615},
		},
	},
	{
		id: "EU_433", library: band.EU433, editions: always(&power12To5),
		// ERC Recommendation 70-03 annex 1: 10 mW ERP, 10 %.
		subBands: []SubBand{{Low: 433_050_000, High: 434_790_000, DutyCycle: 100, MaxEIRP: 1215}},
	},
	{
		id: "US_902_928", library: band.US915, fixed: true, wide: true, editions: us915Editions,
		// FCC 47 CFR 15.247. What lies between has no channels.
		subBands: []SubBand{
			{Low: 902_000_000, High: 915_000_000, DutyCycle: 1000, MaxEIRP: 2315},
			{Low: 923_000_000, High: 928_000_000, DutyCycle: 1000, MaxEIRP: 2815},
		},
	},
	{
		id: "AU_915_928", library: band.AU915, fixed: true, wide: true, editions: au915Editions,
		// Radiocommunications (Low Interference Potential Devices) Class
		// Licence 2015.
		subBands: []SubBand{{Low: 915_000_000, High: 928_000_000, DutyCycle: 1000, MaxEIRP: 3000}},
	},
	{
		id: "AS_923", library: band.AS923, editions: as923Editions,
		subBands: []SubBand{{Low: 923_000_000, High: 923_500_000, DutyCycle: 10, MaxEIRP: 1600}},
	},
	{
		id: "AS_923_2", library: band.AS923_2, editions: as923Editions,
		subBands: []SubBand{{Low: 921_400_000, High: 922_000_000, DutyCycle: 10, MaxEIRP: 1600}},
	},
	{
		id: "AS_923_3", library: band.AS923_3, editions: as923Editions,
		subBands: []SubBand{{Low: 916_500_000, High: 917_000_000, DutyCycle: 10, MaxEIRP: 1600}},
	},
	{
		id: "AS_923_4", library: band.AS923_4, editions: as923Editions,
		subBands: []SubBand{{Low: 917_200_000, High: 917_600_000, DutyCycle: 10, MaxEIRP: 1600}},
	},
	{
		id: "IN_865_867", library: band.IN865, editions: in865Editions,
		subBands: []SubBand{{Low: 865_000_000, High: 867_000_000, DutyCycle: 1000, MaxEIRP: 1615}},
	},
	{
		// The Things Stack's sub-band ends at 923 MHz, below two of the channels of
		// its plan; RP002-1.0.4, 2.11.2 has them.
		id: "KR_920_923", library: band.KR920, editions: kr920Editions,
		subBands: []SubBand{{Low: 920_800_000, High: 923_400_000, DutyCycle: 1000, MaxEIRP: 1615}},
	},
	{
		// The Things Stack has 1 % and 22.15 dBm everywhere. SWL2001 has three
		// sub-bands, of 0.1, 1 and 10 %: those of the Russian rules for short range
		// devices. Of both the stricter is taken.
		id: "RU_864_870", library: band.RU864, editions: always(&power16To7),
		subBands: []SubBand{
			{Low: 864_000_000, High: 865_000_000, DutyCycle: 1, MaxEIRP: 1615},
			{Low: 866_000_000, High: 868_000_000, DutyCycle: 10, MaxEIRP: 1615},
			{Low: 868_700_000, High: 869_200_000, DutyCycle: 10, MaxEIRP: 2215},
		},
	},
	{
		// A draft of The Things Stack: EU868 with other channels, in all versions.
		id: "MA_869_870_DRAFT", library: band.EU868, editions: always(&power16To7),
		channels: multiRate(869_100_000, 869_300_000, 869_700_000),
		subBands: []SubBand{
			{Low: 869_000_000, High: 869_400_000, DutyCycle: 1, MaxEIRP: 1615},
			{Low: 869_400_000, High: 869_650_000, DutyCycle: 100, MaxEIRP: 2915},
			{Low: 869_650_000, High: 870_000_000, DutyCycle: 10, MaxEIRP: 1615},
		},
	},
	{
		// That of the regional parameters 1.0.1 to 1.1. RP002 has other channels
		// under other names, of which The Things Stack has no plan.
		id: "CN_470_510", library: band.CN470, fixed: true, lastRate: 5, sizesOf: band.LoRaWAN_1_0_3, editions: cn470Editions,
		subBands: []SubBand{{Low: 470_000_000, High: 510_000_000, DutyCycle: 1000, MaxEIRP: 1915}},
	},
}

// as923RX1To5 is that of the regional parameters 1.0.2 to 1.1 (1.0.3 rev A,
// 2.8.7), which answer with DR5 at most.
var as923RX1To5 = func() (t rx1Table) {
	for limited, rows := range as923RX1 {
		for _, row := range rows {
			capped := slices.Clone(row)
			for i := range capped {
				capped[i] = min(capped[i], 5)
			}
			t[limited] = append(t[limited], capped)
		}
	}
	return t
}()

// as923RX1 is that of RP002-1.0.4, 2.10.7.
var as923RX1 = rx1Table{
	{
		{0, 0, 0, 0, 0, 0, 1, 2},
		{1, 0, 0, 0, 0, 0, 2, 3},
		{2, 1, 0, 0, 0, 0, 3, 4},
		{3, 2, 1, 0, 0, 0, 4, 5},
		{4, 3, 2, 1, 0, 0, 5, 6},
		{5, 4, 3, 2, 1, 0, 6, 7},
		{6, 5, 4, 3, 2, 1, 7, 7},
		{7, 6, 5, 4, 3, 2, 7, 7},
	},
	{
		{2, 2, 2, 2, 2, 2, 2, 2},
		{2, 2, 2, 2, 2, 2, 2, 3},
		{2, 2, 2, 2, 2, 2, 3, 4},
		{3, 2, 2, 2, 2, 2, 4, 5},
		{4, 3, 2, 2, 2, 2, 5, 6},
		{5, 4, 3, 2, 2, 2, 6, 7},
		{6, 5, 4, 3, 2, 2, 7, 7},
		{7, 6, 5, 4, 3, 2, 7, 7},
	},
}

// kr920RX1 is that of RP002-1.0.4, 2.11.7: the library has offsets above 5, and
// data rates above DR5, which the band has not.
var kr920RX1 = func() rx1Table {
	rows := [][]uint8{
		{0, 0, 0, 0, 0, 0},
		{1, 0, 0, 0, 0, 0},
		{2, 1, 0, 0, 0, 0},
		{3, 2, 1, 0, 0, 0},
		{4, 3, 2, 1, 0, 0},
		{5, 4, 3, 2, 1, 0},
	}
	return rx1Table{rows, rows}
}()

// in865RX1 is the part of RP002-1.0.4, 2.12.7 on which its readers agree: the
// library has answers in DR6, which the band leaves free, and offsets above 5
// differ from one implementation to the next.
var in865RX1 = func() rx1Table {
	rows := [][]uint8{
		{0, 0, 0, 0, 0, 0},
		{1, 0, 0, 0, 0, 0},
		{2, 1, 0, 0, 0, 0},
		{3, 2, 1, 0, 0, 0},
		{4, 3, 2, 1, 0, 0},
		{5, 4, 3, 2, 1, 0},
		{},
		{7},
	}
	return rx1Table{rows, rows}
}()
