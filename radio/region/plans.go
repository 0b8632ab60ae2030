package region

import "time"

// bandData is what a band has in all of its plans, beyond the tables of
// brocaar/lorawan/band.
type bandData struct {
	id       string // as brocaar/lorawan/band and The Things Stack have it
	rx2      Window
	subBands []SubBand
}

// planData is one frequency plan: all that a further one needs is a row here.
type planData struct {
	id        string
	band      string
	channels  []Channel
	rx2       Window
	dwellTime time.Duration
}

// The sub-bands are those of The Things Stack: ERC Recommendation 70-03 annex
// 1 (bands K to P of ETSI EN 300 220-2), with EIRP = ERP + 2.15 dB.
var bands = []bandData{
	{
		id:  "EU_863_870",
		rx2: Window{Frequency: 869_525_000, DataRate: 0}, // RP002-1.0.4, 2.4.7
		subBands: []SubBand{
			{Low: 863_000_000, High: 865_000_000, DutyCycle: 1, MaxEIRP: 1615},
			{Low: 865_000_000, High: 868_000_000, DutyCycle: 10, MaxEIRP: 1615},
			{Low: 868_000_000, High: 868_600_000, DutyCycle: 10, MaxEIRP: 1615},
			{Low: 868_700_000, High: 869_200_000, DutyCycle: 1, MaxEIRP: 1615},
			{Low: 869_400_000, High: 869_650_000, DutyCycle: 100, MaxEIRP: 2915},
			{Low: 869_700_000, High: 870_000_000, DutyCycle: 10, MaxEIRP: 1615},
		},
	},
}

// eu868Channels: the three of the band first, as devices number them, then
// what a join-accept adds, then the single-rate ones of the concentrator.
var eu868Channels = []Channel{
	{Frequency: 868_100_000, MaxDR: 5},
	{Frequency: 868_300_000, MaxDR: 5},
	{Frequency: 868_500_000, MaxDR: 5},
	{Frequency: 867_100_000, MaxDR: 5},
	{Frequency: 867_300_000, MaxDR: 5},
	{Frequency: 867_500_000, MaxDR: 5},
	{Frequency: 867_700_000, MaxDR: 5},
	{Frequency: 867_900_000, MaxDR: 5},
	{Frequency: 868_300_000, MinDR: 6, MaxDR: 6},
	{Frequency: 868_800_000, MinDR: 7, MaxDR: 7},
}

var planTable = []planData{
	{id: "EU_863_870", band: "EU_863_870", channels: eu868Channels, rx2: Window{Frequency: 869_525_000, DataRate: 0}},
	{id: "EU_863_870_TTN", band: "EU_863_870", channels: eu868Channels, rx2: Window{Frequency: 869_525_000, DataRate: 3}},
}

var plans = buildAll()

// buildAll panics on a faulty table: that is found by any test, not by users.
func buildAll() []*Plan {
	out := make([]*Plan, len(planTable))
	for i, d := range planTable {
		p, err := build(d)
		if err != nil {
			panic(err)
		}
		out[i] = p
	}
	return out
}
