package sx1302

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/hex"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strconv"
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

// sx125x reports whether the emulator of a recording has radios of that kind.
func (r *record) sx125x() bool {
	return r.Emulator["radio"] == "sx1257" || r.Emulator["radio"] == "sx1255"
}

// temperature returns that of the emulator at first, 1/256 °C.
func (r *record) temperature(t *testing.T) int32 {
	t.Helper()
	c, err := strconv.ParseFloat(r.Emulator["temp"], 64)
	if err != nil {
		t.Fatal(err)
	}
	return int32(c * 256)
}

// traceDir has recordings whose names begin with start_, rx_ or tx_: those of the
// package, or others of the same form.
var traceDir = flag.String("traces", "testdata", "folder of the recordings, .jsonl or .jsonl.gz")

// readTrace returns the records of a recording.
func readTrace(t *testing.T, name string) []record {
	t.Helper()
	path := filepath.Join(*traceDir, name+".jsonl")
	packed := false
	if _, err := os.Stat(path); err != nil {
		path, packed = path+".gz", true
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var in io.Reader = f
	if packed {
		if in, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	var all []record
	s := bufio.NewScanner(in)
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
	files, err := filepath.Glob(filepath.Join(*traceDir, prefix+"*.jsonl*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no recordings of %s in %s: %v", prefix, *traceDir, err)
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(strings.TrimSuffix(filepath.Base(f), ".gz"), ".jsonl")
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
	o.EUI = testEUI // that of the emulator
	if meta.Emulator["model"] == "3" {
		o.Model = 3
	}
	agc := sx1302test.AGCSX1250
	if meta.sx125x() {
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
