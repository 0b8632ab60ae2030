// Package enddevice reads and writes end devices in the forms of The Things
// Stack: JSON objects of its API, one after the other, in an array or wrapped into
// "end_device" or "end_devices", and tables, CSV. It reads what ChirpStack answers
// about devices too.
//
// What The Things Stack leaves open is read as leniently as it reads: numbers
// may be strings, enumerations names or numbers, wrapped values objects with a
// "value"; members that are not known are passed over.
package enddevice

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"lorawand/bridge/session"
	"lorawand/bridge/v3/enddevice/charset"
	"lorawand/bridge/v3/enddevice/chirpstack"
	"lorawand/bridge/v3/enddevice/objects"
	"lorawand/bridge/v3/enddevice/sheet"
	"lorawand/radio/region"
)

// ErrFile is the reason for a file that holds no end devices.
var ErrFile = objects.ErrFile

// Options of a file.
type Options struct {
	Application string // the devices go here, whatever the file says
	Plan        string // frequency plan of devices that name none
	Version     string // of LoRaWAN, of devices that name none
	JoinEUI     string // of devices that join and of which ChirpStack does not tell it
	RX1Delay    uint8  // that the network tells devices, in s; 0: 5

	// AssumePlanDefaults takes the session of a device that joins even without
	// MAC state: it is taken to be as after a join with the plan's defaults.
	AssumePlanDefaults bool
}

// defaults fills in what a device does not name.
func (o *Options) defaults(d *session.Device) {
	if d.Plan == "" {
		d.Plan = o.Plan
	}
	if d.VersionName == "" {
		d.Version, d.VersionName = sheet.Version(o.Version), o.Version
	}
}

// Entry is a device of a file.
type Entry struct {
	Line     int // where it begins, from 1
	Device   *session.Device
	Warnings []string // what will not work
}

// Limits of a file.
const (
	MaxFileSize = 64 << 20 // bytes
	maxFaults   = 50       // told at once
)

// File is what was read of a file.
type File struct {
	Entries  []Entry
	Warnings []string // on the file as a whole
}

// Parse reads the devices of a file as Read does.
func Parse(b []byte, o Options) ([]Entry, error) {
	f, err := Read(b, o)
	return f.Entries, err
}

// Read reads the devices of a file, JSON or CSV. All faults are told at once,
// each with its line and device, as one error that unwraps to many; then no
// device is returned.
func Read(b []byte, o Options) (File, error) {
	if len(b) > MaxFileSize {
		return File{}, fmt.Errorf("%w: %d bytes, at most %d", ErrFile, len(b), MaxFileSize)
	}
	b, err := charset.UTF8(b)
	var no *charset.Error
	if errors.As(err, &no) {
		return File{}, fmt.Errorf("line %d: %w: %s; export the devices as CSV, in UTF-8", no.Line, ErrFile, no.What)
	}
	var out File
	var faults []error
	unsaid := 0
	add := func(d *session.Device, notes []string, line int, err error) {
		switch {
		case err != nil && len(faults) >= maxFaults:
			unsaid++
			return
		case err != nil:
			faults = append(faults, fmt.Errorf("line %d: %w", line, err))
			return
		}
		out.Entries = append(out.Entries, Entry{Line: line, Device: d, Warnings: append(notes, warnings(d)...)})
	}
	switch start := bytes.TrimSpace(b); {
	case len(start) == 0:
	case start[0] == '{' || start[0] == '[':
		var answers chirpstack.Reader
		err = objects.Each(b, func(raw json.RawMessage, line int) error {
			if answers.Add(raw, line) {
				return nil
			}
			return objects.Unwrap(raw, line, func(raw json.RawMessage, line int) {
				d, notes, err := parse(raw, o)
				add(d, notes, line, err)
			})
		})
		addAnswers(&answers, o, add)
	default:
		out.Warnings, err = eachRow(b, o, func(d *session.Device, notes []string, line int, err error) {
			if err != nil && d != nil && d.ID.Device != "" {
				err = fmt.Errorf("%.60s: %w", d.ID.Device, err)
			}
			add(d, notes, line, err)
		})
	}
	if err != nil {
		faults = append(faults, err)
	}
	if len(faults) == 0 && len(out.Entries) == 0 {
		return File{}, fmt.Errorf("%w: the file is empty", ErrFile)
	}
	if unsaid > 0 {
		faults = append(faults, fmt.Errorf("and %d faults more", unsaid))
	}
	if len(faults) > 0 {
		return File{}, errors.Join(faults...)
	}
	return out, nil
}

func parse(raw json.RawMessage, o Options) (*session.Device, []string, error) {
	var j deviceJSON
	if err := json.Unmarshal(raw, &j); err != nil {
		return nil, nil, fmt.Errorf("%s%w", named(raw), plain(err))
	}
	d, notes, err := j.device(o)
	if err != nil {
		return nil, nil, fmt.Errorf("%s%w", named(raw), err)
	}
	return d, notes, nil
}

// addAnswers adds the devices of which ChirpStack has told. An RX1 delay that it gives a
// device with a join is one of the session.
func addAnswers(
	answers *chirpstack.Reader, o Options, add func(d *session.Device, notes []string, line int, err error),
) {
	for _, a := range answers.Devices(chirpstack.Options{Plan: o.Plan, JoinEUI: o.JoinEUI}) {
		if a.Err != nil {
			add(nil, nil, a.Line, fmt.Errorf("%.60s: %w", a.Name, a.Err))
			continue
		}
		d, notes, err := parse(a.JSON, o)
		if err == nil && d.SupportsJoin {
			d.Settings.RX1Delay = nil
		}
		add(d, append(a.Notes, notes...), a.Line, err)
	}
}

// Unserved says why the frames of a device are not taken, and which frequency plans
// may be meant by one that is not known; "" where they are.
func Unserved(d *session.Device) string {
	err := d.Unserved()
	if err == nil {
		return ""
	}
	if _, unknown := region.Lookup(d.Plan); unknown != nil {
		if meant := region.Meant(d.Plan); meant != "" {
			return err.Error() + "; " + meant
		}
	}
	return err.Error()
}

// warnings says what of a device will not work.
func warnings(d *session.Device) (out []string) {
	if w := Unserved(d); w != "" {
		out = append(out, w)
	}
	if d.SupportsJoin && d.RootKeys.AppKey.IsZero() && d.RootKeys.NwkKey.IsZero() {
		out = append(out, "has no root keys, so it cannot join again")
	}
	return out
}

// named returns the device id for an error, if there is one.
func named(raw json.RawMessage) string {
	var j struct {
		IDs struct {
			DeviceID string `json:"device_id"`
		} `json:"ids"`
	}
	if json.Unmarshal(raw, &j) != nil && j.IDs.DeviceID == "" {
		return ""
	}
	if j.IDs.DeviceID == "" {
		return "device without ids.device_id: "
	}
	return fmt.Sprintf("%.60s: ", j.IDs.DeviceID)
}

// plain says in the file's words what encoding/json says in Go's.
func plain(err error) error {
	var typ *json.UnmarshalTypeError
	if errors.As(err, &typ) {
		return fmt.Errorf("%s: not a %s", typ.Field, typ.Value)
	}
	return err
}
