package sx1302

import (
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParseGlobalConf(t *testing.T) {
	file, err := os.ReadFile("testdata/global_conf.json")
	if err != nil {
		t.Fatal(err)
	}
	c, err := ParseGlobalConf(file)
	if err != nil || c.SX1261 != "/dev/spidev0.1" || c.AntennaGain != 250 || c.FineTimestamps != NoFineTimestamps {
		t.Fatal(c.SX1261, c.AntennaGain, c.FineTimestamps, err)
	}
	r := &c.Radios[0]
	if r.Frequency != 867_500_000 || r.RSSIOffset != -21540 || r.RSSITemperature != [5]int32{0, 0, 20410, 2162560, 0} || !r.Transmit || c.Radios[1].Transmit ||
		len(r.Gains) != 3 || r.Gains[0] != (Gain{Power: 12, PowerIndex: 15}) || r.Gains[2] != (Gain{Power: 27, PAGain: 1, PowerIndex: 14}) {
		t.Errorf("radio %+v", r)
	}
	if c.Channels[0] != (Channel{Enabled: true, Chain: 1, Offset: -400_000}) || c.Channels[4].Enabled || c.Channels[5].Enabled ||
		c.SpreadingFactors != 0xFC || c.Private || !c.Service.Enabled || c.Service.Bandwidth != 250_000 || c.Service.SpreadingFactor != 7 ||
		c.Service.ImplicitLength != 17 || !c.FSK.Enabled || c.FSK.BitRate != 50_000 || c.FSK.Offset != 300_000 {
		t.Errorf("%+v", c)
	}
	want := LBT{Enabled: true, Target: -7000, RSSIOffset: 200, Channels: []LBTChannel{{868_100_000, 125_000, 128 * time.Microsecond, 400 * time.Millisecond}}}
	if !reflect.DeepEqual(c.LBT, want) {
		t.Errorf("listens by %+v, want %+v", c.LBT, want)
	}
	for name, tt := range map[string][3]string{
		"antenna":        {`"antenna_gain": 2.5`, `"antenna_gain": 250`, "antenna_gain 250 is not within ±50 dBi"},
		"fine timestamp": {`"enable": false, "mode": "all_sf"`, `"enable": true, "mode": "some"`, `fine_timestamp: "some", must be one of`},
		"LBT target":     {`"rssi_target": -70`, `"rssi_target": -7000`, "rssi_target -7000"},
		"LBT bandwidth":  {`"bandwidth": 125000, "scan_time_us"`, `"bandwidth": 500000, "scan_time_us"`, "500000 Hz cannot be listened to"},
		"no JSON":        {`"SX130x_conf"`, `SX130x_conf`, "invalid character"},
		"SX1301":         {`SX130x_conf`, `SX1301_conf`, "SX1301 are of no use"},
		"radio":          {`"SX1250", "freq": 867500000`, `"SX1276", "freq": 867500000`, "radio_0: no such radio"},
		"RSSI offset":    {`-215.4`, `-2154`, "rssi_offset -2154"},
		"coefficient":    {`2162.56`, `2162560000`, "rssi_tcomp"},
		"SF":             {`[ 7,`, `[ 4,`, "no such spreading factor: 4"},
		"channel":        {`"if": -400000}`, `"if": -800000}`, "channel 0"},
		"too many gains": {`{"rf_power": 12,`, strings.Repeat(`{"rf_power": 12, "pwr_idx": 1},`, 15) + `{"rf_power": 12,`, "18 gains"},
	} {
		t.Run(name, func(t *testing.T) {
			bad := strings.Replace(string(file), tt[0], tt[1], 1)
			if _, err := ParseGlobalConf([]byte(bad)); !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), tt[2]) {
				t.Errorf("%v, want %q", err, tt[2])
			}
		})
	}
}

// TestGlobalConfFineTimestamps has the modes of Semtech's files.
func TestGlobalConfFineTimestamps(t *testing.T) {
	file, err := os.ReadFile("testdata/global_conf.json")
	if err != nil {
		t.Fatal(err)
	}
	for mode, want := range map[string]FineTimestamps{
		`"enable": true, "mode": "all_sf"`: FineTimestampsAll, `"enable": true, "mode": "high_capacity"`: FineTimestampsSF10,
		`"enable": true, "mode": "off"`: NoFineTimestamps, `"enable": false, "mode": "some"`: NoFineTimestamps,
	} {
		c, err := ParseGlobalConf([]byte(strings.Replace(string(file), `"enable": false, "mode": "all_sf"`, mode, 1)))
		if err != nil || c.FineTimestamps != want {
			t.Errorf("%s: %d, %v; want %d", mode, c.FineTimestamps, err, want)
		}
	}
}

func FuzzParseGlobalConf(f *testing.F) {
	file, err := os.ReadFile("testdata/global_conf.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(file)
	f.Add([]byte(`{"SX130x_conf":{"radio_0":{"enable":true,"type":"SX1257","freq":868500000,"tx_enable":true,"tx_gain_lut":[{"dac_gain":255}]}}} /*`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := ParseGlobalConf(b); err == nil && c.Validate() != nil {
			t.Errorf("%+v", c)
		}
	})
}
