package region

import (
	"time"

	"lorawand/radio"
)

// planData is one frequency plan: all that a further one needs is a row here.
//
// Ids, channels and limits are those of github.com/TheThingsNetwork/
// lorawan-frequency-plans at 041ab05. ISM_2400_3CH_DRAFT2 is left out: no gateway
// of ours has a radio of 2.4 GHz.
type planData struct {
	id   string
	band string

	// channels of a band that is not fixed: those of the band first, as
	// devices number them, then what a join-accept and NewChannelReq add,
	// then the single-rate ones of the concentrator.
	channels []Channel
	// block of a fixed band's channels that the gateway hears, from 1: eight of
	// 125 kHz and, if the band has such, the one of 500 kHz among them.
	block int
	// wideOnly: the gateway hears only the block's channel of 500 kHz.
	wideOnly bool

	rx2      Window    // the band's where zero
	subBands []SubBand // the band's where nil
	dwell    DwellLimits
	lbt      LBT // zero: none
}

// What the plans of one country after another have in common.
var (
	dwellBoth   = DwellLimits{Uplink: true, Downlink: true}
	dwellUplink = DwellLimits{Uplink: true}

	eu868Channels = append(multiRate(868_100_000, 868_300_000, 868_500_000,
		867_100_000, 867_300_000, 867_500_000, 867_700_000, 867_900_000),
		Channel{Frequency: 868_300_000, MinDR: 6, MaxDR: 6},
		Channel{Frequency: 868_800_000, MinDR: 7, MaxDR: 7})

	eu868Roaming = append(multiRate(868_100_000, 868_300_000, 868_500_000, 867_100_000, 867_300_000, 867_900_000),
		Channel{Frequency: 868_300_000, MinDR: 6, MaxDR: 6},
		Channel{Frequency: 868_800_000, MinDR: 7, MaxDR: 7})

	eu868Channel1 = append(multiRate(868_100_000),
		Channel{Frequency: 868_300_000, MinDR: 6, MaxDR: 6},
		Channel{Frequency: 868_800_000, MinDR: 7, MaxDR: 7})

	eu433Channels = append(multiRate(433_175_000, 433_375_000, 433_575_000,
		433_775_000, 433_975_000, 434_175_000, 434_375_000, 434_575_000),
		Channel{Frequency: 434_075_000, MinDR: 6, MaxDR: 6})

	in865Channels = multiRate(865_062_500, 865_402_500, 865_985_000,
		865_232_500, 866_185_000, 866_385_000, 866_585_000, 866_785_000)

	as920Channels = append(multiRate(923_200_000, 923_400_000, 922_200_000,
		922_400_000, 922_600_000, 922_800_000, 923_000_000, 922_000_000),
		Channel{Frequency: 922_100_000, MinDR: 6, MaxDR: 6},
		Channel{Frequency: 921_800_000, MinDR: 7, MaxDR: 7})

	as923Channels = append(multiRate(923_200_000, 923_400_000, 923_600_000,
		923_800_000, 924_000_000, 924_200_000, 924_400_000, 924_600_000),
		Channel{Frequency: 924_500_000, MinDR: 6, MaxDR: 6},
		Channel{Frequency: 924_800_000, MinDR: 7, MaxDR: 7})

	il917Channels = multiRate(917_300_000, 917_500_000, 917_700_000,
		917_900_000, 919_300_000, 919_500_000, 919_700_000, 919_900_000)

	il917Channels2 = multiRate(917_300_000, 917_500_000, 917_700_000,
		917_900_000, 918_100_000, 918_300_000, 918_500_000, 918_900_000)

	jp920Channels1 = append(multiRate(923_200_000, 923_400_000, 922_800_000,
		923_000_000, 922_600_000, 922_000_000, 922_200_000, 922_400_000),
		Channel{Frequency: 922_100_000, MinDR: 6, MaxDR: 6},
		Channel{Frequency: 921_800_000, MinDR: 7, MaxDR: 7})

	jp920Channels2 = append(multiRate(923_200_000, 923_400_000, 922_800_000,
		923_000_000, 920_600_000, 920_800_000, 921_000_000, 921_200_000),
		Channel{Frequency: 923_100_000, MinDR: 6, MaxDR: 6})

	// Without the channels on which devices of AS923 join: it is for those of a
	// maker who has set others.
	jp920Channels3 = append(multiRate(920_600_000, 920_800_000, 921_000_000,
		921_200_000, 921_400_000, 921_600_000, 921_800_000, 922_000_000),
		Channel{Frequency: 922_100_000, MinDR: 6, MaxDR: 6})

	uz926Channels = multiRate(926_400_000, 926_600_000, 926_800_000) // as above

	ma869Channels = append(multiRate(869_100_000, 869_300_000, 869_700_000, 869_900_000),
		Channel{Frequency: 869_300_000, MinDR: 6, MaxDR: 6},
		Channel{Frequency: 869_800_000, MinDR: 7, MaxDR: 7})

	ru864Channels = multiRate(868_900_000, 869_100_000,
		864_100_000, 864_300_000, 864_500_000, 864_700_000, 864_900_000)

	kr920Channels = multiRate(922_100_000, 922_300_000, 922_500_000,
		922_700_000, 922_900_000, 923_100_000, 923_300_000)

	as923Group1 = multiRate(923_200_000, 923_400_000)
	as923Group2 = multiRate(921_400_000, 921_600_000)
	as923Group3 = multiRate(916_600_000, 916_800_000)
	as923Group4 = multiRate(917_300_000, 917_500_000)

	// Sub-bands reach to the edges of their outermost channels, 100 kHz from
	// the middle.
	as920SubBands = []SubBand{{Low: 921_900_000, High: 923_500_000, DutyCycle: 1000, MaxEIRP: 1600}}
	as923SubBands = []SubBand{{Low: 923_100_000, High: 924_700_000, DutyCycle: 1000, MaxEIRP: 1600}}
	ttnAUSubBands = []SubBand{{Low: 915_000_000, High: 928_000_000, DutyCycle: 1000, MaxEIRP: 3000}}
	sg920SubBands = []SubBand{{Low: 921_900_000, High: 923_500_000, DutyCycle: 100, MaxEIRP: 1600}}
	// land mobile stations
	jp922SubBands = []SubBand{{Low: 921_900_000, High: 923_500_000, DutyCycle: 1000, MaxEIRP: 2700}}
	jp920SubBands = []SubBand{{Low: 920_500_000, High: 923_500_000, DutyCycle: 1000, MaxEIRP: 1600}}
	jp921SubBands = []SubBand{{Low: 920_500_000, High: 922_100_000, DutyCycle: 1000, MaxEIRP: 1600}}
	jp921Mobile   = []SubBand{{Low: 920_500_000, High: 922_100_000, DutyCycle: 1000, MaxEIRP: 2700}}
	uz926SubBands = []SubBand{{Low: 926_100_000, High: 926_900_000, DutyCycle: 1000, MaxEIRP: 1600}}
	us24SubBands  = []SubBand{ // gateways of one channel
		{Low: 902_000_000, High: 915_000_000, DutyCycle: 1000, MaxEIRP: 2415},
		{Low: 923_000_000, High: 928_000_000, DutyCycle: 1000, MaxEIRP: 2415},
	}
	il917SubBands = []SubBand{{Low: 917_200_000, High: 920_000_000, DutyCycle: 10, MaxEIRP: 1600}}
	il918SubBands = []SubBand{{Low: 917_200_000, High: 919_000_000, DutyCycle: 10, MaxEIRP: 1600}}

	// The target is that of the plans, -80 dBm with an offset of -4 dB. How long
	// a frame may last follows from how long was listened: ARIB STD-T108 (Japan).
	// The 4 s of Korea are not taken from its regulation, which was not at hand.
	lbtShort = LBT{Target: -8400, Scan: 128 * time.Microsecond, Airtime: 400 * time.Millisecond}
	lbtJapan = LBT{Target: -8400, Scan: 5 * time.Millisecond, Airtime: 4 * time.Second}
	lbtKorea = LBT{Target: -8400, Scan: 128 * time.Microsecond, Airtime: 4 * time.Second}
)

