package region

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"lorawand/radio"
)

func lookup(t testing.TB, id string) *Plan {
	t.Helper()
	p, err := Lookup(id)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestLookup(t *testing.T) {
	tests := []struct{ id, band string }{
		{"EU_863_870", "EU_863_870"},
		{"EU_863_870_TTN", "EU_863_870"},
		{"EU_433", "EU_433"},
		{"US_902_928_FSB_2", "US_902_928"},
		{"AU_915_928_FSB_2", "AU_915_928"},
		{"AU_915_928_FSB_2_BR", "AU_915_928"},
		{"AS_920_923", "AS_923"},
		{"AS_923_2", "AS_923_2"},
		{"AS_923_3_DT", "AS_923_3"},
		{"IL_917_920_TTN", "AS_923_4"},
		{"IN_865_867", "IN_865_867"},
		{"AS_920_923_TTN_JP_1", "AS_923"},
		{"KR_920_923_TTN", "KR_920_923"},
	}
	for _, tt := range tests {
		if p := lookup(t, tt.id); p.ID() != tt.id || p.BandID() != tt.band {
			t.Errorf("plan %s calls itself %s in band %s", tt.id, p.ID(), p.BandID())
		}
	}
	for _, id := range []string{"", "EU_863_870_XYZ", "US_902_928_FSB_9", "US_902_928"} {
		if _, err := Lookup(id); !errors.Is(err, ErrPlan) {
			t.Errorf("plan %q gives %v, want ErrPlan", id, err)
		}
	}
}

// RP002-1.0.4, 2.4.3, table 6 and 2.4.6, table 9 (without repeater).
func TestEU868DataRates(t *testing.T) {
	p := lookup(t, "EU_863_870")
	tests := []struct {
		dr   radio.DataRate
		size int
	}{
		{radio.LoRaDataRate(12, 125_000), 59},
		{radio.LoRaDataRate(11, 125_000), 59},
		{radio.LoRaDataRate(10, 125_000), 59},
		{radio.LoRaDataRate(9, 125_000), 123},
		{radio.LoRaDataRate(8, 125_000), 250},
		{radio.LoRaDataRate(7, 125_000), 250},
		{radio.LoRaDataRate(7, 250_000), 250},
		{radio.FSKDataRate(50_000), 250},
	}
	for i, tt := range tests {
		dr, err := p.DataRate(uint8(i))
		if err != nil || dr != tt.dr {
			t.Errorf("DR%d is %v, %v; want %v", i, dr, err, tt.dr)
		}
		if index, err := p.UplinkDataRate(tt.dr); err != nil || index != uint8(i) {
			t.Errorf("%v is DR%d, %v; want DR%d", tt.dr, index, err, i)
		}
		if n, err := p.MaxMACPayload(uint8(i)); err != nil || n != tt.size {
			t.Errorf("DR%d carries %d bytes, %v; want %d", i, n, err, tt.size)
		}
		if n, err := p.DownlinkMaxMACPayload(uint8(i)); err != nil || n != tt.size {
			t.Errorf("DR%d carries %d bytes down, %v; want %d", i, n, err, tt.size)
		}
	}
	for _, dr := range []uint8{8, 11, 12, 15, 16, 255} {
		if _, err := p.DataRate(dr); !errors.Is(err, ErrDataRate) {
			t.Errorf("DR%d: %v, want ErrDataRate", dr, err)
		}
		if _, err := p.MaxMACPayload(dr); !errors.Is(err, ErrDataRate) {
			t.Errorf("size of DR%d: %v, want ErrDataRate", dr, err)
		}
		if _, err := p.DownlinkMaxMACPayload(dr); !errors.Is(err, ErrDataRate) {
			t.Errorf("size of DR%d down: %v, want ErrDataRate", dr, err)
		}
	}
	for _, dr := range []radio.DataRate{
		{},
		radio.LoRaDataRate(7, 500_000), radio.LoRaDataRate(6, 125_000),
		radio.FSKDataRate(1),
	} {
		if _, err := p.UplinkDataRate(dr); !errors.Is(err, ErrDataRate) {
			t.Errorf("%v: %v, want ErrDataRate", dr, err)
		}
	}
}

// These are the values that The Things Stack uses for joins and pushes.
func TestEU868CFListAndMaxDownlinkPayload(t *testing.T) {
	p := lookup(t, "EU_863_870")
	want := []radio.Frequency{867_100_000, 867_300_000, 867_500_000, 867_700_000, 867_900_000}
	if l := p.CFList(); !slices.Equal(l.Frequencies, want) || l.Masks != nil {
		t.Errorf("CFList is %+v, want %v", l, want)
	}
	if n := p.MaxDownlinkPayload(); n != 242 {
		t.Errorf("downlinks carry %d bytes, want 242", n)
	}
}

func TestEU868Channels(t *testing.T) {
	p := lookup(t, "EU_863_870_TTN")
	tests := []struct {
		f    radio.Frequency
		dr   uint8
		want int
	}{
		{868_100_000, 0, 0},
		{868_300_000, 5, 1},
		{868_500_000, 3, 2},
		{867_100_000, 5, 3},
		{867_900_000, 0, 7},
		{868_300_000, 6, 8},
		{868_800_000, 7, 9},
	}
	for _, tt := range tests {
		if got, err := p.UplinkChannel(tt.f, tt.dr); err != nil || got != tt.want {
			t.Errorf("%v DR%d is channel %d, %v; want %d", tt.f, tt.dr, got, err, tt.want)
		}
	}
	for _, tt := range []struct {
		f  radio.Frequency
		dr uint8
	}{{868_100_000, 6}, {868_800_000, 0}, {869_525_000, 0}, {0, 0}} {
		if got, err := p.UplinkChannel(tt.f, tt.dr); !errors.Is(err, ErrFrequency) {
			t.Errorf("%v DR%d is channel %d, %v; want ErrFrequency", tt.f, tt.dr, got, err)
		}
	}
}

// RP002-1.0.4, 2.4.7, table 10.
func TestEU868Windows(t *testing.T) {
	p := lookup(t, "EU_863_870")
	for dr := uint8(0); dr <= 7; dr++ {
		for off := uint8(0); off <= 5; off++ {
			want := uint8(max(int(dr)-int(off), 0))
			w, err := p.RX1(867_100_000, dr, off)
			if err != nil || w.DataRate != want || w.Frequency != 867_100_000 {
				t.Errorf("RX1 of DR%d with offset %d is %+v, %v; want DR%d", dr, off, w, err, want)
			}
		}
		if _, err := p.RX1(867_100_000, dr, 6); !errors.Is(err, ErrDataRate) {
			t.Errorf("offset 6: %v, want ErrDataRate", err)
		}
	}
	if _, err := p.RX1(868_100_000, 200, 0); !errors.Is(err, ErrDataRate) {
		t.Errorf("DR200: %v, want ErrDataRate", err)
	}
	if w := p.RX2(); w != (Window{869_525_000, 0}) {
		t.Errorf("RX2 of EU_863_870 is %+v", w)
	}
	ttn := lookup(t, "EU_863_870_TTN")
	if w := ttn.RX2(); w != (Window{869_525_000, 3}) {
		t.Errorf("RX2 of EU_863_870_TTN is %+v", w)
	}
	if w := ttn.BandRX2(); w != (Window{869_525_000, 0}) {
		t.Errorf("RX2 of the band is %+v", w)
	}
	if d := p.Delays(); d != (Delays{time.Second, 5 * time.Second, time.Second}) {
		t.Errorf("delays are %+v", d)
	}
	if d := p.DwellTime(); d != 0 {
		t.Errorf("dwell time is %v", d)
	}
}

func TestEU868SubBands(t *testing.T) {
	p := lookup(t, "EU_863_870")
	tests := []struct {
		f    radio.Frequency
		duty int
		eirp radio.Decibel
	}{
		{863_000_000, 1, 1615},
		{864_999_999, 1, 1615},
		{865_000_000, 10, 1615},
		{867_100_000, 10, 1615},
		{868_100_000, 10, 1615},
		{868_800_000, 1, 1615},
		{869_525_000, 100, 2915},
		{869_700_000, 10, 1615},
	}
	for _, tt := range tests {
		s, err := p.SubBand(tt.f)
		if err != nil || s.DutyCycle != tt.duty || s.MaxEIRP != tt.eirp {
			t.Errorf("%v: %+v, %v; want %d ‰ and %v dBm", tt.f, s, err, tt.duty, tt.eirp)
		}
	}
	for _, f := range []radio.Frequency{0, 862_999_999, 868_600_000, 869_300_000, 869_650_000, 870_000_000, 915_000_000} {
		if s, err := p.SubBand(f); !errors.Is(err, ErrFrequency) {
			t.Errorf("%v: %+v, %v; want ErrFrequency", f, s, err)
		}
	}
}

func ExampleLookup() {
	p, _ := Lookup("EU_863_870_TTN")
	w := p.RX2()
	dr, _ := p.DataRate(w.DataRate)
	fmt.Println(w.Frequency, dr)
	// Output: 869.525 MHz SF9BW125
}
