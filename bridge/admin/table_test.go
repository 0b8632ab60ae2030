package admin

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/bridge/access"
)

// tableRow is what is known of an operation without a look into its table.
type tableRow struct {
	right       access.Rights
	application bool   // its arguments name the application of the key
	limit       string // "": until the caller disconnects
	core        string // arguments with which it asks the core; "": it does not
}

// Each operation asks for these rights and has this time. A row that changes here changes
// who may do what.
var tableRows = map[string]tableRow{
	"events":             {access.TrafficRead, true, "", ""},
	"why":                {access.TrafficRead, true, "10s", ""},
	"gateway.list":       {access.GatewaysRead, false, "10s", `{}`},
	"status":             {access.GatewaysRead, false, "10s", `{}`},
	"backup":             {access.All, false, "2m0s", ""},
	"restore":            {access.All, false, "2m0s", ""},
	"gateway.airtime":    {access.All, false, "2m0s", `{}`},
	"device.put":         {access.DevicesWrite, true, "2m0s", put("app1", goodDevice)},
	"device.set":         {access.DevicesWrite, true, "10s", dev1},
	"device.get":         {access.DevicesRead, true, "10s", dev1},
	"device.list":        {access.DevicesRead, true, "2m0s", `{}`},
	"device.mac":         {access.DevicesRead, true, "2m0s", dev1},
	"device.export":      {access.All, true, "2m0s", `{}`},
	"device.delete":      {access.DevicesWrite, true, "2m0s", `{"application_id":"app1","devices":["dev1"]}`},
	"device.activity":    {access.TrafficRead, true, "2m0s", dev1},
	"key.create":         {access.All, true, "10s", `{"application_id":"app1"}`},
	"key.list":           {access.All, true, "10s", ""},
	"key.revoke":         {access.All, false, "10s", ""},
	"application.list":   {access.All, false, "10s", `{}`},
	"application.get":    {access.DevicesRead, true, "10s", `{"application_id":"app1"}`},
	"application.set":    {access.DevicesWrite, true, "2m0s", `{"application_id":"app1"}`},
	"application.delete": {access.All, true, "2m0s", `{"application_id":"app1"}`},
	"codec.put":          {access.All, false, "2m0s", acme},
	"codec.list":         {access.All, false, "2m0s", `{}`},
	"codec.delete":       {access.All, false, "10s", ""},
	"formatter.list":     {access.DevicesRead, true, "2m0s", dev1},
	"formatter.test":     {access.DevicesRead, true, "10s", `{"application_id":"app1","device_id":"dev1","task":1}`},
	"mqtt.list":          {access.All, true, "10s", ""},
	"downlink.push": {
		access.TrafficDownWrite, true, "10s",
		`{"application_id":"app1","device_id":"dev1","body":{"downlinks":[]}}`,
	},
	"downlink.list": {access.TrafficRead, true, "10s", dev1},
	"uplink.simulate": {
		access.TrafficUpWrite, true, "10s",
		`{"application_id":"app1","device_id":"dev1"` + madeUp,
	},
	"message.list":    {access.TrafficRead, true, "2m0s", ""},
	"registry.get":    {access.DevicesRead, true, "10s", inRegistry("dev1", "is", "")},
	"registry.keys":   {access.All, true, "10s", inRegistry("dev1", "is", "")},
	"registry.put":    {access.DevicesWrite, true, "10s", inRegistry("dev1", "is", `,"create":true,"device":{}`)},
	"registry.delete": {access.DevicesWrite, true, "10s", inRegistry("dev1", "is", "")},
}

const dev1 = `{"application_id":"app1","device_id":"dev1"}`

func TestTableOfOperations(t *testing.T) {
	if got, want := slices.Sorted(maps.Keys(operations)), slices.Sorted(maps.Keys(tableRows)); !slices.Equal(got, want) {
		t.Errorf("operations\n%v, want\n%v", got, want)
	}
	for name, want := range tableRows {
		op := operations[name]
		if got := (Right{want.right, want.application}); op.right != got {
			t.Errorf("%s: needs %+v, want %+v", name, op.right, got)
		}
		limit := ""
		if op.limit > 0 {
			limit = op.limit.String()
		}
		if limit != want.limit {
			t.Errorf("%s: may take %q, want %q", name, limit, want.limit)
		}
	}
}

// A question for a core that does not turn has an error when its time is over, neither
// sooner nor later, and leaves the next change its place.
func TestTimeOfOperations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.StopBridge()
		for name, row := range tableRows {
			if row.core == "" {
				continue
			}
			begin := time.Now()
			err := h.admin.Call(context.Background(), name, json.RawMessage(row.core), func(raw json.RawMessage) error {
				t.Errorf("%s has an answer: %s", name, raw)
				return nil
			})
			want := row.limit
			if name == "downlink.push" {
				want = "10.5s" // with its withdrawal
			}
			if d := time.Since(begin); !errors.Is(err, context.DeadlineExceeded) || d.String() != want {
				t.Errorf("%s: %v after %v, want %s", name, err, d, want)
			}
			if n := len(h.admin.provisioning); n != 0 {
				t.Fatalf("%s: %d changes are still under way", name, n)
			}
		}
	})
}

// What the core is not asked for has an answer though it does not turn.
func TestWithoutTheCore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.StopBridge()
		begin := time.Now()
		h.steps([]step{
			{name: "events", op: "events", args: `{}`},
			{name: "why", op: "why", args: `{"correlation_id":"x"}`, err: ErrNotRemembered.Error()},
			{name: "keys", op: "key.list", args: `{}`},
			{name: "no key", op: "key.revoke", args: `{"id":"x"}`, err: ErrNoKey.Error()},
			{name: "clients", op: "mqtt.list", args: `{}`},
			{name: "messages", op: "message.list", args: `{"application_id":"app1","kind":"up"}`},
			{name: "no codec", op: "codec.delete", args: `{"name":"acme"}`, err: ErrNoModel.Error()},
			{name: "no restore", op: "restore", args: `{"text":"AA=="}`, err: errNoRestore.Error()},
			{name: "a backup", op: "backup", args: `{}`, parts: 1},
			{
				name: "a fault of a device", op: "device.put", args: put("app1", `{}`), parts: 1,
				err: ErrNothingChanged.Error(),
			},
		})
		if d := time.Since(begin); d != 0 {
			t.Errorf("after %v", d)
		}
	})
}
