package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lorawand/cmd/lorawand/config"
	"lorawand/concentrator/sx1302"
	"lorawand/radio"
)

// scanFlags say what to scan.
type scanFlags struct {
	from, to, step float64
	count          int
}

// maxScanned limits the frequencies of a scan.
const maxScanned = 2000

func newConcentratorScan() *cobra.Command {
	var f boardFlags
	var o scanFlags
	cmd := &cobra.Command{
		Use: "scan", Short: "Start the concentrator and measure how much is on the air, with its SX1261", Args: noArgs,
		Long: "Start the concentrator and measure with its SX1261 how much is on the air: on the channels of the plan, or\n" +
			"on each --step from --from to --to. Each line has the level in dBm that half of the measurements were not\n" +
			"above, the one that 90 % were not above, the highest, and how often each level from -124 to 0 dBm was\n" +
			"measured; a step of the bars is a factor of four.",
	}
	fl := cmd.Flags()
	fl.Float64Var(&o.from, "from", 0, "`MHz` of the first frequency (default: the channels of the plan)")
	fl.Float64Var(&o.to, "to", 0, "`MHz` of the last frequency")
	fl.Float64Var(&o.step, "step", 200, "`kHz` from one frequency to the next")
	fl.IntVar(&o.count, "count", 20_000, "`number` of measurements on each frequency, 8 µs each, 1 to 65535")
	asJSON := jsonFlag(cmd)
	f.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		if err := o.check(); err != nil {
			return usage(err)
		}
		b, err := f.board(cmd, (*workbench).withSX1261)
		if err != nil {
			return err
		}
		chip, h, err := b.start(cmd.Context())
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, b.stop(chip, h)) }()
		return b.explained(o.scan(cmd.Context(), chip, o.frequencies(&b.Chip), cmd.OutOrStdout(), *asJSON))
	}
	return cmd
}

// withSX1261 is the set-up of a board whose SX1261 scans.
func (b *workbench) withSX1261() (config.Concentrator, error) {
	if b.keys.NoiseFloor.D() == 0 {
		b.keys.NoiseFloor = config.For(time.Hour)
	}
	return b.keys.Concentrator(b.plan)
}

func (o *scanFlags) check() error {
	const low, high = sx1302.MinScanFrequency / 1e6, sx1302.MaxScanFrequency / 1e6
	switch {
	case o.count < 1 || o.count > sx1302.MaxScanCount:
		return fmt.Errorf("--count: %d, must be 1 to %d", o.count, sx1302.MaxScanCount)
	case o.from == 0 && o.to == 0:
		return nil
	case !(o.from >= low && o.from <= high):
		return fmt.Errorf("--from: %v MHz, must be %v to %v", o.from, low, high)
	case !(o.to >= o.from && o.to <= high):
		return fmt.Errorf("--to: %v MHz, must be --from to %v", o.to, high)
	case !(o.step >= 1 && o.step <= 1e6):
		return fmt.Errorf("--step: %v kHz, must be 1 to 1000000", o.step)
	case (o.to-o.from)*1000/o.step >= maxScanned:
		return fmt.Errorf("--step: %v kHz makes more than %d frequencies", o.step, maxScanned)
	}
	return nil
}

// frequencies returns what is scanned.
func (o *scanFlags) frequencies(c *sx1302.Config) (out []radio.Frequency) {
	if o.from == 0 {
		return c.Frequencies()
	}
	first, last, step := math.Round(o.from*1e6), math.Round(o.to*1e6), math.Round(o.step*1e3)
	for f := first; f <= last; f += step {
		out = append(out, radio.Frequency(f))
	}
	return out
}

// scan prints what is on each frequency.
func (o *scanFlags) scan(ctx context.Context, chip *sx1302.Chip, of []radio.Frequency, w io.Writer, asJSON bool) error {
	if !asJSON {
		fmt.Fprintf(w, "%-12s %5s %5s %5s  %s\n", "frequency", "half", "90 %", "peak", "-124 dBm                    0 dBm")
	}
	for _, f := range of {
		s, err := chip.Scan(ctx, f, o.count)
		if err == nil {
			err = printSpectrum(w, &s, asJSON)
		}
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// scannedLevel is a level in the output of scan --json.
type scannedLevel struct {
	DBm   float64 `json:"dbm"`
	Count uint16  `json:"count"`
}

// scanned is a frequency in the output of scan --json.
type scanned struct {
	Frequency radio.Frequency `json:"frequency"` // Hz
	Floor     float64         `json:"floor"`     // dBm
	Most      float64         `json:"p90"`
	Peak      float64         `json:"peak"`
	Count     int             `json:"measurements"`
	Levels    []scannedLevel  `json:"levels"` // that were measured, ascending
}

func printSpectrum(w io.Writer, s *sx1302.Spectrum, asJSON bool) error {
	dBm := func(d radio.Decibel) float64 { return float64(d) / 100 }
	line := scanned{
		Frequency: s.Frequency, Floor: dBm(s.Below(50)), Most: dBm(s.Below(90)), Peak: dBm(s.Below(100)), Count: s.Total(),
	}
	if !asJSON {
		_, err := fmt.Fprintf(w, "%-12s %5.0f %5.0f %5.0f  %s\n", s.Frequency, line.Floor, line.Most, line.Peak, bars(s))
		return err
	}
	for i := len(s.Counts) - 1; i >= 0; i-- {
		n := s.Counts[i]
		if n == 0 {
			continue
		}
		level := scannedLevel{dBm(s.Level(i)), n}
		if last := len(line.Levels) - 1; last >= 0 && line.Levels[last].DBm == level.DBm {
			line.Levels[last].Count += n // -124 dBm, and below
			continue
		}
		line.Levels = append(line.Levels, level)
	}
	return json.NewEncoder(w).Encode(line)
}

// barSteps are bars of ascending height.
var barSteps = []rune(" ▁▂▃▄▅▆▇█")

// bars draws how often each level was measured, the lowest first. A step is a factor of
// four, so that what is rare is seen too.
func bars(s *sx1302.Spectrum) string {
	var b strings.Builder
	for i := len(s.Counts) - 1; i >= 0; i-- {
		b.WriteRune(barSteps[(bits.Len16(s.Counts[i])+1)/2])
	}
	return strings.TrimRight(b.String(), " ")
}
