package region

import (
	"errors"
	"slices"
	"testing"

	"lorawand/radio"
)

// The first and the last channel of 125 kHz and the one of 500 kHz of each
// plan: github.com/TheThingsNetwork/lorawan-frequency-plans, US_902_928_FSB_*
// and AU_915_928_FSB_*.
func TestFixedChannels(t *testing.T) {
	tests := []struct {
		id                string
		first, last, wide radio.Frequency
	}{
		{"US_902_928_FSB_1", 902_300_000, 903_700_000, 903_000_000},
		{"US_902_928_FSB_2", 903_900_000, 905_300_000, 904_600_000},
		{"US_902_928_FSB_3", 905_500_000, 906_900_000, 906_200_000},
		{"US_902_928_FSB_4", 907_100_000, 908_500_000, 907_800_000},
		{"US_902_928_FSB_5", 908_700_000, 910_100_000, 909_400_000},
		{"US_902_928_FSB_6", 910_300_000, 911_700_000, 911_000_000},
		{"US_902_928_FSB_7", 911_900_000, 913_300_000, 912_600_000},
		{"US_902_928_FSB_8", 913_500_000, 914_900_000, 914_200_000},
		{"AU_915_928_FSB_1", 915_200_000, 916_600_000, 915_900_000},
		{"AU_915_928_FSB_2", 916_800_000, 918_200_000, 917_500_000},
		{"AU_915_928_FSB_3", 918_400_000, 919_800_000, 919_100_000},
		{"AU_915_928_FSB_4", 920_000_000, 921_400_000, 920_700_000},
		{"AU_915_928_FSB_5", 921_600_000, 923_000_000, 922_300_000},
		{"AU_915_928_FSB_6", 923_200_000, 924_600_000, 923_900_000},
		{"AU_915_928_FSB_7", 924_800_000, 926_200_000, 925_500_000},
		{"AU_915_928_FSB_8", 926_400_000, 927_800_000, 927_100_000},
		{"AU_915_928_FSB_2_BR", 916_800_000, 918_200_000, 917_500_000},
	}
	for _, tt := range tests {
		p := lookup(t, tt.id)
		narrow, wide := uint8(3), uint8(4) // DR0 to DR3, DR4
		if p.BandID() == "AU_915_928" {
			narrow, wide = 5, 6
		}
		var want []Channel
		for f := tt.first; f <= tt.last; f += 200_000 {
			want = append(want, Channel{Frequency: f, MaxDR: narrow})
		}
		want = append(want, Channel{Frequency: tt.wide, MinDR: wide, MaxDR: wide})
		if got := p.Channels(); len(want) != 9 || !slices.Equal(got, want) {
			t.Errorf("%s hears %+v, want %+v", tt.id, got, want)
		}
	}
}

// The second row is what The Things Stack sends with US_902_928_FSB_2: bytes
// 00 ff 00 00 00 00 00 00 02 00, masks in little endian.
func TestFixedCFList(t *testing.T) {
	tests := []struct {
		id   string
		want []uint16
	}{
		{"US_902_928_FSB_1", []uint16{0x00ff, 0, 0, 0, 0x0001}},
		{"US_902_928_FSB_2", []uint16{0xff00, 0, 0, 0, 0x0002}},
		{"US_902_928_FSB_5", []uint16{0, 0, 0x00ff, 0, 0x0010}},
		{"US_902_928_FSB_8", []uint16{0, 0, 0, 0xff00, 0x0080}},
		{"AU_915_928_FSB_2", []uint16{0xff00, 0, 0, 0, 0x0002}},
		{"AU_915_928_FSB_7_BR", []uint16{0, 0, 0, 0x00ff, 0x0040}},
	}
	for _, tt := range tests {
		if l := lookup(t, tt.id).CFList(); !slices.Equal(l.Masks, tt.want) || l.Frequencies != nil {
			t.Errorf("CFList of %s is %04x, want masks %04x", tt.id, l, tt.want)
		}
	}
}

