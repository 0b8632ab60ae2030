package region

import (
	"testing"

	"lorawand/radio"
)

// Gateways tell frequencies that differ a little from a channel's.
func TestNearestChannel(t *testing.T) {
	tests := []struct {
		name string
		plan string
		dr   uint8
		told radio.Frequency
		want radio.Frequency
	}{
		{"exact", "EU_863_870_TTN", 5, 868_100_000, 868_100_000},
		{"single precision", "US_902_928_FSB_2", 3, 904_099_976, 904_100_000},
		{"single precision, 500 kHz", "US_902_928_FSB_2", 4, 904_599_976, 904_600_000},
		{"a channel that the plan's gateways do not hear", "US_902_928_FSB_2", 0, 914_899_963, 914_900_000},
		{"single precision", "AU_915_928_FSB_2", 5, 917_000_032, 917_000_000},
		{"single precision", "IN_865_867", 5, 865_062_501, 865_062_500},
		{"where the frame was, below", "EU_863_870_TTN", 5, 868_085_000, 868_100_000},
		{"where the frame was, above", "EU_863_870_TTN", 5, 868_115_000, 868_100_000},
		{"too far", "EU_863_870_TTN", 5, 868_115_001, 868_115_001},
		{"rounded to 100 kHz", "IN_865_867", 5, 865_100_000, 865_062_500},
		{"rounded to 100 kHz", "IN_865_867", 5, 865_400_000, 865_402_500},
		{"rounded to 100 kHz", "IN_865_867", 5, 866_000_000, 865_985_000},
		{"rounded to 100 kHz", "EU_433", 5, 433_200_000, 433_175_000},
		{"cut to 100 kHz, which is no rounding", "IN_865_867", 5, 865_000_000, 865_000_000},
		{"not rounded, and too far", "IN_865_867", 5, 865_100_001, 865_100_001},
		{"no channel", "EU_863_870_TTN", 5, 869_525_000, 869_525_000},
		{"no channel of the data rate", "US_902_928_FSB_2", 4, 904_100_001, 904_100_001},
		{"FSK", "EU_863_870_TTN", 7, 868_799_988, 868_800_000},
		{"nothing", "EU_863_870_TTN", 5, 0, 0},
		{"far beyond", "EU_863_870_TTN", 5, 4_294_967_295, 4_294_967_295},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := Lookup(tt.plan)
			if err != nil {
				t.Fatal(err)
			}
			if got := p.NearestChannel(tt.told, tt.dr); got != tt.want {
				t.Errorf("%s at %d: %v is %v, want %v", tt.plan, tt.dr, tt.told, got, tt.want)
			}
		})
	}
}

// A frequency that is a channel stays what it is, and one that single precision
// has changed comes back, in every plan.
func TestNearestChannelOfEachPlan(t *testing.T) {
	for _, id := range IDs() {
		p, err := Lookup(id)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range p.Channels() {
			mhz := float32(float64(c.Frequency) / 1e6)
			single := radio.Frequency(float64(mhz)*1e6 + 0.5)
			for dr := c.MinDR; dr <= c.MaxDR; dr++ {
				for _, told := range []radio.Frequency{c.Frequency, single} {
					if got := p.NearestChannel(told, dr); got != c.Frequency {
						t.Errorf("%s: %v at data rate %d is %v, want %v", id, told, dr, got, c.Frequency)
					}
				}
			}
		}
	}
}
