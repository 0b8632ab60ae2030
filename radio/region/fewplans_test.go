package region

import (
	"errors"
	"slices"
	"testing"

	"lorawand/radio"
)

// CN470 of before RP002: 96 channels from 470.3 MHz in 200 kHz, answered on 48 from
// 500.3 MHz (LoRaWAN regional parameters 1.0.3 rev A, 2.7.2 and 2.7.7).
func TestCN470(t *testing.T) {
	for id, block := range map[string]int{"CN_470_510_FSB_1": 1, "CN_470_510_FSB_11": 11} {
		p := lookup(t, id)
		if w := (Window{505_300_000, 0}); p.RX2() != w || p.BandRX2() != w {
			t.Errorf("%s: RX2 is %+v, want %+v", id, p.RX2(), w)
		}
		for n := range 96 {
			up := 470_300_000 + radio.Frequency(n)*200_000
			if got, err := p.UplinkChannel(up, 5); err != nil || got != n {
				t.Errorf("%s: %v is channel %d, %v; want %d", id, up, got, err, n)
			}
			want := Window{500_300_000 + radio.Frequency(n%48)*200_000, 3}
			if w, err := p.RX1(up, 4, 1); err != nil || w != want {
				t.Errorf("%s: RX1 of channel %d is %+v, %v; want %+v", id, n, w, err, want)
			}
		}
		var mask ChannelMask
		for i, c := range p.Channels() {
			n := blockChannels*(block-1) + i
			mask.Set(n)
			if want := (Channel{Frequency: 470_300_000 + radio.Frequency(n)*200_000, MaxDR: 5}); c != want {
				t.Errorf("%s hears %+v, want %+v", id, c, want)
			}
		}
		if m := p.PlanMask(); m != mask || len(p.Channels()) != 8 || p.MaxChannels() != 96 {
			t.Errorf("%s: %04x, want %04x", id, m, mask)
		}
		if l := p.For(V1_0_3A).CFList(); !slices.Equal(l.Masks, mask[:]) {
			t.Errorf("%s: CFList %04x, want %04x", id, l.Masks, mask)
		}
		if l := p.For(V1_0_2B).CFList(); l.Masks != nil {
			t.Errorf("%s: devices of 1.0.2 are told masks: %04x", id, l.Masks)
		}
		for dr, want := range []int{59, 59, 59, 123, 250, 250} {
			if n, err := p.MaxMACPayload(uint8(dr)); err != nil || n != want {
				t.Errorf("%s: DR%d carries %d bytes, %v; want %d", id, dr, n, err, want)
			}
		}
		for _, dr := range []uint8{6, 7} {
			if _, err := p.DataRate(dr); !errors.Is(err, ErrDataRate) {
				t.Errorf("%s: DR%d: %v, want ErrDataRate", id, dr, err)
			}
		}
	}
}

// Gateways that hear one channel of 500 kHz.
func TestWideOnlyPlans(t *testing.T) {
	for i, id := range []string{
		"US_903_0", "US_904_6", "US_906_2", "US_907_8", "US_909_4", "US_911_0", "US_912_6", "US_914_2",
	} {
		p := lookup(t, id)
		want := Channel{Frequency: 903_000_000 + radio.Frequency(i)*1_600_000, MinDR: 4, MaxDR: 4}
		if got := p.Channels(); !slices.Equal(got, []Channel{want}) {
			t.Errorf("%s hears %+v, want %+v", id, got, want)
		}
		if l := p.CFList(); !slices.Equal(l.Masks, []uint16{0, 0, 0, 0, 1 << i}) {
			t.Errorf("%s: CFList %04x", id, l.Masks)
		}
		for _, f := range []radio.Frequency{want.Frequency, 923_300_000} {
			if s, err := p.SubBand(f); err != nil || s.MaxEIRP != 2415 {
				t.Errorf("%s: %v in %+v, %v; want 24.15 dBm", id, f, s, err)
			}
		}
	}
}

// Plans that lack channels of their band, or have their own: the CFList, the
// number of a channel behind those of the band, and RX2.
func TestPlansBesideTheirBand(t *testing.T) {
	for _, tt := range []struct {
		id      string
		cfList  []radio.Frequency
		channel radio.Frequency
		number  int
		rx2     Window
	}{
		{
			"EU_863_870_ROAMING_DRAFT",
			[]radio.Frequency{867_100_000, 867_300_000, 867_900_000},
			867_900_000, 5,
			Window{869_525_000, 0},
		},
		{"EU_868_1", nil, 868_500_000, 2, Window{869_525_000, 0}},
		{
			"AS_920_923_TTN_JP_3",
			[]radio.Frequency{920_600_000, 920_800_000, 921_000_000, 921_200_000, 921_400_000},
			921_000_000, 4,
			Window{923_200_000, 2},
		},
		{
			"AS_920_923_TTN_JP_3_LAND_MOBILE",
			[]radio.Frequency{920_600_000, 920_800_000, 921_000_000, 921_200_000, 921_400_000},
			922_000_000, 9,
			Window{923_200_000, 2},
		},
		{"UZ_923_1", []radio.Frequency{926_400_000, 926_600_000, 926_800_000}, 926_400_000, 2, Window{926_200_000, 2}},
		{"MA_869_870_DRAFT", []radio.Frequency{869_900_000}, 869_900_000, 3, Window{869_525_000, 0}},
		{
			"RU_864_870_TTN",
			[]radio.Frequency{864_100_000, 864_300_000, 864_500_000, 864_700_000, 864_900_000},
			864_100_000, 2,
			Window{869_100_000, 0},
		},
	} {
		p := lookup(t, tt.id)
		if l := p.CFList(); !slices.Equal(l.Frequencies, tt.cfList) || l.Masks != nil {
			t.Errorf("%s: CFList %+v, want %v", tt.id, l, tt.cfList)
		}
		if n, err := p.UplinkChannel(tt.channel, 0); err != nil || n != tt.number {
			t.Errorf("%s: %v is channel %d, %v; want %d", tt.id, tt.channel, n, err, tt.number)
		}
		if p.RX2() != tt.rx2 {
			t.Errorf("%s: RX2 is %+v, want %+v", tt.id, p.RX2(), tt.rx2)
		}
	}
}
