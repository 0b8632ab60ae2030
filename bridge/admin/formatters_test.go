package admin

import (
	"fmt"
	"strings"
	"testing"

	"lorawand/bridge/admin/admintest"
	"lorawand/bridge/formatter"
)

// Reasons why formatters cannot be used are told once each, and not without end.
func TestManyFormatterWarnings(t *testing.T) {
	for _, tt := range []struct {
		models, each int // devices of a model
		notes        int
		with         []string
	}{
		{1, 1, 1, []string{"app1/d000-0: ", "acme/m000"}},
		{1, 3, 1, []string{"app1/d000-0: ", "(and of 2 devices more)"}},
		{2, 1, 2, []string{"acme/m000", "acme/m001"}},
		{maxFaults, 1, maxFaults, []string{"acme/m049"}},
		{maxFaults + 1, 1, maxFaults + 1, []string{"acme/m049", "and 1 warnings more"}},
		{maxFaults + 9, 2, maxFaults + 1, []string{"and 9 warnings more", "(and of 1 devices more)"}},
	} {
		h := newHouse(t)
		var devices []string
		for m := range tt.models {
			for i := range tt.each {
				devices = append(devices, device(fmt.Sprintf("d%03d-%d", m, i), len(devices)+1,
					fmt.Sprintf(`,"formatters":{"up_formatter":"FORMATTER_REPOSITORY","down_formatter":"FORMATTER_REPOSITORY"},`+
						`"version_ids":{"brand_id":"acme","model_id":"m%03d"}`, m)))
			}
		}
		h.steps([]step{
			{name: "devices", op: "device.put", args: put("app1", devices...), parts: 1 + len(devices)},
			{
				name: fmt.Sprintf("%d times %d", tt.models, tt.each), op: "application.set",
				args: `{"application_id":"app1","home_assistant":true}`, parts: tt.notes, with: tt.with,
			},
		})
	}
}

// A formatter is tried in its direction, with what it is given, and tells what came of it.
func TestTriedFormatters(t *testing.T) {
	const cayenne = `,"formatters":{"up_formatter":"FORMATTER_CAYENNELPP","down_formatter":"FORMATTER_CAYENNELPP"}`
	const upOnly = `,"formatters":{"up_formatter":"FORMATTER_CAYENNELPP"}`
	const missing = `,"formatters":{"down_formatter":"FORMATTER_REPOSITORY"},"version_ids":{"brand_id":"a","model_id":"b"}`
	for _, tt := range []struct {
		name, device, task string
		nobody             bool // nothing runs formatters
		err                string
		with, without      []string
	}{
		{
			name: "uplink", device: cayenne, task: `"task":1,"f_port":1,"frm_payload":"A2cBEA=="`,
			with: []string{"CAYENNELPP", `"Data":"`}, without: []string{`"default"`},
		},
		{
			name: "encoding", device: cayenne, task: `"task":2,"decoded_payload":{"value_2":50.5}`,
			with: []string{`"Bytes":"AhO6"`},
		},
		{name: "downlink", device: cayenne, task: `"task":3,"f_port":1,"frm_payload":"AhO6"`, with: []string{`"Data":"`}},
		{
			name: "half a value", device: cayenne, task: `"task":1,"f_port":1,"frm_payload":"A2cB"`,
			with: []string{`"Fail":`},
		},
		{name: "no payload", device: cayenne, task: `"task":1,"f_port":1`, with: []string{"CAYENNELPP"}},
		{name: "nothing to encode", device: cayenne, task: `"task":2`, with: []string{`"Fail":`}},
		{name: "a list to encode", device: cayenne, task: `"task":2,"decoded_payload":[1]`, with: []string{`"Fail":`}},
		{name: "none for downlinks", device: upOnly, task: `"task":2,"decoded_payload":{}`, err: ErrNoFormatter.Error()},
		{
			name: "none to decode downlinks", device: upOnly, task: `"task":3,"frm_payload":"AhO6"`,
			err: ErrNoFormatter.Error(),
		},
		{name: "none for uplinks", device: missing, task: `"task":1,"frm_payload":"AhO6"`, err: ErrNoFormatter.Error()},
		{name: "one that is missing", device: missing, task: `"task":2,"decoded_payload":{}`, err: "not imported"},
		{name: "none at all", device: "", task: `"task":1,"frm_payload":"AhO6"`, err: ErrNoFormatter.Error()},
		{
			name: "where nothing runs them", device: cayenne, task: `"task":1,"frm_payload":"A2cBEA=="`, nobody: true,
			err: "nothing runs",
		},
		{name: "task 0", device: cayenne, task: `"task":0`, err: "task: 0, must be 1 to 3"},
		{name: "task 4", device: cayenne, task: `"task":4`, err: "task: 4, must be 1 to 3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t)
			if !tt.nobody {
				h.admin.o.Formatters = h.Pool
			}
			admintest.Op(t, h.admin, "device.put", put("app1", device("dev1", 1, tt.device)))
			parts := 1
			if tt.err != "" {
				parts = 0
			}
			h.steps([]step{{
				name: tt.name, op: "formatter.test", args: ofDevice("dev1", ","+tt.task), parts: parts, err: tt.err,
				with: tt.with, without: tt.without,
			}})
		})
	}
}

