package sx1302

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"
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

// traceDir is a folder of recordings and vectors: those of the package, or others of
// the same form. All that lies in it is tested, whatever it is called: what a
// recording is of stands in its first line, what vectors are of in their header.
var traceDir = flag.String("traces", "testdata", "folder of recordings (.jsonl) and vectors (.csv), packed (.gz) or not")

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

// openPlain opens a file, unpacked.
func openPlain(t *testing.T, path string) io.Reader {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if !strings.HasSuffix(path, ".gz") {
		return f
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// readTrace returns the records of a recording.
func readTrace(t *testing.T, path string) []record {
	t.Helper()
	var all []record
	s := bufio.NewScanner(openPlain(t, path))
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

// filesOf returns the files of traceDir with an extension, packed or not.
func filesOf(t *testing.T, extension string) []string {
	t.Helper()
	var files []string
	for _, packed := range []string{"", ".gz"} {
		found, err := filepath.Glob(filepath.Join(*traceDir, "*"+extension+packed))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	return files
}

// eachTrace runs a test for each recording of some kinds.
func eachTrace(t *testing.T, test func(t *testing.T, all []record), kinds ...traceKind) {
	t.Helper()
	for _, path := range filesOf(t, ".jsonl") {
		all := readTrace(t, path)
		if !slices.Contains(kinds, all[0].kind()) {
			continue
		}
		t.Run(filepath.Base(path), func(t *testing.T) { test(t, all) })
	}
}

// vectorKinds are what vectors are of, by the begin of their header.
var vectorKinds = map[string]func(t *testing.T, row []string) string{
	"bw_khz,sf,cr,crc_on,payload_len,legacy_correction_us,precision_correction_us,": timestampVector,
	"kind,in1,in2,out1,out2": miscVector,
}

// vectorsOf returns what tests a row of vectors with that header, or nil.
func vectorsOf(header []string) func(t *testing.T, row []string) string {
	for begin, test := range vectorKinds {
		if strings.HasPrefix(strings.Join(header, ","), begin) {
			return test
		}
	}
	return nil
}

// notTraces are other files of the package.
var notTraces = []string{"testdata/registers.csv.gz"}

func TestVectors(t *testing.T) {
	for _, path := range filesOf(t, ".csv") {
		if slices.Contains(notTraces, path) {
			continue
		}
		t.Run(filepath.Base(path), func(t *testing.T) {
			rows, err := csv.NewReader(openPlain(t, path)).ReadAll()
			if err != nil || len(rows) < 2 {
				t.Fatalf("%d rows, %v", len(rows), err)
			}
			test := vectorsOf(rows[0])
			if test == nil {
				t.Fatalf("no test for vectors with the header %v", rows[0])
			}
			for _, row := range rows[1:] {
				if wrong := test(t, row); wrong != "" {
					t.Errorf("%v: got %s", row, wrong)
				}
			}
		})
	}
}

// TestTraces: nothing in the folder is left out, and the package has recordings of
// each kind.
func TestTraces(t *testing.T) {
	count := map[traceKind]int{}
	for _, path := range filesOf(t, ".jsonl") {
		k := readTrace(t, path)[0].kind()
		if k == 0 {
			t.Errorf("%s: no test for its kind", path)
		}
		count[k]++
	}
	if *traceDir != "testdata" {
		if len(count) == 0 && len(filesOf(t, ".csv")) == 0 {
			t.Errorf("nothing in %s", *traceDir)
		}
		return
	}
	for k := startTrace; k <= sendTrace; k++ {
		if count[k] == 0 {
			t.Errorf("no recording of kind %d", k)
		}
	}
	if n := len(filesOf(t, ".csv")) - len(notTraces); n != len(vectorKinds) {
		t.Errorf("%d files of vectors, want %d", n, len(vectorKinds))
	}
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
