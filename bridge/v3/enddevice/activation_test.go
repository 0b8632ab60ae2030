package enddevice

import (
	"strings"
	"testing"
)

// Whether a device joins is told, or follows from what else is told.
func TestActivation(t *testing.T) {
	const (
		euis    = `"dev_eui":"0102030405060708","join_eui":"0000000000000000"`
		root    = `"root_keys":{"app_key":{"key":"33333333333333333333333333333333"}}`
		keys    = `"f_nwk_s_int_key":{"key":"11111111111111111111111111111111"},"app_s_key":{"key":"22222222222222222222222222222222"}`
		sess    = `"session":{"dev_addr":"01ABCDEF","keys":{` + keys + `}}`
		joined  = `"session":{"dev_addr":"01ABCDEF","keys":{"session_key_id":"AaICGS8nuqdwZIoklCk0dA==",` + keys + `}}`
		state   = `"mac_state":{"current_parameters":{"rx1_delay":5}}`
		derived = "supports_join is not told"
	)
	for _, tt := range []struct {
		name, ids, rest string
		want            string // otaa or abp, or a part of the refusal
		note            string
	}{
		{"told", euis, `"supports_join":true,` + root, "otaa", ""},
		{"told, wrapped", euis, `"supports_join":{"value":true},` + root, "otaa", ""},
		{"root keys", euis, root, "otaa", derived},
		{"root keys and a session", euis, root + "," + sess + "," + state, "otaa", derived},
		{"root keys, a session and no state", euis, root + "," + sess, "session without mac_state", ""},
		{"root keys, told not to join", euis, `"supports_join":false,` + root + "," + sess, "abp", ""},
		{"root keys without EUIs", "", root, "joins without a dev_eui", ""},
		{"root keys that are wrapped", euis, `"root_keys":{"app_key":{"encrypted_key":"AA==","kek_label":"x"}}`, "wrapped", ""},
		{"a join_eui alone", euis, `"name":"x"`, "joins without root keys", ""},
		{"a join_eui and a session", euis, sess, "abp", ""},
		{"a session", "", sess, "abp", ""},
		{"the session of a join", euis, joined + "," + state, "otaa", derived},
		{"nonces", euis, `"used_dev_nonces":[1],` + sess + "," + state, "otaa", derived},
		{"told, with nothing else", "", `"supports_join":false`, "neither joins nor has a session", ""},
		{"nothing", "", `"name":"x"`, "neither joins nor has a session", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ids := `"device_id":"dev1"`
			if tt.ids != "" {
				ids += "," + tt.ids
			}
			entries, err := Parse([]byte(`{"ids":{`+ids+`},"lorawan_version":"MAC_V1_0_3","frequency_plan_id":"EU_863_870_TTN",`+tt.rest+`}`), opts)
			if err != nil {
				if !strings.Contains(err.Error(), tt.want) {
					t.Errorf("%v, want %s", err, tt.want)
				}
				return
			}
			d, notes := entries[0].Device, strings.Join(entries[0].Warnings, "\n")
			got := map[bool]string{true: "otaa", false: "abp"}[d.SupportsJoin]
			if got != tt.want || strings.Contains(notes, derived) != (tt.note != "") {
				t.Errorf("%s, %q; want %s", got, notes, tt.want)
			}
			if next, err := again(d); err != nil || next.SupportsJoin != d.SupportsJoin {
				t.Errorf("after export and import: %v", err)
			}
		})
	}
}
