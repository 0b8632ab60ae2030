package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"

	"lorawand/bridge/admin/registry"
	"lorawand/bridge/mac"
	"lorawand/bridge/session"
	"lorawand/bridge/state"
	"lorawand/bridge/v3/enddevice"
	"lorawand/radio/frame"
)

// PutArgs are the arguments of "device.put".
type PutArgs struct {
	Application string `json:"application_id"`
	// Devices in the form of The Things Stack, one object each.
	Devices []json.RawMessage `json:"devices"`
	Update  bool              `json:"update,omitempty"`  // replace those that exist
	DryRun  bool              `json:"dry_run,omitempty"` // only say whether it could be done
}

// PutPart is a part of the answer of "device.put": a fault or a warning of a
// device, or the news that its application is new.
type PutPart struct {
	Index int    `json:"index"` // in Devices
	Error string `json:"error,omitempty"`
	// Registered says that nothing is wrong but that the device exists.
	Registered bool `json:"registered,omitempty"`

	Warning        string `json:"warning,omitempty"` // what will not work
	NewApplication bool   `json:"new_application,omitempty"`
}

// maxFaults are told at once.
const maxFaults = 50

// ErrNothingChanged ends an answer that has told faults.
var ErrNothingChanged = errors.New("nothing was changed")

// putDevices registers devices, all or none. It answers with a PutPart for each
// that is wrong, or whose formatter cannot be used.
func (a *Admin) putDevices(ctx context.Context, args PutArgs, r reply) error {
	var faults state.ProvisionFaults
	put := make([]state.DevicePut, 0, len(args.Devices))
	for i, raw := range args.Devices {
		args.Devices[i] = nil // what is read needs no memory
		d, err := registry.One(raw, registry.Options(args.Application, a.o.Plan, a.o.RX1Delay))
		if err != nil {
			faults = append(faults, state.ProvisionFault{Index: i, Err: err})
			continue
		}
		put = append(put, state.DevicePut{Device: d, Replace: args.Update})
	}
	if len(faults) > 0 {
		return tellFaults(faults, r)
	}
	unlock, err := a.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	exists, err := a.exists(ctx, args.Application)
	if err != nil {
		return err
	}
	err = a.o.Bridge.Provision(ctx, put, nil, args.DryRun)
	if errors.As(err, &faults) {
		return tellFaults(faults, r)
	}
	if err != nil {
		return err
	}
	if len(put) > 100 && !args.DryRun {
		debug.FreeOSMemory() // what reading them leaves, 5 to 7 kB for each, would stay for minutes
	}
	if !exists && len(put) > 0 {
		if err := r(PutPart{NewApplication: true}); err != nil {
			return err
		}
	}
	for i, p := range put {
		for _, w := range a.formatterWarnings(p.Device) {
			if err := r(PutPart{Index: i, Warning: w}); err != nil {
				return err
			}
		}
	}
	return nil
}

func tellFaults(faults state.ProvisionFaults, r reply) error {
	for i, f := range faults {
		fault := PutPart{Index: f.Index, Error: f.Err.Error(), Registered: errors.Is(f.Err, state.ErrRegistered)}
		if i == maxFaults {
			fault = PutPart{Index: f.Index, Error: fmt.Sprintf("and %d faults more", len(faults)-maxFaults)}
		}
		if err := r(fault); err != nil {
			return err
		}
		if i == maxFaults {
			break
		}
	}
	return ErrNothingChanged
}

// SetArgs are the arguments of "device.set".
type SetArgs struct {
	Application     string            `json:"application_id"`
	Device          string            `json:"device_id"`
	Fields          map[string]string `json:"fields,omitempty"` // by the names of enddevice.SetFields
	ResetFCnt       bool              `json:"reset_f_cnt,omitempty"`
	ResetJoinNonces bool              `json:"reset_join_nonces,omitempty"`
	ForceRejoin     *uint8            `json:"force_rejoin,omitempty"` // type

	UpFormatter   *enddevice.FormatterChange `json:"up_formatter,omitempty"`
	DownFormatter *enddevice.FormatterChange `json:"down_formatter,omitempty"`
}

