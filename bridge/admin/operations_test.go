package admin

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"lorawand/bridge"
	"lorawand/bridge/access"
	"lorawand/bridge/admin/admintest"
	"lorawand/bridge/event"
	"lorawand/bridge/schedule"
	"lorawand/radio"
	"lorawand/radio/region"
)

// joining is a device that joins.
const joining = `{"ids":{"device_id":"dev2","dev_eui":"70B3D57ED0000002","join_eui":"0000000000000000"},"lorawan_version":"MAC_V1_0_3",` +
	`"frequency_plan_id":"EU_863_870_TTN","supports_join":true,"root_keys":{"app_key":{"key":"33333333333333333333333333333333"}}}`

// step is one operation and what comes of it.
type step struct {
	name, op, args string
	parts          int      // of the answer
	with           []string // stands in them
	without        []string
	err            string // "": none
}

// ask carries out an operation without a socket.
func (h *house) ask(op, args string) (parts []string, err error) {
	return admintest.Ask(h.admin, op, args)
}

// steps carries out one operation after the other: each sees what those before it
// have changed.
func (h *house) steps(steps []step) {
	h.Helper()
	for _, s := range steps {
		parts, err := h.ask(s.op, s.args)
		if s.err == "" && err != nil || s.err != "" && (err == nil || !strings.Contains(err.Error(), s.err)) {
			h.Errorf("%s: %v, want %q", s.name, err, s.err)
		}
		if len(parts) != s.parts {
			h.Errorf("%s: %d parts, want %d: %.300q", s.name, len(parts), s.parts, parts)
		}
		all := strings.Join(parts, "\n")
		for _, text := range s.with {
			if !strings.Contains(all, text) {
				h.Errorf("%s: %q is not in %.1000s", s.name, text, all)
			}
		}
		for _, text := range s.without {
			if strings.Contains(all, text) {
				h.Errorf("%s: %q is in %.1000s", s.name, text, all)
			}
		}
	}
}

const (
	appKey  = "33333333333333333333333333333333"
	nwkSKey = "11111111111111111111111111111111"
)

func TestDeviceOperations(t *testing.T) {
	other := strings.NewReplacer("dev1", "dev3", "01000001", "01000003").Replace(goodDevice)
	newHouse(t).steps([]step{
		{name: "none yet", op: "device.list", args: `{}`},
		{name: "only tried", op: "device.put", args: `{"application_id":"app1","dry_run":true,"devices":[` + goodDevice + `]}`, parts: 1, with: []string{`"new_application":true`}},
		{name: "tried is not done", op: "device.list", args: `{}`},
		{name: "two", op: "device.put", args: `{"application_id":"app1","devices":[` + goodDevice + `,` + joining + `]}`, parts: 1, with: []string{`"new_application":true`}},
		{name: "the same id twice", op: "device.put", args: `{"application_id":"app2","devices":[` + other + `,` + other + `]}`, parts: 1, with: []string{`"index":1`}, err: "nothing was changed"},
		{name: "the session of another", op: "device.put", args: `{"application_id":"app2","devices":[` + goodDevice + `]}`, parts: 1, with: []string{"app1/dev1 has dev_addr"}, err: "nothing was changed"},
		{name: "again", op: "device.put", args: `{"application_id":"app1","devices":[` + goodDevice + `]}`, parts: 1, with: []string{`"registered":true`, `"index":0`}, err: "nothing was changed"},
		{name: "again, to replace", op: "device.put", args: `{"application_id":"app1","update":true,"devices":[` + goodDevice + `]}`},
		{name: "the DevEUI of another", op: "device.put", args: `{"application_id":"app2","devices":[` + strings.Replace(joining, "dev2", "dev9", 1) + `]}`, parts: 1, err: "nothing was changed"},
		{
			name: "all", op: "device.list", args: `{}`, parts: 2, with: []string{`"dev1"`, `"dev2"`},
			without: []string{appKey, nwkSKey},
		},
		{name: "of an application", op: "device.list", args: `{"application_id":"app2"}`},
		{name: "one, without keys", op: "device.get", args: `{"application_id":"app1","device_id":"dev1"}`, parts: 1, with: []string{`"01000001"`}, without: []string{nwkSKey}},
		{name: "one that is not there", op: "device.get", args: `{"application_id":"app2","device_id":"dev1"}`, err: "no such device"},
		{name: "export has the keys", op: "device.export", args: `{}`, parts: 2, with: []string{appKey, nwkSKey}},
		{name: "export of one", op: "device.export", args: `{"application_id":"app1","devices":["dev2"]}`, parts: 1, with: []string{appKey}, without: []string{nwkSKey}},
		{name: "export of one that is not there", op: "device.export", args: `{"application_id":"app1","devices":["dev2","dev3"]}`, parts: 1, err: "no such device"},
		{name: "export for a hand-over", op: "device.export", args: `{"application_id":"app1","devices":["dev1"],"session":true}`, parts: 1, with: []string{`"last_n_f_cnt_down"`}},
		{name: "a name", op: "device.set", args: `{"application_id":"app1","device_id":"dev1","fields":{"name":"door"}}`},
		{name: "the name is there", op: "device.get", args: `{"application_id":"app1","device_id":"dev1"}`, parts: 1, with: []string{`"name":"door"`, `"01000001"`}},
		{name: "another id", op: "device.set", args: `{"application_id":"app1","device_id":"dev1","fields":{"ids.device_id":"dev7"}}`, err: "id"},
		{name: "delete one of two", op: "device.delete", args: `{"application_id":"app1","devices":["dev1","dev8"]}`, err: "no such device"},
		{name: "all or none", op: "device.list", args: `{}`, parts: 2},
		{name: "delete none", op: "device.delete", args: `{"application_id":"app1"}`},
		{name: "delete both", op: "device.delete", args: `{"application_id":"app1","devices":["dev1","dev2"]}`},
		{name: "none is left", op: "device.list", args: `{}`},
	})
}

