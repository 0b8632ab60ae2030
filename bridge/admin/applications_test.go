package admin

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"lorawand/bridge/codec"
	"lorawand/bridge/formatter"
	"lorawand/bridge/state"
)

// device is goodDevice with another name, address and more members.
func device(name string, n int, more string) string {
	text := strings.NewReplacer("dev1", name, "01000001", fmt.Sprintf("0100%04d", n)).Replace(goodDevice)
	return text[:len(text)-1] + more + `}`
}

func put(application string, devices ...string) string {
	return `{"application_id":"` + application + `","devices":[` + strings.Join(devices, ",") + `]}`
}

// An application from its first key to its end.
func TestApplicationOperations(t *testing.T) {
	h := newHouse(t)
	isNew, old := []string{`"new_application":true`}, []string{"new_application"}
	long := strings.Repeat("x", formatter.MaxScript+1)
	h.steps([]step{
		{name: "none yet", op: "application.list", args: `{}`},
		{name: "nothing is set for none", op: "application.set", args: `{"application_id":"app1","up_formatter":{"formatter":"FORMATTER_CAYENNELPP"}}`, err: ErrNoApplication.Error()},
		{name: "none is shown", op: "application.get", args: `{"application_id":"app1"}`, err: ErrNoApplication.Error()},
		{name: "none is deleted", op: "application.delete", args: `{"application_id":"app1"}`, err: ErrNoApplication.Error()},
		{name: "its first key", op: "key.create", args: `{"application_id":"app1"}`, parts: 1, with: isNew},
		{name: "its second key", op: "key.create", args: `{"application_id":"app1"}`, parts: 1, without: old},
		{name: "its first device", op: "device.put", args: put("app1", device("dev1", 1, ""))},
		{
			name: "the first device of another", op: "device.put",
			args: put("app2", device("dev2", 2, ""), device("dev3", 3, "")), parts: 1, with: isNew,
		},
		{name: "the first key of that", op: "key.create", args: `{"application_id":"app2"}`, parts: 1, without: old},
		{
			name: "a fault brings none into being", op: "device.put", args: put("app3", device("dev1", 1, "")), parts: 1,
			without: old, err: "nothing was changed",
		},
		{name: "both", op: "application.list", args: `{}`, parts: 2, with: []string{`{"application_id":"app1","devices":1,"api_keys":2}`, `{"application_id":"app2","devices":2,"api_keys":1}`}},
		{name: "what it formats with", op: "application.set", args: `{"application_id":"app1","up_formatter":{"formatter":"FORMATTER_JAVASCRIPT","formatter_parameter":"x"}}`},
		{name: "one direction leaves the other", op: "application.set", args: `{"application_id":"app1","down_formatter":{"formatter":"FORMATTER_CAYENNELPP"}}`},
		{name: "shown", op: "application.get", args: `{"application_id":"app1"}`, parts: 1, with: []string{`"default_formatters":{"up_formatter":"FORMATTER_JAVASCRIPT","up_formatter_parameter":"x","down_formatter":"FORMATTER_CAYENNELPP"}`}},
		{name: "a formatter that is not served", op: "application.set", args: `{"application_id":"app1","up_formatter":{"formatter":"FORMATTER_GRPC_SERVICE"}}`, err: "asks a server outside"},
		{name: "an unknown one", op: "application.set", args: `{"application_id":"app1","down_formatter":{"formatter":"x"}}`, err: `"x"`},
		{name: "a long script", op: "application.set", args: `{"application_id":"app1","up_formatter":{"formatter":"FORMATTER_JAVASCRIPT","formatter_parameter":"` + long + `"}}`, err: "40961 bytes"},
		{name: "unknown arguments", op: "application.set", args: `{"application_id":"app1","colour":"x"}`, err: "unknown field"},
		{name: "what was refused has changed nothing", op: "application.get", args: `{"application_id":"app1"}`, parts: 1, with: []string{`"up_formatter_parameter":"x","down_formatter":"FORMATTER_CAYENNELPP"`}},
		{name: "its devices have it", op: "formatter.list", args: `{"application_id":"app1"}`, parts: 1, with: []string{`"up":{"formatter":"FORMATTER_JAVASCRIPT","default":true,"bytes":1}`, `"down":{"formatter":"FORMATTER_CAYENNELPP","default":true}`}},
		{name: "and those of others not", op: "formatter.list", args: `{}`, parts: 3, with: []string{`"device_id":"dev2","up":{"formatter":"FORMATTER_NONE","default":true}`}},
		{name: "it is not empty", op: "application.delete", args: `{"application_id":"app2"}`, err: "app2: it is not empty: it has 2 devices and 1 API keys"},
		{name: "with all", op: "application.delete", args: `{"application_id":"app2","all":true}`, parts: 1, with: []string{`{"devices":2,"api_keys":1,"disconnected":0}`}},
		{name: "one is left", op: "application.list", args: `{}`, parts: 1, with: []string{"app1"}},
		{name: "its devices are gone", op: "device.list", args: `{}`, parts: 1, without: []string{"dev2"}},
		{name: "without its device", op: "device.delete", args: `{"application_id":"app1","devices":["dev1"]}`},
		{name: "keys hold it too", op: "application.delete", args: `{"application_id":"app1"}`, err: "0 devices and 2 API keys"},
	})
	for _, k := range h.State.Keys.Keys("app1") {
		h.steps([]step{{name: "revoke", op: "key.revoke", args: `{"id":"` + k.ID + `"}`, parts: 1}})
	}
	h.steps([]step{
		{name: "what is set lasts", op: "application.list", args: `{}`, parts: 1, with: []string{`"devices":0,"api_keys":0,"default_formatters"`}},
		{name: "an empty one", op: "application.delete", args: `{"application_id":"app1"}`, parts: 1},
		{name: "none is left", op: "application.list", args: `{}`},
	})
	if h.State.Keys.Len() != 0 {
		t.Errorf("%d keys are left", h.State.Keys.Len())
	}
}

