package admin

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"lorawand/bridge/access"
	"lorawand/bridge/event"
	"lorawand/bridge/session"
	"lorawand/bridge/state"
)

// Each operation is refused to a key that lacks one of its rights, and one on an
// application to a key of another, before anything is done.
func TestRightsOfOperations(t *testing.T) {
	h := newHouse(t)
	h.steps([]step{
		{name: "a device", op: "device.put", args: `{"application_id":"app1","devices":[` + goodDevice + `]}`, parts: 1},
		{name: "a key", op: "key.create", args: `{"application_id":"app1"}`, parts: 1},
	})
	before := h.state()
	call := func(who access.Login, op, args string) error {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		return h.admin.CallAs(ctx, who, op, json.RawMessage(args), func(json.RawMessage) error {
			t.Errorf("%s by %+v with %s has an answer", op, who, args)
			return nil
		})
	}
	for _, op := range slices.Sorted(maps.Keys(operations)) {
		need, _ := RightOf(op)
		if need.Rights == 0 {
			t.Errorf("%s needs no right", op)
		}
		for bit := access.Rights(1); bit <= access.All; bit <<= 1 {
			who := access.Login{Application: "app1", Rights: access.All &^ bit}
			if err := call(who, op, `{"application_id":"app1","x":1}`); need.Rights.Has(bit) != errors.Is(err, ErrRights) {
				t.Errorf("%s without %s: %v", op, bit, err)
			}
		}
		if !need.Application {
			continue
		}
		who := access.Login{Application: "app1", Rights: access.All}
		for _, args := range []string{`{"application_id":"app2"}`, `{}`, `null`, `{"application_id":"app1","APPLICATION_ID":"app2"}`} {
			if err := call(who, op, args); !errors.Is(err, ErrApplication) {
				t.Errorf("%s with %s: %v", op, args, err)
			}
		}
		if err := call(who, op, `[]`); err == nil || !strings.HasPrefix(err.Error(), "arguments: ") {
			t.Errorf("%s with a list: %v", op, err)
		}
	}
	if err := call(access.Login{Rights: access.All}, "reboot", `{}`); !errors.Is(err, ErrOperation) {
		t.Errorf("an unknown operation: %v", err)
	}
	if after := h.state(); after != before {
		t.Errorf("the state is now %s", after)
	}
}

// A key gets what its rights allow.
func TestCallAs(t *testing.T) {
	h := newHouse(t)
	h.steps([]step{
		{name: "one", op: "device.put", args: `{"application_id":"app1","devices":[` + goodDevice + `]}`, parts: 1},
		{name: "of another", op: "device.put", args: `{"application_id":"app2","devices":[` + joining + `]}`, parts: 1},
	})
	var parts []string
	who := access.Login{Application: "app2", Rights: access.DevicesRead}
	err := h.admin.CallAs(context.Background(), who, "device.list", ListArgs{Application: "app2"},
		func(raw json.RawMessage) error {
			parts = append(parts, string(raw))
			return nil
		})
	if err != nil || len(parts) != 1 || !strings.Contains(parts[0], "dev2") {
		t.Errorf("%q, %v", parts, err)
	}
}

// Events of other applications, and of gateways, are not those of an application.
func TestEventsOfAnApplication(t *testing.T) {
	args := EventsArgs{Application: "app1"}
	for _, tt := range []struct {
		name string
		e    event.Event
		want bool
	}{
		{"of a device of it", event.Event{Device: session.ID{Application: "app1", Device: "dev1"}}, true},
		{"of a device of another", event.Event{Device: session.ID{Application: "app2", Device: "dev1"}}, false},
		{"of a gateway", event.Event{Gateway: "gw1"}, false},
	} {
		if got := args.Matches(&tt.e); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

// A decision about a device of another application is not told.
func TestWhyOfAnApplication(t *testing.T) {
	h := newHouse(t)
	h.Events().Write(&event.Event{
		Kind: event.DownlinkQueued, Device: session.ID{Application: "app1", Device: "dev1"},
		CorrelationIDs: []string{"as:downlink:X"},
	})
	h.steps([]step{
		{name: "its own", op: "why", args: `{"application_id":"app1","correlation_id":"as:downlink:X"}`, parts: 1},
		{name: "any", op: "why", args: `{"correlation_id":"as:downlink:X"}`, parts: 1},
		{name: "of another", op: "why", args: `{"application_id":"app2","correlation_id":"as:downlink:X"}`, err: ErrNotRemembered.Error()},
	})
}

// One list of an application is put together at a time; what is short, and another application's, does not wait for it.
func TestCallAsShares(t *testing.T) {
	h := newHouse(t)
	h.steps([]step{
		{name: "one", op: "device.put", args: `{"application_id":"app1","devices":[` + goodDevice + `]}`, parts: 1},
		{name: "of another", op: "device.put", args: `{"application_id":"app2","devices":[` + joining + `]}`, parts: 1},
	})
	list := func(patience time.Duration, application string, each func()) error {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		who := access.Login{Application: application, Rights: access.All}
		return h.admin.CallAs(ctx, who, "device.list", ListArgs{Application: application}, func(json.RawMessage) error {
			each()
			return nil
		})
	}
	within := 0
	err := list(10*time.Second, "app1", func() {
		within++
		beside := func() { t.Error("two lists at a time") }
		if err := list(50*time.Millisecond, "app1", beside); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a list beside it: %v", err)
		}
		if err := list(10*time.Second, "app2", func() { within++ }); err != nil {
			t.Errorf("another application's: %v", err)
		}
		who := access.Login{Application: "app1", Rights: access.All}
		args := DeviceArgs{Application: "app1", Device: "nobody"}
		if err := h.admin.CallAs(context.Background(), who, "downlink.list", args, nil); !errors.Is(err, state.ErrNoDevice) {
			t.Errorf("what is short: %v", err)
		}
	})
	if err != nil || within != 2 {
		t.Errorf("%d devices, %v", within, err)
	}
	if err := list(10*time.Second, "app1", func() { within++ }); err != nil || within != 3 {
		t.Errorf("behind it: %v", err)
	}
}