// Channel numbers count from 902.3 MHz (915.2 MHz) in 200 kHz, those from 64
// on from 903.0 MHz (915.9 MHz) in 1.6 MHz: RP002-1.0.4, 2.5.2 and 2.8.2. A
// plan numbers all of them.
func TestFixedUplinkChannel(t *testing.T) {
	tests := []struct {
		id         string
		f          radio.Frequency
		narrow, dr uint8
	}{
		{"US_902_928_FSB_2", 902_300_000, 3, 4},
		{"AU_915_928_FSB_5", 915_200_000, 5, 6},
	}
	for _, tt := range tests {
		p := lookup(t, tt.id)
		check := func(f radio.Frequency, dr uint8, want int) {
			t.Helper()
			if n, err := p.UplinkChannel(f, dr); err != nil || n != want {
				t.Errorf("%s: %v DR%d is channel %d, %v; want %d", tt.id, f, dr, n, err, want)
			}
		}
		for n := range 64 {
			f := tt.f + radio.Frequency(n)*200_000
			check(f, 0, n)
			check(f, tt.narrow, n)
		}
		for n := range 8 {
			check(tt.f+700_000+radio.Frequency(n)*1_600_000, tt.dr, 64+n)
		}
		for _, no := range []struct {
			f  radio.Frequency
			dr uint8
		}{
			{tt.f, tt.dr},
			{tt.f + 700_000, 0},
			{tt.f + 700_000, tt.dr + 1},
			{tt.f - 200_000, 0},
			{tt.f + 1, 0},
			{923_300_000 + 1, 0},
			{0, 0},
		} {
			if n, err := p.UplinkChannel(no.f, no.dr); !errors.Is(err, ErrFrequency) {
				t.Errorf("%s: %v DR%d is channel %d, %v; want ErrFrequency", tt.id, no.f, no.dr, n, err)
			}
		}
	}
}

// fixedRate is a row of the tables of a band with rates for one direction.
type fixedRate struct {
	dr         uint8
	rate       radio.DataRate
	free, slow int // MACPayload without and with limited dwell time
}

// downlinkRates of US915 and AU915.
var downlinkRates = []fixedRate{
	{8, radio.LoRaDataRate(12, 500_000), 61, 61},
	{9, radio.LoRaDataRate(11, 500_000), 137, 137},
	{10, radio.LoRaDataRate(10, 500_000), 250, 250},
	{11, radio.LoRaDataRate(9, 500_000), 250, 250},
	{12, radio.LoRaDataRate(8, 500_000), 250, 250},
	{13, radio.LoRaDataRate(7, 500_000), 250, 250},
}

// RP002-1.0.4, 2.5.3 and 2.5.6; 2.8.3 and 2.8.6.
func TestFixedDataRates(t *testing.T) {
	us := []fixedRate{
		{0, radio.LoRaDataRate(10, 125_000), 19, 19},
		{1, radio.LoRaDataRate(9, 125_000), 61, 61},
		{2, radio.LoRaDataRate(8, 125_000), 133, 133},
		{3, radio.LoRaDataRate(7, 125_000), 250, 250},
		{4, radio.LoRaDataRate(8, 500_000), 250, 250},
	}
	au := []fixedRate{
		{0, radio.LoRaDataRate(12, 125_000), 59, 0},
		{1, radio.LoRaDataRate(11, 125_000), 59, 0},
		{2, radio.LoRaDataRate(10, 125_000), 59, 19},
		{3, radio.LoRaDataRate(9, 125_000), 123, 61},
		{4, radio.LoRaDataRate(8, 125_000), 250, 133},
		{5, radio.LoRaDataRate(7, 125_000), 250, 250},
		{6, radio.LoRaDataRate(8, 500_000), 250, 250},
	}
	tests := []struct {
		id   string
		up   []fixedRate
		free []uint8 // data rate indices that nothing uses
	}{
		{"US_902_928_FSB_2", us, []uint8{5, 6, 7, 14, 15, 16, 255}},
		{"AU_915_928_FSB_2", au, []uint8{7, 14, 15, 16, 255}},
		{"AU_915_928_FSB_2_BR", au, []uint8{7, 14, 15, 16, 255}},
	}
	for _, tt := range tests {
		p := lookup(t, tt.id)
		for _, r := range tt.up {
			checkUplinkRate(t, p, r)
		}
		for _, r := range downlinkRates {
			checkDownlinkRate(t, p, r)
		}
		for _, r := range slices.Concat(tt.up, downlinkRates) {
			if rate, err := p.DataRate(r.dr); err != nil || rate != r.rate {
				t.Errorf("%s: DR%d is %v, %v; want %v", tt.id, r.dr, rate, err, r.rate)
			}
		}
		for _, dr := range tt.free {
			if rate, err := p.DataRate(dr); !errors.Is(err, ErrDataRate) {
				t.Errorf("%s: DR%d is %v, %v; want ErrDataRate", tt.id, dr, rate, err)
			}
		}
		if n := p.MaxDownlinkPayload(); n != 242 {
			t.Errorf("%s: downlinks carry %d bytes, want 242", tt.id, n)
		}
	}
}

