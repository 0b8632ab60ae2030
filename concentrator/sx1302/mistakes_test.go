//go:build mistakes

package sx1302

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mistakes are single ones that could be made in the driver, each in a file.
var mistakes = []struct{ name, file, good, bad string }{
	{"an AGC threshold", "mcu.go", "4, 15, 40, 80, 90,", "4, 15, 41, 80, 90,"},
	{
		"too short a wait for a radio in reset", "start.go", "resetHold = 500 * time.Millisecond",
		"resetHold = 100 * time.Millisecond",
	},
	{
		"no wait after a calibration", "sx1250.go",
		"	if err := c.sleep(ctx, settle); err != nil {\n		return err\n	}\n	answer, err := c.inquire(ctx, chain, " +
			"opGetDeviceErrors", "	answer, err := c.inquire(ctx, chain, opGetDeviceErrors",
	},
	{"a packet before the wrap of the counter", "timestamp.go", "	if w.last < us {\n", "	if w.last > us {\n"},
	{"the wrap of the counter itself", "timestamp.go", "		w.wraps++\n", ""},
	{
		"the processors before the modems", "start.go",
		"	if err := c.setAll(c.receiverSettings()); err != nil {\n		return err\n	}\n	if err := c.startAGC(ctx); err != " +
			"nil {\n		return err\n	}\n", "	if err := c.startAGC(ctx); err != nil {\n		return err\n	}\n	if err := " +
			"c.setAll(c.receiverSettings()); err != nil {\n		return err\n	}\n",
	},
	{"the row of the gain table", "tx.go", "*100 <= power {", "*100 < power {"},
	{"the start delay of a packet", "tx.go", "[3]int{19, 24, 21}", "[3]int{19, 24, 22}"},
	{"the polarity of downlinks", "tx.go", "bit(t.InvertPolarity)", "bit(!t.InvertPolarity)"},
	{"low data rate optimisation", "config.go", "bandwidth == 250_000 && sf == 12", "bandwidth == 250_000 && sf >= 11"},
	{
		"an intermediate frequency", "receiver.go", "int(int64(hz)*32/15625) & 0x1FFF",
		"int((int64(hz)*32+15624)/15625) & 0x1FFF",
	},
	{"records whose checksum is wrong", "packet.go", "if sum != b[total-1] {", "if sum != b[total-1] && sum == 0 {"},
	{
		"the sign of a frequency error", "rx.go", "frequencyError(raw.freqError, ch.bandwidth) + ch.ifError",
		"frequencyError(raw.freqError, ch.bandwidth) - ch.ifError",
	},
	{"a tick of a fine timestamp", "fine.go", "+ 2138", "+ 2139"},
	{"the level at which a channel is busy", "lbt.go", "/ 50)", "/ 100)"},
	{"a scan that is not ended", "lbt.go", "return LBTFree, c.endScan(ctx)", "return LBTFree, nil"},
}

// finders are the tests that compare with recordings and vectors.
var finders = []string{"TestStartState", "TestStartOrder", "TestReceive", "TestTransmit", "TestVectors"}

// TestMistakes has the recordings replayed by a driver with one mistake after
// the other: each must be found.
func TestMistakes(t *testing.T) {
	run := "^(" + strings.Join(finders, "|") + ")$"
	if list, err := exec.Command("go", "test", "-list", run, ".").Output(); err != nil ||
		strings.Count(string(list), "Test") != len(finders) {
		t.Fatalf("there are not all of %v: %s, %v", finders, list, err)
	}
	for _, m := range mistakes {
		t.Run(m.name, func(t *testing.T) {
			dir := t.TempDir()
			source, err := os.ReadFile(m.file)
			if err != nil || strings.Count(string(source), m.good) != 1 {
				t.Fatalf("%s has this %d times: %s, %v", m.file, strings.Count(string(source), m.good), m.good, err)
			}
			spoilt := filepath.Join(dir, m.file)
			if err := os.WriteFile(spoilt, []byte(strings.Replace(string(source), m.good, m.bad, 1)), 0o600); err != nil {
				t.Fatal(err)
			}
			place, err := filepath.Abs(m.file)
			if err != nil {
				t.Fatal(err)
			}
			overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{place: spoilt}})
			if err != nil {
				t.Fatal(err)
			}
			list := filepath.Join(dir, "overlay.json")
			if err := os.WriteFile(list, overlay, 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command("go", "test", "-overlay", list, "-run", run, ".").CombinedOutput()
			if err == nil || !strings.Contains(string(out), "--- FAIL") {
				t.Fatalf("not found: %v\n%s", err, out)
			}
			for line := range strings.Lines(string(out)) {
				if strings.Contains(line, "_test.go:") {
					t.Logf("%.200s", strings.TrimSpace(line))
					return
				}
			}
		})
	}
}
