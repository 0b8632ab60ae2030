package region

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The tables of each band in testdata, one block for the versions that are alike:
//
//	rx2 FREQUENCY DR
//	power dBm below dB...                         by TXPower
//	rate DR MODULATION up|down|both FREE LIMITED  MACPayload without and with a limit to dwell time
//	lrfhss DR
//	rx1 DR dwell 0|1: DR...                       by RX1DROffset; - where there is none
//	answers MHz...                                RX1 by channel
//
// They are those of The Things Stack 3.32.1, but where a comment says so.
func TestGoldenTables(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) != len(bands) {
		t.Fatalf("%d files, %v; want one for each of %d bands", len(files), err, len(bands))
	}
	for _, path := range files {
		id := strings.TrimSuffix(filepath.Base(path), ".txt")
		t.Run(id, func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for block := range strings.SplitSeq(strings.TrimSpace(string(text)), "\n\n") {
				first, rest, _ := strings.Cut(block, "\n")
				for _, name := range strings.Fields(first)[1:] {
					v := ParseVersion(name)
					if v == VersionUnknown {
						t.Fatalf("no version %s", name)
					}
					checkGolden(t, v, planOf(t, id).For(v), rest)
				}
			}
		})
	}
}

// planOf returns a plan of a band.
func planOf(t *testing.T, bandID string) *Plan {
	t.Helper()
	i := slices.IndexFunc(plans, func(p *Plan) bool { return p.BandID() == bandID })
	if i < 0 {
		t.Fatalf("no plan of %s", bandID)
	}
	return plans[i]
}

func checkGolden(t *testing.T, v Version, p *Plan, block string) {
	t.Helper()
	var want, got []string
	for line := range strings.SplitSeq(block, "\n") {
		if !strings.HasPrefix(line, "#") {
			want = append(want, line)
		}
	}
	rx2 := p.BandRX2()
	got = append(got, fmt.Sprintf("rx2 %d %d", rx2.Frequency, rx2.DataRate), goldenPower(p))
	for dr := range uint8(maxDataRates) {
		got = append(got, goldenRate(p, dr)...)
	}
	for dr := range uint8(maxDataRates) {
		got = append(got, goldenRX1(p, dr)...)
	}
	if p.FixedChannels() {
		line := "answers"
		for _, c := range p.DefaultChannels() {
			w, err := p.RX1(c.Frequency, c.MinDR, 0)
			if err != nil {
				t.Error(err)
			}
			line += " " + strconv.FormatFloat(float64(w.Frequency)/1e6, 'g', -1, 64)
		}
		got = append(got, line)
	}
	for _, line := range got {
		if !slices.Contains(want, line) {
			t.Errorf("%v: has  %s", v, line)
		}
	}
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("%v: want %s", v, line)
		}
	}
}

func goldenPower(p *Plan) string {
	line := fmt.Sprintf("power %v below", strconv.FormatFloat(float64(p.DeviceMaxEIRP())/100, 'g', -1, 64))
	for i := range p.MaxTXPower() + 1 {
		below, _ := p.TXPower(i)
		line += fmt.Sprintf(" %d", below/100)
	}
	return line
}

func goldenRate(p *Plan, dr uint8) []string {
	r := p.band.rates[dr]
	switch {
	case p.LRFHSS(dr):
		return []string{fmt.Sprintf("lrfhss %d", dr)}
	case !r.valid():
		return nil
	}
	direction, size := "down", r.maxDown
	switch {
	case r.up && r.down:
		direction = "both"
	case r.up:
		direction, size = "up", r.maxUp
	}
	modulation := fmt.Sprintf("SF%dBW%d", r.SpreadingFactor, r.Bandwidth/1000)
	if r.BitRate != 0 {
		modulation = fmt.Sprintf("FSK%d", r.BitRate)
	}
	return []string{fmt.Sprintf("rate %d %s %s %d %d", dr, modulation, direction, size[0], size[1])}
}

func goldenRX1(p *Plan, dr uint8) (lines []string) {
	for dwell, limited := range []bool{false, true} {
		line, some := fmt.Sprintf("rx1 %d dwell %d:", dr, dwell), false
		for offset := range uint8(maxOffsets) {
			down, ok := p.band.rx1DataRate(limited, dr, offset)
			if !ok {
				line += " -"
				continue
			}
			some = true
			line += fmt.Sprintf(" %d", down)
		}
		if some {
			lines = append(lines, line)
		}
	}
	return lines
}

// An uplink in LR-FHSS is named in the refusal, from the version on that has it.
func TestLRFHSS(t *testing.T) {
	for _, tt := range []struct {
		plan  string
		rates []uint8
	}{
		{"EU_863_870_TTN", []uint8{8, 9, 10, 11}}, {"US_902_928_FSB_2", []uint8{5, 6}}, {"AU_915_928_FSB_2", []uint8{7}},
	} {
		for v := V1_0; v < numVersions; v++ {
			p := lookup(t, tt.plan).For(v)
			for dr := range uint8(maxDataRates + 1) {
				want := v >= RP002_1_0_2 && slices.Contains(tt.rates, dr)
				if p.LRFHSS(dr) != want {
					t.Errorf("%s, %v: DR%d is LR-FHSS: %t", tt.plan, v, dr, !want)
				}
				_, err := p.DataRate(dr)
				_, sizeErr := p.MaxMACPayload(dr)
				_, rx1Err := p.RX1(p.Channels()[0].Frequency, dr, 0)
				for _, err := range []error{err, sizeErr, rx1Err} {
					if named := err != nil && strings.Contains(err.Error(), "LR-FHSS"); named != want {
						t.Errorf("%s, %v, DR%d: %v; want LR-FHSS named: %t", tt.plan, v, dr, err, want)
					}
				}
			}
		}
	}
}
