package admin

import (
	"fmt"
	"strings"
	"testing"

	"lorawand/bridge/admin/admintest"
	"lorawand/bridge/session"
	"lorawand/radio"
)

const otherKey = "44444444444444444444444444444444"

// deviceChanges are more arguments of device.set, and what comes of it.
var deviceChanges = []struct {
	name, device, more string
	err                string
	with, without      []string // in the device afterwards, with its keys
}{
	{
		name: "another DevAddr begins a session", device: "dev1", more: `"fields":{"dev_addr":"01000005"}`,
		with: []string{`"01000005"`, nwkSKey}, without: []string{`"last_f_cnt_up"`},
	},
	{
		name: "another key begins a session", device: "dev1", more: `"fields":{"f_nwk_s_int_key":"` + otherKey + `"}`,
		with: []string{`"01000001"`, otherKey}, without: []string{`"last_f_cnt_up"`, nwkSKey},
	},
	{
		name: "the same DevAddr goes on", device: "dev1", more: `"fields":{"dev_addr":"01000001"}`,
		with: []string{`"01000001"`, nwkSKey, `"last_f_cnt_up":7`},
	},
	{
		name: "a name goes on", device: "dev1", more: `"fields":{"name":"x"}`,
		with: []string{`"name":"x"`, `"last_f_cnt_up":7`},
	},
	{name: "FCntUp is forgotten", device: "dev1", more: `"reset_f_cnt":true`, without: []string{`"last_f_cnt_up"`}},
	{name: "nothing", device: "dev1", more: `"fields":{}`, with: []string{`"last_f_cnt_up":7`}},
	{
		name: "no DevAddr", device: "dev1", more: `"fields":{"dev_addr":"01"}`, err: "dev_addr",
		with: []string{`"01000001"`, `"last_f_cnt_up":7`},
	},
	{
		name: "a delay of 99 s", device: "dev1", more: `"fields":{"rx1_delay":"99"}`, err: "rx1_delay",
		with: []string{`"last_f_cnt_up":7`},
	},
	{
		name: "the session of one that joins", device: "dev2", more: `"fields":{"dev_addr":"01000002"}`, err: "session",
		with: []string{appKey}, without: []string{"01000002"},
	},
	{
		name: "another DevEUI", device: "dev2", more: `"fields":{"dev_eui":"70B3D57ED0000003"}`,
		with: []string{"70B3D57ED0000003", appKey}, without: []string{"70B3D57ED0000002"},
	},
	{
		name: "another AppKey", device: "dev2", more: `"fields":{"app_key":"` + otherKey + `"}`,
		with: []string{otherKey}, without: []string{appKey},
	},
	{name: "DevNonces are forgotten", device: "dev2", more: `"reset_join_nonces":true`, with: []string{appKey}},
	{
		name: "a rejoin of one that has none", device: "dev2", more: `"force_rejoin":0`, err: "rejoin",
		with: []string{appKey},
	},
	{
		name: "a rejoin of one that never joins", device: "dev1", more: `"force_rejoin":2`, err: "rejoin",
		with: []string{`"last_f_cnt_up":7`},
	},
	{name: "a rejoin of another type", device: "dev1", more: `"force_rejoin":1`, err: "rejoin"},
}

// What belongs to another device or another session does not go on with a change; what is
// refused changes nothing.
func TestChangesOfADevice(t *testing.T) {
	for _, tt := range deviceChanges {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t)
			h.steps([]step{{name: "devices", op: "device.put", args: put("app1", goodDevice, joining), parts: 1}})
			h.GatewayEvent(radio.GatewayEvent{Gateway: admintest.GatewayEUI, Kind: radio.GatewayConnected, At: 1})
			h.hear(7, "seven")
			admintest.WaitFor(t, "it is heard", func() bool {
				d, err := h.Device(t.Context(), session.ID{Application: "app1", Device: "dev1"})
				return err == nil && d.Session != nil && d.Session.Heard && d.Session.FCntUp == 7
			})
			parts, err := h.ask("device.set", fmt.Sprintf(`{"application_id":"app1","device_id":%q,%s}`, tt.device, tt.more))
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("%q, %v, want %q", parts, err, tt.err)
			}
			h.steps([]step{{
				name: "afterwards", op: "device.export", parts: 1, with: tt.with, without: tt.without,
				args: `{"application_id":"app1","session":true,"devices":["` + tt.device + `"]}`,
			}})
		})
	}
}

// The owner is told what takes effect later, of one that joins, and only of what he has set.
func TestNotesOfAChange(t *testing.T) {
	const later = "takes effect at the next join"
	for _, tt := range []struct {
		name, device, fields string
		notes                int
		with                 string
	}{
		{"a delay of one that joins", "dev2", `"rx1_delay":"5"`, 1, "rx1_delay: " + later},
		{
			"two of one that joins", "dev2", `"rx2_frequency":"869525000","rx1_delay":"5"`, 1,
			"rx1_delay, rx2_frequency: " + later,
		},
		{"a name of one that joins", "dev2", `"name":"x"`, 0, ""},
		{"a delay of one that does not", "dev1", `"rx1_delay":"5"`, 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			newHouse(t).steps([]step{
				{name: "devices", op: "device.put", args: put("app1", goodDevice, joining), parts: 1},
				{
					name: "set", op: "device.set", args: ofDevice(tt.device, `,"fields":{`+tt.fields+`}`), parts: tt.notes,
					with: []string{tt.with},
				},
			})
		})
	}
}
