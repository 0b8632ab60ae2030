package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"lorawand/bridge/access"
	"lorawand/bridge/session"
	"lorawand/bridge/v3"
)

// inRegistry are arguments of the operations on registries: a device in one of them, and
// more members.
func inRegistry(device, registry, more string) string {
	return fmt.Sprintf(`{"application_id":"app1","device_id":%q,"registry":%q%s}`, device, registry, more)
}

// A device comes into being and goes in steps, one a registry; what it has of keys is told
// by another operation than the rest.
func TestRegistryOperations(t *testing.T) {
	const eui = `{"ids":{"dev_eui":"70B3D57ED0000009","join_eui":"0000000000000000"},"name":"in steps"}`
	key := `{"root_keys":{"app_key":{"key":"` + appKey + `"}}}`
	newHouse(t).steps([]step{
		{name: "not there", op: "registry.get", args: inRegistry("steps", "is", ""), err: "no such device"},
		{name: "no change of none", op: "registry.put", args: inRegistry("steps", "is", `,"device":{}`), err: "no such device"},
		{name: "no id", op: "registry.put", args: inRegistry("No", "is", `,"create":true,"device":{}`), err: "id"},
		{name: "no object", op: "registry.put", args: inRegistry("steps", "is", `,"create":true,"device":[]`), err: "cannot unmarshal"},
		{name: "begun", op: "registry.put", args: inRegistry("steps", "is", `,"create":true,"device":`+eui), parts: 1, with: []string{"in steps"}},
		{name: "begun twice", op: "registry.put", args: inRegistry("steps", "is", `,"create":true,"device":`+eui), err: "exists already"},
		{name: "its EUIs by another", op: "registry.put", args: inRegistry("others", "is", `,"create":true,"device":`+eui), err: "70B3D57ED0000009"},
		{
			name: "there in one", op: "registry.get", args: inRegistry("steps", "is", ""), parts: 1,
			with: []string{"in steps", "70B3D57ED0000009"},
		},
		{name: "not in another", op: "registry.get", args: inRegistry("steps", "js", ""), err: "no such device"},
		{name: "no device yet", op: "device.get", args: `{"application_id":"app1","device_id":"steps"}`, err: "no such device"},
		{name: "its keys", op: "registry.put", args: inRegistry("steps", "js", `,"paths":["root_keys.app_key.key"],"device":`+key), parts: 1},
		{name: "no device by that", op: "device.get", args: `{"application_id":"app1","device_id":"steps"}`, err: "no such device"},
		{name: "the rest", op: "registry.put", args: inRegistry("steps", "ns",
			`,"paths":["supports_join","lorawan_version","frequency_plan_id"],"device":{"supports_join":true,`+
				`"lorawan_version":"MAC_V1_0_3","frequency_plan_id":"EU_863_870_TTN","name":"not named"}`), parts: 1},
		{name: "a device now", op: "device.get", args: `{"application_id":"app1","device_id":"steps"}`, parts: 1, with: []string{"in steps"}, without: []string{"not named", appKey}},
		{
			name: "without its keys", op: "registry.get", args: inRegistry("steps", "js", ""), parts: 1,
			without: []string{appKey},
		},
		{name: "with its keys", op: "registry.keys", args: inRegistry("steps", "js", ""), parts: 1, with: []string{appKey}},
		{name: "its name goes", op: "registry.put", args: inRegistry("steps", "is", `,"paths":["name"],"device":{}`), parts: 1, without: []string{"in steps"}},
		{name: "gone from one", op: "registry.delete", args: inRegistry("steps", "ns", "")},
		{name: "gone from one already", op: "registry.delete", args: inRegistry("steps", "ns", ""), err: "no such device"},
		{name: "no device any more", op: "device.get", args: `{"application_id":"app1","device_id":"steps"}`, err: "no such device"},
		{
			name: "with its keys still", op: "registry.keys", args: inRegistry("steps", "js", ""), parts: 1,
			with: []string{appKey},
		},
		{name: "gone", op: "registry.delete", args: inRegistry("steps", "is", "")},
		{name: "from all", op: "registry.keys", args: inRegistry("steps", "js", ""), err: "no such device"},
	})
}

