package sx1302

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/hex"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lorawand/concentrator/sx1302/sx1302test"
	"lorawand/radio"
)

// record is a line of a recording: what sx1302_hal 2.1.0 did with an emulated
// board, or returned.
type record struct {
	K        string            `json:"k"`
	G        int               `json:"g"`
	Fn       string            `json:"fn"`
	Args     json.RawMessage   `json:"args"`
	Out      json.RawMessage   `json:"out"`
	RC       int               `json:"rc"`
	A        string            `json:"a"`
	D        string            `json:"d"`
	M        int               `json:"m"`
	Tx       json.RawMessage   `json:"tx"`
	US       int64             `json:"us"`
	Dir      string            `json:"dir"`
	Addr     string            `json:"addr"`
	Bytes    string            `json:"bytes"`
	Config   []call            `json:"config"`
	Emulator map[string]string `json:"emulator"`
	Celsius  *float64          `json:"celsius"`
	Temp     *float64          `json:"temp"`
	AGCLog   []string          `json:"agc_log"`
	ARBLog   []string          `json:"arb_log"`
	RadioA   json.RawMessage   `json:"radio_a"`
	RadioB   json.RawMessage   `json:"radio_b"`
	Regs     map[string]string `json:"regs"`
}

// call is a call that configured sx1302_hal.
type call struct {
	Set         string  `json:"set"`
	Public      bool    `json:"public"`
	ClkSrc      uint8   `json:"clksrc"`
	FullDuplex  bool    `json:"full_duplex"`
	RFChain     uint8   `json:"rf_chain"`
	FreqHz      uint32  `json:"freq_hz"`
	Type        string  `json:"type"`
	RSSIOffset  float64 `json:"rssi_offset"`
	A, B, C     float64
	D, E        float64
	TxEnable    bool   `json:"tx_enable"`
	SingleInput bool   `json:"single_input_mode"`
	IFChain     int    `json:"if_chain"`
	IFHz        int32  `json:"if_hz"`
	BwKHz       uint32 `json:"bw_khz"`
	Datarate    uint32 `json:"datarate"`
	SyncSize    uint8  `json:"sync_word_size"`
	SyncWord    uint64 `json:"sync_word"`
	MultiSF     uint8  `json:"multisf"`
	Enable      bool   `json:"enable"`
	Mode        string `json:"mode"`
	LUT         []struct {
		RFPower int8  `json:"rf_power"`
		PAGain  uint8 `json:"pa_gain"`
		PwrIdx  uint8 `json:"pwr_idx"`
		DACGain uint8 `json:"dac_gain"`
		MixGain uint8 `json:"mix_gain"`
		DigGain uint8 `json:"dig_gain"`
	} `json:"lut"`
}

// readTrace returns the records of a recording.
func readTrace(t *testing.T, name string) []record {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name+".jsonl.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var all []record
	s := bufio.NewScanner(z)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		var r record
		if err := json.Unmarshal(s.Bytes(), &r); err != nil {
			t.Fatalf("%s: %v in %.200s", name, err, s.Text())
		}
		all = append(all, r)
	}
	if s.Err() != nil || len(all) == 0 || all[0].K != "meta" {
		t.Fatalf("%s: %d records, %v", name, len(all), s.Err())
	}
	return all
}

// traces returns the names of the recordings that begin with a prefix.
func traces(t *testing.T, prefix string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", prefix+"*.jsonl.gz"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no recordings of %s: %v", prefix, err)
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(filepath.Base(f), ".jsonl.gz")
	}
	return files
}

func radioType(name string) RadioType {
	switch name {
	case "sx1255":
		return SX1255
	case "sx1257":
		return SX1257
	}
	return SX1250
}

// traceConfig turns the calls of a recording into a Config.
func traceConfig(t *testing.T, meta record) Config {
	t.Helper()
	var c Config
	for _, x := range meta.Config {
		switch x.Set {
		case "board":
			c.Private, c.ClockSource, c.FullDuplex = !x.Public, x.ClkSrc, x.FullDuplex
		case "rxrf":
			r := &c.Radios[x.RFChain]
			*r = Radio{
				Enabled: true, Type: radioType(x.Type), Frequency: radio.Frequency(x.FreqHz),
				RSSIOffset: radio.Decibel(math.Round(x.RSSIOffset * 100)), SingleInput: x.SingleInput, Transmit: x.TxEnable,
			}
			for i, v := range []float64{x.A, x.B, x.C, x.D, x.E} {
				r.RSSITemperature[i] = int32(math.Round(v * 1000))
			}
		case "rxif":
			traceChannel(&c, x)
		case "demod":
			c.SpreadingFactors = x.MultiSF
		case "ftime":
			c.FineTimestamps = FineTimestampsAll
			if x.Mode == "high_capacity" {
				c.FineTimestamps = FineTimestampsSF10
			}
		case "txgain":
			for _, g := range x.LUT {
				c.Radios[x.RFChain].Gains = append(c.Radios[x.RFChain].Gains, Gain{g.RFPower, g.PAGain, g.PwrIdx, g.DACGain, g.MixGain, g.DigGain})
			}
		case "sx1261":
		default:
			t.Fatalf("unknown call %q", x.Set)
		}
	}
	return c
}

func traceChannel(c *Config, x call) {
	ch := Channel{Enabled: true, Chain: x.RFChain, Offset: x.IFHz}
	switch x.IFChain {
	case ServiceChannel:
		c.Service = Service{Channel: ch, SpreadingFactor: uint8(x.Datarate), Bandwidth: x.BwKHz * 1000}
	case FSKChannel:
		c.FSK = FSKModem{Channel: ch, BitRate: x.Datarate, SyncWord: x.SyncWord, SyncWordSize: x.SyncSize}
	default:
		c.Channels[x.IFChain] = ch
	}
}

// traceChip returns a model like the emulator of a recording, and a driver for
// it. Waits take no time; they are told to waited.
func traceChip(t *testing.T, meta record, o sx1302test.Options, waited func(time.Duration)) (*sx1302test.Chip, *Chip) {
	t.Helper()
	if meta.Emulator["model"] == "3" {
		o.Model = 3
	}
	agc := sx1302test.AGCSX1250
	if meta.Emulator["radio"] == "sx1257" || meta.Emulator["radio"] == "sx1255" {
		o.Radio, agc = sx1302test.SX125x, sx1302test.AGCSX125x
	}
	model := sx1302test.New(o)
	chip, err := New(model, traceConfig(t, meta), Options{
		Firmware: Firmware{AGC: sx1302test.Image(agc), ARB: sx1302test.Image(sx1302test.ARB), Calibration: sx1302test.Image(sx1302test.Calibration)},
		Sleep: func(ctx context.Context, d time.Duration) error {
			if waited != nil {
				waited(d)
			}
			return ctx.Err()
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return model, chip
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
