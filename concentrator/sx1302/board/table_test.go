package board

import (
	"errors"
	"strings"
	"testing"

	"lorawand/concentrator/sx1302"
	"lorawand/radio"
)

// TestBoards makes a configuration of each board.
func TestBoards(t *testing.T) {
	all, err := Boards()
	if err != nil || len(all) < 30 {
		t.Fatalf("%d boards, %v", len(all), err)
	}
	for _, b := range all {
		t.Run(b.Name+" "+strings.Join(b.Regions, " "), func(t *testing.T) {
			c := sx1302.Config{ClockSource: b.ClockSource, Radios: b.Radios}
			centre := radio.Frequency(867_500_000)
			if b.Regions[0] == "CN470" {
				centre = 475_000_000
			}
			for i := range c.Radios {
				c.Radios[i].Enabled, c.Radios[i].Frequency = true, centre
			}
			if err := c.Validate(); err != nil {
				t.Error(err)
			}
			if b.USB == (b.Device != "") || len(b.Radios[0].Gains) == 0 || b.Radios[0].RSSIOffset >= 0 {
				t.Errorf("%+v", b)
			}
		})
	}
}

func TestFindBoard(t *testing.T) {
	b, err := FindBoard("rak2287", "EU868")
	if err != nil || b.Device != "/dev/spidev0.0" || b.Reset != "header:17" || b.Radios[0].RSSIOffset != -21540 ||
		b.Radios[1].RSSITemperature != [5]int32{0, 0, 20410, 2162560, 0} ||
		b.Radios[0].Gains[15] != (sx1302.Gain{Power: 27, PAGain: 1, PowerIndex: 22}) ||
		!b.Radios[0].Transmit || b.Radios[1].Transmit || b.Radios[0].SingleInput {
		t.Errorf("%+v, %v", b, err)
	}
	if b, err := FindBoard("RAK2287", "US915"); err != nil || b.Radios[0].Gains[0].PowerIndex != 6 {
		t.Errorf("%+v, %v", b, err)
	}
	if b, err := FindBoard("pg1302", ""); err != nil || b.Reset != "header:23" {
		t.Errorf("%+v, %v", b, err)
	}
	for _, tt := range []struct {
		name, region string
		err          error
		says         string
	}{
		{"rak2287", "", ErrRegion, `has gains for AS923, AS923_2`},
		{"rak2287", "KR000", ErrRegion, `not for "KR000"`},
		{"pg1302", "CN470", ErrRegion, `pg1302 has gains for EU868, US915, not for "CN470"`},
		{"nothing", "EU868", ErrBoard, "known are"},
		{"", "", ErrBoard, "known are"},
	} {
		_, err := FindBoard(tt.name, tt.region)
		if !errors.Is(err, tt.err) || errors.Is(err, ErrBoard) == errors.Is(err, ErrRegion) ||
			!strings.Contains(err.Error(), tt.says) {
			t.Errorf("FindBoard(%q, %q): %v; want %v, %q", tt.name, tt.region, err, tt.err, tt.says)
		}
	}
}

// Devices and lines are the same in all rows of a board, so any is good for
// FindLines.
func TestFindLines(t *testing.T) {
	all, err := Boards()
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range all {
		l, err := FindLines(strings.ToUpper(b.Name))
		if err != nil || l.Device != b.Device || l.Reset != b.Reset || l.Power != b.Power || l.SX1261Reset != b.SX1261Reset ||
			l.I2C != b.I2C || l.USB != b.USB || l.ClockSource != b.ClockSource || l.Radios[0].Gains != nil ||
			l.Radios[0].Transmit {
			t.Errorf("%s: %+v, want as %+v; %v", b.Name, l, b, err)
		}
	}
	if _, err := FindLines("rak228"); !errors.Is(err, ErrBoard) || !strings.Contains(err.Error(), "known are rak2287") {
		t.Errorf("%v", err)
	}
}
