package region

import (
	"testing"

	"lorawand/radio"
)

// TXPower by version: the highest index, what it takes off, and the power that it
// is taken off.
func TestTXPower(t *testing.T) {
	for _, tt := range []struct {
		plan     string
		from, to Version
		last     uint8
		below    radio.Decibel
		eirp     radio.Decibel
	}{
		{"EU_863_870_TTN", V1_0, V1_0_2A, 5, 1000, 1600},
		{"EU_863_870_TTN", V1_0_2B, RP002_1_0_4, 7, 1400, 1600},
		{"EU_433", V1_0, RP002_1_0_4, 5, 1000, 1215},
		{"US_902_928_FSB_2", V1_0, V1_0_2B, 10, 2000, 3000},
		{"US_902_928_FSB_2", V1_0_3A, RP002_1_0_4, 14, 2800, 3000},
		{"AU_915_928_FSB_2", V1_0, V1_0_2B, 10, 2000, 3000},
		{"AU_915_928_FSB_2", V1_0_3A, V1_0_3A, 14, 2800, 3000},
		{"AU_915_928_FSB_2", V1_1A, V1_1A, 10, 2000, 3000},
		{"AU_915_928_FSB_2", V1_1B, RP002_1_0_4, 14, 2800, 3000},
		{"AS_923", V1_0, V1_0_2A, 5, 1000, 1400},
		{"AS_923", V1_0_2B, RP002_1_0_4, 7, 1400, 1600},
		{"AS_923_4", V1_0_2B, RP002_1_0_4, 7, 1400, 1600},
		{"IN_865_867", V1_0, RP002_1_0_4, 10, 2000, 3000},
		{"KR_920_923_TTN", V1_0, V1_0_2A, 6, 2000, 2000},
		{"KR_920_923_TTN", V1_0_2B, RP002_1_0_4, 7, 1400, 1400},
	} {
		for v := tt.from; v <= tt.to; v++ {
			p := lookup(t, tt.plan).For(v)
			below, ok := p.TXPower(tt.last)
			if p.MaxTXPower() != tt.last || !ok || below != tt.below || p.DeviceMaxEIRP() != tt.eirp {
				t.Errorf("%s, %v: up to %d, %v dB below %v dBm; want %+v",
					tt.plan, v, p.MaxTXPower(), below, p.DeviceMaxEIRP(), tt)
			}
			for _, index := range []uint8{tt.last + 1, 15, 255} {
				if below, ok := p.TXPower(index); ok {
					t.Errorf("%s, %v: power %d is %v dB below", tt.plan, v, index, below)
				}
			}
		}
	}
	forAll(t, func(t *testing.T, p *Plan) {
		before := radio.Decibel(-1)
		for i := range p.MaxTXPower() + 1 {
			below, ok := p.TXPower(i)
			if !ok || below <= before || below > p.DeviceMaxEIRP() {
				t.Errorf("power %d is %v dB below, %t", i, below, ok)
			}
			before = below
		}
	})
}

func TestADRDataRates(t *testing.T) {
	both, none := DwellLimits{Uplink: true, Downlink: true}, DwellLimits{}
	for _, tt := range []struct {
		plan      string
		version   Version
		told      *DwellLimits
		low, high uint8
	}{
		{"EU_863_870_TTN", VersionUnknown, nil, 0, 5},
		{"EU_863_870_TTN", V1_0, nil, 0, 5},
		{"US_902_928_FSB_2", RP002_1_0_4, nil, 0, 3},
		{"AU_915_928_FSB_2_BR", RP002_1_0_4, &none, 0, 5},
		{"AU_915_928_FSB_2", RP002_1_0_4, &both, 2, 5},
		{"AU_915_928_FSB_2", RP002_1_0_4, nil, 2, 5},
		{"AU_915_928_FSB_2", V1_0_2A, nil, 0, 3},
		{"AU_915_928_FSB_2", V1_0_1, nil, 0, 3},
		{"AS_923", RP002_1_0_4, &both, 2, 5},
		{"AS_923", RP002_1_0_4, &none, 0, 5},
		{"KR_920_923_TTN", V1_0_3A, nil, 0, 5},
	} {
		p := lookup(t, tt.plan).For(tt.version)
		if tt.told != nil {
			p = p.Told(*tt.told)
		}
		if low, high := p.ADRDataRates(); low != tt.low || high != tt.high {
			t.Errorf("%s, %v, %+v: DR%d to DR%d, want DR%d to DR%d",
				tt.plan, tt.version, tt.told, low, high, tt.low, tt.high)
		}
	}
}

func TestDemodulationFloor(t *testing.T) {
	for sf, want := range map[uint8]radio.Decibel{
		0: 0, 4: 0, 5: -250, 7: -750, 8: -1000, 9: -1250, 10: -1500, 11: -1750, 12: -2000, 13: 0, 255: 0,
	} {
		if got := DemodulationFloor(sf); got != want {
			t.Errorf("SF%d is heard down to %v dB, want %v", sf, got, want)
		}
	}
}

// TxParamSetupReq and dwell times at boot by version.
func TestTxParamSetupByVersion(t *testing.T) {
	for _, tt := range []struct {
		plan     string
		from, to Version
		setup    bool
		boot     DwellLimits
		known    bool
	}{
		{"EU_863_870_TTN", V1_0, RP002_1_0_4, false, DwellLimits{}, true},
		{"US_902_928_FSB_2", V1_0, RP002_1_0_4, false, DwellLimits{Uplink: true}, true},
		{"AU_915_928_FSB_2", V1_0, V1_0_2B, false, DwellLimits{}, true},
		{"AU_915_928_FSB_2", V1_0_3A, V1_0_3A, true, DwellLimits{Uplink: true}, true},
		{"AU_915_928_FSB_2", V1_1A, V1_1A, false, DwellLimits{}, true},
		{"AU_915_928_FSB_2", V1_1B, RP002_1_0_4, true, DwellLimits{Uplink: true}, true},
		{"AS_923", V1_0, RP002_1_0_4, true, DwellLimits{}, false},
		{"AS_923_2", V1_0, RP002_1_0_4, true, DwellLimits{}, false},
	} {
		for v := tt.from; v <= tt.to; v++ {
			p := lookup(t, tt.plan).For(v)
			if l, ok := p.BootDwell(); p.TxParamSetup() != tt.setup || l != tt.boot || ok != tt.known {
				t.Errorf("%s, %v: TxParamSetup %t, at boot %+v, %t; want %+v", tt.plan, v, p.TxParamSetup(), l, ok, tt)
			}
		}
	}
}

// Channels that NewChannelReq may set, and how many a device has.
func TestNewChannels(t *testing.T) {
	for _, tt := range []struct {
		plan             string
		first, end, most int
	}{
		{"EU_863_870_TTN", 3, 16, 16}, {"AS_923", 2, 16, 16}, {"KR_920_923_TTN", 3, 16, 16}, {"US_902_928_FSB_2", 0, 0, 72},
	} {
		p := lookup(t, tt.plan)
		first, end := p.NewChannels()
		if first != tt.first || end != tt.end || p.MaxChannels() != tt.most {
			t.Errorf("%s: %d to %d of %d, want %+v", tt.plan, first, end, p.MaxChannels(), tt)
		}
		n := tt.first
		if tt.end == 0 {
			n = tt.most
		}
		if m := p.StartMask(); len(p.DefaultChannels()) != n || !m.Has(0) || !m.Has(n-1) || m.Has(n) {
			t.Errorf("%s: %d channels to begin with, %04x", tt.plan, len(p.DefaultChannels()), m)
		}
	}
}
