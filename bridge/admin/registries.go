package admin

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"lorawand/bridge/admin/registry"
	"lorawand/bridge/session"
	"lorawand/bridge/state"
	"lorawand/bridge/v3"
	"lorawand/bridge/v3/enddevice"
	"lorawand/radio"
)

// RegistryArgs are the arguments of "registry.get", "registry.keys" and
// "registry.delete": a device as a registry of The Things Stack has it.
type RegistryArgs struct {
	DeviceArgs
	Registry string `json:"registry"` // is, js, ns or as
}

// RegistryPutArgs are the arguments of "registry.put".
type RegistryPutArgs struct {
	RegistryArgs
	Create bool            `json:"create,omitempty"` // it must not exist yet; all of Device is taken
	Body   json.RawMessage `json:"device"`
	Paths  []string        `json:"paths,omitempty"` // of the fields that are changed
}

// getRegistry answers with a device without its keys.
func (a *Admin) getRegistry(ctx context.Context, args RegistryArgs, r reply) error {
	return a.tellRegistry(ctx, args, enddevice.Form{Session: true, RX1Delay: a.o.RX1Delay}, r)
}

// getRegistryKeys answers with a device with its keys.
func (a *Admin) getRegistryKeys(ctx context.Context, args RegistryArgs, r reply) error {
	return a.tellRegistry(ctx, args, enddevice.Form{Session: true, Keys: true, RX1Delay: a.o.RX1Delay}, r)
}

func (a *Admin) tellRegistry(ctx context.Context, args RegistryArgs, f enddevice.Form, r reply) error {
	if err := registry.Check(args.Registry, nil); err != nil {
		return err
	}
	tree, draft, err := a.registered(ctx, args.id(), f)
	switch {
	case err != nil:
		return err
	case tree == nil || !draft.Has(args.Registry):
		return state.NoDevice(args.id())
	}
	if !f.Keys {
		registry.WithoutKeys(tree)
	}
	return r(tree)
}