// checkUplinkRate checks a data rate that uplinks have, and downlinks have not.
func checkUplinkRate(t *testing.T, p *Plan, r fixedRate) {
	t.Helper()
	size := r.free
	if p.DwellLimits().Uplink {
		size = r.slow
	}
	if n, err := p.MaxMACPayload(r.dr); err != nil || n != size {
		t.Errorf("%s: DR%d carries %d bytes up, %v; want %d", p.ID(), r.dr, n, err, size)
	}
	if n, err := p.DownlinkMaxMACPayload(r.dr); !errors.Is(err, ErrDataRate) {
		t.Errorf("%s: DR%d carries %d bytes down, %v; want ErrDataRate", p.ID(), r.dr, n, err)
	}
	if dr, err := p.UplinkDataRate(r.rate); err != nil || dr != r.dr {
		t.Errorf("%s: %v is DR%d, %v; want DR%d", p.ID(), r.rate, dr, err, r.dr)
	}
}

// checkDownlinkRate checks a data rate that downlinks have, and uplinks have not.
func checkDownlinkRate(t *testing.T, p *Plan, r fixedRate) {
	t.Helper()
	if n, err := p.DownlinkMaxMACPayload(r.dr); err != nil || n != r.free {
		t.Errorf("%s: DR%d carries %d bytes down, %v; want %d", p.ID(), r.dr, n, err, r.free)
	}
	if n, err := p.MaxMACPayload(r.dr); !errors.Is(err, ErrDataRate) {
		t.Errorf("%s: DR%d carries %d bytes up, %v; want ErrDataRate", p.ID(), r.dr, n, err)
	}
	if r.rate.SpreadingFactor == 8 {
		return // uplinks have SF8BW500 too
	}
	if dr, err := p.UplinkDataRate(r.rate); !errors.Is(err, ErrDataRate) {
		t.Errorf("%s: %v is DR%d, %v; want ErrDataRate", p.ID(), r.rate, dr, err)
	}
}

// RP002-1.0.4, 2.5.7 and 2.8.7: RX1 is on 923.3 MHz and 600 kHz for each
// channel number modulo 8.
func TestFixedRX1(t *testing.T) {
	us := [][]uint8{
		{10, 9, 8, 8},
		{11, 10, 9, 8},
		{12, 11, 10, 9},
		{13, 12, 11, 10},
		{13, 13, 12, 11},
	}
	au := [][]uint8{
		{8, 8, 8, 8, 8, 8},
		{9, 8, 8, 8, 8, 8},
		{10, 9, 8, 8, 8, 8},
		{11, 10, 9, 8, 8, 8},
		{12, 11, 10, 9, 8, 8},
		{13, 12, 11, 10, 9, 8},
		{13, 13, 12, 11, 10, 9},
	}
	tests := []struct {
		id    string
		first radio.Frequency
		rows  [][]uint8
	}{
		{"US_902_928_FSB_2", 902_300_000, us},
		{"AU_915_928_FSB_2", 915_200_000, au},
		{"AU_915_928_FSB_6_BR", 915_200_000, au},
	}
	for _, tt := range tests {
		p := lookup(t, tt.id)
		for dr, row := range tt.rows {
			for offset, rate := range row {
				for n := range 72 {
					up := tt.first + radio.Frequency(n)*200_000
					if n >= 64 {
						up = tt.first + 700_000 + radio.Frequency(n-64)*1_600_000
					}
					want := Window{Frequency: 923_300_000 + radio.Frequency(n%8)*600_000, DataRate: rate}
					if w, err := p.RX1(up, uint8(dr), uint8(offset)); err != nil || w != want {
						t.Fatalf("%s: RX1 of channel %d DR%d offset %d is %+v, %v; want %+v", tt.id, n, dr, offset, w, err, want)
					}
				}
			}
			if w, err := p.RX1(tt.first, uint8(dr), uint8(len(row))); !errors.Is(err, ErrDataRate) {
				t.Errorf("%s: RX1 of DR%d offset %d is %+v, %v; want ErrDataRate", tt.id, dr, len(row), w, err)
			}
		}
		for _, dr := range []uint8{uint8(len(tt.rows)), 8, 13, 16, 255} {
			if w, err := p.RX1(tt.first, dr, 0); !errors.Is(err, ErrDataRate) {
				t.Errorf("%s: RX1 of DR%d is %+v, %v; want ErrDataRate", tt.id, dr, w, err)
			}
		}
		for _, f := range []radio.Frequency{0, tt.first - 1, tt.first + 100_000, 868_100_000} {
			if w, err := p.RX1(f, 0, 0); !errors.Is(err, ErrFrequency) {
				t.Errorf("%s: RX1 of %v is %+v, %v; want ErrFrequency", tt.id, f, w, err)
			}
		}
		if w := (Window{923_300_000, 8}); p.RX2() != w || p.BandRX2() != w {
			t.Errorf("%s: RX2 is %+v, the band's %+v; want %+v", tt.id, p.RX2(), p.BandRX2(), w)
		}
	}
}