// acme is a model with its codec.
const acme = `{"models":[{"brand_id":"acme","model_id":"sensor","versions":[{"firmware_version":"1.0","codecs":{"EU_863_870":"acme/one"}}]}],` +
	`"codecs":[{"brand_id":"acme","codec_id":"one","files":{"one.js":"script"},"uplink_decoder":"one.js"}]}`

// Codecs, and the devices that need them.
func TestCodecOperations(t *testing.T) {
	const needs = `,"formatters":{"up_formatter":"FORMATTER_REPOSITORY"},"version_ids":{"brand_id":"acme","model_id":"sensor","firmware_version":"1.0","band_id":"EU_863_870"}`
	long := strings.Repeat("x", formatter.MaxCodec+1)
	missing := []string{"that of acme/sensor is not imported", "lorawand codec import"}
	h := newHouse(t)
	h.steps([]step{
		{name: "none yet", op: "codec.list", args: `{}`},
		{name: "devices that need one", op: "device.put", args: put("app1", device("dev1", 1, needs), device("dev2", 2, needs)), parts: 3, with: append([]string{`"index":1`}, missing...)},
		{name: "it is missing", op: "formatter.list", args: `{"application_id":"app1","device_id":"dev1"}`, parts: 1, with: missing},
		{name: "and cannot be tried", op: "formatter.test", args: `{"application_id":"app1","device_id":"dev1","task":1}`, err: "not imported"},
		{name: "setting something says so too", op: "device.set", args: `{"application_id":"app1","device_id":"dev1","fields":{"name":"x"}}`, parts: 1, with: missing},
		{name: "a model without its codec", op: "codec.put", args: `{"models":[{"brand_id":"acme","model_id":"sensor","versions":[{"codecs":{"EU_433":"acme/none"}}]}]}`, err: "acme/none is missing"},
		{name: "an invalid codec", op: "codec.put", args: `{"codecs":[{"brand_id":"../x","codec_id":"one","files":{"one.js":"script"},"uplink_decoder":"one.js"}]}`, err: codec.ErrInvalid.Error()},
		{
			name: "a long script", op: "codec.put", args: strings.Replace(acme, `"script"`, `"`+long+`"`, 1),
			err: "more than 393216",
		},
		{name: "null", op: "codec.put", args: `{"models":[null]}`, err: "null"},
		{name: "nothing", op: "codec.put", args: `{}`},
		{name: "nothing was taken", op: "codec.list", args: `{}`},
		{name: "the codec", op: "codec.put", args: acme},
		{name: "again", op: "codec.put", args: acme},
		{name: "it is there", op: "codec.list", args: `{}`, parts: 1, with: []string{`"brand_id":"acme","model_id":"sensor"`, `"codecs":1,"bytes":6,"devices":2`}},
		{name: "the devices have it", op: "formatter.list", args: `{}`, parts: 2, with: []string{`"up":{"formatter":"FORMATTER_REPOSITORY","codec":"acme/one","bytes":6}`}, without: []string{"warning"}},
		{name: "one of another version", op: "device.set", args: `{"application_id":"app1","device_id":"dev2","fields":{"firmware_version":"9"}}`, parts: 1, with: []string{`firmware version \"9\"`}},
		{
			name: "another import tells of it", op: "codec.put", args: acme, parts: 1,
			with: []string{"app1/dev2: payload formatter: no codec"},
		},
		{
			name: "another codec for the model", op: "codec.put",
			args: strings.NewReplacer("acme/one", "acme/two", `"one"`, `"two"`).Replace(acme), parts: 1,
		},
		{name: "unknown", op: "codec.delete", args: `{"name":"acm"}`, err: ErrNoModel.Error()},
		{name: "gone with its brand", op: "codec.delete", args: `{"name":"acme"}`, parts: 1, with: []string{`{"models":1,"codecs":1}`}},
		{name: "none is left", op: "codec.list", args: `{}`},
		{name: "it is missing again", op: "formatter.list", args: `{"application_id":"app1","device_id":"dev1"}`, parts: 1, with: missing},
		{name: "many lack one: one note", op: "application.set", args: `{"application_id":"app1","down_formatter":{"formatter":"FORMATTER_REPOSITORY"}}`, parts: 1, with: []string{"app1/dev1", "(and of 1 devices more)"}},
	})
	for _, kind := range []string{state.KindCodec, state.KindModel} {
		if r := h.Store.Records(kind); len(r) != 0 {
			t.Errorf("the store still has %d records of kind %s", len(r), kind)
		}
	}
}

