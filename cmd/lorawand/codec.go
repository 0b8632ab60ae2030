//go:build !small

package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"lorawand/bridge/admin"
)

func newCodec() *cobra.Command {
	return group("codec", "Manage the payload codecs that makers of devices publish",
		newCodecImport(), newCodecList(), newCodecDelete())
}

func newCodecList() *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: "List the models of devices whose codecs were imported",
		Long: "List the models of devices whose codecs were imported: their firmware versions, how many codecs they\n" +
			"have and how many devices are of this model. --wide also shows the bands and which codec belongs to\n" +
			"which.",
		Args: noArgs,
	}
	asJSON, wide := jsonFlag(cmd), wideFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		l := listing[admin.Model]{operation: "codec.list", header: "MODEL\tFIRMWARE\tCODECS\tBYTES\tDEVICES"}
		l.row = func(w io.Writer, m admin.Model) error {
			model, firmware := m.Key(), firmwares(&m)
			if !*wide {
				model, firmware = shortened(model, 36), shortened(firmware, 18)
			}
			fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\n", plainLine(model), plainLine(firmware), m.Codecs, m.Bytes, m.Devices)
			if *wide {
				for _, line := range codecLines(&m) {
					fmt.Fprintf(w, "  %s\n", plainLine(line))
				}
			}
			return nil
		}
		return l.print(cmd, nil, *asJSON)
	}
	return cmd
}

func firmwares(m *admin.Model) string {
	var out []string
	for _, v := range m.Versions {
		if v.Firmware != "" && !slices.Contains(out, v.Firmware) {
			out = append(out, v.Firmware)
		}
	}
	return orDash(strings.Join(out, ","))
}

// codecLines returns a line for each pair of version and codec.
func codecLines(m *admin.Model) (out []string) {
	for _, v := range m.Model.Versions {
		bands := map[string][]string{}
		for _, band := range slices.Sorted(maps.Keys(v.Codecs)) {
			bands[v.Codecs[band]] = append(bands[v.Codecs[band]], band)
		}
		for _, key := range slices.Sorted(maps.Keys(bands)) {
			line := fmt.Sprintf("firmware %s, %s: %s", orDash(v.Firmware), strings.Join(bands[key], " "), key)
			if len(v.Hardware) > 0 {
				line += ", hardware " + strings.Join(v.Hardware, " ")
			}
			out = append(out, line)
		}
	}
	return out
}

// shortened cuts a text to the width of its column.
func shortened(s string, most int) string {
	r := []rune(s)
	if len(r) <= most {
		return s
	}
	return string(r[:most-1]) + "…"
}

func newCodecDelete() *cobra.Command {
	return &cobra.Command{
		Use: "delete BRAND/MODEL|BRAND", Short: "Delete the codecs of a model, or of all models of a brand",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(errors.New("codec delete needs one model or brand"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			name := admin.DeleteCodecsArgs{Name: args[0]}
			return operate(cmd.Context(), c, "codec.delete", name, func(d admin.DeletedCodecs) error {
				models, codecs := plural(d.Models, "model"), plural(d.Codecs, "codec")
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "Deleted %s and %s.\n", models, codecs)
				return err
			})
		},
	}
}
