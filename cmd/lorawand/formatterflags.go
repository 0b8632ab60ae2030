package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"lorawand/bridge/admin"
	"lorawand/bridge/codec"
	"lorawand/bridge/formatter"
	"lorawand/bridge/v3/enddevice"
)

// The flags that name formatters.
const (
	upFormatter   = "up-formatter"
	downFormatter = "down-formatter"
)

// addFormatterFlags adds --up-formatter and --down-formatter. A device may also use
// the formatters of its application.
func addFormatterFlags(cmd *cobra.Command, ofDevice bool) {
	what := "`FILE.js`, cayennelpp, repository (the codec that the maker of a device has published) or none"
	if ofDevice {
		what = "`FILE.js`, cayennelpp, repository (the codec that its maker has published), none, or " +
			"default (the application's)"
	}
	complete := func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		words := []string{"cayennelpp", "repository", "none"}
		if ofDevice {
			words = append(words, "default")
		}
		return words, cobra.ShellCompDirectiveDefault // and files
	}
	cmd.Flags().String(upFormatter, "", "decode uplinks with "+what)
	cmd.Flags().String(downFormatter, "", "encode downlinks with "+what)
	for _, name := range []string{upFormatter, downFormatter} {
		_ = cmd.RegisterFlagCompletionFunc(name, complete)
	}
}

// formatterChange returns the formatter that a flag asks for, or nil if the flag is
// not given.
func formatterChange(cmd *cobra.Command, flag string, ofDevice bool) (*enddevice.FormatterChange, error) {
	if !cmd.Flags().Changed(flag) {
		return nil, nil
	}
	text, err := cmd.Flags().GetString(flag)
	if err != nil {
		return nil, err
	}
	switch text {
	case "":
		return nil, usage(fmt.Errorf("--%s: empty", flag))
	case "none":
		return &enddevice.FormatterChange{Name: codec.None}, nil
	case "cayennelpp":
		return &enddevice.FormatterChange{Name: codec.CayenneLPP}, nil
	case "repository":
		return &enddevice.FormatterChange{Name: codec.Repository}, nil
	case "default":
		if !ofDevice {
			return nil, usage(fmt.Errorf("--%s: default is for devices; an application has its own or none", flag))
		}
		return &enddevice.FormatterChange{Default: true}, nil
	}
	source, err := readScript(text)
	if err != nil {
		return nil, fmt.Errorf("--%s: %w", flag, err)
	}
	if len(source) > formatter.MaxScript {
		return nil, fmt.Errorf("--%s: %s: more than %d bytes", flag, text, formatter.MaxScript)
	}
	return &enddevice.FormatterChange{Name: codec.JavaScript, Parameter: source}, nil
}

// formatterChanges returns the changes of both flags.
func formatterChanges(cmd *cobra.Command, ofDevice bool) (up, down *enddevice.FormatterChange, err error) {
	up, errUp := formatterChange(cmd, upFormatter, ofDevice)
	down, errDown := formatterChange(cmd, downFormatter, ofDevice)
	return up, down, errors.Join(errUp, errDown)
}

// formatterName returns the name that people use for a formatter of The Things
// Stack.
func formatterName(kind string) string {
	switch kind {
	case "", codec.None:
		return "none"
	case codec.JavaScript:
		return "JavaScript"
	case codec.CayenneLPP:
		return "CayenneLPP"
	case codec.Repository:
		return "repository"
	}
	return strings.ToLower(strings.TrimPrefix(kind, "FORMATTER_"))
}

// formatterText returns a description of a formatter.
func formatterText(f *admin.Formatter) string {
	text := formatterName(f.Kind)
	switch {
	case f.Warning != "":
		text += ", which cannot be used"
	case f.Codec != "":
		text += ": " + f.Codec + ", " + plural(f.Bytes, "byte")
	case f.Kind == codec.JavaScript:
		text += ", " + plural(f.Bytes, "byte")
	}
	if f.Default && formatterName(f.Kind) != "none" {
		text += " (the application's)"
	}
	return text
}

// formatterColumn returns the formatters of uplinks and downlinks for a table.
func formatterColumn(f *admin.DeviceFormatters) string {
	short := func(f *admin.Formatter) string {
		text := map[string]string{
			"none": "-", "JavaScript": "js", "CayenneLPP": "lpp", "repository": "codec",
		}[formatterName(f.Kind)]
		if f.Warning != "" {
			text += "?"
		}
		return text
	}
	up, down := short(&f.Up), short(&f.Down)
	if up == "-" && down == "-" {
		return "-"
	}
	return up + "/" + down
}

// formatterWarnings returns why formatters cannot be used.
func formatterWarnings(f *admin.DeviceFormatters) (out []string) {
	for _, w := range []string{f.Up.Warning, f.Down.Warning} {
		if w != "" && (len(out) == 0 || out[0] != w) {
			out = append(out, w)
		}
	}
	return out
}
