package registry

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"lorawand/bridge/session"
	"lorawand/bridge/v3/enddevice"
	"lorawand/radio/frame"
)

// Options are those of the devices of an application. plan is that of devices that name none,
// rx1Delay what the network tells devices, in s.
func Options(application, plan string, rx1Delay uint8) enddevice.Options {
	return enddevice.Options{Application: application, Plan: plan, RX1Delay: rx1Delay}
}

// One reads a device that is one object.
func One(raw []byte, o enddevice.Options) (*session.Device, error) {
	entries, err := enddevice.Parse(raw, o)
	if err == nil && len(entries) != 1 {
		err = fmt.Errorf("%w: not one object", enddevice.ErrFile)
	}
	if err != nil {
		return nil, err
	}
	return entries[0].Device, nil
}

// Device reads a device. What a device that joins has of sessions is not in the tree,
// unless a client has told it.
func Device(o enddevice.Options, tree Tree) (*session.Device, error) {
	raw, err := json.Marshal(tree)
	if err != nil {
		return nil, err
	}
	o.AssumePlanDefaults = true
	d, err := One(raw, o)
	if err != nil {
		return nil, err
	}
	if d.SupportsJoin && d.RootKeys != (frame.RootKeys{}) && tree["session"] == nil {
		d.Session, d.Pending, d.Earlier = nil, nil, nil
	}
	return d, nil
}

// Change reads what a device is to be. told are the paths that a client has changed. Of a device
// that is registered, and is no draft, what it and the network have told each other in the session
// goes on as it is where none of it is told: the tree has it in the words of the plan before.
// ownCounters says that the counters of downlinks are this home's own, see state.DevicePut.
func Change(
	o enddevice.Options, tree Tree, told []string, draft *Draft,
) (d *session.Device, ownCounters bool, err error) {
	if draft != nil {
		d, err = Device(o, tree)
		return d, false, err
	}
	tells := func(names ...string) bool {
		return slices.ContainsFunc(told, func(path string) bool {
			return slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(path+".", name) })
		})
	}
	untold := !tells("mac_state.", "session.")
	if untold {
		tree = maps.Clone(tree)
		delete(tree, "mac_state")
	}
	if d, err = Device(o, tree); err == nil && untold && d.Session != nil {
		d.Session.Parameters = nil // not those that a join would give: session.Device.Succeed keeps them
	}
	whole := slices.Contains(told, "session") || slices.Contains(told, "mac_state")
	return d, !whole && !tells("session.last_", "mac_state.recent_downlinks."), err
}

// EUIs brings the EUIs of a device into one form, and returns them; "" is none.
func EUIs(tree Tree) (joinEUI, devEUI string) {
	ids := object(tree, "ids")
	for name, into := range map[string]*string{"dev_eui": &devEUI, "join_eui": &joinEUI} {
		if text, ok := ids[name].(string); ok {
			*into = strings.ToUpper(text)
			ids[name] = *into
		}
	}
	return joinEUI, devEUI
}

// WithoutKeys removes the keys of a device, of its sessions and of what waits to be one.
func WithoutKeys(tree Tree) {
	for name, v := range tree {
		inner, ok := v.(map[string]any)
		switch {
		case !ok: // an attribute may have any name
		case name == "keys" || name == "root_keys":
			delete(tree, name)
		default:
			WithoutKeys(inner)
		}
	}
}

// Told returns what is told to somebody who has changed a device by the paths: it without
// keys, but those that he has told himself.
func Told(tree, from Tree, paths []string) Tree {
	out := clone(tree)
	WithoutKeys(out)
	for _, p := range paths {
		path := strings.Split(p, ".")
		if v := lookup(from, path); v != nil && path[0] != "ids" {
			set(out, path, v)
		}
	}
	return out
}

// TakenError says that another device joins with the same EUIs. Device is zero where
// it is one of another application, which nobody is told about.
type TakenError struct {
	Device          session.ID
	DevEUI, JoinEUI string
}

// Error implements error.
func (e *TakenError) Error() string {
	return fmt.Sprintf("a device with JoinEUI %s and DevEUI %s is registered already", e.JoinEUI, e.DevEUI)
}
