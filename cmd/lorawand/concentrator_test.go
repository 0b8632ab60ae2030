package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lorawand/cmd/lorawand/config"
)

var concentratorCommands = []struct {
	name   string
	args   []string
	status int
	says   string
}{
	{"no board", []string{"concentrator", "probe"}, exitUsage, "no board given"},
	{"unknown board", []string{"concentrator", "probe", "--board", "x"}, exitUsage, "known are"},
	{"USB", []string{"concentrator", "probe", "--board", "rak7267"}, exitUsage, "USB bridge"},
	{"no such line", []string{"concentrator", "reset", "--board", "rak2287", "--reset", "17"}, exitUsage, "gpiochip0:17"},
	{"no gains for the plan", []string{
		"concentrator", "probe", "--board", "sx1302c915gw1", "--reset", "none", "--power",
		"none", "--device", "/dev/spidev250.0",
	}, exitFailed, "check that SPI is switched on"},
	{"reset without gains", []string{
		"concentrator", "reset", "--board", "sx1302c490gw1", "--power", "none", "--reset",
		"none", "--device", "/dev/spidev250.0",
	}, exitFailed, "check that SPI is switched on"},
	{
		"a global_conf says all",
		[]string{
			"concentrator", "probe", "--global-conf",
			"../../concentrator/sx1302/board/testdata/global_conf.json", "--reset", "none", "--device", "/dev/spidev250.0",
		},
		exitFailed, "(global_conf.json: SPI /dev/spidev250.0, reset none)",
	},
	{
		"a global_conf that is none",
		[]string{"concentrator", "probe", "--global-conf", "/none.json"},
		exitUsage,
		"sx1302.global_conf: open /none.json",
	},
	{
		"listening needs gains",
		[]string{"concentrator", "listen", "--board", "sx1302c915gw1"},
		exitUsage,
		"not for \"EU868\"",
	},
	{"no such port", []string{
		"concentrator", "probe", "--board", "lps8n", "--reset", "none", "--device",
		"/dev/spidev250.0",
	}, exitFailed, "check that SPI is switched on"},
	{"no SPI device", []string{
		"concentrator", "probe", "--board", "lps8n", "--reset", "none", "--device",
		"/dev/ttyACM0",
	}, exitUsage, "USB bridge"},
	{"nothing to run", []string{"concentrator", "script", "--board", "rak2287"}, exitUsage, "no file given"},
	{
		"no such script",
		[]string{"concentrator", "script", "/none.jsonl", "--board", "rak2287"},
		exitFailed,
		"/none.jsonl",
	},
	{
		"no frequency",
		[]string{"concentrator", "transmit", "--board", "rak2287"},
		exitUsage,
		"--frequency: 0 MHz, must be 100 to 1000",
	},
	{
		"no such gateway",
		[]string{"concentrator", "listen", "--gateway", "mine"},
		exitUsage,
		`no gateway "mine" with a concentrator`,
	},
	{"no file", []string{"firmware", "import", "--dir", "DIR"}, exitUsage, "no file given"},
	{
		"no firmware",
		[]string{"firmware", "import", "--dir", "DIR", "DIR/junk"},
		exitFailed,
		"junk: sx1302: firmware image: none in 11 bytes",
	},
}

func TestConcentratorCommands(t *testing.T) {
	dir := t.TempDir()
	junk := filepath.Join(dir, "junk")
	if err := os.WriteFile(junk, []byte("no firmware"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range concentratorCommands {
		t.Run(tt.name, func(t *testing.T) {
			args := slices.Clone(tt.args)
			for i := range args {
				args[i] = strings.Replace(args[i], "DIR", dir, 1)
			}
			var out, errs bytes.Buffer
			if status := run(t.Context(), args, nil, &out, &errs); status != tt.status ||
				!strings.Contains(errs.String(), tt.says) {
				t.Errorf("status %d, %s; want %d, %q", status, errs.String(), tt.status, tt.says)
			}
		})
	}
}

// Every line that a board has is named.
func TestToggled(t *testing.T) {
	for name, tt := range map[string]struct {
		keys config.SX1302
		want string
	}{
		"reset only": {config.SX1302{Board: "rak2287"}, "toggled: reset header:17"},
		"SX1261":     {config.SX1302{Board: "wm1302"}, "toggled: power header:18, reset header:17, SX1261 reset header:5"},
		"SX1257":     {config.SX1302{Board: "sx1257_reference"}, "toggled: power header:18, reset header:23, SX1261 reset header:22"},
		"maker's tool": {
			config.SX1302{Board: "mtac_003e00", Device: "/dev/spidev1.0"},
			"toggled: reset by mts-io-sysfs ap2/creset ap2/lbtreset ap2/reset",
		},
		"script":          {config.SX1302{Board: "rak2287", Reset: "exec:/etc/lorawand/reset.sh", Power: "gpiochip1:3"}, "toggled: power gpiochip1:3, reset exec:/etc/lorawand/reset.sh"},
		"power, no reset": {config.SX1302{Board: "wm1302", Reset: "none", SX1261Reset: "none"}, "toggled: power header:18"},
		"nothing":         {config.SX1302{Board: "rak2287", Reset: "none"}, "nothing was toggled: all lines of rak2287 are none"},
	} {
		t.Run(name, func(t *testing.T) {
			b := workbench{keys: tt.keys}
			var err error
			if b.Concentrator, err = b.keys.Probed(); err != nil {
				t.Fatal(err)
			}
			if got := resetDone(&b.Board); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
			lines, toggles := strings.CutPrefix(tt.want, "toggled: ")
			if !toggles {
				lines = "reset none"
			}
			if got, want := b.explain(errUsage).Error(), fmt.Sprintf("(%s: SPI %s, %s)", b.Board.Name, b.Board.Device,
				lines); !strings.HasSuffix(got, want) {
				t.Errorf("%q, want %q at its end", got, want)
			}
		})
	}
}
