package registry

import (
	"encoding/json"
	"fmt"
	"strings"

	"lorawand/bridge/session"
	"lorawand/bridge/v3/enddevice"
	"lorawand/radio/frame"
)

// Device reads a device. What a device that joins has of sessions is not in the tree,
// unless a client has told it.
func Device(application, plan string, tree Tree) (*session.Device, error) {
	raw, err := json.Marshal(tree)
	if err != nil {
		return nil, err
	}
	entries, err := enddevice.Parse(raw, enddevice.Options{Application: application, Plan: plan, AssumePlanDefaults: true})
	if err != nil {
		return nil, err
	}
	d := entries[0].Device
	if d.SupportsJoin && d.RootKeys != (frame.RootKeys{}) && tree["session"] == nil {
		d.Session, d.Pending, d.Earlier = nil, nil, nil
	}
	return d, nil
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
