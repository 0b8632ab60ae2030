package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestConcentratorCommands(t *testing.T) {
	dir := t.TempDir()
	junk := filepath.Join(dir, "junk")
	if err := os.WriteFile(junk, []byte("no firmware"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		args   []string
		status int
		says   string
	}{
		{"no board", []string{"concentrator", "probe"}, exitUsage, "no board given"},
		{"unknown board", []string{"concentrator", "probe", "--board", "x"}, exitUsage, "known are"},
		{"USB", []string{"concentrator", "probe", "--board", "rak7267"}, exitUsage, "USB bridge"},
		{"no such line", []string{"concentrator", "reset", "--board", "rak2287", "--reset", "17"}, exitUsage, "gpiochip0:17"},
		{"no gains for the plan", []string{"concentrator", "probe", "--board", "sx1302c915gw1", "--reset", "none", "--power", "none", "--device", "/dev/spidev250.0"}, exitFailed, "check that SPI is switched on"},
		{"reset without gains", []string{"concentrator", "reset", "--board", "sx1255_full_duplex", "--reset", "none", "--device", "/dev/spidev250.0"}, exitFailed, "check that SPI is switched on"},
		{"listening needs gains", []string{"concentrator", "listen", "--board", "sx1302c915gw1"}, exitUsage, "not for \"EU868\""},
		{"no such port", []string{"concentrator", "probe", "--board", "lps8n", "--reset", "none", "--device", "/dev/spidev250.0"}, exitFailed, "check that SPI is switched on"},
		{"no SPI device", []string{"concentrator", "probe", "--board", "lps8n", "--reset", "none", "--device", "/dev/ttyACM0"}, exitUsage, "USB bridge"},
		{"nothing to run", []string{"concentrator", "script", "--board", "rak2287"}, exitUsage, "no file given"},
		{"no such script", []string{"concentrator", "script", "/none.jsonl", "--board", "rak2287"}, exitFailed, "/none.jsonl"},
		{"no frequency", []string{"concentrator", "transmit", "--board", "rak2287"}, exitUsage, "--frequency: 0 MHz, must be 100 to 1000"},
		{"no such gateway", []string{"concentrator", "listen", "--gateway", "mine"}, exitUsage, `no gateway "mine" with a concentrator`},
		{"no file", []string{"firmware", "import", "--dir", dir}, exitUsage, "no file given"},
		{"no firmware", []string{"firmware", "import", "--dir", dir, junk}, exitFailed, "junk: sx1302: firmware image: none in 11 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out, errs bytes.Buffer
			if status := run(t.Context(), tt.args, nil, &out, &errs); status != tt.status || !strings.Contains(errs.String(), tt.says) {
				t.Errorf("status %d, %s; want %d, %q", status, errs.String(), tt.status, tt.says)
			}
		})
	}
}