// The formatters of a device, and what it loses with them.
func TestFormatterOperations(t *testing.T) {
	h := newHouse(t)
	h.admin.o.Formatters = formatter.New(formatter.Options{NoJavaScript: true})
	dev := func(more string) string { return `{"application_id":"app1","device_id":"dev1"` + more + `}` }
	h.steps([]step{
		{name: "a device", op: "device.put", args: put("app1", device("dev1", 1, "")), parts: 1},
		{name: "defaults", op: "application.set", args: `{"application_id":"app1","up_formatter":{"formatter":"FORMATTER_CAYENNELPP"},"down_formatter":{"formatter":"FORMATTER_CAYENNELPP"}}`},
		{name: "decoded by the application's", op: "formatter.test", args: dev(`,"task":1,"frm_payload":"A2cBEA=="`), parts: 1, with: []string{`"formatter":"FORMATTER_CAYENNELPP","default":true`, `"Data":"eyJ0ZW1wZXJhdHVyZV8zIjoyNy4yfQ=="`}},
		{name: "encoded by the application's", op: "formatter.test", args: dev(`,"task":2,"decoded_payload":{"value_2":50.5}`), parts: 1, with: []string{`"Bytes":"AhO6"`}},
		{name: "one of its own switches the others off", op: "device.set", args: dev(`,"up_formatter":{"formatter":"FORMATTER_JAVASCRIPT","formatter_parameter":"x"}`), parts: 1, with: []string{"it has no down formatter now"}},
		{name: "none for downlinks", op: "formatter.test", args: dev(`,"task":2,"decoded_payload":{"value_2":50.5}`), err: ErrNoFormatter.Error()},
		{name: "a script where none is run", op: "formatter.test", args: dev(`,"task":1,"frm_payload":"AA=="`), parts: 1, with: []string{"no_javascript"}},
		{name: "exported as it is", op: "device.export", args: `{}`, parts: 1, with: []string{`"formatters":{"up_formatter":"FORMATTER_JAVASCRIPT","up_formatter_parameter":"x"}`}},
		{name: "default for the other only", op: "device.set", args: dev(`,"down_formatter":{"default":true}`), err: "both directions"},
		{name: "default again", op: "device.set", args: dev(`,"down_formatter":{"default":true},"up_formatter":{"default":true}`)},
		{name: "exported without", op: "device.export", args: `{}`, parts: 1, without: []string{"formatters"}},
		{name: "none of its own", op: "device.set", args: dev(`,"down_formatter":{"formatter":"FORMATTER_NONE"}`), parts: 1, with: []string{"no up formatter now"}},
		{name: "a server", op: "device.set", args: dev(`,"up_formatter":{"formatter":"FORMATTER_GRPC_SERVICE"}`), err: "asks a server outside"},
		{name: "no task", op: "formatter.test", args: dev(""), err: "task: 0, must be 1 to 3"},
		{name: "nobody", op: "formatter.test", args: `{"application_id":"app1","device_id":"dev9","task":1}`, err: "no such device"},
		{name: "nobody's", op: "formatter.list", args: `{"application_id":"app1","device_id":"dev9"}`, err: "no such device"},
	})
}

// A change that the store does not take is not made, also not later.
func TestApplicationsOnAFullDisk(t *testing.T) {
	h := newHouse(t)
	h.steps([]step{
		{name: "a key", op: "key.create", args: `{"application_id":"app1"}`, parts: 1},
		{name: "a codec", op: "codec.put", args: acme},
	})
	h.Disk.Fail(func(string, string) error { return syscall.ENOSPC })
	h.steps([]step{
		{name: "set", op: "application.set", args: `{"application_id":"app1","up_formatter":{"formatter":"FORMATTER_CAYENNELPP"}}`, err: "no space left"},
		{name: "delete", op: "application.delete", args: `{"application_id":"app1","all":true}`, err: "no space left"},
		{name: "put", op: "codec.put", args: strings.ReplaceAll(acme, "sensor", "other"), err: "no space left"},
		{name: "delete codecs", op: "codec.delete", args: `{"name":"acme"}`, err: "no space left"},
		{name: "nothing is set", op: "application.list", args: `{}`, parts: 1, with: []string{`{"application_id":"app1","devices":0,"api_keys":1}`}},
		{name: "one codec", op: "codec.list", args: `{}`, parts: 1, with: []string{"sensor"}},
	})
	h.Disk.Fail(nil)
	h.steps([]step{{name: "set now", op: "application.set", args: `{"application_id":"app1","up_formatter":{"formatter":"FORMATTER_CAYENNELPP"}}`}})
}
