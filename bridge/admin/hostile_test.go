package admin

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"lorawand/bridge/admin/admintest"
	"lorawand/radio"
)

var (
	longText = strings.Repeat("x", 100_000)
	deepText = strings.Repeat(`{"a":`, 9_000) + `1` + strings.Repeat(`}`, 9_000)
)

// ofDev1 are arguments on a device, with more members.
func ofDev1(more string) string { return `{"application_id":"app1","device_id":"dev1",` + more + `}` }

// hostile are arguments that an operation is not made for, and the error; "": none.
var hostile = []struct{ name, op, args, want string }{
	{"null for a device", "device.put", put("app1", `null`), ErrNothingChanged.Error()},
	{"numbers for devices", "device.put", put("app1", `1`, `2.5`, `-1e400`), ErrNothingChanged.Error()},
	{"texts for devices", "device.put", put("app1", `"dev1"`, `""`), ErrNothingChanged.Error()},
	{
		"lists in lists", "device.put", put("app1", strings.Repeat("[", 5000)+strings.Repeat("]", 5000)),
		ErrNothingChanged.Error(),
	},
	{"deep", "device.put", put("app1", deepText), ErrNothingChanged.Error()},
	{"a long id", "device.put", put("app1", `{"ids":{"device_id":"`+longText+`"}}`), ErrNothingChanged.Error()},
	{"a long application", "device.put", put(longText, device("dev8", 8, "")), ErrNothingChanged.Error()},
	{
		"a text that is none", "device.put", put("app1", "{\"ids\":{\"device_id\":\"\xff\xfe\"}}"),
		ErrNothingChanged.Error(),
	},
	{
		"keys of another length", "device.put",
		put("app1", strings.ReplaceAll(device("dev8", 8, ""), "2222", "22")), ErrNothingChanged.Error(),
	},
	{
		"one good, one twice", "device.put", put("app1", device("dev8", 8, ""), device("dev8", 9, "")),
		ErrNothingChanged.Error(),
	},
	{"a long name", "device.put", put("app1", device("dev8", 8, `,"name":"`+longText+`"`)), ErrNothingChanged.Error()},
	{"another long name", "device.set", ofDev1(`"fields":{"name":"` + longText + `"}`), "at most 50"},
	{"a long description", "device.set", ofDev1(`"fields":{"description":"` + longText + `"}`), "at most 2000"},
	{
		"a name as long as a registry's", "registry.put",
		inRegistry("dev1", "is", `,"paths":["name"],"device":{"name":"`+strings.Repeat("x", 60_000)+`"}`), "at most 50",
	},
	{"an id not there", "device.get", `{"application_id":"app1","device_id":"` + longText + `"}`, "no such device"},
	{"one of its registries", "registry.get", inRegistry(longText, "ns", ""), "no such device"},
	{"its downlinks", "downlink.list", `{"application_id":"app1","device_id":"` + longText + `"}`, "no such device"},
	{"its change", "device.set", `{"application_id":"app1","device_id":"` + longText + `"}`, "no such device"},
	{"its end", "device.delete", `{"application_id":"app1","devices":["` + longText + `"]}`, "no such device"},
	{"no fields", "device.set", ofDev1(`"fields":{"":""}`), "field"},
	{"a long field", "device.set", ofDev1(`"fields":{"` + longText + `":"1"}`), "field"},
	{"a counter below 0", "device.set", ofDev1(`"fields":{"last_f_cnt_up":"-1"}`), "last_f_cnt_up"},
	{"a counter of 33 bits", "device.set", ofDev1(`"fields":{"last_f_cnt_up":"4294967296"}`), "last_f_cnt_up"},
	{"another application", "device.set", ofDev1(`"fields":{"application_id":"app2"}`), "application_id"},
	{"a rejoin of no type", "device.set", ofDev1(`"force_rejoin":256`), "force_rejoin"},
	{"a formatter of no kind", "device.set", ofDev1(`"up_formatter":{"formatter":"` + longText + `"}`), "formatter"},
	{
		"one there, one not", "device.delete", `{"application_id":"app1","devices":["dev1","../dev1"]}`,
		"no such device",
	},
	{
		"a key that expires nowhen", "key.create", `{"application_id":"app1","expires":"0000-00-00T00:00:00Z"}`,
		"arguments: ",
	},
	{"a key of a long application", "key.create", `{"application_id":"` + longText + `"}`, "not an id"},
	{"a long right", "key.create", `{"application_id":"app1","rights":"` + longText + `"}`, "no such right"},
	{
		"many rights", "key.create", `{"application_id":"app1","rights":"` + strings.Repeat("x,", 50_000) + `"}`,
		"no such right",
	},
	{
		"a long import", "key.create", `{"application_id":"app1","import":"NNSXS.` + longText + `"}`,
		"no API key of the form",
	},
	{"a long key", "key.revoke", `{"id":"` + longText + `"}`, ErrNoKey.Error()},
	{
		"an application of a long name", "application.get", `{"application_id":"` + longText + `"}`,
		ErrNoApplication.Error(),
	},
	{
		"nothing to set for a long name", "application.set", `{"application_id":"` + longText + `"}`,
		ErrNoApplication.Error(),
	},
	{
		"a webhook of control characters", "application.set",
		`{"application_id":"app1","webhook":{"url":"http://x/\r\nA: b"}}`, "webhook",
	},
	{
		"a header of two lines", "application.set",
		`{"application_id":"app1","webhook":{"url":"http://127.0.0.1","headers":"A: b\u0000"}}`, "webhook",
	},
	{"null for a model", "codec.put", `{"models":[null],"codecs":[null]}`, "null"},
	{"a model of nothing", "codec.put", `{"models":[{}]}`, "not a usable codec"},
	{
		"versions of nothing", "codec.put",
		`{"models":[{"brand_id":"acme","model_id":"one","versions":[null,{}]}]}`, "",
	},
	{"a path as a file", "codec.put", strings.ReplaceAll(acme, "one.js", "../../etc/passwd"), "codec"},
	{"a brand with a path", "codec.put", strings.ReplaceAll(acme, "acme", "../acme"), "not a usable codec"},
	{"a long model", "codec.delete", `{"name":"` + longText + `"}`, ErrNoModel.Error()},
	{"a task below 0", "formatter.test", ofDev1(`"task":-1`), "task"},
	{"a task of 9 bits", "formatter.test", ofDev1(`"task":257`), "task"},
	{"a body of a text", "downlink.push", ofDev1(`"body":"` + longText + `"`), "downlink"},
	{"a deep body", "downlink.push", ofDev1(`"body":` + deepText), "downlink"},
	{"downlinks of null", "downlink.push", ofDev1(`"body":{"downlinks":[null]}`), "downlinks[0]"},
	{
		"a payload of 16 KiB", "downlink.push",
		ofDev1(`"body":{"downlinks":[{"f_port":1,"frm_payload":"` + strings.Repeat("AAAA", 5500) + `"}]}`),
		"frm_payload",
	},
	{"a deep uplink", "uplink.simulate", ofDev1(`"body":{"uplink_message":` + deepText + `}`), "nested too deep"},
	{"a kind with wildcards", "message.list", `{"application_id":"#","kind":"+/#"}`, ""},
	{"a long kind", "message.list", `{"application_id":"app1","kind":"` + longText + `"}`, ""},
	{"a gateway with wildcards", "events", `{"gateway":"#","device":"+/+"}`, ""},
	{"a long correlation id", "why", `{"correlation_id":"` + longText + `"}`, ErrNotRemembered.Error()},
	{
		"a deep device", "registry.put", inRegistry("dev1", "is", `,"paths":["name"],"device":{"name":`+deepText+`}`),
		"name",
	},
	{"a name of a number", "registry.put", inRegistry("dev1", "is", `,"paths":["name"],"device":{"name":1}`), "name"},
	{
		"ids of a text", "registry.put",
		inRegistry("dev9", "is", `,"create":true,"device":{"ids":{"dev_eui":"`+longText+`"}}`), "at most 65536 bytes",
	},
}