// The Things Stack has packet forwarders of US915 send with 26 dBm, 2.15 dB
// below EIRP.
func TestFixedSubBands(t *testing.T) {
	tests := []struct {
		id   string
		f    radio.Frequency
		eirp radio.Decibel // 0: nothing may be sent
	}{
		{"US_902_928_FSB_2", 902_300_000, 2315},
		{"US_902_928_FSB_2", 914_900_000, 2315},
		{"US_902_928_FSB_2", 923_300_000, 2600 + 215},
		{"US_902_928_FSB_2", 927_500_000, 2600 + 215},
		{"US_902_928_FSB_2", 901_999_999, 0},
		{"US_902_928_FSB_2", 915_000_000, 0},
		{"US_902_928_FSB_2", 922_999_999, 0},
		{"US_902_928_FSB_2", 928_000_000, 0},
		{"AU_915_928_FSB_2", 915_200_000, 3000},
		{"AU_915_928_FSB_2", 927_500_000, 3000},
		{"AU_915_928_FSB_2", 914_999_999, 0},
		{"AU_915_928_FSB_2", 928_000_000, 0},
	}
	for _, tt := range tests {
		s, err := lookup(t, tt.id).SubBand(tt.f)
		switch {
		case tt.eirp == 0 && !errors.Is(err, ErrFrequency):
			t.Errorf("%s: %v: %+v, %v; want ErrFrequency", tt.id, tt.f, s, err)
		case tt.eirp != 0 && (err != nil || s.MaxEIRP != tt.eirp || s.DutyCycle != 1000):
			t.Errorf("%s: %v: %+v, %v; want %v dBm without duty cycle", tt.id, tt.f, s, err, tt.eirp)
		}
	}
}

func TestFixedDwell(t *testing.T) {
	tests := []struct {
		id    string
		want  DwellLimits
		setup bool
	}{
		{"US_902_928_FSB_2", DwellLimits{Uplink: true}, false},
		{"AU_915_928_FSB_2", DwellLimits{Uplink: true}, true},
		{"AU_915_928_FSB_2_BR", DwellLimits{}, true},
	}
	for _, tt := range tests {
		p := lookup(t, tt.id)
		if p.DwellLimits() != tt.want || p.TxParamSetup() != tt.setup || p.DwellTime() != 0 {
			t.Errorf("%s: limits %+v, TxParamSetup %t, downlinks %v; want %+v, %t, none", tt.id, p.DwellLimits(),
				p.TxParamSetup(), p.DwellTime(), tt.want, tt.setup)
		}
	}
	us, au := lookup(t, "US_902_928_FSB_2"), lookup(t, "AU_915_928_FSB_2")
	if us.Told(DwellLimits{}) != us {
		t.Error("US915 has become another plan by limits of which its devices are not told")
	}
	if n, err := au.Told(DwellLimits{}).MaxMACPayload(0); err != nil || n != 59 {
		t.Errorf("DR0 of a device without limits carries %d bytes, %v; want 59", n, err)
	}
	if n, err := au.MaxMACPayload(0); err != nil || n != 0 {
		t.Errorf("DR0 carries %d bytes after Told, %v; want 0: it must not change the plan", n, err)
	}
	br := lookup(t, "AU_915_928_FSB_2_BR").Told(DwellLimits{Uplink: true})
	if n, err := br.MaxMACPayload(0); err != nil || n != 0 {
		t.Errorf("DR0 of a device with limits carries %d bytes, %v; want 0", n, err)
	}
}
