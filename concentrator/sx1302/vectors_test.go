package sx1302

import (
	"compress/gzip"
	"encoding/csv"
	"encoding/hex"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"lorawand/radio"
)

// traceDir is a folder of recordings and vectors: those of the package, or others of
// the same form. All that lies in it is tested, whatever it is called: what a
// recording is of stands in its first line, what vectors are of in their header.
var traceDir = flag.String("traces", "testdata",
	"folder of recordings (.jsonl) and vectors (.csv), packed (.gz) or not")

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

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// timestampVector returns what is wrong with the corrections of a frame.
func timestampVector(t *testing.T, row []string) string {
	t.Helper()
	var v [7]int64
	for i := range v {
		var err error
		if v[i], err = strconv.ParseInt(row[i], 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	shape := frameShape{uint8(v[1]), uint32(v[0]) * 1000, v[2], v[4], v[3] == 1}
	legacy, precision := int64(shape.legacyCorrection()), int64(shape.precisionCorrection())
	if legacy != v[5] || precision != v[6] {
		return strconv.FormatInt(legacy, 10) + ", " + strconv.FormatInt(precision, 10)
	}
	return ""
}

// miscVector returns what is wrong with a row.
func miscVector(t *testing.T, row []string) string {
	t.Helper()
	number := func(text string) float64 {
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	same := func(got, want float64, within float64) string {
		if math.Abs(got-want) <= within {
			return ""
		}
		return strconv.FormatFloat(got, 'f', -1, 64)
	}
	kind, _, _ := strings.Cut(row[0], "(")
	switch kind {
	case "freq_to_time_drift":
		m, e := frequencyDrift(uint32(number(row[1])), uint32(number(row[2]))*1000)
		return same(float64(m), number(row[3]), 0) + same(float64(e), number(row[4]), 0)
	case "sx1302_tx_freq_reg":
		return same(float64(txFrequency(SX1250, radio.Frequency(number(row[1])))), number(row[3]), 0)
	case "sx1250_freq_reg":
		return same(float64(uint64(number(row[1]))<<25/crystal), number(row[3]), 0)
	case "if_reg":
		hz := int32(number(row[1]))
		return same(float64(ifRegister(hz)), number(row[3]), 0) + same(float64(ifError(hz)), number(row[4]), 0)
	case "lora_payload_crc16":
		return same(float64(loraCRC(unhex(t, row[1]))), number(row[3]), 0)
	case "rssi_tcomp":
		r := receiver{config: &Config{}}
		r.config.Radios[0].RSSITemperature = [5]int32{0, 0, 20410, 2162560, 0}
		if strings.Contains(row[0], "e=") {
			r.config.Radios[0].RSSITemperature = [5]int32{-6, 789, -14992, 1988572, 105236996}
		}
		r.setTemperature(int32(number(row[1])) * 256)
		return same(float64(r.tcomp[0])/1000, number(row[3]), 0.001)
	case "fsk_rssi_poly":
		return same(float64(fskRSSI(byte(number(row[1]))))/1000, number(row[3]), 0.001)
	case "dc_notch_delay":
		return same(float64(notchDelay(int32(number(row[1]))*1000))/(1<<fixed), number(row[3]), 0.00001)
	}
	return "unknown kind"
}