func TestKeyOperations(t *testing.T) {
	h := newHouse(t)
	const imported = "NNSXS.ABCDEFGHIJKLMNOPQRSTUVWXYZ234567ABCDEFG.ABCDEFGHIJKLMNOPQRSTUVWXYZ234567ABCDEFGHIJKLMNOPQRST"
	h.steps([]step{
		{name: "none yet", op: "key.list", args: `{}`},
		{name: "no application", op: "key.create", args: `{}`, err: "application"},
		{name: "an unknown right", op: "key.create", args: `{"application_id":"app1","rights":"root"}`, err: "no such right"},
		{name: "the longest name", op: "key.create", args: `{"application_id":"app1","name":"` + strings.Repeat("x", maxKeyName) + `"}`, parts: 1, with: []string{"NNSXS."}},
		{name: "what is no key", op: "key.create", args: `{"application_id":"app1","import":"secret"}`, err: "no API key of the form"},
		{name: "imported", op: "key.create", args: `{"application_id":"app2","import":"` + imported + `","rights":"all","expires":"2027-01-01T00:00:00Z"}`, parts: 1, with: []string{imported}},
		{name: "imported again", op: "key.create", args: `{"application_id":"app2","import":"` + imported + `"}`, err: access.ErrExists.Error()},
		{name: "imported to another application", op: "key.create", args: `{"application_id":"app1","import":"` + imported + `"}`, err: access.ErrExists.Error()},
		{name: "all", op: "key.list", args: `{}`, parts: 2, with: []string{`"rights":["traffic-read","traffic-down-write"]`, `"expires":"2027-01-01T00:00:00Z"`, "gateways-read"}, without: []string{imported}},
		{name: "of an application", op: "key.list", args: `{"application_id":"app2"}`, parts: 1, with: []string{imported[6:45]}},
		{name: "revoke nobody's", op: "key.revoke", args: `{"id":"x"}`, err: ErrNoKey.Error()},
		{name: "revoke", op: "key.revoke", args: `{"id":"` + imported[6:45] + `"}`, parts: 1, with: []string{`"application_id":"app2"`, `"disconnected":0`}},
		{name: "revoke again", op: "key.revoke", args: `{"id":"` + imported[6:45] + `"}`, err: ErrNoKey.Error()},
		{name: "one is left", op: "key.list", args: `{}`, parts: 1},
	})
	if _, err := h.State.Keys.Login("app2", imported, time.Time{}); err == nil {
		t.Error("a revoked key logs in")
	}
}

