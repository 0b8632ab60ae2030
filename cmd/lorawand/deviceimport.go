package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"lorawand/bridge/admin"
	"lorawand/bridge/v3/enddevice"
	"lorawand/cmd/lorawand/config"
)

// importOptions are the flags of device import.
type importOptions struct {
	application string
	plan        string
	version     string
	dryRun      bool
	update      bool
	assume      bool
}

func newDeviceImport() *cobra.Command {
	var o importOptions
	cmd := &cobra.Command{
		Use:   "import FILE… --application A",
		Short: "Import end devices from The Things Stack's JSON or CSV",
		Long: "Import end devices in the forms of The Things Stack: JSON objects, one after the other or in an array, and CSV with\n" +
			"\";\" or \",\"; - is standard input. Live sessions are imported too and go on. If one device has a fault, none is\n" +
			"imported.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage(errors.New("device import needs a file, or - for standard input"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			return importDevices(cmd, c, o, args)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.application, "application", "", "`id` of the application to import into (required)")
	f.StringVar(&o.plan, "plan", "", "frequency plan `id` of devices that name none (default network.default_frequency_plan)")
	f.StringVar(&o.version, "version", "", "LoRaWAN `version` of devices that name none, such as 1.0.3")
	f.BoolVar(&o.dryRun, "dry-run", false, "check the files and import nothing")
	f.BoolVar(&o.update, "update", false, "replace devices that exist already")
	f.BoolVar(&o.assume, "assume-plan-defaults", false, "take sessions of devices that join even without mac_state, as after a join with the plan's defaults")
	return cmd
}

func importDevices(cmd *cobra.Command, c config.Config, o importOptions, files []string) error {
	if err := checkApplication(o.application); err != nil {
		return err
	}
	if o.plan == "" {
		o.plan = c.Network.DefaultFrequencyPlan
	}
	entries, err := readDevices(cmd.InOrStdin(), o, files)
	if err != nil {
		return err
	}
	if err := putDevices(cmd, c, o, entries); err != nil {
		return err
	}
	for _, e := range entries {
		for _, w := range e.Warnings {
			fmt.Fprintf(cmd.ErrOrStderr(), "lorawand: %s: line %d: %s: %s\n", e.file, e.Line, e.Device.ID.Device, w)
		}
	}
	verb := "Imported"
	if o.dryRun {
		verb = "Would import"
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s %d devices into %s.\n", verb, len(entries), o.application)
	return err
}

// fileEntry is a device of a file.
type fileEntry struct {
	enddevice.Entry
	file string
}

// readDevices reads all files, and tells all of their faults.
func readDevices(stdin io.Reader, o importOptions, files []string) ([]fileEntry, error) {
	var all []fileEntry
	var faults []error
	for _, name := range files {
		b, err := readFile(stdin, name)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		entries, err := enddevice.Parse(b, enddevice.Options{Application: o.application, Plan: o.plan, Version: o.version, AssumePlanDefaults: o.assume})
		if err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				faults = append(faults, fmt.Errorf("%s: %s", name, line))
			}
			continue
		}
		for _, e := range entries {
			all = append(all, fileEntry{e, name})
		}
	}
	return all, errors.Join(faults...)
}

func readFile(stdin io.Reader, name string) ([]byte, error) {
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		stdin = f
	}
	b, err := io.ReadAll(io.LimitReader(stdin, enddevice.MaxFileSize+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return b, nil
}

// putDevices hands the devices over, and tells where in the files those stand
// that are refused.
func putDevices(cmd *cobra.Command, c config.Config, o importOptions, entries []fileEntry) error {
	args := admin.PutArgs{Application: o.application, Update: o.update, DryRun: o.dryRun}
	for _, e := range entries {
		raw, err := enddevice.Append(nil, e.Device, enddevice.Form{Keys: true, Session: true})
		if err != nil {
			return err
		}
		args.Devices = append(args.Devices, json.RawMessage(raw))
	}
	var faults []error
	err := operate(cmd.Context(), c, "device.put", args, func(f admin.PutFault) error {
		if f.Index < 0 || f.Index >= len(entries) {
			return fmt.Errorf("a fault of a device that was not sent: %s", f.Error)
		}
		if f.Registered {
			f.Error += "; --update replaces it"
		}
		faults = append(faults, fmt.Errorf("%s: line %d: %s", entries[f.Index].file, entries[f.Index].Line, f.Error))
		return nil
	})
	if len(faults) > 0 {
		return errors.Join(faults...)
	}
	return err
}