// madeUp ends the arguments of an uplink that nobody has sent.
const madeUp = `,"body":{"uplink_message":{"f_port":5,"frm_payload":"AQ==","rx_metadata":[{"gateway_ids":{"gateway_id":"gw1"}}],` +
	`"settings":{"data_rate":{"lora":{"spreading_factor":7}},"frequency":"868100000"}}}}`

// The messages of an application are told as they were published; made-up ones are among
// them.
func TestMessages(t *testing.T) {
	h := newHouse(t)
	h.steps([]step{
		{name: "devices", op: "device.put", args: `{"application_id":"app1","devices":[` + goodDevice + `]}`, parts: 1},
		{name: "none yet", op: "message.list", args: `{"application_id":"app1","kind":"up"}`},
		{name: "of no application", op: "message.list", args: `{"kind":"up"}`, err: "no application"},
		{name: "made up", op: "uplink.simulate", args: `{"application_id":"app1","device_id":"dev1"` + madeUp},
		{name: "made up of nobody", op: "uplink.simulate", args: `{"application_id":"app1","device_id":"dev9"` + madeUp, err: "not found"},
		{name: "made up of no id", op: "uplink.simulate", args: `{"application_id":"app1","device_id":"../x"` + madeUp, err: "not found"},
		{name: "made up of nothing", op: "uplink.simulate", args: `{"application_id":"app1","device_id":"dev1","body":{}}`, err: "`up`"},
		{name: "one", op: "message.list", args: `{"application_id":"app1","kind":"up"}`, parts: 1, with: []string{`"f_port":5`, `"simulated":true`, `"age_s":`}},
		{name: "of the device", op: "message.list", args: `{"application_id":"app1","device_id":"dev1","kind":"up"}`, parts: 1},
		{name: "of another device", op: "message.list", args: `{"application_id":"app1","device_id":"dev2","kind":"up"}`},
		{name: "of another application", op: "message.list", args: `{"application_id":"app2","kind":"up"}`},
		{name: "of another kind", op: "message.list", args: `{"application_id":"app1","kind":"join"}`},
		{name: "of no kind", op: "message.list", args: `{"application_id":"app1"}`},
	})
	if n := len(h.Activity().Messages(session.ID{Application: "app1", Device: "dev1"}, v3.Up)); n != 1 {
		t.Errorf("%d uplinks", n)
	}
}

// The airtime of each gateway is told, or of one that there is.
func TestAirtimeOperation(t *testing.T) {
	newHouse(t).steps([]step{
		{name: "of all", op: "gateway.airtime", args: `{}`, parts: 1, with: []string{`"gateway_id":"gw1"`, `"enforce_duty_cycle":true`, `"sub_bands":[]`}},
		{name: "with the proof", op: "gateway.airtime", args: `{"proof":true}`, parts: 1},
		{name: "of one", op: "gateway.airtime", args: `{"gateway_id":"gw1"}`, parts: 1},
		{name: "of none", op: "gateway.airtime", args: `{"gateway_id":"gw2"}`, err: `gateway "gw2": no such gateway`},
		{name: "of a long name", op: "gateway.airtime", args: `{"gateway_id":"` + strings.Repeat("x", 1000) + `"}`, err: `xxx": no such gateway`},
	})
}