// The queue of a device shows what its payloads mean, where something can tell that.
func TestDecodedQueue(t *testing.T) {
	const cayenne = `,"formatters":{"down_formatter":"FORMATTER_CAYENNELPP"}`
	for _, tt := range []struct {
		name, device string
		pool         bool
		want         bool
	}{
		{"with a formatter", cayenne, true, true},
		{"where nothing runs it", cayenne, false, false},
		{"without one", "", true, false},
		{"one that encrypts itself", cayenne + `,"skip_payload_crypto":true`, true, false},
	} {
		h := newHouse(t)
		if tt.pool {
			h.admin.o.Formatters = h.Pool
		}
		admintest.Op(t, h.admin, "device.put", put("app1", device("dev1", 1, tt.device)))
		item := `{"f_port":1,"f_cnt":1,"frm_payload":"AhO6"}`
		admintest.Op(t, h.admin, "downlink.push", ofDevice("dev1", `,"body":{"downlinks":[`+item+`]}`))
		parts := admintest.Op(t, h.admin, "downlink.list", dev1)
		if len(parts) != 1 || !strings.Contains(parts[0], `"frm_payload":"AhO6"`) {
			t.Fatalf("%s: %v", tt.name, parts)
		}
		if got := strings.Contains(parts[0], `"decoded_payload":{"value_2":50.5}`); got != tt.want {
			t.Errorf("%s: decoded %t, want %t: %s", tt.name, got, tt.want, parts[0])
		}
	}
}

// Each device's formatters are listed with where they come from.
func TestListedFormatters(t *testing.T) {
	h := newHouse(t)
	script := strings.Repeat("y", formatter.MaxScript)
	own := `,"formatters":{"up_formatter":"FORMATTER_JAVASCRIPT","up_formatter_parameter":"` + script + `"}`
	h.steps([]step{
		{name: "devices", op: "device.put", args: put("app1", device("dev1", 1, own), joining), parts: 1},
		{
			name: "defaults", op: "application.set",
			args: `{"application_id":"app1","down_formatter":{"formatter":"FORMATTER_CAYENNELPP"}}`,
		},
	})
	for name, want := range map[string]string{
		"dev1": `{"application_id":"app1","device_id":"dev1","up":{"formatter":"FORMATTER_JAVASCRIPT","bytes":40960},` +
			`"down":{"formatter":"FORMATTER_NONE"}}`,
		"dev2": `{"application_id":"app1","device_id":"dev2","up":{"formatter":"FORMATTER_NONE","default":true},` +
			`"down":{"formatter":"FORMATTER_CAYENNELPP","default":true}}`,
	} {
		if parts := admintest.Op(t, h.admin, "formatter.list", ofDevice(name, "")); len(parts) != 1 || parts[0] != want {
			t.Errorf("%s: %s, want %s", name, parts, want)
		}
	}
}
