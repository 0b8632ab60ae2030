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

// up notes frames with counters at SF7.
func (h *History) up(fCnts ...uint32) {
	for _, f := range fCnts {
		h.Uplink(f, radio.LoRaDataRate(7, 125_000))
		h.HeardBy(&radio.Uplink{Gateway: radio.EUI64{1}, Receptions: []radio.Reception{{SNR: 500}}})
	}
}

// Lost frames are counted by the frame counter, at one data rate and since the counter began.
func TestLost(t *testing.T) {
	for _, tt := range []struct {
		name     string
		heard    func(*History)
		lost, of uint32
		run      uint32
		excess   int32
	}{
		{name: "nothing", heard: func(*History) {}},
		{name: "one frame", heard: func(h *History) { h.up(7) }},
		{"none lost", func(h *History) { h.up(7, 8, 9) }, 0, 3, 2, 0},
		{"one of three", func(h *History) { h.up(7, 9) }, 1, 3, 1, 76},
		{"an outage counts as three, for the radio", func(h *History) { h.up(7, 1000) }, 992, 994, 1, 252},
		{"heard well since", func(h *History) { h.up(7, 9, 10, 11) }, 1, 5, 3, 52},
		{"another data rate", func(h *History) { h.up(7, 9); h.Uplink(10, radio.LoRaDataRate(8, 125_000)) }, 0, 0, 0, 0},
		{"the counter has begun anew", func(h *History) { h.up(7, 9, 0) }, 0, 0, 0, 0},
		{"the same counter again", func(h *History) { h.up(7, 9, 9) }, 0, 0, 0, 0},
		{"a join", func(h *History) { h.up(7, 9); h.Joined(); h.up(0, 1) }, 0, 2, 1, 0},
		{"the last counters of 32 bits", func(h *History) { h.up(0xffff_fffd, 0xffff_ffff) }, 1, 3, 1, 76},
	} {
		var h History
		tt.heard(&h)
		lost, of := h.Lost()
		if l := h.Link(); lost != tt.lost || of != tt.of || l.Run != tt.run || l.Excess != tt.excess {
			t.Errorf("%s: %d of %d lost, %+v", tt.name, lost, of, l)
		}
	}
}

// Of frames that are sent more than once the transmissions are counted, but of those that were
// answered: the sum grows once fewer are lost than were.
func TestTransmissions(t *testing.T) {
	// heard has a number of frames heard as often as times says, by turns; 0: lost.
	heard := func(h *History, fCnt *uint32, frames int, answered bool, times ...int) {
		for n := range frames {
			*fCnt++
			if times[n%len(times)] == 0 {
				continue
			}
			if h.up(*fCnt); answered {
				h.Answered()
			}
			for range times[n%len(times)] - 1 {
				h.Repeated()
			}
		}
	}
	for _, tt := range []struct {
		name     string
		nbTrans  uint8
		before   []int
		then     int
		answered bool
		frames   int // until losses have ceased; 0: never
	}{
		{"one of two lost, then none", 2, []int{1}, 2, false, 75},
		{"one of two lost, and still", 2, []int{1}, 1, false, 0},
		{"half of three lost, then none", 3, []int{2, 1, 3, 0}, 3, false, 38},
		{"half of three lost, then one of three", 3, []int{2, 1, 3, 0}, 2, false, 0},
		{"none lost, and still", 2, []int{2}, 2, false, 0},
		{"all are answered", 2, []int{1}, 2, true, 0},
		{"sent once", 1, []int{1, 0}, 1, false, 0},
	} {
		var h History
		h.NbTrans = tt.nbTrans
		fCnt, ceased := uint32(0), 0
		heard(&h, &fCnt, 200, tt.answered, tt.before...)
		for n := 1; n <= 300 && ceased == 0; n++ {
			heard(&h, &fCnt, 1, tt.answered, tt.then)
			if h.Link().Fewer >= FewerChange {
				ceased = n - 1 // the last one may be heard again
			}
		}
		if ceased != tt.frames {
			t.Errorf("%s: losses have ceased after %d frames, want %d", tt.name, ceased, tt.frames)
		}
	}
}

// Twenty uplinks are looked at, however many were heard, and the excess has an end.
func TestLinkLooksBack(t *testing.T) {
	var h History
	for f := range uint32(historyLength) {
		h.up(f)
	}
	if l := h.Link(); l.Settled || l.Heard != historyLength || l.Since != historyLength {
		t.Errorf("%+v", l)
	}
	h.up(20, 24)
	if l := h.Link(); !l.Settled || l.Heard != historyLength || l.Lost != 3 || l.Of != 23 || l.Since != 25 {
		t.Errorf("%+v", l)
	}
	for f := uint32(100); f < 100_000; f += 100 {
		h.up(f)
	}
	if l := h.Link(); l.Excess != maxExcess || l.Best != 500 {
		t.Errorf("%+v", l)
	}
}

// After a change of power the SNR of before counts as what it would be now; after one of
// NbTrans, what was lost before does not count.
func TestAdapted(t *testing.T) {
	heard := func(h *History, fCnt uint32, snr radio.Decibel) {
		h.Uplink(fCnt, radio.LoRaDataRate(7, 125_000))
		h.HeardBy(&radio.Uplink{Receptions: []radio.Reception{{SNR: snr}}})
	}
	for _, tt := range []struct {
		name    string
		weaker  radio.Decibel
		nbTrans bool
		best    radio.Decibel
		lost    uint32
	}{
		{"nothing has changed", 0, false, 900, 2},
		{"weaker by 6 dB", 600, false, 400, 2},
		{"stronger by 2 dB", -200, false, 1100, 2},
		{"NbTrans", 0, true, 900, 0},
	} {
		var h History
		heard(&h, 1, 900)
		heard(&h, 4, 400)
		h.Adapted(tt.weaker, tt.nbTrans)
		if lost, _ := h.Lost(); h.Link().Best != tt.best || lost != tt.lost {
			t.Errorf("%s: %+v, %d lost", tt.name, h.Link(), lost)
		}
		if want := map[bool]uint32{true: 4, false: 1}[tt.nbTrans]; h.From() != want {
			t.Errorf("%s: in use from %d on, want %d", tt.name, h.From(), want)
		}
	}
	var nothing History
	nothing.Adapted(600, true)
	if nothing.Link() != (Link{}) {
		t.Errorf("of nothing: %+v", nothing.Link())
	}
}

// A gateway is likely to hear a device that it has heard among the last 20 uplinks, and
// one that nobody knows.
func TestLikely(t *testing.T) {
	var h History
	if !h.Likely(radio.EUI64{1}) || !h.New() {
		t.Error("a new device is heard by nobody")
	}
	h.up(0, 1)
	if !h.Likely(radio.EUI64{1}) || h.Likely(radio.EUI64{2}) || h.New() {
		t.Error("the gateway that hears it does not, or another does")
	}
	for f := range uint32(historyLength) {
		h.Uplink(2+f, radio.DataRate{})
	}
	if h.Likely(radio.EUI64{1}) {
		t.Error("a gateway that has not heard 20 uplinks is likely to hear the next one")
	}
}