// A webhook is told without its secrets.
func TestWebhookOperation(t *testing.T) {
	downlinkKey := "NNSXS." + strings.Repeat("A", 39) + "." + strings.Repeat("B", 52)
	hook := `{"application_id":"app1","webhook":{"url":"http://127.0.0.1:8080/up","headers":"X-Token: s3cret",` +
		`"downlink_url":"http://127.0.0.1:1885","downlink_key":"` + downlinkKey + `"}}`
	newHouse(t).steps([]step{
		{name: "a key", op: "key.create", args: `{"application_id":"app1"}`, parts: 1},
		{name: "none", op: "application.get", args: `{"application_id":"app1"}`, parts: 1, without: []string{"webhook"}},
		{name: "set", op: "application.set", args: hook},
		{
			name: "told", op: "application.get", args: `{"application_id":"app1"}`, parts: 1,
			with: []string{`"url":"http://127.0.0.1:8080/up"`, `X-Token`}, without: []string{"s3cret", "AAAA"},
		},
		{name: "no URL", op: "application.set", args: `{"application_id":"app1","webhook":{"url":"ftp://x"}}`, err: "webhook"},
		{name: "kept", op: "application.list", args: `{}`, parts: 1, with: []string{"http://127.0.0.1:8080/up"}},
		{name: "taken away", op: "application.set", args: `{"application_id":"app1","webhook":{"url":""}}`},
		{name: "none again", op: "application.list", args: `{}`, parts: 1, without: []string{"webhook"}},
	})
}

// The MAC state is told of one device, of those of an application, and of all.
func TestMACOperation(t *testing.T) {
	newHouse(t).steps([]step{
		{name: "none", op: "device.mac", args: `{}`},
		{name: "one", op: "device.put", args: `{"application_id":"app1","devices":[` + goodDevice + `,` + joining + `]}`, parts: 1},
		{name: "of it", op: "device.mac", args: `{"application_id":"app1","device_id":"dev1"}`, parts: 1, with: []string{"dev1"}},
		{name: "of all", op: "device.mac", args: `{}`, parts: 2, with: []string{"dev1", "dev2"}},
		{name: "of another application", op: "device.mac", args: `{"application_id":"app2"}`},
	})
}

// An operation that is added is found, needs its right, ends in its time and may take the
// place of one of the table.
func TestAdd(t *testing.T) {
	h := newHouse(t)
	type args struct {
		Application string `json:"application_id"`
	}
	h.admin.Add("page.greet", Operation{
		Run: Decoding(func(_ context.Context, a args,
			reply func(any) error,
		) error {
			return reply("hello " + a.Application)
		}),
		Right: Right{access.TrafficRead, true}, Limit: time.Minute,
	})
	h.admin.Add("page.wait", Operation{
		Run:   func(ctx context.Context, _ json.RawMessage, _ func(any) error) error { <-ctx.Done(); return ctx.Err() },
		Limit: time.Nanosecond,
	})
	h.steps([]step{
		{name: "by the owner", op: "page.greet", args: `{"application_id":"app1"}`, parts: 1, with: []string{"hello app1"}},
		{name: "other members", op: "page.greet", args: `{"colour":"red"}`, err: "arguments: "},
		{name: "too long", op: "page.wait", args: `{}`, err: context.DeadlineExceeded.Error()},
		{name: "those of the table", op: "status", args: `{}`, parts: 1},
		{name: "others", op: "page.leave", args: `{}`, err: ErrOperation.Error()},
	})
	if need, ok := h.admin.Needs("page.greet"); !ok || need != (Right{access.TrafficRead, true}) {
		t.Errorf("needs %+v, %v", need, ok)
	}
	if _, ok := RightOf("page.greet"); ok {
		t.Error("it is in the table of every Admin")
	}
	for _, tt := range []struct {
		who  access.Login
		want error
	}{
		{access.Login{Application: "app1", Rights: access.TrafficRead}, nil},
		{access.Login{Application: "app2", Rights: access.TrafficRead}, ErrApplication},
		{access.Login{Application: "app1", Rights: access.DevicesRead}, ErrRights},
	} {
		err := h.admin.CallAs(t.Context(), tt.who, "page.greet", args{"app1"}, func(json.RawMessage) error { return nil })
		if !errors.Is(err, tt.want) || tt.want == nil && err != nil {
			t.Errorf("%+v: %v, want %v", tt.who, err, tt.want)
		}
	}
}
