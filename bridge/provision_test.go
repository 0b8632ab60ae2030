package bridge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"lorawand/bridge/session"
	"lorawand/bridge/state"
	"lorawand/bridge/store"
	"lorawand/bridge/v3"
)

// Through the whole Bridge, with what is read.
func TestBridgeProvision(t *testing.T) {
	st, err := store.Open(t.TempDir(), store.Options{Ephemeral: true})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	h := newHome(t)
	b, err := New(Options{Devices: h.devices, Gateways: h.gateways, Store: st, Outbox: &fakeOutbox{}, DefaultPlan: h.plan})
	if err != nil {
		t.Fatal(err)
	}
	runCtx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Run(runCtx) }()
	var put []state.DevicePut
	for i := range 100 {
		put = append(put, state.DevicePut{Device: personalised(fmt.Sprintf("many-%02d", i), byte(10+i))})
	}
	ctx := t.Context()
	if err := b.Provision(ctx, put, nil, false); err != nil {
		t.Fatal(err)
	}
	put[0].Device.Name = "still mine"
	listProvisioned(t, b)
	pushProvisioned(t, b)
	if err := b.Provision(ctx, nil, []session.ID{dev("many-01")}, false); err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	st2, err := state.Load(st, 0, "ttn")
	if err != nil || st2.Devices.Len() != 99 || st2.Devices.Device(dev("many-00")).Queue.Len() != 2 {
		t.Errorf("after a restart: %d devices, %v", st2.Devices.Len(), err)
	}
}

// listProvisioned lists the devices: what a caller does to a device that it was given
// changes nothing.
func listProvisioned(t *testing.T, b *Bridge) {
	t.Helper()
	ctx := t.Context()
	var names []string
	err := b.Devices(ctx, "app1", func(d *session.Device) error {
		names = append(names, d.ID.Device)
		d.Session.FCntUp = 7
		return nil
	})
	if err != nil || len(names) != 102 || !slices.IsSorted(names) {
		t.Errorf("%d devices, %v: %v", len(names), err, names)
	}
	if err := b.Devices(ctx, "app2", func(*session.Device) error { return errStopped }); err != nil {
		t.Errorf("of another application: %v", err)
	}
	d, err := b.Device(ctx, dev("many-00"))
	if err != nil || d.Name != "" || d.Session.FCntUp != 0 {
		t.Errorf("%+v, %v", d, err)
	}
	if _, err := b.Device(ctx, dev("nobody")); !errors.Is(err, state.ErrNoDevice) {
		t.Errorf("%v", err)
	}
}

// pushProvisioned pushes downlinks to a device that is there, and to one that is not.
func pushProvisioned(t *testing.T, b *Bridge) {
	t.Helper()
	ctx := t.Context()
	ids, err := b.TryPush(ctx, dev("many-00"), false, []byte(`{"downlinks":[{"f_port":1,"frm_payload":"AQ==","correlation_ids":["mine"]},{"f_port":2,"frm_payload":"Ag=="}]}`))
	if err != nil || len(ids) != 2 || !slices.Contains(ids[0], "mine") {
		t.Errorf("%v, %v", ids, err)
	}
	var refused *v3.Error
	if _, err := b.TryPush(ctx, dev("nobody"), false, []byte(`{"downlinks":[{"f_port":1,"frm_payload":"AQ=="}]}`)); !errors.As(err, &refused) {
		t.Errorf("%v", err)
	}
	if err := b.Push(ctx, dev("nobody"), false, []byte(`{"downlinks":[{"f_port":1,"frm_payload":"AQ=="}]}`)); err != nil {
		t.Errorf("over MQTT: %v", err)
	}
	q, err := b.Downlinks(ctx, dev("many-00"))
	if err != nil || len(q.Waiting) != 2 || q.Waiting[0].FPort != 1 || q.Sending != nil || q.Awaiting != nil {
		t.Errorf("%+v, %v", q, err)
	}
	if _, err := b.Downlinks(ctx, dev("nobody")); !errors.Is(err, state.ErrNoDevice) {
		t.Errorf("%v", err)
	}
}