// registered returns a device that is registered or, with its draft, one that is under
// way; nil where there is none.
func (a *Admin) registered(
	ctx context.Context, id session.ID, f enddevice.Form,
) (registry.Tree, *registry.Draft, error) {
	d, err := a.o.Bridge.Device(ctx, id)
	if errors.Is(err, state.ErrNoDevice) {
		if draft := a.drafts.Draft(id, time.Now()); draft != nil {
			return draft.Tree, draft, nil
		}
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	// A device whose root keys are elsewhere is nothing without its session.
	f.Session = f.Session || f.Keys && d.RootKeys.AppKey.IsZero() && d.RootKeys.NwkKey.IsZero()
	raw, err := enddevice.Append(nil, d, f)
	if err != nil {
		return nil, nil, err
	}
	tree, err := registry.Parse(raw)
	return tree, nil, err
}

// putRegistry creates or changes a device, and answers with what it is now. A device
// that is not complete yet is kept as a draft.
func (a *Admin) putRegistry(ctx context.Context, args RegistryPutArgs, r reply) error {
	if err := checkID(args.id()); err != nil {
		return err
	}
	if err := registry.Check(args.Registry, args.Paths); err != nil {
		return err
	}
	body, err := registry.Parse(args.Body)
	if err != nil {
		return err
	}
	unlock, err := a.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	tree, draft, err := a.changed(ctx, &args, body)
	if err != nil {
		return err
	}
	put, o := state.DevicePut{Replace: true}, registry.Options(args.Application, a.o.Plan, a.o.RX1Delay)
	put.Device, put.OwnCounters, err = registry.Change(o, tree, args.Paths, draft)
	switch {
	case err == nil:
		if err = a.o.Bridge.Provision(ctx, []state.DevicePut{put}, nil, false); err == nil {
			a.drafts.Remove(args.id())
		}
	case draft != nil && (errors.Is(err, session.ErrInvalid) || errors.Is(err, enddevice.ErrMissing)):
		draft.Tree, draft.In[args.Registry] = tree, true
		err = a.drafts.Put(args.id(), draft, time.Now())
	}
	var faults state.ProvisionFaults
	if errors.As(err, &faults) {
		return faults[0].Err
	}
	if err != nil {
		return err
	}
	return r(registry.Told(tree, body, args.Paths))
}

// changed returns what a device is to be; with a draft where it is not registered. The
// paths of a creation are those of all that it tells.
func (a *Admin) changed(
	ctx context.Context, args *RegistryPutArgs, body registry.Tree,
) (registry.Tree, *registry.Draft, error) {
	// What is wished for a session is told with it (mac_state.desired_parameters).
	ofSession := func(path string) bool { return path == "mac_state" || strings.HasPrefix(path, "mac_state.") }
	form := enddevice.Form{Keys: true, RX1Delay: a.o.RX1Delay, Session: slices.ContainsFunc(args.Paths, ofSession)}
	tree, draft, err := a.registered(ctx, args.id(), form)
	if err != nil {
		return nil, nil, err
	}
	switch {
	case args.Create && tree != nil && draft.Has("is"):
		return nil, nil, registry.ErrTaken
	case tree == nil && args.Registry == "is" && !args.Create:
		return nil, nil, state.NoDevice(args.id())
	case tree == nil:
		draft = &registry.Draft{In: map[string]bool{}}
		tree = registry.Tree{"ids": registry.Tree{
			"device_id": args.Device, "application_ids": registry.Tree{"application_id": args.Application},
		}}
	}
	if args.Create {
		args.Paths = registry.All(body)
	}
	registry.Merge(tree, body, args.Paths)
	return tree, draft, a.checkEUIs(ctx, args.id(), tree)
}

// checkEUIs returns a registry.TakenError where another device has the EUIs.
func (a *Admin) checkEUIs(ctx context.Context, id session.ID, tree registry.Tree) error {
	join, dev := registry.EUIs(tree)
	if dev == "" || join == "" {
		return nil
	}
	other, found, err := a.o.Bridge.Joins(ctx, join, dev)
	if err != nil {
		return err
	}
	if !found || other == id {
		if other, found = a.drafts.ByEUIs(join, dev, time.Now()); !found || other == id {
			return nil
		}
	}
	taken := &registry.TakenError{JoinEUI: join, DevEUI: dev}
	if other.Application == id.Application {
		taken.Device = other
	}
	return taken
}

// deleteRegistry deletes a device, or what a registry other than the identity server
// has of it: then the rest is kept as a draft, and the device is not served any more.
func (a *Admin) deleteRegistry(ctx context.Context, args RegistryArgs, _ reply) error {
	if err := registry.Check(args.Registry, nil); err != nil {
		return err
	}
	unlock, err := a.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	tree, draft, err := a.registered(ctx, args.id(), enddevice.Form{Keys: true, RX1Delay: a.o.RX1Delay})
	switch {
	case err != nil:
		return err
	case tree == nil || !draft.Has(args.Registry):
		return state.NoDevice(args.id())
	case draft == nil:
		if err := a.remove(ctx, []session.ID{args.id()}); err != nil {
			return err
		}
		draft = &registry.Draft{In: map[string]bool{}}
		for name := range registry.Registries {
			draft.In[name] = true
		}
	}
	draft.In[args.Registry] = false
	registry.Merge(tree, registry.Tree{}, registry.Registries[args.Registry])
	draft.Tree = tree
	if args.Registry == "is" {
		a.drafts.Remove(args.id())
		return nil
	}
	return a.drafts.Put(args.id(), draft, time.Now())
}

// SimulateArgs are the arguments of "uplink.simulate".
type SimulateArgs struct {
	DeviceArgs
	Body json.RawMessage `json:"body"` // as over HTTP: {"uplink_message":…}
}

// simulate publishes a message that somebody has made up.
func (a *Admin) simulate(ctx context.Context, args SimulateArgs, _ reply) error {
	if err := checkID(args.id()); err != nil {
		return v3.DeviceNotFound(args.id())
	}
	return a.o.Bridge.Simulate(ctx, args.id(), args.Body)
}

// MessagesArgs are the arguments of "message.list".
type MessagesArgs struct {
	Application string `json:"application_id"`
	Device      string `json:"device_id,omitempty"` // "": all of the application
	Kind        string `json:"kind"`                // such as v3.Up
}

// Message is a part of the answer of "message.list".
type Message struct {
	Age     float64         `json:"age_s"`
	Payload json.RawMessage `json:"message"` // as on MQTT
}

// messages answers with the remembered messages of a kind, oldest first.
func (a *Admin) messages(_ context.Context, args MessagesArgs, r reply) error {
	if args.Application == "" {
		return errors.New("no application")
	}
	now := a.o.Bridge.Now().Host
	id := session.ID{Application: args.Application, Device: args.Device}
	for _, m := range a.o.Bridge.Activity().Messages(id, args.Kind) {
		if err := r(Message{Age: radio.Seconds(max(now.Sub(m.At), 0)), Payload: m.Payload}); err != nil {
			return err
		}
	}
	return nil
}
