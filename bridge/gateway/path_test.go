package gateway

import (
	"testing"

	"lorawand/radio"
)

func TestPaths(t *testing.T) {
	known := radio.Reception{RSSI: -6000, SNR: 500}
	weak, strong, deaf := known, known, known
	weak.RSSI, weak.Antenna = -11000, 1
	strong.RSSI, strong.Antenna = -4000, 2
	deaf.NoDownlink = true
	a, b := &Gateway{ID: "a"}, &Gateway{ID: "b"}
	paths := AppendPaths(nil, a, &radio.Uplink{Time: 7, Ended: 8, Receptions: []radio.Reception{weak, deaf}})
	paths = AppendPaths(paths, b, &radio.Uplink{Time: 9, Ended: 10, Receptions: []radio.Reception{strong}})
	if len(paths) != 2 {
		t.Fatalf("%d paths, want one for each antenna that can send", len(paths))
	}
	if SortPaths(paths); paths[0].Gateway != b || paths[0].Antenna != 2 || paths[0].Start != (Moment{9, 10}) {
		t.Errorf("the best path is %+v", paths[0])
	}
	if paths[1].Gateway != a || paths[1].Start != (Moment{7, 8}) {
		t.Errorf("the other path is %+v", paths[1])
	}
}