// A key that cannot be stored is none, and one that cannot be removed stays.
func TestKeysOnABrokenDisk(t *testing.T) {
	h := newHouse(t)
	parts, err := h.ask("key.create", `{"application_id":"app1"}`)
	if err != nil {
		t.Fatal(err)
	}
	var k NewKey
	if err := json.Unmarshal([]byte(parts[0]), &k); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("the disk is broken")
	h.Disk.Fail(func(string, string) error { return broken })
	h.steps([]step{
		{name: "create", op: "key.create", args: `{"application_id":"app1"}`, err: broken.Error()},
		{name: "revoke", op: "key.revoke", args: `{"id":"` + k.ID + `"}`, err: broken.Error()},
		{name: "the key is there", op: "key.list", args: `{}`, parts: 1},
	})
	if h.State.Keys.Len() != 1 {
		t.Errorf("%d keys", h.State.Keys.Len())
	}
	if _, err := h.State.Keys.Login("app1", k.Text, time.Time{}); err != nil {
		t.Errorf("a key that could not be revoked: %v", err)
	}
}

func TestDownlinkOperations(t *testing.T) {
	const one = `{"f_port":15,"frm_payload":"vu8=","priority":"NORMAL"}`
	dev := func(more string) string { return `{"application_id":"app1","device_id":"dev1"` + more + `}` }
	newHouse(t).steps([]step{
		{name: "nobody's", op: "downlink.push", args: dev(`,"body":{"downlinks":[` + one + `]}`), err: "device"},
		{name: "nobody's queue", op: "downlink.list", args: dev(""), err: "no such device"},
		{name: "a device", op: "device.put", args: `{"application_id":"app1","devices":[` + goodDevice + `]}`, parts: 1, with: []string{`"new_application":true`}},
		{name: "empty", op: "downlink.list", args: dev("")},
		{name: "one", op: "downlink.push", args: dev(`,"body":{"downlinks":[` + one + `]}`), parts: 1, with: []string{"as:downlink:"}},
		{name: "two with an id", op: "downlink.push", args: dev(`,"body":{"downlinks":[{"f_port":1,"frm_payload":"AA==","correlation_ids":["mine"]},` + one + `]}`), parts: 2, with: []string{`"mine"`}},
		{name: "three", op: "downlink.list", args: dev(""), parts: 3, with: []string{`"state":"waiting"`, `"frm_payload":"vu8="`}},
		{name: "one bad item of two", op: "downlink.push", args: dev(`,"body":{"downlinks":[` + one + `,{"f_port":225}]}`), err: "f_port"},
		{name: "no payload", op: "downlink.push", args: dev(`,"body":{"downlinks":[{"f_port":1}]}`), err: "no payload"},
		{name: "no body", op: "downlink.push", args: dev(""), err: "downlink"},
		{name: "null", op: "downlink.push", args: dev(`,"body":null`), err: "downlink"},
		{name: "a bad one to replace", op: "downlink.push", args: dev(`,"replace":true,"body":{"downlinks":[{"f_port":0,"frm_payload":"AA=="}]}`), err: "f_port"},
		{name: "still three", op: "downlink.list", args: dev(""), parts: 3},
		{name: "replace", op: "downlink.push", args: dev(`,"replace":true,"body":{"downlinks":[` + one + `]}`), parts: 1},
		{name: "one is left", op: "downlink.list", args: dev(""), parts: 1},
		{name: "clear", op: "downlink.push", args: dev(`,"replace":true,"body":{"downlinks":[]}`)},
		{name: "none is left", op: "downlink.list", args: dev("")},
		{name: "another application's", op: "downlink.list", args: `{"application_id":"app2","device_id":"dev1"}`, err: "no such device"},
	})
}

// Which events are asked for.
func TestMatches(t *testing.T) {
	var e event.Event
	e.Gateway, e.Device.Application, e.Device.Device = "gw1", "app1", "dev1"
	e.HasEUIs, e.DevEUI = true, radio.EUI64{0x70, 0xb3, 7: 1}
	for _, tt := range []struct {
		args EventsArgs
		want bool
	}{
		{EventsArgs{}, true},
		{EventsArgs{Device: "dev1"}, true},
		{EventsArgs{Device: "app1/dev1"}, true},
		{EventsArgs{Device: "app2/dev1"}, false},
		{EventsArgs{Device: "app1"}, false},
		{EventsArgs{Device: "dev"}, false},
		{EventsArgs{Device: "70B3000000000001"}, true},
		{EventsArgs{Device: "70b3000000000001"}, true},
		{EventsArgs{Device: "70B3000000000002"}, false},
		{EventsArgs{Gateway: "gw1"}, true},
		{EventsArgs{Gateway: "gw"}, false},
		{EventsArgs{Gateway: "gw1", Device: "dev1"}, true},
		{EventsArgs{Gateway: "gw2", Device: "dev1"}, false},
	} {
		if got := tt.args.Matches(&e); got != tt.want {
			t.Errorf("%+v: %v", tt.args, got)
		}
	}
	e.HasEUIs = false // the zero EUI of an event without one is nobody's
	e.DevEUI = radio.EUI64{}
	if (&EventsArgs{Device: "0000000000000000"}).Matches(&e) {
		t.Error("an event without EUIs is that of a DevEUI")
	}
}

