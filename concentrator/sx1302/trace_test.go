package sx1302

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lorawand/concentrator/sx1302/sx1302test"
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
	Mem      string            `json:"mem"`
	Len      int               `json:"len"`
	Advance  int64             `json:"advance_us"`
	LBTBusy  *bool             `json:"lbt_busy"`
	Bytes    string            `json:"bytes"`
	Config   []scriptSetting   `json:"config"`
	Emulator map[string]string `json:"emulator"`
	Celsius  *float64          `json:"celsius"`
	Temp     *float64          `json:"temp"`
	AGCLog   []string          `json:"agc_log"`
	ARBLog   []string          `json:"arb_log"`
	RadioA   json.RawMessage   `json:"radio_a"`
	RadioB   json.RawMessage   `json:"radio_b"`
	Regs     map[string]string `json:"regs"`
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

// traceConfig turns the calls of a recording into a Config.
func traceConfig(t *testing.T, meta record) Config {
	t.Helper()
	c, err := scriptConfig(meta.Config)
	if err != nil {
		t.Fatal(err)
	}
	return c
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
		Firmware: Firmware{AGC: sx1302test.Image(agc), ARB: sx1302test.Image(sx1302test.ARB), Calibration: sx1302test.Image(sx1302test.Calibration), SX1261: sx1302test.Patch()},
		SX1261:   model.SX1261(),
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