// Whatever an operation is given: it answers soon, with an error of a few lines or as if
// nothing had been asked, and what there was is there afterwards.
func TestHostileArguments(t *testing.T) {
	h := newHouse(t)
	h.steps([]step{
		{name: "a device", op: "device.put", args: put("app1", goodDevice, joining), parts: 1},
		{name: "a key", op: "key.create", args: `{"application_id":"app1"}`, parts: 1},
	})
	before := h.state()
	for _, tt := range hostile {
		begin := time.Now()
		parts, err := h.ask(tt.op, tt.args)
		switch {
		case (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want):
			t.Errorf("%s, %s: %.300v, %.300v, want %q", tt.op, tt.name, parts, err, tt.want)
		case err != nil && len(err.Error()) > 600:
			t.Errorf("%s, %s: an error of %d bytes: %.200v", tt.op, tt.name, len(err.Error()), err)
		case len(strings.Join(parts, "")) > 2000:
			t.Errorf("%s, %s: an answer of %d bytes: %.200v", tt.op, tt.name, len(strings.Join(parts, "")), parts)
		}
		if d := time.Since(begin); d > 10*time.Second {
			t.Errorf("%s, %s: after %v", tt.op, tt.name, d)
		}
	}
	if after := h.state(); after != before {
		t.Errorf("the state is now %.2000s", after)
	}
}

