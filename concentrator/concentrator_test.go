package concentrator

import (
	"testing"

	"lorawand/radio"
)

func heard(payload string, at radio.ConcentratorTime, f radio.Frequency, rssi, snr radio.Decibel) radio.Uplink {
	return radio.Uplink{
		PHYPayload: []byte(payload), Time: at, Frequency: f, Receptions: []radio.Reception{{RSSI: rssi, SNR: snr}},
	}
}

func TestWithoutGhosts(t *testing.T) {
	tests := []struct {
		name string
		ups  []radio.Uplink
		want []radio.Frequency
	}{
		{"one", []radio.Uplink{heard("a", 100, 1, -6000, 900)}, []radio.Frequency{1}},
		{
			"ghost last",
			[]radio.Uplink{heard("a", 100, 1, -6000, 900), heard("a", 103, 2, -11000, -1200)},
			[]radio.Frequency{1},
		},
		{
			"ghost first",
			[]radio.Uplink{heard("a", 100, 1, -11000, -1200), heard("a", 85, 2, -6000, 900)},
			[]radio.Frequency{2},
		},
		{"by SNR", []radio.Uplink{heard("a", 100, 1, -11000, -1200), heard("a", 100, 2, -11000, -300)}, []radio.Frequency{2}},
		{"at the edge", []radio.Uplink{
			heard("a", 100, 1, -6000, 0), heard("a", 120, 2, -7000, 0),
			heard("a", 121, 3, -8000, 0),
		}, []radio.Frequency{1, 3}},
		{
			"other payload",
			[]radio.Uplink{heard("a", 100, 1, -6000, 0), heard("b", 100, 2, -7000, 0)},
			[]radio.Frequency{1, 2},
		},
		{"none", nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := WithoutGhosts(tt.ups)
			if len(got) != len(tt.want) {
				t.Fatalf("%d left, want %d", len(got), len(tt.want))
			}
			for i := range got {
				if got[i].Frequency != tt.want[i] {
					t.Errorf("number %d was heard on %d, want %d", i, got[i].Frequency, tt.want[i])
				}
			}
		})
	}
}
