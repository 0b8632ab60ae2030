package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"lorawand/cmd/lorawand/config"
	"lorawand/concentrator/serial"
	"lorawand/concentrator/sx1302"
	"lorawand/concentrator/sx1302/board"
)

func newConcentratorProbe() *cobra.Command {
	var f boardFlags
	cmd := &cobra.Command{
		Use: "probe", Short: "Reset the concentrator and read its version and EUI", Args: noArgs,
		Long: "Reset the concentrator and read its version and EUI. Without a board, here or in the configuration, it does " +
			"so with\n" +
			"every USB board that is plugged in.",
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		b, err := f.findLines(cmd)
		if plugged := (serial.Roots{}).List(); errors.Is(err, errNoBoard) && len(plugged) > 0 {
			return probeUSB(cmd.Context(), newHost(), plugged, cmd.OutOrStdout(), *asJSON)
		}
		if err != nil {
			return err
		}
		return b.probe(cmd.Context(), cmd.OutOrStdout(), *asJSON)
	}
	f.addLines(cmd)
	return cmd
}

// probe prints what the chip of a board says of itself.
func (b *workbench) probe(ctx context.Context, w io.Writer, asJSON bool) error {
	h, err := b.open()
	if err != nil {
		return err
	}
	defer h.Close()
	chip, err := b.chip(h, sx1302.Firmware{})
	if err != nil {
		return err
	}
	id, err := chip.Probe(ctx)
	if err != nil {
		return b.explain(err)
	}
	device := b.Board.Device
	if device == board.AnyUSB {
		device = h.Conn.String()
	}
	if asJSON {
		return json.NewEncoder(w).Encode(map[string]any{
			"model": id.Model.String(), "version": id.Version, "eui": id.EUI, "device": device,
		})
	}
	_, err = fmt.Fprintf(w, "%s, version 0x%02x, EUI %s, on %s\n", id.Model, id.Version, id.EUI, device)
	return err
}

// probeUSB probes all ttys that look like a USB bridge. It fails if none has a chip.
func probeUSB(ctx context.Context, h board.Host, plugged []serial.Device, w io.Writer, asJSON bool) error {
	var errs []error
	for _, d := range plugged {
		b := &workbench{keys: config.SX1302{Board: "corecell_usb", Device: d.Path}, way: openOn(h)}
		c, err := b.keys.Probed()
		if err == nil {
			c.Board.Name = cmp.Or(d.Product, "USB board")
			b.Concentrator = c
			err = b.probe(ctx, w, asJSON)
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) == len(plugged) {
		return errors.Join(errs...)
	}
	return nil
}
