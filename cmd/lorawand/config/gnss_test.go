package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Beacons are asked for only where listening before talking lets them out: the list of channels in
// the global_conf.json must have theirs.
func TestBeaconAndListening(t *testing.T) {
	file, err := os.ReadFile(semtechFile)
	if err != nil {
		t.Fatal(err)
	}
	const channel = `{"freq_hz": 868100000,`
	with := func(airtime int) string {
		const of = `{"freq_hz": 869525000, "bandwidth": 125000, "scan_time_us": 128, "transmit_time_ms": %d}, `
		return strings.Replace(string(file), channel, fmt.Sprintf(of, airtime)+channel, 1)
	}
	const none = "gateway[0].sx1302.gnss.beacon: sx1261_conf of the global_conf.json lets no beacon out: "
	for _, tt := range []struct {
		name, file, beacon, want string
	}{
		{"the channel is missing", string(file), "true", none},
		{"it is there", with(400), "true", ""},
		{"a beacon is too long for it", with(150), "true", none},
		{"no beacons", string(file), "false", ""},
		{"no listening", strings.Replace(string(file), `"lbt": {`, `"none": {`, 1), "true", ""},
	} {
		path := filepath.Join(t.TempDir(), "global_conf.json")
		if err := os.WriteFile(path, []byte(tt.file), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Parse([]byte(chip(fmt.Sprintf(
			"board = \"rak2287\"\nglobal_conf = %q\n[gateway.sx1302.gnss]\ndevice = \"/dev/ttyAMA0\"\nbeacon = %s\n",
			path, tt.beacon))))
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}