// planTable. Where a plan of AS923 or AU915 says nothing of dwell time, The
// Things Stack has it limited.
var planTable = []planData{
	{id: "EU_863_870", band: "EU_863_870", channels: eu868Channels},
	{id: "EU_863_870_TTN", band: "EU_863_870", channels: eu868Channels, rx2: Window{Frequency: 869_525_000, DataRate: 3}},
	{id: "EU_863_870_ROAMING_DRAFT", band: "EU_863_870", channels: eu868Roaming},
	{id: "EU_868_1", band: "EU_863_870", channels: eu868Channel1},
	{id: "EU_433", band: "EU_433", channels: eu433Channels},

	{id: "US_902_928_FSB_1", band: "US_902_928", block: 1, dwell: dwellUplink},
	{id: "US_902_928_FSB_2", band: "US_902_928", block: 2, dwell: dwellUplink},
	{id: "US_902_928_FSB_3", band: "US_902_928", block: 3, dwell: dwellUplink},
	{id: "US_902_928_FSB_4", band: "US_902_928", block: 4, dwell: dwellUplink},
	{id: "US_902_928_FSB_5", band: "US_902_928", block: 5, dwell: dwellUplink},
	{id: "US_902_928_FSB_6", band: "US_902_928", block: 6, dwell: dwellUplink},
	{id: "US_902_928_FSB_7", band: "US_902_928", block: 7, dwell: dwellUplink},
	{id: "US_902_928_FSB_8", band: "US_902_928", block: 8, dwell: dwellUplink},

	// The Things Stack's gateways of these also listen to SF7 to SF10 of 125 kHz on
	// that frequency, where no device of the band sends.
	{id: "US_903_0", band: "US_902_928", block: 1, wideOnly: true, subBands: us24SubBands, dwell: dwellUplink},
	{id: "US_904_6", band: "US_902_928", block: 2, wideOnly: true, subBands: us24SubBands, dwell: dwellUplink},
	{id: "US_906_2", band: "US_902_928", block: 3, wideOnly: true, subBands: us24SubBands, dwell: dwellUplink},
	{id: "US_907_8", band: "US_902_928", block: 4, wideOnly: true, subBands: us24SubBands, dwell: dwellUplink},
	{id: "US_909_4", band: "US_902_928", block: 5, wideOnly: true, subBands: us24SubBands, dwell: dwellUplink},
	{id: "US_911_0", band: "US_902_928", block: 6, wideOnly: true, subBands: us24SubBands, dwell: dwellUplink},
	{id: "US_912_6", band: "US_902_928", block: 7, wideOnly: true, subBands: us24SubBands, dwell: dwellUplink},
	{id: "US_914_2", band: "US_902_928", block: 8, wideOnly: true, subBands: us24SubBands, dwell: dwellUplink},

	{id: "AU_915_928_FSB_1", band: "AU_915_928", block: 1, dwell: dwellUplink},
	{id: "AU_915_928_FSB_2", band: "AU_915_928", block: 2, dwell: dwellUplink},
	{id: "AU_915_928_FSB_3", band: "AU_915_928", block: 3, dwell: dwellUplink},
	{id: "AU_915_928_FSB_4", band: "AU_915_928", block: 4, dwell: dwellUplink},
	{id: "AU_915_928_FSB_5", band: "AU_915_928", block: 5, dwell: dwellUplink},
	{id: "AU_915_928_FSB_6", band: "AU_915_928", block: 6, dwell: dwellUplink},
	{id: "AU_915_928_FSB_7", band: "AU_915_928", block: 7, dwell: dwellUplink},
	{id: "AU_915_928_FSB_8", band: "AU_915_928", block: 8, dwell: dwellUplink},
	{id: "AU_915_928_FSB_1_BR", band: "AU_915_928", block: 1},
	{id: "AU_915_928_FSB_2_BR", band: "AU_915_928", block: 2},
	{id: "AU_915_928_FSB_3_BR", band: "AU_915_928", block: 3},
	{id: "AU_915_928_FSB_4_BR", band: "AU_915_928", block: 4},
	{id: "AU_915_928_FSB_5_BR", band: "AU_915_928", block: 5},
	{id: "AU_915_928_FSB_6_BR", band: "AU_915_928", block: 6},
	{id: "AU_915_928_FSB_7_BR", band: "AU_915_928", block: 7},
	{id: "AU_915_928_FSB_8_BR", band: "AU_915_928", block: 8},

	{id: "CN_470_510_FSB_1", band: "CN_470_510", block: 1},
	{id: "CN_470_510_FSB_11", band: "CN_470_510", block: 11},

	{id: "AS_920_923", band: "AS_923", channels: as920Channels, subBands: as920SubBands, dwell: dwellBoth},
	{id: "AS_920_923_TTN_AU", band: "AS_923", channels: as920Channels, subBands: ttnAUSubBands},
	{id: "AS_923_925", band: "AS_923", channels: as923Channels, subBands: as923SubBands, dwell: dwellBoth},
	{id: "AS_923_925_TTN_AU", band: "AS_923", channels: as923Channels, subBands: ttnAUSubBands},
	{
		id: "AS_920_923_LBT", band: "AS_923", channels: as920Channels, subBands: as920SubBands, dwell: dwellBoth,
		lbt: lbtShort,
	},
	{
		id: "AS_923_925_LBT", band: "AS_923", channels: as923Channels, subBands: as923SubBands, dwell: dwellBoth,
		lbt: lbtShort,
	},
	{
		id: "AS_920_923_TTN_JP_1", band: "AS_923", channels: jp920Channels1, subBands: as920SubBands, dwell: dwellBoth,
		lbt: lbtJapan,
	},
	{
		id: "AS_920_923_TTN_JP_1_LAND_MOBILE", band: "AS_923", channels: jp920Channels1, subBands: jp922SubBands,
		dwell: dwellBoth, lbt: lbtJapan,
	},
	{
		id: "AS_920_923_TTN_JP_2", band: "AS_923", channels: jp920Channels2, subBands: jp920SubBands, dwell: dwellBoth,
		lbt: lbtJapan,
	},
	{
		id: "AS_920_923_TTN_JP_3", band: "AS_923", channels: jp920Channels3, subBands: jp921SubBands, dwell: dwellBoth,
		lbt: lbtJapan,
	},
	{
		id: "AS_920_923_TTN_JP_3_LAND_MOBILE", band: "AS_923", channels: jp920Channels3, subBands: jp921Mobile,
		dwell: dwellBoth, lbt: lbtJapan,
	},
	{id: "AS_923", band: "AS_923", channels: as923Group1, dwell: dwellBoth},
	{id: "AS_923_DT", band: "AS_923", channels: as923Group1, dwell: dwellBoth},
	{id: "AS_923_NDT", band: "AS_923", channels: as923Group1},
	{id: "AS_923_2", band: "AS_923_2", channels: as923Group2, dwell: dwellBoth},
	{id: "AS_923_2_DT", band: "AS_923_2", channels: as923Group2, dwell: dwellBoth},
	{id: "AS_923_2_NDT", band: "AS_923_2", channels: as923Group2},
	{id: "AS_923_3", band: "AS_923_3", channels: as923Group3, dwell: dwellBoth},
	{id: "AS_923_3_DT", band: "AS_923_3", channels: as923Group3, dwell: dwellBoth},
	{id: "AS_923_3_NDT", band: "AS_923_3", channels: as923Group3},
	{id: "AS_923_4", band: "AS_923_4", channels: as923Group4, dwell: dwellBoth},
	{id: "AS_923_4_DT", band: "AS_923_4", channels: as923Group4, dwell: dwellBoth},
	{id: "AS_923_4_NDT", band: "AS_923_4", channels: as923Group4},
	{id: "SG_920_923_TTN", band: "AS_923", channels: as920Channels, subBands: sg920SubBands},
	{id: "IL_917_920_TTN", band: "AS_923_4", channels: il917Channels, subBands: il917SubBands},
	{id: "IL_917_920_TTN_2", band: "AS_923_4", channels: il917Channels2, subBands: il918SubBands},

	{id: "IN_865_867", band: "IN_865_867", channels: in865Channels},
	{id: "KR_920_923_TTN", band: "KR_920_923", channels: kr920Channels, lbt: lbtKorea},
	{id: "MA_869_870_DRAFT", band: "MA_869_870_DRAFT", channels: ma869Channels},
	{id: "RU_864_870_TTN", band: "RU_864_870", channels: ru864Channels},
	{
		id: "UZ_923_1", band: "AS_923", channels: uz926Channels, rx2: Window{926_200_000, 2}, subBands: uz926SubBands,
		dwell: dwellBoth,
	},
}

// multiRate returns channels on which devices may send with DR0 to DR5.
func multiRate(frequencies ...radio.Frequency) []Channel {
	channels := make([]Channel, len(frequencies))
	for i, f := range frequencies {
		channels[i] = Channel{Frequency: f, MaxDR: 5}
	}
	return channels
}
