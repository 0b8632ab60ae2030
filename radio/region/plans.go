package region

import "lorawand/radio"

// planData is one frequency plan: all that a further one needs is a row here.
//
// Ids, channels and limits are those of github.com/TheThingsNetwork/
// lorawan-frequency-plans at 041ab05. Plans that ask for listening before
// talking (Japan, Korea, those in _LBT) are left out, because no driver does
// so; so are plans whose gateways hear no channel on which devices join.
type planData struct {
	id   string
	band string

	// channels of a band that is not fixed: those of the band first, as
	// devices number them, then what a join-accept and NewChannelReq add,
	// then the single-rate ones of the concentrator.
	channels []Channel
	// block of a fixed band's channels that the gateway hears, 1 to 8: eight
	// of 125 kHz and the one of 500 kHz among them.
	block int

	rx2      Window    // the band's where zero
	subBands []SubBand // the band's where nil
	dwell    DwellLimits
}

// What the plans of one country after another have in common.
var (
	dwellUplink = DwellLimits{Uplink: true}

	eu868Channels = append(multiRate(868_100_000, 868_300_000, 868_500_000,
		867_100_000, 867_300_000, 867_500_000, 867_700_000, 867_900_000),
		Channel{Frequency: 868_300_000, MinDR: 6, MaxDR: 6},
		Channel{Frequency: 868_800_000, MinDR: 7, MaxDR: 7})
)

// planTable. Where a plan of AS923 or AU915 says nothing of dwell time, The
// Things Stack has it limited.
var planTable = []planData{
	{id: "EU_863_870", band: "EU_863_870", channels: eu868Channels},
	{id: "EU_863_870_TTN", band: "EU_863_870", channels: eu868Channels, rx2: Window{Frequency: 869_525_000, DataRate: 3}},

	{id: "US_902_928_FSB_1", band: "US_902_928", block: 1, dwell: dwellUplink},
	{id: "US_902_928_FSB_2", band: "US_902_928", block: 2, dwell: dwellUplink},
	{id: "US_902_928_FSB_3", band: "US_902_928", block: 3, dwell: dwellUplink},
	{id: "US_902_928_FSB_4", band: "US_902_928", block: 4, dwell: dwellUplink},
	{id: "US_902_928_FSB_5", band: "US_902_928", block: 5, dwell: dwellUplink},
	{id: "US_902_928_FSB_6", band: "US_902_928", block: 6, dwell: dwellUplink},
	{id: "US_902_928_FSB_7", band: "US_902_928", block: 7, dwell: dwellUplink},
	{id: "US_902_928_FSB_8", band: "US_902_928", block: 8, dwell: dwellUplink},

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
}

// multiRate returns channels on which devices may send with DR0 to DR5.
func multiRate(frequencies ...radio.Frequency) []Channel {
	channels := make([]Channel, len(frequencies))
	for i, f := range frequencies {
		channels[i] = Channel{Frequency: f, MaxDR: 5}
	}
	return channels
}
