package region

import (
	"errors"
	"slices"
	"testing"
	"time"

	"lorawand/radio"
)

// RP002-1.0.4, 2.10.3 and 2.10.6. With DR2 devices of before RP002-1.0.1 take
// 59 bytes and no more.
func TestAS923DataRates(t *testing.T) {
	tests := []struct {
		rate               radio.DataRate
		up, down, upDownDT int
	}{
		{radio.LoRaDataRate(12, 125_000), 59, 59, 0},
		{radio.LoRaDataRate(11, 125_000), 59, 59, 0},
		{radio.LoRaDataRate(10, 125_000), 123, 59, 19},
		{radio.LoRaDataRate(9, 125_000), 123, 123, 61},
		{radio.LoRaDataRate(8, 125_000), 250, 250, 133},
		{radio.LoRaDataRate(7, 125_000), 250, 250, 250},
		{radio.LoRaDataRate(7, 250_000), 250, 250, 250},
		{radio.FSKDataRate(50_000), 250, 250, 250},
	}
	free, limited := lookup(t, "AS_923_NDT"), lookup(t, "AS_923_DT")
	for i, tt := range tests {
		dr := uint8(i)
		if rate, err := free.DataRate(dr); err != nil || rate != tt.rate {
			t.Errorf("DR%d is %v, %v; want %v", dr, rate, err, tt.rate)
		}
		if index, err := free.UplinkDataRate(tt.rate); err != nil || index != dr {
			t.Errorf("%v is DR%d, %v; want DR%d", tt.rate, index, err, dr)
		}
		for _, c := range []struct {
			name     string
			p        *Plan
			up, down int
		}{
			{"nothing known of the device", free, tt.up, tt.upDownDT},
			{"device told of none", free.Told(DwellLimits{}), tt.up, tt.down},
			{"with limits", limited, tt.upDownDT, tt.upDownDT},
			{"device told of limits", free.Told(dwellBoth), tt.upDownDT, tt.upDownDT},
			{"device told of none in a plan with limits", limited.Told(DwellLimits{}), tt.up, tt.upDownDT},
			{"device told of uplinks", free.Told(dwellUplink), tt.upDownDT, tt.down},
		} {
			if n, err := c.p.MaxMACPayload(dr); err != nil || n != c.up {
				t.Errorf("%s: DR%d carries %d bytes up, %v; want %d", c.name, dr, n, err, c.up)
			}
			if n, err := c.p.DownlinkMaxMACPayload(dr); err != nil || n != c.down {
				t.Errorf("%s: DR%d carries %d bytes down, %v; want %d", c.name, dr, n, err, c.down)
			}
		}
	}
}

// rx1Rule is RP002-1.0.4, 2.10.7 as a formula: the data rate of the uplink less
// the offset (6 and 7 add 1 and 2), between the lowest that the dwell time
// allows and DR7.
func rx1Rule(dr, offset int, limited bool) uint8 {
	if offset > 5 {
		offset = 5 - offset
	}
	lowest := 0
	if limited {
		lowest = 2
	}
	return uint8(min(7, max(lowest, dr-offset)))
}

func TestAS923RX1(t *testing.T) {
	const f = 923_200_000
	for _, id := range []string{"AS_923", "AS_923_NDT", "AS_923_2_DT", "AS_920_923_TTN_AU", "IL_917_920_TTN"} {
		p := lookup(t, id)
		for dr := range 8 {
			for offset := range 8 {
				free, limited := rx1Rule(dr, offset, false), rx1Rule(dr, offset, true)
				w, err := p.RX1(f, uint8(dr), uint8(offset))
				switch {
				case free != limited && !errors.Is(err, ErrDataRate):
					t.Errorf("%s: RX1 of DR%d offset %d is %+v, %v; want ErrDataRate, as the device's dwell time is unknown", id, dr,
						offset, w, err)
				case free == limited && (err != nil || w != Window{f, free}):
					t.Errorf("%s: RX1 of DR%d offset %d is %+v, %v; want DR%d", id, dr, offset, w, err, free)
				}
				if w, err := p.Told(DwellLimits{}).RX1(f, uint8(dr), uint8(offset)); err != nil || w != (Window{f, free}) {
					t.Errorf("%s: RX1 of DR%d offset %d without limit is %+v, %v; want DR%d", id, dr, offset, w, err, free)
				}
				if w, err := p.Told(DwellLimits{Downlink: true}).RX1(f, uint8(dr), uint8(offset)); err != nil ||
					w != (Window{f, limited}) {
					t.Errorf("%s: RX1 of DR%d offset %d with limit is %+v, %v; want DR%d", id, dr, offset, w, err, limited)
				}
			}
		}
		for _, no := range [][2]uint8{{0, 8}, {8, 0}, {255, 255}} {
			if w, err := p.Told(DwellLimits{}).RX1(f, no[0], no[1]); !errors.Is(err, ErrDataRate) {
				t.Errorf("%s: RX1 of DR%d offset %d is %+v, %v; want ErrDataRate", id, no[0], no[1], w, err)
			}
		}
	}
}

