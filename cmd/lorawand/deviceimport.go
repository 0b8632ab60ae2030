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
	"lorawand/bridge/session"
	"lorawand/bridge/v3/enddevice"
	"lorawand/cmd/lorawand/config"
)

// importOptions are the flags of device import.
type importOptions struct {
	application string
	plan        string
	version     string
	joinEUI     string
	dryRun      bool
	update      bool
	assume      bool
	rx1Delay    uint8 // of the network, in s
}

func newDeviceImport() *cobra.Command {
	var o importOptions
	cmd := &cobra.Command{
		Use:   "import FILE… --application A",
		Short: "Import end devices from The Things Stack's JSON or CSV, or from ChirpStack",
		Long: "Import end devices in the forms of The Things Stack: JSON objects one after the other, in an array\n" +
			"or in its API's end_device and end_devices, and tables: CSV with \";\", \",\" or tabs, as makers of\n" +
			"devices and spreadsheets write them, in UTF-8, UTF-16 or Windows-1252; - is standard input. Sessions\n" +
			"come with them and go on. All devices of all files are imported or, if there is a fault anywhere,\n" +
			"none.\n\n" +
			"From ChirpStack, put the answers of its API into a file, in any order: GET /api/devices/DEV_EUI, its\n" +
			"/keys and /activation, and /api/device-profiles/ID, or those of gRPC as JSON.\n\n" +
			"The first row of a table names its columns. Capitals, blanks, dashes and underscores make no\n" +
			"difference there: DevEUI is dev_eui. EUIs and keys may have separators and 0x. Unknown columns are\n" +
			"ignored.\n" +
			"The columns, with their other names:\n" + wrapped(enddevice.Columns(), 110),
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
	f.StringVar(&o.plan, "plan", "",
		"frequency plan `id` of devices that name none (default network.default_frequency_plan)")
	f.StringVar(&o.version, "version", "", "LoRaWAN `version` of devices that name none, such as 1.0.3")
	f.StringVar(&o.joinEUI, "join-eui", "", "JoinEUI of devices of ChirpStack that has not told it")
	f.BoolVar(&o.dryRun, "dry-run", false, "check the files and import nothing")
	f.BoolVar(&o.update, "update", false, "replace devices that exist already")
	f.BoolVar(&o.assume, "assume-plan-defaults", false,
		"import sessions of OTAA devices without mac_state as if the device had joined with the plan's defaults")
	return cmd
}

func importDevices(cmd *cobra.Command, c config.Config, o importOptions, files []string) error {
	if err := checkApplication(o.application); err != nil {
		return err
	}
	if o.plan == "" {
		o.plan = c.Network.DefaultFrequencyPlan
	}
	o.rx1Delay = rx1Delay(c)
	done := progress(cmd, "Importing devices")
	defer done()
	entries, notes, err := readDevices(cmd.InOrStdin(), o, files)
	if err != nil {
		return err
	}
	if err := putDevices(cmd, c, o, entries); err != nil {
		return err
	}
	done()
	for _, n := range notes {
		fmt.Fprintf(cmd.ErrOrStderr(), "lorawand: %s\n", n)
	}
	for _, w := range deviceWarnings(entries) {
		fmt.Fprintf(cmd.ErrOrStderr(), "lorawand: %s\n", w)
	}
	devices := make([]*session.Device, len(entries))
	for i := range entries {
		devices[i] = entries[i].Device
	}
	for _, n := range planNotes(c, devices) {
		fmt.Fprintf(cmd.ErrOrStderr(), "lorawand: %s\n", n)
	}
	verb := "Imported"
	if o.dryRun {
		verb = "Would import"
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s %s into %s.\n", verb, plural(len(entries), "device"), o.application)
	return err
}

// deviceWarnings returns the warnings about the devices of files.
func deviceWarnings(entries []fileEntry) []string {
	var all []warned
	for _, e := range entries {
		for _, w := range e.Warnings {
			all = append(all, warned{fmt.Sprintf("%s: line %d: %s", e.file, e.Line, e.Device.ID.Device), w})
		}
	}
	return warningLines(all)
}

// warned is a warning about a device.
type warned struct{ device, text string }

// warningLines returns a line for each warning, with the first device that it is
// about and the number of other devices.
func warningLines(all []warned) (lines []string) {
	of := map[string]int{}
	for _, w := range all {
		of[w.text]++
	}
	for _, w := range all {
		n := of[w.text]
		if n == 0 {
			continue // printed before
		}
		of[w.text] = 0
		line := w.device + ": " + w.text
		if n > 1 {
			line += fmt.Sprintf(" (and of %d devices more)", n-1)
		}
		lines = append(lines, line)
	}
	return lines
}

// fileEntry is a device of a file.
type fileEntry struct {
	enddevice.Entry
	file string
}

// wrapped returns a list of texts on lines of at most width characters.
func wrapped(texts []string, width int) string {
	var b strings.Builder
	at := 0
	for i, text := range texts {
		if i < len(texts)-1 {
			text += ","
		}
		switch {
		case at == 0:
			b.WriteString("  ")
			at = 2
		case at+1+len(text) > width:
			b.WriteString("\n  ")
			at = 2
		default:
			b.WriteString(" ")
			at++
		}
		b.WriteString(text)
		at += len(text)
	}
	return b.String()
}

// readDevices reads all files. It prints the notes on each, and returns all faults.
func readDevices(stdin io.Reader, o importOptions, files []string) (all []fileEntry, notes []string, err error) {
	var faults []error
	for _, name := range files {
		b, err := readFile(stdin, name)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		f, err := enddevice.Read(b, enddevice.Options{
			Application: o.application, Plan: o.plan, Version: o.version, JoinEUI: o.joinEUI, AssumePlanDefaults: o.assume,
			RX1Delay: o.rx1Delay,
		})
		if err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				faults = append(faults, fmt.Errorf("%s: %s", name, line))
			}
			continue
		}
		for _, e := range f.Entries {
			all = append(all, fileEntry{e, name})
		}
		for _, w := range f.Warnings {
			notes = append(notes, name+": "+w)
		}
	}
	return all, notes, errors.Join(faults...)
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

// putDevices registers the devices, and returns the place in the files of each
// refused device. It adds the daemon's warnings to the entries.
func putDevices(cmd *cobra.Command, c config.Config, o importOptions, entries []fileEntry) error {
	args := admin.PutArgs{Application: o.application, Update: o.update, DryRun: o.dryRun}
	form := enddevice.Form{Keys: true, Session: true, RX1Delay: o.rx1Delay}
	for _, e := range entries {
		raw, err := enddevice.Append(nil, e.Device, form)
		if err != nil {
			return err
		}
		args.Devices = append(args.Devices, json.RawMessage(raw))
	}
	var faults []error
	err := operate(cmd.Context(), c, "device.put", args, func(p admin.PutPart) error {
		if p.NewApplication {
			if !o.dryRun {
				tellNew(cmd.ErrOrStderr(), o.application)
			}
			return nil
		}
		if p.Index < 0 || p.Index >= len(entries) {
			return fmt.Errorf("the answer is about a device that was not sent: %s%s", p.Error, p.Warning)
		}
		e := &entries[p.Index]
		if p.Warning != "" {
			e.Warnings = append(e.Warnings, p.Warning)
			return nil
		}
		if p.Registered {
			p.Error += "; --update replaces it"
		}
		faults = append(faults, fmt.Errorf("%s: line %d: %s", e.file, e.Line, p.Error))
		return nil
	})
	if len(faults) > 0 {
		return errors.Join(faults...)
	}
	return err
}
