package admin

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"lorawand/bridge/access"
)

// underWay is a device that is not complete, with keys wherever there can be some.
const underWay = `,"registry":"ns","paths":["pending_session","mac_state","session","root_keys"],"device":{"session":` +
	`{"dev_addr":"01000009","keys":{"x":"` + nwkSKey + `"}},"pending_session":{"keys":{"x":"` + nwkSKey + `"}},` +
	`"mac_state":{"queued_join_accept":{"keys":{"x":"` + nwkSKey + `"}}},` +
	`"root_keys":{"app_key":{"key":"` + appKey + `"}}}`

// ofDevice are arguments on a device, with more members.
func ofDevice(name, more string) string {
	return `{"application_id":"app1","device_id":"` + name + `"` + more + `}`
}

// telling are arguments of each operation that does not ask for all rights.
var telling = map[string][]string{
	"device.get":  {ofDevice("dev1", ""), ofDevice("dev2", "")},
	"device.set":  {ofDevice("dev1", `,"fields":{"name":"x"}`), ofDevice("dev2", `,"fields":{"name":"x"}`)},
	"device.list": {`{"application_id":"app1"}`}, "device.mac": {`{"application_id":"app1"}`},
	"device.put": {
		put("app1", goodDevice, joining),
		`{"application_id":"app1","update":true,"devices":[` + goodDevice + `,` + joining + `]}`,
	},
	"registry.get": {
		ofDevice("dev1", `,"registry":"ns"`), ofDevice("dev2", `,"registry":"js"`), ofDevice("draft", `,"registry":"ns"`),
	},
	"registry.put": {
		ofDevice("dev1", `,"registry":"is","paths":["name"],"device":{"name":"x"}`),
		ofDevice("dev2", `,"registry":"is","paths":["name"],"device":{"name":"x"}`),
		ofDevice("dev2", `,"registry":"is","paths":["root_keys.app_key.kek_label"],"device":{}`),
		ofDevice("draft", `,"registry":"is","create":true,"device":{"name":"x"}`),
	},
	"formatter.list": {`{"application_id":"app1"}`}, "application.get": {`{"application_id":"app1"}`},
	"device.activity": {`{"application_id":"app1"}`}, "events": {`{"application_id":"app1","uplinks":true}`},
	"downlink.list": {ofDevice("dev1", "")}, "message.list": {`{"application_id":"app1","kind":"up"}`},
	"gateway.list": {`{}`}, "status": {`{}`},
	"device.delete":      {`{"application_id":"app1","devices":["dev1","dev9"]}`},
	"application.set":    {`{"application_id":"app1","home_assistant":true}`},
	"application.delete": {`{"application_id":"app1"}`},
	"registry.delete":    {ofDevice("dev2", `,"registry":"as"`)},
	"downlink.push":      {ofDevice("dev1", `,"body":{"downlinks":[]}`)},
	"uplink.simulate":    {ofDevice("dev1", `,"body":{}`)},
	"formatter.test":     {ofDevice("dev1", `,"task":1`)},
	"why":                {`{"application_id":"app1","correlation_id":"x"}`},
}

// Keys are told to nobody who has not all rights, by no operation, but those that he has
// told in the same request.
func TestNoKeysWithoutAllRights(t *testing.T) {
	for _, op := range slices.Sorted(maps.Keys(operations)) {
		need := operations[op].right
		if need.Rights == access.All {
			continue
		}
		if telling[op] == nil {
			t.Errorf("%s is not tried", op)
		}
		h := newHouse(t)
		h.steps([]step{
			{name: "devices", op: "device.put", args: put("app1", goodDevice, joining), parts: 1},
			{
				name: "one under way", op: "registry.put", args: ofDevice("draft", underWay), parts: 1,
				with: []string{appKey, nwkSKey},
			},
		})
		for _, a := range telling[op] {
			who := access.Login{Application: "app1", Rights: need.Rights}
			err := h.admin.CallAs(context.Background(), who, op, json.RawMessage(a), func(raw json.RawMessage) error {
				if s := string(raw); strings.Contains(s, appKey) || strings.Contains(s, nwkSKey) {
					t.Errorf("%s %s: %s", op, a, s)
				}
				return nil
			})
			if err != nil && (strings.Contains(err.Error(), appKey) || strings.Contains(err.Error(), nwkSKey)) {
				t.Errorf("%s %s: %v", op, a, err)
			}
		}
		h.steps([]step{{
			name: "the keys are kept", op: "registry.keys", args: ofDevice("draft", `,"registry":"ns"`), parts: 1,
			with: []string{appKey, `"pending_session":{"keys":{"x":"` + nwkSKey},
		}})
	}
}

// A registry that does not exist has no device, takes none and deletes none; nor does a
// mask that no device has.
func TestNoSuchRegistry(t *testing.T) {
	h := newHouse(t)
	h.steps([]step{{name: "a device", op: "device.put", args: put("app1", goodDevice), parts: 1}})
	before := h.state()
	for _, name := range []string{"", "xx", "IS", "is,js", strings.Repeat("x", 10_000)} {
		for _, op := range []string{"registry.get", "registry.keys", "registry.put", "registry.delete"} {
			for _, device := range []string{"dev1", "dev8"} {
				more := ""
				if op == "registry.put" {
					more = `,"device":{"name":"x"},"paths":["name"]`
				}
				parts, err := h.ask(op, inRegistry(device, name, more))
				if err == nil || len(parts) > 0 || !strings.HasPrefix(err.Error(), "registry: ") || len(err.Error()) > 200 {
					t.Errorf("%s %s in %.20q: %v, %v", op, device, name, parts, err)
				}
			}
		}
	}
	many, deep := strings.Repeat(`"name",`, 1000)+`"name"`, `"`+strings.Repeat("a.", 1_000_000)+`a"`
	for name, paths := range map[string]string{
		"many": many, "deep": deep, "empty": `"a..b"`, "open": `"a."`, "none": `""`,
	} {
		parts, err := h.ask("registry.put", inRegistry("dev1", "is", `,"device":{"name":"x"},"paths":[`+paths+`]`))
		if err == nil || len(parts) > 0 || !strings.HasPrefix(err.Error(), "paths: ") || len(err.Error()) > 200 {
			t.Errorf("%s: %.200v, %v", name, parts, err)
		}
	}
	if after := h.state(); after != before {
		t.Errorf("the state is now %s", after)
	}
}
