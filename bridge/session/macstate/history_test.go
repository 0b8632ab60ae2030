package macstate

import (
	"testing"

	"lorawand/radio"
)

// A path has the signal and SNR of the best antenna, of the last frame.
func TestHistoryPath(t *testing.T) {
	reception := func(rssi, snr radio.Decibel) radio.Reception { return radio.Reception{RSSI: rssi, SNR: snr} }
	gw := radio.EUI64{1}
	tests := []struct {
		name   string
		frames [][]radio.Reception
		want   Path
	}{
		{"one antenna", [][]radio.Reception{{reception(-8000, 700)}}, Path{Signal: -8000, SNR: 700}},
		{
			"the best of two antennas",
			[][]radio.Reception{{reception(-9000, 100), reception(-8000, 700)}},
			Path{Signal: -8000, SNR: 700},
		},
		{
			"the last frame",
			[][]radio.Reception{{reception(-8000, 700)}, {reception(-9500, -300)}},
			Path{Signal: -9500, SNR: -300},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var h History
			for i, r := range tt.frames {
				h.Uplink(uint32(i), radio.DataRate{})
				h.HeardBy(&radio.Uplink{Gateway: gw, Receptions: r})
			}
			got, ok := h.Path(gw)
			signal := radio.Reception{RSSI: tt.want.Signal, SNR: tt.want.SNR}
			if !ok || got.Gateway != gw || got.Signal != signal.Signal() || got.SNR != tt.want.SNR {
				t.Errorf("%+v, %v; want %+v", got, ok, tt.want)
			}
		})
	}
}

// A source that cannot be answered may be anybody: its word does not count.
func TestHistoryOfStrangers(t *testing.T) {
	var h History
	heard := func(snr radio.Decibel, stranger bool) {
		h.HeardBy(&radio.Uplink{Gateway: radio.EUI64{1}, Receptions: []radio.Reception{{SNR: snr, NoDownlink: stranger}}})
	}
	h.Uplink(0, radio.DataRate{})
	if heard(2000, true); h.Link() != (Link{}) {
		t.Errorf("%+v by the word of a stranger", h.Link())
	}
	if heard(-500, false); h.Link().Best != -500 || h.Link().Heard != 1 {
		t.Errorf("%+v, want -5 dB of one uplink", h.Link())
	}
}

// However many gateways say that they hear a device, the latest ones are known.
func TestHistoryIsBounded(t *testing.T) {
	var h History
	h.Uplink(0, radio.DataRate{})
	for i := range byte(200) {
		h.HeardBy(&radio.Uplink{Gateway: radio.EUI64{1, i}})
	}
	if len(h.paths) > maxPaths {
		t.Errorf("%d paths are remembered", len(h.paths))
	}
	if _, ok := h.Path(radio.EUI64{1, 199}); !ok {
		t.Error("the last gateway is not among them")
	}
	if _, ok := h.Path(radio.EUI64{1, 0}); ok {
		t.Error("the first gateway still is")
	}
}
