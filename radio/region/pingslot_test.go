package region

import (
	"errors"
	"testing"
	"time"

	"github.com/brocaar/lorawan"

	"lorawand/radio"
)

// Every plan has a channel for ping slots, at a data rate of its own for downlinks, in one of
// its sub-bands; the library has the same.
func TestPingSlot(t *testing.T) {
	addr := radio.DevAddr{0x01, 0x02, 0x03, 0x06}
	for _, p := range All() {
		for _, beacon := range []time.Duration{0, 128 * time.Second, 1_479_919_104 * time.Second} {
			w, err := p.PingSlot(RP002_1_0_4, addr, radio.GPSTime(beacon))
			if err != nil {
				t.Errorf("%s: %v", p.ID(), err)
				continue
			}
			if _, err := p.DownlinkMaxMACPayload(w.DataRate); err != nil {
				t.Errorf("%s: DR%d: %v", p.ID(), w.DataRate, err)
			}
			lib, err := loadConfigs(p.band.library)
			if err != nil {
				t.Fatal(err)
			}
			want, err := lib[0].GetPingSlotFrequency(lorawan.DevAddr(addr), beacon)
			if err != nil || radio.Frequency(want) != w.Frequency {
				t.Errorf("%s: %v, the library has %d, %v", p.ID(), w.Frequency, want, err)
			}
		}
	}
}

// DevAddrs above 2^31 take their turn too, on 32 bits as well; older versions have other data
// rates.
func TestPingSlotTurns(t *testing.T) {
	us, err := Lookup("US_902_928_FSB_2")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		addr   radio.DevAddr
		beacon time.Duration
		want   radio.Frequency
	}{
		{radio.DevAddr{}, 0, 923_300_000},
		{radio.DevAddr{0, 0, 0, 7}, 0, 927_500_000},
		{radio.DevAddr{0, 0, 0, 7}, 128 * time.Second, 923_300_000},
		{radio.DevAddr{0xff, 0xff, 0xff, 0xff}, 0, 927_500_000},
		{radio.DevAddr{0xff, 0xff, 0xff, 0xfe}, 255 * time.Second, 927_500_000},
	} {
		w, err := us.PingSlot(RP002_1_0_4, tt.addr, radio.GPSTime(tt.beacon))
		if err != nil || w.Frequency != tt.want || w.DataRate != 8 {
			t.Errorf("%v after %v: %+v, %v; want %v", tt.addr, tt.beacon, w, err, tt.want)
		}
	}
	if w, _ := us.PingSlot(V1_0_2A, radio.DevAddr{}, 0); w.DataRate != 3 {
		t.Errorf("1.0.2 A: DR%d", w.DataRate)
	}
	none := &Plan{facts: &facts{}, band: &bandTables{bandData: &bandData{id: "NONE"}}}
	if _, err := none.PingSlot(RP002_1_0_4, radio.DevAddr{}, 0); !errors.Is(err, ErrFrequency) {
		t.Errorf("a band without ping slots: %v", err)
	}
}

// The beacon of each band has the length of its data rate, as LoRaMac-node has it, and the same
// length within each plan.
func TestBeacon(t *testing.T) {
	lengths := map[string]int{
		"AS_923": 17, "AS_923_2": 17, "AS_923_3": 17, "AS_923_4": 17, "AU_915_928": 23, "CN_470_510": 19, "EU_433": 17,
		"EU_863_870": 17, "IN_865_867": 19, "KR_920_923": 17, "RU_864_870": 17, "US_902_928": 23, "MA_869_870_DRAFT": 17,
	}
	outside := map[string]bool{ // their sub-bands end below 923.4 MHz, or begin above it
		"AS_920_923_TTN_JP_3": true, "AS_920_923_TTN_JP_3_LAND_MOBILE": true, "UZ_923_1": true,
	}
	for _, p := range All() {
		b, err := p.Beacon(0)
		want, ok := lengths[p.BandID()]
		if ok = ok && !outside[p.ID()]; ok != (err == nil) || ok && b.Size() != want {
			t.Errorf("%s: %+v, %v; want %d bytes", p.ID(), b, err, want)
		}
	}
}
