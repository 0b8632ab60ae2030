package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"lorawand/cmd/lorawand/config"
	"lorawand/concentrator/sx1302"
	"lorawand/concentrator/sx1302/board"
)

// boardFlags name a board and override parts of it.
type boardFlags struct {
	gateway, plan string
	keys          config.SX1302
}

func (f *boardFlags) add(cmd *cobra.Command) {
	for _, o := range []struct {
		field            *string
		name, value, use string
	}{
		{&f.gateway, "gateway", "", "`id` of the gateway in the configuration (default: the first with a concentrator)"},
		{&f.plan, "plan", "", "frequency `plan`"},
		{&f.keys.Board, "board", "", "`name` of the board, as rak2287, instead of a gateway of the configuration"},
		{&f.keys.Device, "device", "", "SPI `device`, instead of the board's own; or usb, or a tty"},
		{&f.keys.Reset, "reset", "", "GPIO `line` of the reset, as gpiochip0:17 or pinctrl-rp1:17, or exec:SCRIPT, or none"},
		{&f.keys.Power, "power", "", "GPIO `line` that switches the board on, or none"},
		{&f.keys.SX1261, "sx1261", "", "SPI `device` of the radio that listens before talking, or none"},
		{&f.keys.Temperature, "temperature", "", "I2C `bus` of the temperature sensor, or none"},
		{&f.keys.Firmware, "firmware", "", "`folder` of the firmware images"},
		{&f.keys.GlobalConf, "global-conf", "", "Semtech `file` to take radios, channels and gains from"},
	} {
		cmd.Flags().StringVar(o.field, o.name, o.value, o.use)
	}
}

// addLines is add for a command that needs only devices and lines, and so no plan;
// it accepts and ignores the flag.
func (f *boardFlags) addLines(cmd *cobra.Command) {
	f.add(cmd)
	cmd.Flags().Lookup("plan").Hidden = true
}

// workbench is a board with which a command works.
type workbench struct {
	keys config.SX1302
	config.Concentrator
	plan string
	way  opener
}

// find returns the board in the flags or the configuration, set up for its plan.
func (f *boardFlags) find(cmd *cobra.Command) (*workbench, error) {
	return f.board(cmd, func(b *workbench) (config.Concentrator, error) { return b.keys.Concentrator(b.plan) })
}

// findLines is find for a command that needs only devices and lines.
func (f *boardFlags) findLines(cmd *cobra.Command) (*workbench, error) {
	return f.board(cmd, func(b *workbench) (config.Concentrator, error) { return b.keys.Probed() })
}

func (f *boardFlags) board(cmd *cobra.Command, setUp func(*workbench) (config.Concentrator, error)) (*workbench,
	error,
) {
	b := &workbench{keys: f.keys, plan: f.plan, way: newOpener()}
	if f.keys.Board == "" {
		c, err := loadConfig(cmd)
		if err == nil {
			err = b.take(&c, f.gateway)
		}
		if err != nil && !(errors.Is(err, errNoBoard) && f.keys.GlobalConf != "") {
			return nil, err
		}
	}
	b.plan = cmp.Or(b.plan, config.Default().Network.DefaultFrequencyPlan)
	b.keys.Firmware = cmp.Or(b.keys.Firmware, config.DefaultFirmware)
	var err error
	if b.Concentrator, err = setUp(b); err != nil {
		return nil, usage(err)
	}
	return b, nil
}

// errNoBoard is the error of a command without a board.
var errNoBoard = errors.New("no board given, and none in the configuration")

// take sets what the configuration says about a gateway.
func (b *workbench) take(c *config.Config, gateway string) error {
	for i := range c.Gateways {
		g := &c.Gateways[i]
		if g.SX1302 == nil || gateway != "" && g.ID != gateway {
			continue
		}
		given := b.keys
		b.keys = *g.SX1302
		for _, o := range []struct{ field, given *string }{
			{&b.keys.Device, &given.Device},
			{&b.keys.Reset, &given.Reset},
			{&b.keys.Power, &given.Power},
			{&b.keys.SX1261, &given.SX1261},
			{&b.keys.Temperature, &given.Temperature},
			{&b.keys.Firmware, &given.Firmware},
			{&b.keys.GlobalConf, &given.GlobalConf},
		} {
			*o.field = cmp.Or(*o.given, *o.field)
		}
		b.plan = cmp.Or(b.plan, g.FrequencyPlan)
		return nil
	}
	if gateway != "" {
		return usage(fmt.Errorf("the configuration has no gateway %q with a concentrator", gateway))
	}
	return usage(errNoBoard)
}

// open opens the board for a command.
func (b *workbench) open() (*board.Hardware, error) {
	h, err := b.way(&b.keys, &b.Concentrator)
	if err != nil {
		return nil, b.explain(err)
	}
	return h, nil
}

// chip returns the chip of an open board. firmware is needed to start it.
func (b *workbench) chip(h *board.Hardware, firmware sx1302.Firmware) (*sx1302.Chip, error) {
	return sx1302.New(h.Conn, b.Chip, sx1302.Options{
		Firmware: firmware, Reset: h.Reset, MaxTransfer: h.MaxTransfer,
		SX1261: h.SX1261,
	})
}

// explain adds the device and the lines to an error.
func (b *workbench) explain(err error) error {
	bus := "SPI "
	if board.IsUSB(b.Board.Device) {
		bus = ""
	}
	return fmt.Errorf("%w (%s: %s%s, %s)", err, b.Board.Name, bus, b.Board.Device,
		cmp.Or(strings.Join(b.Board.Toggled(), ", "), "reset none"))
}

// start opens the board and starts its chip. The caller closes the hardware.
func (b *workbench) start(ctx context.Context) (*sx1302.Chip, *board.Hardware, error) {
	h, err := b.open()
	if err != nil {
		return nil, nil, err
	}
	firmware, err := h.Firmware()
	if err != nil {
		return nil, nil, errors.Join(err, h.Close())
	}
	chip, err := b.chip(h, firmware)
	if err == nil {
		err = chip.Start(ctx)
	}
	if err != nil {
		return nil, nil, errors.Join(b.explain(err), h.Close())
	}
	if h.Temperature != nil {
		if t, err := h.Temperature(); err == nil {
			chip.SetTemperature(t)
		}
	}
	return chip, h, nil
}

func newConcentrator() *cobra.Command {
	return group("concentrator", "Work with the concentrator on board while the daemon does not",
		newConcentratorProbe(), newConcentratorReset(), newConcentratorListen(), newConcentratorTransmit(),
		newConcentratorScan(), newConcentratorScript())
}

func newConcentratorReset() *cobra.Command {
	var f boardFlags
	cmd := &cobra.Command{
		Use: "reset", Short: "Switch the board on and pulse its reset lines", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b, err := f.findLines(cmd)
			if err != nil {
				return err
			}
			h, err := b.open()
			if err != nil {
				return err
			}
			defer h.Close()
			if err := h.Reset(cmd.Context()); err != nil {
				return b.explain(err)
			}
			fmt.Fprintln(cmd.OutOrStdout(), resetDone(&b.Board))
			return nil
		},
	}
	f.addLines(cmd)
	return cmd
}

// resetDone returns the output of reset.
func resetDone(b *board.Board) string {
	lines := b.Toggled()
	if len(lines) == 0 {
		return "nothing was toggled: all lines of " + b.Name + " are none"
	}
	return "toggled: " + strings.Join(lines, ", ")
}