// SetNote is a part of the answer of "device.set": what the owner is to know of
// what was set.
type SetNote struct {
	Note string `json:"note"`
}

// windowFields say when and where a device listens.
var windowFields = []string{"rx1_delay", "rx1_data_rate_offset", "rx2_data_rate_index", "rx2_frequency"}

// notYet returns a note on fields that a device which joins is told by its next
// join, or "".
func notYet(d *session.Device, fields map[string]string) string {
	var named []string
	for _, f := range windowFields {
		if _, set := fields[f]; set {
			named = append(named, f)
		}
	}
	if !d.SupportsJoin || len(named) == 0 {
		return ""
	}
	return strings.Join(named, ", ") +
		": takes effect at the next join; until then the device listens as the last one told it"
}

// ErrSessionFields is the reason for not setting the session of a device that
// gets its sessions from joins.
var ErrSessionFields = errors.New("an OTAA device gets its session from a join: it cannot be set")

// setDevice changes what is registered of a device.
func (a *Admin) setDevice(ctx context.Context, args SetArgs, r reply) error {
	unlock, err := a.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	d, err := a.o.Bridge.Device(ctx, session.ID{Application: args.Application, Device: args.Device})
	if err != nil {
		return err
	}
	notes, err := changeFields(d, args.Fields)
	if err != nil {
		return fmt.Errorf("%v: %w", d.ID, err)
	}
	had := d.Formatters.Set
	if err := enddevice.ChangeFormatters(&d.Formatters, args.UpFormatter, args.DownFormatter); err != nil {
		return fmt.Errorf("%v: %w", d.ID, err)
	}
	put := state.DevicePut{Device: d, Must: true, ForgetFCntUp: args.ResetFCnt, ForgetDevNonces: args.ResetJoinNonces}
	put.ForceRejoin = args.ForceRejoin
	if err := a.o.Bridge.Provision(ctx, []state.DevicePut{put}, nil, false); err != nil {
		return err
	}
	if n := notYet(d, args.Fields); n != "" {
		notes = append(notes, n)
	}
	if !had && d.Formatters.Set {
		notes = append(notes, a.switchedOff(d)...)
	}
	for _, n := range append(notes, a.formatterWarnings(d)...) {
		if err := r(SetNote{n}); err != nil {
			return err
		}
	}
	return nil
}

// changeFields sets fields of a copy of a device. What belonged to another
// device, or to another session, does not go on. It returns what the owner is to
// know.
func changeFields(d *session.Device, fields map[string]string) (notes []string, err error) {
	was, joined := *d, session.Session{}
	if d.Session != nil {
		joined = *d.Session
	}
	notes, err = enddevice.SetFields(d, fields, enddevice.Options{AssumePlanDefaults: true})
	if err != nil {
		return nil, err
	}
	if d.ID != was.ID {
		return nil, errors.New("id: a device keeps its id")
	}
	same := d.Session.IsSame(&joined)
	switch {
	case d.SupportsJoin && d.Session != nil && !same:
		return nil, ErrSessionFields
	case d.SupportsJoin && d.RootKeys != (frame.RootKeys{}):
		// What it has is up to session.Device.Succeed: it may join meanwhile.
		d.Session, d.Pending, d.Earlier = nil, nil, nil
	case d.Session != nil && !same:
		d.Session = &session.Session{DevAddr: d.Session.DevAddr, Keys: d.Session.Keys}
	}
	if d.DevEUI != was.DevEUI {
		d.UsedDevNonces, d.LastDevNonce, d.LastJoinNonce, d.DevNoncesForgotten = nil, 0, 0, false
	}
	return notes, nil
}

// DeviceArgs name a device.
type DeviceArgs struct {
	Application string `json:"application_id"`
	Device      string `json:"device_id"`
}