// limited is a plan with dwell time limits on both ways.
var limited = DwellLimits{Uplink: true, Downlink: true}

var as923Plans = []struct {
	id       string
	channels int
	cfList   []radio.Frequency
	rx2      radio.Frequency
	duty     int // at RX2
	eirp     radio.Decibel
	dwell    DwellLimits
}{
	{"AS_923", 2, nil, 923_200_000, 10, 1600, limited},
	{"AS_923_DT", 2, nil, 923_200_000, 10, 1600, limited},
	{"AS_923_NDT", 2, nil, 923_200_000, 10, 1600, DwellLimits{}},
	{"AS_923_2", 2, nil, 921_400_000, 10, 1600, limited},
	{"AS_923_3", 2, nil, 916_600_000, 10, 1600, limited},
	{"AS_923_4", 2, nil, 917_300_000, 10, 1600, limited},
	{"AS_923_4_NDT", 2, nil, 917_300_000, 10, 1600, DwellLimits{}},
	{
		"AS_920_923", 10,
		[]radio.Frequency{922_200_000, 922_400_000, 922_600_000, 922_800_000, 923_000_000},
		923_200_000, 1000, 1600, limited,
	},
	{
		"AS_923_925", 10,
		[]radio.Frequency{923_600_000, 923_800_000, 924_000_000, 924_200_000, 924_400_000},
		923_200_000, 1000, 1600, limited,
	},
	{
		"AS_920_923_TTN_AU", 10,
		[]radio.Frequency{922_200_000, 922_400_000, 922_600_000, 922_800_000, 923_000_000},
		923_200_000, 1000, 3000,
		DwellLimits{},
	},
	{
		"SG_920_923_TTN", 10,
		[]radio.Frequency{922_200_000, 922_400_000, 922_600_000, 922_800_000, 923_000_000},
		923_200_000, 100, 1600,
		DwellLimits{},
	},
	{
		"IL_917_920_TTN_2", 8,
		[]radio.Frequency{917_700_000, 917_900_000, 918_100_000, 918_300_000, 918_500_000},
		917_300_000, 10, 1600,
		DwellLimits{},
	},
}

// AS923 groups 2 to 4 lie 1.8, 6.6 and 5.9 MHz below group 1: RP002-1.0.4,
// 2.10.2. Dwell time and sub-bands: github.com/TheThingsNetwork/
// lorawan-frequency-plans and The Things Stack, pkg/band.
func TestAS923Plans(t *testing.T) {
	for _, tt := range as923Plans {
		p := lookup(t, tt.id)
		if got := p.Channels(); len(got) != tt.channels || got[0] != (Channel{Frequency: tt.rx2, MaxDR: 5}) ||
			got[1] != (Channel{Frequency: tt.rx2 + 200_000, MaxDR: 5}) {
			t.Errorf("%s: channels are %+v; want %d, from RX2's frequency on", tt.id, got, tt.channels)
		}
		if l := p.CFList(); !slices.Equal(l.Frequencies, tt.cfList) || l.Masks != nil {
			t.Errorf("%s: CFList is %+v, want %v", tt.id, l, tt.cfList)
		}
		if w := (Window{tt.rx2, 2}); p.RX2() != w || p.BandRX2() != w {
			t.Errorf("%s: RX2 is %+v, the band's %+v; want %+v", tt.id, p.RX2(), p.BandRX2(), w)
		}
		if s, err := p.SubBand(tt.rx2); err != nil || s.DutyCycle != tt.duty || s.MaxEIRP != tt.eirp {
			t.Errorf("%s: RX2 is in %+v, %v; want %d ‰ and %v dBm", tt.id, s, err, tt.duty, tt.eirp)
		}
		longest := time.Duration(0)
		if tt.dwell.Downlink {
			longest = 400 * time.Millisecond
		}
		if p.DwellLimits() != tt.dwell || p.DwellTime() != longest || !p.TxParamSetup() {
			t.Errorf("%s: limits %+v, downlinks %v, TxParamSetup %t; want %+v", tt.id, p.DwellLimits(), p.DwellTime(),
				p.TxParamSetup(), tt.dwell)
		}
	}
}
