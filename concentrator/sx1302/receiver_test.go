package sx1302

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"lorawand/concentrator/sx1302/sx1302test"
	"lorawand/radio"
)

// startWith returns a chip that was started with a configuration, and its model.
func startWith(t *testing.T, c Config) (*sx1302test.Chip, *Chip) {
	t.Helper()
	model := sx1302test.New(sx1302test.Options{})
	chip, err := New(model, c, Options{Firmware: testFirmware(), Sleep: noWait})
	if err == nil {
		err = chip.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	return model, chip
}

// holds compares what fields hold.
func holds(t *testing.T, chip *Chip, what string, list []setting) {
	t.Helper()
	for _, s := range list {
		if got, err := chip.get(s.field); err != nil || got != s.value {
			t.Errorf("%s: register 0x%04X, bits from %d, holds %d, %v; want %d", what, s.field.addr, s.field.shift, got, err,
				s.value)
		}
	}
}

// TestImageBands has the bands of the SX1250, without their ends.
func TestImageBands(t *testing.T) {
	for _, b := range []struct {
		above, below radio.Frequency
		pair         [2]byte
	}{
		{430_000_000, 440_000_000, [2]byte{0x6B, 0x6F}},
		{470_000_000, 510_000_000, [2]byte{0x75, 0x81}},
		{779_000_000, 787_000_000, [2]byte{0xC1, 0xC5}},
		{863_000_000, 870_000_000, [2]byte{0xD7, 0xDB}},
		{902_000_000, 928_000_000, [2]byte{0xE1, 0xE9}},
	} {
		for _, f := range []radio.Frequency{b.above + 1, b.below - 1} {
			t.Run(f.String(), func(t *testing.T) {
				c := testConfig()
				c.Radios[0].Frequency, c.Radios[1].Frequency = f, f
				model, _ := startWith(t, c)
				for i := range Chains {
					calibrates := func(command []byte) bool {
						return bytes.Equal(command,
							[]byte{opCalibrateImage, b.pair[0], b.pair[1]})
					}
					if commands := model.Radio(i).Commands; !slices.ContainsFunc(commands, calibrates) {
						t.Errorf("radio %d got %x, want it calibrated by %x", i, commands, b.pair)
					}
				}
			})
		}
		for _, f := range []radio.Frequency{b.above, b.below} {
			if _, _, ok := imageBand(f); ok {
				t.Errorf("%s is in a band", f)
			}
		}
	}
}

// TestServiceModem has what depends on its spreading factor and bandwidth.
func TestServiceModem(t *testing.T) {
	type rate struct {
		sf        uint8
		bandwidth uint32
	}
	type want struct{ fineSync, preamble, gainP, gainI, ppm, peak1 int }
	for r, w := range map[rate]want{
		{5, 125_000}:  {1, 12, 4, 0, 0, 2},
		{6, 500_000}:  {1, 12, 4, 0, 0, 2},
		{7, 250_000}:  {0, 8, 6, 0, 0, 6},
		{10, 125_000}: {0, 8, 6, 0, 0, 6},
		{11, 125_000}: {0, 8, 7, 1, 1, 6},
		{11, 250_000}: {0, 8, 7, 2, 0, 6},
		{11, 500_000}: {0, 8, 7, 3, 0, 6},
		{12, 125_000}: {0, 8, 7, 1, 1, 6},
		{12, 250_000}: {0, 8, 7, 2, 1, 6},
		{12, 500_000}: {0, 8, 7, 3, 0, 6},
	} {
		t.Run(fmt.Sprint(r), func(t *testing.T) {
			c := testConfig()
			c.Service.SpreadingFactor, c.Service.Bandwidth = r.sf, r.bandwidth
			_, chip := startWith(t, c)
			code, _ := bandwidthCode(r.bandwidth)
			holds(t, chip, "service modem", []setting{
				{svcSF, int(r.sf)},
				{svcBW, code},
				{svcFineSync, w.fineSync},
				{svcPreambleMSB, 0},
				{svcPreambleLSB, w.preamble},
				{svcGainPPreamble, w.gainP},
				{svcGainIEnable, w.gainI},
				{svcPPMOffset, w.ppm},
				{svcSyncPeak1, w.peak1},
			})
		})
	}
}

// TestDrift has the pair that turns frequency errors into timing errors, by the
// centre of radio A, or of the only radio.
func TestDrift(t *testing.T) {
	for _, tt := range []struct {
		name          string
		a, b          bool
		mant, service int // for 125 kHz, with exponent 4, and for 250 kHz, with 3
	}{
		{"both", true, true, 151 << 4, 302 << 3}, // 867.5 MHz
		{"A", true, false, 151 << 4, 302 << 3},
		{"B", false, true, 150 << 4, 301 << 3}, // 868.5 MHz
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := testConfig()
			c.Radios[0].Enabled, c.Radios[1].Enabled = tt.a, tt.b
			chain := uint8(1)
			if tt.a {
				chain = 0
			}
			c.ClockSource, c.Service.Chain, c.FSK.Chain = chain, chain, chain
			for i := range c.Channels {
				c.Channels[i].Chain = chain
			}
			_, chip := startWith(t, c)
			holds(t, chip, "drift", []setting{
				{driftMantMSB, tt.mant >> 8},
				{driftMantLSB, tt.mant & 0xFF},
				{driftExp, 4},
				{svcDriftMantMSB, tt.service >> 8},
				{svcDriftMantLSB, tt.service & 0xFF},
				{svcDriftExp, 3},
			})
		})
	}
}
