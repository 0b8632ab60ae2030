package admin

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
)

// state is all that a request could have changed: the devices with their keys and
// the API keys.
func (h *house) state() string {
	h.Helper()
	var all []string
	for _, op := range []string{"device.export", "key.list"} {
		parts, err := h.ask(op, `{}`)
		if err != nil {
			h.Fatalf("%s: %v", op, err)
		}
		all = append(all, parts...)
	}
	return strings.Join(all, "\n")
}

// Arguments of another form are refused by each operation, at both doors, before
// anything is done.
func TestArgumentsOfAnotherForm(t *testing.T) {
	h := newHouse(t)
	h.listen()
	h.steps([]step{
		{name: "a device", op: "device.put", args: `{"application_id":"app1","devices":[` + goodDevice + `]}`, parts: 1},
		{name: "a key", op: "key.create", args: `{"application_id":"app1"}`, parts: 1},
	})
	before := h.state()
	for _, tt := range []struct{ name, args string }{
		{"a member that nobody knows", `{"colour":"red"}`},
		{"a list", `[]`},
		{"a text", `"app1"`},
		{"a number", `7`},
		{"true", `true`},
	} {
		for _, op := range slices.Sorted(maps.Keys(operations)) {
			if _, err := h.ask(op, tt.args); err == nil || !strings.HasPrefix(err.Error(), "arguments: ") {
				t.Errorf("%s with %s, called: %v", op, tt.name, err)
			}
			_, err := h.call(op, json.RawMessage(tt.args))
			if err == nil || !strings.HasPrefix(err.Error(), "arguments: ") {
				t.Errorf("%s with %s, over the socket: %v", op, tt.name, err)
			}
		}
	}
	if after := h.state(); after != before {
		t.Errorf("the state is now %s", after)
	}
}

// Members of another kind are refused, and their names are in the message.
func TestMembersOfAnotherKind(t *testing.T) {
	h := newHouse(t)
	for _, tt := range []struct{ op, member, value string }{
		{"events", "follow", `"yes"`},
		{"events", "device", `1`},
		{"events", "gateway", `["gw1"]`},
		{"events", "text", `1`},
		{"why", "correlation_id", `[]`},
		{"restore", "text", `1`},
		{"device.put", "application_id", `1`},
		{"device.put", "devices", `{}`},
		{"device.put", "update", `"true"`},
		{"device.put", "dry_run", `0`},
		{"device.set", "device_id", `{}`},
		{"device.set", "fields", `["name"]`},
		{"device.set", "reset_f_cnt", `1`},
		{"device.set", "reset_join_nonces", `"no"`},
		{"device.get", "application_id", `true`},
		{"device.get", "device_id", `7`},
		{"device.list", "application_id", `["app1"]`},
		{"device.export", "devices", `"dev1"`},
		{"device.export", "session", `"true"`},
		{"device.delete", "devices", `"dev1"`},
		{"key.create", "name", `5`},
		{"key.create", "rights", `["all"]`},
		{"key.create", "import", `{}`},
		{"key.list", "application_id", `{}`},
		{"key.revoke", "id", `1`},
		{"downlink.push", "device_id", `1`},
		{"downlink.push", "replace", `"true"`},
		{"downlink.list", "device_id", `[]`},
	} {
		_, err := h.ask(tt.op, `{"`+tt.member+`":`+tt.value+`}`)
		if err == nil || !strings.HasPrefix(err.Error(), "arguments: ") || !strings.Contains(err.Error(), tt.member) {
			t.Errorf("%s with %s of another kind: %v", tt.op, tt.member, err)
		}
	}
	_, err := h.ask("key.create", `{"expires":"tomorrow"}`)
	if err == nil || !strings.HasPrefix(err.Error(), "arguments: ") {
		t.Errorf("a time that is none: %v", err)
	}
}

