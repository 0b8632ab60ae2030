package sx1302_test

import (
	"bufio"
	"context"
	"encoding/json"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"lorawand/concentrator/sx1302"
	"lorawand/concentrator/sx1302/script"
	"lorawand/concentrator/sx1302/sx1302test"
)

// record is a line of a recording: what sx1302_hal 2.1.0 did with an emulated
// board, or returned.
type record struct {
	K        string            `json:"k"`
	Case     string            `json:"case"`
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
	Config   []script.Setting  `json:"config"`
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

// traceKind is what a recording is of.
type traceKind uint8

// Kinds of recordings.
const (
	startTrace    traceKind = iota + 1
	receiveTrace            // what was received is returned by the reference too
	lossyTrace              // the reference drops good records or dies: the driver delivers the good ones
	nonsenseTrace           // what no chip does: nothing may crash
	sendTrace
)

// traceKinds are the kinds by the begin of the case that a recording names.
var traceKinds = []struct {
	begins string
	kind   traceKind
}{
	{"start_", startTrace},
	{"rx_malformed", lossyTrace},
	{"rx_fatal", lossyTrace},
	{"rx_lora_modem_on_fsk", nonsenseTrace},
	{"rx_", receiveTrace},
	{"tx_", sendTrace},
}

// kind returns that of a recording, whose first record this is; 0 is none.
func (r *record) kind() traceKind {
	for _, k := range traceKinds {
		if r.K == "meta" && strings.HasPrefix(r.Case, k.begins) {
			return k.kind
		}
	}
	return 0
}

// readTrace returns the records of a recording.
func readTrace(t *testing.T, path string) []record {
	t.Helper()
	var all []record
	s := bufio.NewScanner(sx1302.OpenPlain(t, path))
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		var r record
		if err := json.Unmarshal(s.Bytes(), &r); err != nil {
			t.Fatalf("%s: %v in %.200s", path, err, s.Text())
		}
		all = append(all, r)
	}
	if s.Err() != nil || len(all) == 0 || all[0].K != "meta" {
		t.Fatalf("%s: %d records, %v", path, len(all), s.Err())
	}
	return all
}

// eachTrace runs a test for each recording of some kinds.
func eachTrace(t *testing.T, test func(t *testing.T, all []record), kinds ...traceKind) {
	t.Helper()
	for _, path := range sx1302.FilesOf(t, ".jsonl") {
		all := readTrace(t, path)
		if !slices.Contains(kinds, all[0].kind()) {
			continue
		}
		t.Run(filepath.Base(path), func(t *testing.T) { test(t, all) })
	}
}

// TestTraces: nothing in the folder is left out, and the package has recordings of
// each kind.
func TestTraces(t *testing.T) {
	count := map[traceKind]int{}
	for _, path := range sx1302.FilesOf(t, ".jsonl") {
		k := readTrace(t, path)[0].kind()
		if k == 0 {
			t.Errorf("%s: no test for its kind", path)
		}
		count[k]++
	}
	if *sx1302.TraceDir != "testdata" {
		if len(count) == 0 && len(sx1302.FilesOf(t, ".csv")) == 0 {
			t.Errorf("nothing in %s", *sx1302.TraceDir)
		}
		return
	}
	for k := startTrace; k <= sendTrace; k++ {
		if count[k] == 0 {
			t.Errorf("no recording of kind %d", k)
		}
	}
	if n := len(sx1302.FilesOf(t, ".csv")) - len(sx1302.NotTraces); n != sx1302.VectorKinds {
		t.Errorf("%d files of vectors, want %d", n, sx1302.VectorKinds)
	}
}

// traceConfig turns the calls of a recording into a Config.
func traceConfig(t *testing.T, meta record) sx1302.Config {
	t.Helper()
	c, err := script.Config(meta.Config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// traceChip returns a model like the emulator of a recording, and a driver for
// it. Waits take no time; they are told to waited.
func traceChip(t *testing.T, meta record, o sx1302test.Options, waited func(time.Duration)) (*sx1302test.Chip,
	*sx1302.Chip,
) {
	t.Helper()
	o.EUI = sx1302.TestEUI // that of the emulator
	if meta.Emulator["model"] == "3" {
		o.Model = 3
	}
	agc := sx1302test.AGCSX1250
	if meta.sx125x() {
		o.Radio, agc = sx1302test.SX125x, sx1302test.AGCSX125x
	}
	model := sx1302test.New(o)
	chip, err := sx1302.New(model, traceConfig(t, meta), sx1302.Options{
		Firmware: sx1302.Firmware{
			AGC: sx1302test.Image(agc), ARB: sx1302test.Image(sx1302test.ARB),
			Calibration: sx1302test.Image(sx1302test.Calibration), SX1261: sx1302test.Patch(),
		},
		SX1261: model.SX1261(),
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
