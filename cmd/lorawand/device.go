package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"lorawand/bridge"
	"lorawand/bridge/session"
	"lorawand/bridge/store"
	"lorawand/bridge/v3/enddevice"
	"lorawand/cmd/lorawand/config"
)

func newDevice() *cobra.Command {
	return group("device", "Manage end devices", newDeviceImport())
}

// importOptions are the flags of device import.
type importOptions struct {
	application    string
	dryRun         bool
	update         bool
	assumeDefaults bool
}

func newDeviceImport() *cobra.Command {
	var o importOptions
	cmd := &cobra.Command{
		Use:   "import FILE… --application A",
		Short: "Import end devices from The Things Stack's JSON",
		Long: "Import end devices in the JSON form of The Things Stack: objects one after the other, or in an array; - is\n" +
			"standard input. All of them are imported or, if there is a fault anywhere, none.",
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
	cmd.Flags().StringVar(&o.application, "application", "", "`id` of the application that the devices are of (required)")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "only tell what would be done")
	cmd.Flags().BoolVar(&o.update, "update", false, "replace devices that exist already")
	cmd.Flags().BoolVar(&o.assumeDefaults, "assume-plan-defaults", false, "take the session of a device that joins without its MAC state: it uses what the plan says")
	return cmd
}

func importDevices(cmd *cobra.Command, c config.Config, o importOptions, files []string) error {
	if err := session.CheckID(o.application); err != nil {
		return usage(fmt.Errorf("--application: %w", err))
	}
	entries, err := readDevices(cmd.InOrStdin(), c, o, files)
	if err != nil {
		return err
	}
	s, st, err := openState(c, nil)
	if err != nil {
		return err
	}
	defer s.Close()
	records, err := addDevices(st, entries, o.update)
	if err != nil {
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
	} else if err := s.Commit(records...); err != nil {
		return err
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
func readDevices(stdin io.Reader, c config.Config, o importOptions, files []string) ([]fileEntry, error) {
	var all []fileEntry
	var faults []error
	for _, name := range files {
		b, err := readFile(stdin, name)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		entries, err := enddevice.Parse(b, enddevice.Options{Application: o.application, Plan: c.Network.DefaultFrequencyPlan, AssumePlanDefaults: o.assumeDefaults})
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

// addDevices puts the devices into the state and returns what the store is to
// keep. With update a device that exists is replaced; in the same session its
// counters do not go back.
func addDevices(st bridge.State, entries []fileEntry, update bool) ([]store.Record, error) {
	var records []store.Record
	var faults []error
	fromFile := map[session.ID]bool{}
	for _, e := range entries {
		d := e.Device
		old := st.Devices.Device(d.ID)
		if old != nil && update && !fromFile[d.ID] {
			st.Devices.Remove(d.ID)
			goOn(d.Session, old.Session)
		}
		fromFile[d.ID] = true
		if err := st.Devices.Add(d); err != nil {
			if errors.Is(err, session.ErrExists) && old != nil && !update {
				err = fmt.Errorf("%w; --update replaces it", err)
			}
			faults = append(faults, fmt.Errorf("%s: line %d: %w", e.file, e.Line, err))
			continue
		}
		r, err := bridge.DeviceRecords(d)
		if err != nil {
			return nil, err
		}
		records = append(records, r...)
	}
	return records, errors.Join(faults...)
}

// goOn takes over the counters of a session that goes on.
func goOn(s, old *session.Session) {
	if s == nil || old == nil || s.DevAddr != old.DevAddr || s.Keys != old.Keys {
		return
	}
	s.FCntUp = max(s.FCntUp, old.FCntUp)
	s.Heard = s.Heard || old.Heard
	s.NFCntDown, s.AFCntDown = max(s.NFCntDown, old.NFCntDown), max(s.AFCntDown, old.AFCntDown)
}