// A caller that takes no more parts ends each operation that has any, with its own error,
// and a change that is made is not taken back.
func TestEachCallerBreaksOff(t *testing.T) {
	h := newHouse(t)
	h.withBroker()
	const unusable = `,"formatters":{"up_formatter":"FORMATTER_REPOSITORY"},` +
		`"version_ids":{"brand_id":"acme","model_id":"none"}`
	id, key := h.newKey("app1", "one")
	h.connect(h.admin.o.Broker.Addrs()[0].String(), "client", "app1", key, true)
	h.steps([]step{
		{name: "devices", op: "device.put", args: put("app1", device("dev1", 1, unusable), joining), parts: 1},
		{name: "a codec", op: "codec.put", args: acme, parts: 1},
		{name: "an uplink", op: "uplink.simulate", args: `{"application_id":"app1","device_id":"dev1"` + madeUp},
	})
	h.GatewayEvent(radio.GatewayEvent{Gateway: admintest.GatewayEUI, Kind: radio.GatewayConnected, At: 1})
	h.hear(1, "one")
	admintest.WaitFor(t, "the device has sent", func() bool {
		parts, err := h.ask("device.activity", dev1)
		return err == nil && len(parts) == 1
	})
	enough := errors.New("enough")
	for _, tt := range []struct{ op, args string }{
		{"application.list", `{}`},
		{"application.get", `{"application_id":"app1"}`},
		{"application.set", `{"application_id":"app1","home_assistant":true}`},
		{"codec.list", `{}`},
		{"codec.put", acme},
		{"codec.delete", `{"name":"acme"}`},
		{"formatter.list", `{}`},
		{"formatter.list", dev1},
		{"device.put", `{"application_id":"app1","update":true,"devices":[` + device("dev1", 1, unusable) + `]}`},
		{"device.mac", `{}`},
		{"device.mac", dev1},
		{"device.activity", `{}`},
		{"device.activity", dev1},
		{"message.list", `{"application_id":"app1","kind":"up"}`},
		{"mqtt.list", `{}`},
		{"gateway.airtime", `{}`},
		{"registry.get", inRegistry("dev1", "is", "")},
		{"registry.put", inRegistry("dev1", "is", `,"paths":["name"],"device":{"name":"x"}`)},
		{"registry.keys", inRegistry("dev1", "is", "")},
		{"key.revoke", `{"id":"` + id + `"}`},
		{"application.delete", `{"application_id":"app1","all":true}`},
	} {
		parts := 0
		err := h.admin.Call(t.Context(), tt.op, json.RawMessage(tt.args), func(json.RawMessage) error {
			parts++
			return enough
		})
		if !errors.Is(err, enough) || parts != 1 {
			t.Errorf("%s %s: %v after %d parts", tt.op, tt.args, err, parts)
		}
	}
	h.steps([]step{
		{name: "all is deleted", op: "application.list", args: `{}`},
		{name: "the codec too", op: "codec.list", args: `{}`},
	})
}
