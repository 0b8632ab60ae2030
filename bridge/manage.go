package bridge

import (
	"context"
	"errors"
	"fmt"

	"lorawand/bridge/core"
	"lorawand/bridge/gateway"
	"lorawand/bridge/session"
	"lorawand/bridge/state"
)

// Provision changes what is registered of devices, all or nothing: put first,
// then remove. With trial nothing is changed. It returns when that is stored;
// the error is ProvisionFaults, or says why it cannot be.
func (b *Bridge) Provision(ctx context.Context, put []state.DevicePut, remove []session.ID, trial bool) error {
	own := make([]state.DevicePut, len(put))
	for i, p := range put {
		// The core gets what it would find in the store after a restart.
		var err error
		if p.Record, err = state.DeviceRecord(p.Device); err != nil {
			return err
		}
		if p.Device, err = session.UnmarshalDevice(p.Record.Data); err != nil {
			return fmt.Errorf("bridge: device %s: %w", p.Record.Key, err)
		}
		own[i] = p
	}
	devices := make([]*session.Device, len(own))
	for i := range own {
		devices[i] = own[i].Device
	}
	state.ShareScripts(devices...)
	a, err := b.await(ctx, func(ticket uint64) core.Input {
		return core.Provisioned{Ticket: ticket, Put: own, Remove: remove, Trial: trial}
	})
	if err != nil {
		return fmt.Errorf("bridge: devices: %w", err)
	}
	if a.Err == nil && !trial {
		b.activity.Forget(remove...)
		b.tellProvisioned(devices, remove)
	}
	return a.Err
}

// tellProvisioned tells of the applications whose devices have changed.
func (b *Bridge) tellProvisioned(put []*session.Device, removed []session.ID) {
	if b.provisioned == nil {
		return
	}
	told := map[string]bool{}
	for _, d := range put {
		told[d.ID.Application] = true
	}
	for _, id := range removed {
		told[id.Application] = true
	}
	for application := range told {
		b.provisioned(application)
	}
}

// Lag has records stored with the next commit. A crash may lose them.
func (b *Bridge) Lag(records ...state.Record) {
	b.committer.Add(state.Request{Records: records, Lag: true})
}

// Reconfigure replaces what is configured of the gateways. It returns when that
// is in force; an error names those that keep what they had.
func (b *Bridge) Reconfigure(ctx context.Context, gateways []*gateway.Gateway) error {
	a, err := b.await(ctx, func(ticket uint64) core.Input { return core.Reconfigured{Ticket: ticket, Gateways: gateways} })
	if err = errors.Join(err, a.Err); err != nil {
		return fmt.Errorf("bridge: gateways: %w", err)
	}
	return nil
}