// An unknown device, application or key is refused by its name, and nothing changes.
func TestUnknownNames(t *testing.T) {
	h := newHouse(t)
	h.steps([]step{{name: "a device", op: "device.put", args: `{"application_id":"app1","devices":[` + goodDevice + `]}`, parts: 1}})
	before := h.state()
	var steps []step
	for _, d := range []struct{ name, application, device string }{
		{"another device", "app1", "dev2"},
		{"another application", "app2", "dev1"},
		{"no device", "app1", ""},
		{"no application", "", "dev1"},
		{"upper case", "APP1", "dev1"},
		{"a tenant", "app1@ttn", "dev1"},
		{"a path", "app1/dev1", "../dev1"},
	} {
		ids := `"application_id":"` + d.application + `","device_id":"` + d.device + `"`
		list := `"application_id":"` + d.application + `","devices":["` + d.device + `"]`
		steps = append(steps,
			step{name: "get " + d.name, op: "device.get", args: `{` + ids + `}`, err: "no such device"},
			step{name: "set " + d.name, op: "device.set", args: `{` + ids + `,"fields":{"name":"x"}}`, err: "no such device"},
			step{name: "export " + d.name, op: "device.export", args: `{` + list + `}`, err: "no such device"},
			step{name: "delete " + d.name, op: "device.delete", args: `{` + list + `}`, err: "no such device"},
			step{name: "queue of " + d.name, op: "downlink.list", args: `{` + ids + `}`, err: "no such device"},
		)
	}
	h.steps(append(steps,
		step{name: "no key", op: "key.revoke", args: `{}`, err: ErrNoKey.Error()},
		step{
			name: "a key of a long name", op: "key.revoke", args: `{"id":"` + strings.Repeat("x", 1000) + `"}`,
			err: ErrNoKey.Error(),
		},
		step{name: "no correlation id", op: "why", args: `{}`, err: ErrNotRemembered.Error()},
		step{name: "only spaces", op: "why", args: `{"correlation_id":"  "}`, err: ErrNotRemembered.Error()},
		step{name: "devices of another application", op: "device.list", args: `{"application_id":"app2"}`},
		step{name: "keys of another application", op: "key.list", args: `{"application_id":"app2"}`},
		step{name: "events of nobody", op: "events", args: `{"device":"dev9","gateway":"gw9"}`},
	))
	if after := h.state(); after != before {
		t.Errorf("the state is now %s", after)
	}
}

// A caller that takes no more parts ends the operation with its own error, after
// the part that it did not take.
func TestCallerBreaksOff(t *testing.T) {
	h := newHouse(t)
	h.listen()
	h.steps([]step{
		{name: "devices", op: "device.put", args: `{"application_id":"app1","devices":[` + goodDevice + `,` + joining + `]}`, parts: 1},
		{name: "a key", op: "key.create", args: `{"application_id":"app1"}`, parts: 1},
		{name: "downlinks", op: "downlink.push", args: `{"application_id":"app1","device_id":"dev1","body":{"downlinks":[` +
			`{"f_port":1,"frm_payload":"AA=="},{"f_port":1,"frm_payload":"AA=="}]}}`, parts: 2},
	})
	enough := errors.New("enough")
	for _, tt := range []struct{ op, args string }{
		{"events", `{}`},
		{"events", `{"follow":true,"text":true}`},
		{"gateway.list", `{}`},
		{"status", `{}`},
		{"backup", `{}`},
		{"device.put", `{"application_id":"app1","devices":[{},{}]}`},
		{"device.put", `{"application_id":"app1","devices":[` + goodDevice + `]}`},
		{"device.set", `{"application_id":"app1","device_id":"dev2","fields":{"rx1_delay":"5"}}`},
		{"device.get", `{"application_id":"app1","device_id":"dev1"}`},
		{"device.list", `{}`},
		{"device.export", `{}`},
		{"device.export", `{"application_id":"app1","devices":["dev1","dev2"]}`},
		{"key.create", `{"application_id":"app1"}`},
		{"key.list", `{}`},
		{"downlink.push", `{"application_id":"app1","device_id":"dev1","body":{"downlinks":[{"f_port":1,"frm_payload":"AA=="}]}}`},
		{"downlink.list", `{"application_id":"app1","device_id":"dev1"}`},
	} {
		for name, call := range map[string]func(func(json.RawMessage) error) error{
			"called": func(each func(json.RawMessage) error) error {
				return h.admin.Call(t.Context(), tt.op, json.RawMessage(tt.args), each)
			},
			"over the socket": func(each func(json.RawMessage) error) error {
				return Client{h.path}.Call(t.Context(), tt.op, json.RawMessage(tt.args), each)
			},
		} {
			parts := 0
			err := call(func(json.RawMessage) error { parts++; return enough })
			if !errors.Is(err, enough) || parts != 1 {
				t.Errorf("%s %s, %s: %v after %d parts", tt.op, tt.args, name, err, parts)
			}
		}
	}
}

// Questions for a core that does not turn end when the caller wants them to.
func TestCoreStands(t *testing.T) {
	h := newHouse(t)
	h.StopBridge()
	for _, tt := range []struct{ op, args string }{
		{"status", `{}`},
		{"gateway.list", `{}`},
		{"device.list", `{}`},
		{"device.get", `{"application_id":"app1","device_id":"dev1"}`},
		{"device.set", `{"application_id":"app1","device_id":"dev1"}`},
		{"device.put", `{"application_id":"app1","devices":[` + goodDevice + `]}`},
		{"device.export", `{}`},
		{"device.delete", `{"application_id":"app1","devices":["dev1"]}`},
		{"downlink.push", `{"application_id":"app1","device_id":"dev1","body":{"downlinks":[]}}`},
		{"downlink.list", `{"application_id":"app1","device_id":"dev1"}`},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := h.admin.Call(ctx, tt.op, json.RawMessage(tt.args), func(json.RawMessage) error { return nil })
		if err == nil {
			t.Errorf("%s: no error", tt.op)
		}
	}
	if n := len(h.admin.provisioning); n != 0 {
		t.Errorf("%d changes are still under way", n)
	}
}