func TestAgo(t *testing.T) {
	const s = radio.HostTime(time.Second)
	for _, tt := range []struct {
		name   string
		now, t radio.HostTime
		want   string
	}{
		{"never", 5 * s, 0, "null"},
		{"now", 5 * s, 5 * s, "0"},
		{"a second", 5 * s, 4 * s, "1"},
		{"rounded to ms", 5 * s, 4*s + 400_000, "1"},
		{"half a ms", 5 * s, 4*s - 500_000, "1.001"},
		{"still to come", 4 * s, 5 * s, "0"},
		{"beyond 31 bits of ms", 4_000_000 * s, s, "3999999"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if b, err := json.Marshal(ago(tt.now, tt.t)); err != nil || string(b) != tt.want {
				t.Errorf("%s, %v; want %s", b, err, tt.want)
			}
		})
	}
}

// The answer about a gateway has shares of the hour, and no member for an unknown number.
func TestGatewayOf(t *testing.T) {
	plan, err := region.Lookup("EU_863_870_TTN")
	if err != nil {
		t.Fatal(err)
	}
	state := bridge.GatewayState{Usage: []schedule.Usage{
		{SubBand: region.SubBand{Low: 868_000_000, High: 868_600_000, DutyCycle: 10}, Used: 18 * time.Second},
		{SubBand: region.SubBand{Low: 1, High: 2, DutyCycle: 1000}, Used: time.Hour},
	}}
	state.ID, state.EUI, state.Plan, state.Fault = "gw1", admintest.GatewayEUI, plan, "no chip"
	state.Trip, state.Lead = 40*time.Millisecond, 320*time.Millisecond
	b, err := json.Marshal(gatewayOf(&state, radio.HostTime(time.Hour)))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"gateway_id":"gw1","eui":"A1C0FFEE00000001","frequency_plan_id":"EU_863_870_TTN","connected":false,"fault":"no chip",` +
		`"confirmed":false,"round_trip_s":0.04,"lead_s":0.32,"sub_bands":[{"low":868000000,"high":868600000,"used":0.005,"allowed":0.01},` +
		`{"low":1,"high":2,"used":1,"allowed":1}]}`
	if string(b) != want {
		t.Errorf("\ngot  %s\nwant %s", b, want)
	}
}

// One change at a time, and who does not want to wait does not.
func TestEveryChangeWaits(t *testing.T) {
	h := newHouse(t)
	unlock, err := h.admin.lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range []step{
		{op: "key.create", args: `{"application_id":"app1"}`},
		{op: "key.revoke", args: `{"id":"x"}`},
		{op: "device.put", args: `{"application_id":"app1","devices":[` + goodDevice + `]}`},
		{op: "device.set", args: `{"application_id":"app1","device_id":"dev1"}`},
		{op: "device.delete", args: `{"application_id":"app1","devices":["dev1"]}`},
		{op: "application.set", args: `{"application_id":"app1"}`},
		{op: "application.delete", args: `{"application_id":"app1"}`},
		{op: "codec.put", args: `{}`},
		{op: "codec.delete", args: `{"name":"acme"}`},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		err := h.admin.Call(ctx, op.op, json.RawMessage(op.args), func(json.RawMessage) error { return nil })
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "another change is under way") {
			t.Errorf("%s: %v", op.op, err)
		}
	}
	looks := []string{
		"device.list", "key.list", "status", "gateway.list", "application.list", "codec.list", "formatter.list",
	}
	for _, op := range looks {
		if _, err := h.ask(op, `{}`); err != nil {
			t.Errorf("%s: %v", op, err)
		}
	}
	unlock()
	if _, err := h.ask("key.create", `{"application_id":"app1"}`); err != nil {
		t.Error(err)
	}
}
