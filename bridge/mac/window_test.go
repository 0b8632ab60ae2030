package mac

import (
	"errors"
	"testing"
	"time"

	"lorawand/radio"
	"lorawand/radio/region"
)

// receiveWindow is a window as the tests compare it.
type receiveWindow struct {
	delay         time.Duration
	frequency     radio.Frequency
	rate          radio.DataRate
	maxMACPayload int
}

func TestReceiveAfter(t *testing.T) {
	sf := func(sf uint8) radio.DataRate { return radio.LoRaDataRate(sf, 125_000) }
	rx2 := region.Window{Frequency: 869_525_000, DataRate: 0}
	us2, sf12 := region.Window{Frequency: 923_300_000, DataRate: 8}, radio.LoRaDataRate(12, 500_000)
	for _, tt := range []struct {
		name     string
		plan     string
		receive  Receive
		f        radio.Frequency
		rate     radio.DataRate
		rx1, rx2 receiveWindow
		noRX1    error
	}{
		{
			"RX1 is like the uplink", "EU_863_870",
			Receive{Delay: time.Second, RX2: rx2},
			868_100_000, sf(7),
			receiveWindow{time.Second, 868_100_000, sf(7), 250},
			receiveWindow{2 * time.Second, 869_525_000, sf(12), 59},
			nil,
		},
		{
			"with an offset", "EU_863_870",
			Receive{Delay: 5 * time.Second, RX1DROffset: 2, RX2: rx2},
			868_300_000, sf(7),
			receiveWindow{5 * time.Second, 868_300_000, sf(9), 123},
			receiveWindow{6 * time.Second, 869_525_000, sf(12), 59},
			nil,
		},
		{
			"no channel for RX1", "US_902_928_FSB_2",
			Receive{Delay: time.Second, RX2: us2},
			868_100_000, sf(7),
			receiveWindow{time.Second, 923_300_000, sf12, 61},
			receiveWindow{2 * time.Second, 923_300_000, sf12, 61},
			region.ErrFrequency,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			plan, err := region.Lookup(tt.plan)
			if err != nil {
				t.Fatal(err)
			}
			got, err := tt.receive.After(plan, tt.f, tt.rate)
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range []receiveWindow{tt.rx1, tt.rx2} {
				if w := got[i]; (receiveWindow{w.Delay, w.Frequency, w.DataRate, w.MaxMACPayload}) != want {
					t.Errorf("RX%d: %+v, want %+v", i+1, w, want)
				}
			}
			if !errors.Is(got[0].Err, tt.noRX1) || got[1].Err != nil {
				t.Errorf("%v, %v; want %v", got[0].Err, got[1].Err, tt.noRX1)
			}
		})
	}
}

func TestReceiveAfterStrangeDataRate(t *testing.T) {
	plan, err := region.Lookup("EU_863_870")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (Receive{}).After(plan, 868_100_000, radio.LoRaDataRate(7, 500_000)); err == nil {
		t.Error("a data rate that the plan does not have is taken")
	}
}
