package admin

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"lorawand/bridge/event"
	"lorawand/bridge/session"
)

// Members of another kind are refused by the operations on applications, codecs, formatters,
// registries and traffic too, with the name of the member.
func TestMoreMembersOfAnotherKind(t *testing.T) {
	h := newHouse(t)
	before := h.state()
	for _, tt := range []struct{ op, member, value string }{
		{"application.get", "application_id", `1`},
		{"application.set", "application_id", `[]`},
		{"application.set", "up_formatter", `"FORMATTER_NONE"`},
		{"application.set", "down_formatter", `[]`},
		{"application.set", "webhook", `"http://127.0.0.1"`},
		{"application.delete", "application_id", `{}`},
		{"application.delete", "all", `"true"`},
		{"codec.put", "models", `{}`},
		{"codec.put", "codecs", `"x"`},
		{"codec.delete", "name", `["acme"]`},
		{"formatter.list", "application_id", `1`},
		{"formatter.list", "device_id", `{}`},
		{"formatter.test", "f_port", `"1"`},
		{"formatter.test", "f_port", `256`},
		{"formatter.test", "frm_payload", `7`},
		{"device.activity", "history", `1`},
		{"device.activity", "device_id", `[]`},
	} {
		_, err := h.ask(tt.op, `{"`+tt.member+`":`+tt.value+`}`)
		if err == nil || !strings.HasPrefix(err.Error(), "arguments: ") || !strings.Contains(err.Error(), tt.member) {
			t.Errorf("%s with %s %s: %v", tt.op, tt.member, tt.value, err)
		}
	}
	if after := h.state(); after != before {
		t.Errorf("the state is now %s", after)
	}
}

// Each operation that changes something refuses arguments that name nothing, and changes
// nothing.
func TestNothingNamed(t *testing.T) {
	h := newHouse(t)
	h.steps([]step{
		{name: "a device", op: "device.put", args: `{"application_id":"app1","devices":[` + goodDevice + `]}`, parts: 1},
	})
	before := h.state()
	for _, op := range []string{
		"application.set", "application.delete", "codec.delete", "device.set", "downlink.push", "key.create", "key.revoke",
		"registry.put", "registry.delete", "uplink.simulate",
	} {
		if _, known := operations[op]; !known {
			t.Errorf("there is no operation %s among %v", op, slices.Sorted(maps.Keys(operations)))
		}
		if parts, err := h.ask(op, `{}`); err == nil {
			t.Errorf("%s is carried out: %v", op, parts)
		}
	}
	if after := h.state(); after != before {
		t.Errorf("the state is now %s", after)
	}
}

// Operations on one application or one model refuse names that nobody has, and say so.
func TestNobodysNames(t *testing.T) {
	h := newHouse(t)
	before := h.state()
	for _, tt := range []struct{ op, args string }{
		{"application.delete", `{"application_id":"app9"}`},
		{"application.set", `{"application_id":"No Id"}`},
		{"codec.delete", `{"name":"acme/none"}`},
		{"codec.delete", `{"name":"/"}`},
		{"formatter.list", `{"application_id":"app1","device_id":"dev9"}`},
		{"formatter.test", `{"application_id":"app1","device_id":"dev9","task":0}`},
		{"device.activity", `{"application_id":"app1","device_id":"dev9"}`},
		{"device.mac", `{"application_id":"app1","device_id":"dev9"}`},
		{"downlink.push", `{"application_id":"app1","device_id":"dev9","downlinks":[{"f_port":1,"frm_payload":"AQ=="}]}`},
		{"registry.get", `{"application_id":"app1","device_id":"dev9"}`},
		{"registry.delete", `{"application_id":"app1","device_id":"dev9"}`},
	} {
		if parts, err := h.ask(tt.op, tt.args); err == nil {
			t.Errorf("%s %s: %v", tt.op, tt.args, parts)
		}
	}
	if after := h.state(); after != before {
		t.Errorf("the state is now %s", after)
	}
}

// Applications choose their correlation ids, and two may choose one: each is told of its
// own events only.
func TestWhyOfOneApplication(t *testing.T) {
	h := newHouse(t)
	for _, application := range []string{"app1", "app2"} {
		h.admin.o.Bridge.Events().Write(&event.Event{
			Kind: event.DownlinkQueued, Device: session.ID{Application: application, Device: "dev1"},
			CorrelationIDs: []string{"job-1"},
		})
	}
	for application, want := range map[string]int{"": 2, "app1": 1, "app2": 1} {
		var got Why
		err := h.admin.Call(t.Context(), "why", WhyArgs{Application: application, CorrelationID: "job-1"},
			func(raw json.RawMessage) error { return json.Unmarshal(raw, &got) })
		if err != nil || len(got.Events) != want {
			t.Errorf("%q: %d events, want %d (%v)", application, len(got.Events), want, err)
		}
	}
	args := WhyArgs{Application: "app3", CorrelationID: "job-1"}
	if err := h.admin.Call(t.Context(), "why", args, func(json.RawMessage) error { return nil }); err == nil {
		t.Error("app3 is told of others")
	}
}
