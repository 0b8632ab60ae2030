package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"lorawand/cmd/lorawand/config"
	"lorawand/concentrator/air"
	"lorawand/concentrator/sx1302"
	"lorawand/concentrator/sx1302/sx1302test"
	"lorawand/radio"
)

// oneBusyChannel has somebody send on 868.3 MHz for a quarter of the time.
func oneBusyChannel(hz uint32) (w [sx1302test.SpectrumLevels]uint16) {
	w[28] = 3
	if (hz+500)/1000 == 868_300 {
		w[15] = 1
	}
	return w
}

// scannedBy sets a board up with its SX1261 and scans.
func scannedBy(t *testing.T, path func(opener) opener, o scanFlags, asJSON bool) string {
	t.Helper()
	sim := &simulation{air: air.New(1), chip: sx1302test.Options{EUI: chipEUI, Noise: oneBusyChannel}}
	b := &workbench{
		keys: config.SX1302{Board: "rak2287", SX1261: "/dev/spidev0.1"}, plan: "EU_863_870_TTN", way: path(sim.open),
	}
	var err error
	if b.Concentrator, err = b.withSX1261(); err != nil {
		t.Fatal(err)
	}
	chip, h, err := b.start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := o.scan(t.Context(), chip, o.frequencies(&b.Chip), &out, asJSON); err != nil {
		t.Error(err)
	}
	if err := b.stop(chip, h); err != nil {
		t.Error(err)
	}
	return out.String()
}

// TestScan: the channels of the plan or a range are scanned; a line fits a terminal.
func TestScan(t *testing.T) {
	overChipPaths(t, func(t *testing.T, path func(opener) opener) {
		text := scannedBy(t, path, scanFlags{count: 20_000}, false)
		want := "frequency     half  90 %  peak  -124 dBm                    0 dBm\n"
		for _, mhz := range []string{"867.1", "867.3", "867.5", "867.7", "867.9", "868.1", "868.3", "868.5"} {
			bars := strings.Repeat(" ", 4) + "█"
			if mhz == "868.3" {
				bars = strings.Repeat(" ", 4) + "▇" + strings.Repeat(" ", 12) + "▇"
				want += mhz + " MHz     -112   -60   -60  " + bars + "\n"
				continue
			}
			want += mhz + " MHz     -112  -112  -112  " + bars + "\n"
		}
		if text != want {
			t.Errorf("\n%s\nwant\n%s", text, want)
		}
		for line := range strings.Lines(text) {
			if utf8.RuneCountInString(line) > usualWidth {
				t.Errorf("wider than a terminal: %s", line)
			}
		}
		lines := strings.Split(strings.TrimSpace(scannedBy(t, path, scanFlags{from: 868, to: 869, step: 100, count: 400},
			true)), "\n")
		if len(lines) != 11 {
			t.Fatalf("%d lines, want 11", len(lines))
		}
		wantLine := `{"frequency":868300000,"floor":-112,"p90":-60,"peak":-60,"measurements":400,` +
			`"levels":[{"dbm":-112,"count":300},{"dbm":-60,"count":100}]}`
		if lines[3] != wantLine || !json.Valid([]byte(lines[10])) || !strings.Contains(lines[10], `"frequency":869000000`) {
			t.Errorf("%s, want %s", lines[3], wantLine)
		}
	})
}

var scanArguments = []struct {
	name, args string
	status     int
	says       string
}{
	{"no board", "", exitUsage, "no board given"},
	{
		"a board without an SX1261", "--board rak2287", exitUsage,
		"sx1302.sx1261: missing: noise floor and scans need the SX1261 of the board",
	},
	{
		"a board that is not there", "--board rak2287 --sx1261 /dev/spidev250.1 --device /dev/spidev250.0", exitFailed,
		"check that SPI is switched on",
	},
	{"too few measurements", "--count 0", exitUsage, "--count: 0, must be 1 to 65535"},
	{"too many", "--count 65536", exitUsage, "--count: 65536"},
	{"an end only", "--to 868", exitUsage, "--from: 0 MHz, must be 150 to 960"},
	{"no end", "--from 868", exitUsage, "--to: 0 MHz, must be --from to 960"},
	{"backwards", "--from 868 --to 867", exitUsage, "--to: 867 MHz"},
	{"beyond the radio", "--from 868 --to 961", exitUsage, "--to: 961 MHz"},
	{"no number", "--from NaN --to 868", exitUsage, "--from: NaN MHz"},
	{"no step", "--from 868 --to 869 --step 0", exitUsage, "--step: 0 kHz, must be 1 to 1000000"},
	{"too many frequencies", "--from 863 --to 870 --step 1", exitUsage, "--step: 1 kHz makes more than 2000 frequencies"},
}

func TestScanArguments(t *testing.T) {
	for _, tt := range scanArguments {
		t.Run(tt.name, func(t *testing.T) {
			var out, errs bytes.Buffer
			args := append([]string{"concentrator", "scan"}, strings.Fields(tt.args)...)
			if status := run(context.Background(), args, nil, &out, &errs); status != tt.status ||
				!strings.Contains(errs.String(), tt.says) {
				t.Errorf("status %d, %s; want %d, %q", status, errs.String(), tt.status, tt.says)
			}
		})
	}
}

// noSink is a sink that hears nothing.
type noSink struct{}

func (noSink) Uplink(radio.Uplink) {}

func (noSink) TxAck(radio.TxAck) {}

func (noSink) GatewayEvent(radio.GatewayEvent) {}

// TestNoiseFloors: with noise_floor a gateway has a metric for each channel, and none of
// them without the key.
func TestNoiseFloors(t *testing.T) {
	overChipPaths(t, func(t *testing.T, path func(opener) opener) {
		sim := &simulation{air: air.New(1), chip: sx1302test.Options{EUI: chipEUI, Noise: oneBusyChannel}}
		for _, every := range []time.Duration{0, time.Hour} {
			conf := config.SX1302{Board: "rak2287", SX1261: "/dev/spidev0.1", NoiseFloor: config.For(every)}
			g := config.Gateway{ID: "gw", Driver: "sx1302", FrequencyPlan: "EU_863_870_TTN", SX1302: &conf}
			began := time.Now()
			o, err := newOnboard(&g, standIn(0), path(sim.open),
				func() radio.HostTime { return radio.HostTime(time.Since(began)) }, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			var d daemon
			d.boards.set([]*onboard{o}, sx1302.DriverStats{})
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- o.Run(ctx, noSink{}) }()
			time.Sleep(time.Minute)
			n := 0
			for _, m := range d.driverStates()[0].Metrics {
				if m.Name == "concentrator_noise_floor_dbm" && m.Value == -112 && m.Labels[1] == "0016C001F1234567" {
					n++
				}
			}
			if every == 0 && n != 0 || every > 0 && n != 8 {
				t.Errorf("noise_floor %v: %d channels", every, n)
			}
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
}
