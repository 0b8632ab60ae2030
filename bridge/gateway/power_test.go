package gateway

import (
	"testing"

	"lorawand/radio"
	"lorawand/radio/region"
)

// A power that a gateway refuses is not asked for again; each next lower one is tried once.
func TestPower(t *testing.T) {
	g := &Gateway{}
	for _, d := range []radio.Decibel{2685, 1400, 0, -250, 9000} {
		if got := g.Power(d); got != d {
			t.Errorf("%v dBm is asked for as %v", d, got)
		}
	}
	for i, want := range []radio.Decibel{2685, 2500, 2400, 2300} {
		if got := g.Power(2685); got != want {
			t.Fatalf("after %d refusals %v dBm is asked for, want %v", i, got, want)
		}
		if !g.RefusesPower(want) || g.RefusesPower(want) {
			t.Errorf("%v dBm: that it is refused must be new once", want)
		}
	}
	if g.Power(1400) != 1400 || g.Power(2590) != 2200 || g.Power(2700) != 2700 {
		t.Errorf("14 dBm is %v, 25.9 dBm is %v, 27 dBm is %v", g.Power(1400), g.Power(2590), g.Power(2700))
	}
	for p := range radio.Decibel(28) {
		g.RefusesPower(p * 100)
	}
	if g.Power(2685) != 2685 || g.Power(0) != 0 {
		t.Errorf("where all is refused %v dBm is asked for", g.Power(2685))
	}
	for _, d := range []radio.Decibel{-1, -3000, 6400, 2_000_000_000} {
		if g.RefusesPower(d) {
			t.Errorf("%v dBm is remembered", d)
		}
		_ = g.Power(d)
	}
	g.ForgetPowers()
	if g.Power(2590) != 2590 {
		t.Error("nothing is forgotten")
	}
}

// Limits are EIRP, and a gateway is told the power at its connector.
func TestMaxPower(t *testing.T) {
	plan, err := region.Lookup("EU_863_870")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		gain    radio.Decibel
		f       radio.Frequency
		refused radio.Decibel
		want    radio.Decibel
	}{
		{"16.15 dBm EIRP", 0, 868_100_000, -1, 1400},
		{"less the antenna's gain", 300, 868_100_000, -1, 1100},
		{"29.15 dBm EIRP", 0, 869_525_000, -1, 2700},
		{"refused before", 0, 868_100_000, 1400, 1300},
		{"not in the plan", 0, 915_000_000, -1, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := &Gateway{Plan: plan, AntennaGain: tt.gain}
			g.RefusesPower(tt.refused)
			if got := g.MaxPower(tt.f); got != tt.want {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}
