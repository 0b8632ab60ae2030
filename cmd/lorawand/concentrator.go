package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"periph.io/x/conn/v3/physic"
	"periph.io/x/conn/v3/spi"
	"periph.io/x/host/v3/sysfs"

	"lorawand/concentrator/sx1302"
)

// spiSpeed is what Semtech's board is laid out for.
const spiSpeed = 2 * physic.MegaHertz

// defaultBufsiz is the most that spidev takes at once if it does not say.
const defaultBufsiz = 4096

// boardFlags name a board and what is different about it.
type boardFlags struct {
	board, region, device, reset, power string
}

func (f *boardFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.board, "board", "", "`name` of the board, as rak2287 (required)")
	cmd.Flags().StringVar(&f.region, "region", "EU868", "`region` of a board that comes in several")
	cmd.Flags().StringVar(&f.device, "device", "", "SPI `device`, instead of the board's own")
	cmd.Flags().StringVar(&f.reset, "reset", "", "GPIO `line` of the reset, as /dev/gpiochip0:17, instead of the board's own")
	cmd.Flags().StringVar(&f.power, "power", "", "GPIO `line` that switches the board on")
}

// find returns the board with what the flags change.
func (f *boardFlags) find() (sx1302.Board, error) {
	if f.board == "" {
		return sx1302.Board{}, usage(fmt.Errorf("no board given"))
	}
	b, err := sx1302.FindBoard(f.board, f.region)
	if err != nil {
		return b, usage(err)
	}
	for _, o := range []struct {
		given string
		field *string
	}{{f.device, &b.Device}, {f.reset, &b.Reset}, {f.power, &b.Power}} {
		if o.given != "" {
			*o.field = o.given
		}
	}
	if b.Device == "" {
		return b, fmt.Errorf("%s is behind a USB bridge, which is to come", b.Name)
	}
	return b, nil
}

func newConcentrator() *cobra.Command {
	return group("concentrator", "Look at the concentrator on board", newConcentratorProbe(), newConcentratorReset())
}

func newConcentratorProbe() *cobra.Command {
	var f boardFlags
	cmd := &cobra.Command{
		Use: "probe", Short: "Reset the concentrator and ask it who it is", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b, err := f.find()
			if err != nil {
				return err
			}
			id, err := probe(cmd.Context(), &b)
			if err != nil {
				return fmt.Errorf("%w (SPI %s, reset %s)", err, b.Device, orNone(b.Reset))
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s, version 0x%02x, EUI %s, on %s\n", id.Model, id.Version, id.EUI, b.Device)
			return nil
		},
	}
	f.add(cmd)
	return cmd
}

func newConcentratorReset() *cobra.Command {
	var f boardFlags
	cmd := &cobra.Command{
		Use: "reset", Short: "Switch the board on and pulse its reset lines", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b, err := f.find()
			if err != nil {
				return err
			}
			pins, release, err := b.OpenPins()
			if err != nil {
				return err
			}
			defer release()
			if err := pins.Cycle(cmd.Context()); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "power %s, reset %s\n", orNone(b.Power), orNone(b.Reset))
			return nil
		},
	}
	f.add(cmd)
	return cmd
}

func orNone(line string) string {
	if line == "" {
		return "none"
	}
	return line
}

// probe opens the board for as long as it takes.
func probe(ctx context.Context, b *sx1302.Board) (sx1302.Identity, error) {
	pins, release, err := b.OpenPins()
	if err != nil {
		return sx1302.Identity{}, err
	}
	defer release()
	port, conn, err := openSPI(b.Device)
	if err != nil {
		return sx1302.Identity{}, err
	}
	defer port.Close()
	// A probe does not start the radios, so any centre will do.
	c := sx1302.Config{ClockSource: b.ClockSource, FullDuplex: b.FullDuplex, Radios: b.Radios}
	r := &c.Radios[b.ClockSource]
	r.Enabled, r.Frequency = true, 868_500_000
	chip, err := sx1302.New(conn, c, sx1302.Options{Reset: pins.Cycle, MaxTransfer: spidevBufsiz()})
	if err != nil {
		return sx1302.Identity{}, err
	}
	return chip.Probe(ctx)
}

// parseSPI takes "/dev/spidev0.1" apart.
func parseSPI(device string) (bus, chip int, err error) {
	numbers, ok := strings.CutPrefix(device, "/dev/spidev")
	b, c, found := strings.Cut(numbers, ".")
	bus, errBus := strconv.Atoi(b)
	chip, errChip := strconv.Atoi(c)
	if !ok || !found || errBus != nil || errChip != nil {
		return 0, 0, usage(fmt.Errorf("%q is no SPI device; it is named as in /dev/spidev0.0", device))
	}
	return bus, chip, nil
}

// openSPI opens a port as the chip wants it.
func openSPI(device string) (*sysfs.SPI, spi.Conn, error) {
	bus, chip, err := parseSPI(device)
	if err != nil {
		return nil, nil, err
	}
	port, err := sysfs.NewSPI(bus, chip)
	if err != nil {
		return nil, nil, fmt.Errorf("open %s: %w; check that SPI is switched on and that you may use it", device, err)
	}
	conn, err := port.Connect(spiSpeed, spi.Mode0, 8)
	if err != nil {
		port.Close()
		return nil, nil, fmt.Errorf("open %s: %w", device, err)
	}
	return port, conn, nil
}

// spidevBufsiz returns the most bytes that spidev takes at once.
func spidevBufsiz() int {
	text, err := os.ReadFile("/sys/module/spidev/parameters/bufsiz")
	if err != nil {
		return defaultBufsiz
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || n <= 0 {
		return defaultBufsiz
	}
	return n
}
