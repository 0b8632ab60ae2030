package gateway

import (
	"testing"

	"lorawand/radio"
)

// What a gateway refuses is asked for no more, and each next lower power once.
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