func (d *DeviceArgs) id() session.ID {
	return session.ID{Application: d.Application, Device: d.Device}
}

// getDevice answers with a device in the form of The Things Stack, with its
// session and without keys.
func (a *Admin) getDevice(ctx context.Context, args DeviceArgs, r reply) error {
	d, err := a.o.Bridge.Device(ctx, args.id())
	if err != nil {
		return err
	}
	return replyDevice(d, enddevice.Form{Session: true, RX1Delay: a.o.RX1Delay}, r)
}

func replyDevice(d *session.Device, f enddevice.Form, r reply) error {
	raw, err := enddevice.Append(nil, d, f)
	if err != nil {
		return err
	}
	return r(json.RawMessage(raw))
}

// MACArgs name a device, or an application and no device: all of its devices. "" is all
// applications.
type MACArgs struct {
	Application string `json:"application_id,omitempty"`
	Device      string `json:"device_id,omitempty"`
}

// showMAC answers with a mac.View of each device.
func (a *Admin) showMAC(ctx context.Context, args MACArgs, r reply) error {
	tell := func(v mac.View) error { return r(v) }
	if args.Device == "" {
		return a.o.Bridge.MACs(ctx, args.Application, tell)
	}
	v, err := a.o.Bridge.MAC(ctx, session.ID{Application: args.Application, Device: args.Device})
	if err != nil {
		return err
	}
	return tell(v)
}

// ListArgs name an application; "" is all of them.
type ListArgs struct {
	Application string `json:"application_id,omitempty"`
}

// listDevices answers with devices as getDevice does.
func (a *Admin) listDevices(ctx context.Context, args ListArgs, r reply) error {
	return a.o.Bridge.Devices(ctx, args.Application, func(d *session.Device) error {
		return replyDevice(d, enddevice.Form{Session: true, RX1Delay: a.o.RX1Delay}, r)
	})
}

// ExportArgs are the arguments of "device.export".
type ExportArgs struct {
	Application string   `json:"application_id,omitempty"` // "": all; none of Devices then
	Devices     []string `json:"devices,omitempty"`        // none: all
	// Session is for a hand-over: devices that join come with their sessions,
	// and all as session.Device.SkipAhead says. This home may go on using
	// counters until it is stopped.
	Session bool `json:"session,omitempty"`
}

// exportDevices answers with devices in the form of The Things Stack, with
// their keys.
func (a *Admin) exportDevices(ctx context.Context, args ExportArgs, r reply) error {
	f := enddevice.Form{Keys: true, Session: args.Session, HandOver: args.Session, RX1Delay: a.o.RX1Delay}
	tell := func(d *session.Device) error {
		if args.Session {
			d.SkipAhead()
		}
		return replyDevice(d, f, r)
	}
	if len(args.Devices) == 0 {
		return a.o.Bridge.Devices(ctx, args.Application, tell)
	}
	for _, name := range args.Devices {
		d, err := a.o.Bridge.Device(ctx, session.ID{Application: args.Application, Device: name})
		if err != nil {
			return err
		}
		if err := tell(d); err != nil {
			return err
		}
	}
	return nil
}

// DeleteArgs are the arguments of "device.delete".
type DeleteArgs struct {
	Application string   `json:"application_id"`
	Devices     []string `json:"devices"`
}

// deleteDevices removes devices, all or none, with all that waits for them.
func (a *Admin) deleteDevices(ctx context.Context, args DeleteArgs, _ reply) error {
	ids := make([]session.ID, len(args.Devices))
	for i, name := range args.Devices {
		ids[i] = session.ID{Application: args.Application, Device: name}
	}
	unlock, err := a.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	return a.remove(ctx, ids)
}

// remove removes devices; the caller holds the lock.
func (a *Admin) remove(ctx context.Context, ids []session.ID) error {
	err := a.o.Bridge.Provision(ctx, nil, ids, false)
	if err == nil {
		a.o.Resolver.Forget(ids...)
	}
	return err
}
