package enddevice

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"lorawand/bridge/session"
)

// handed writes a device as a hand-over does.
func handed(t *testing.T, d *session.Device) map[string]any {
	t.Helper()
	out := d.Clone()
	out.SkipAhead()
	return written(t, out, Form{Keys: true, Session: true, HandOver: true})
}

func written(t *testing.T, d *session.Device, f Form) (tree map[string]any) {
	t.Helper()
	text, err := Append(nil, d, f)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &tree); err != nil {
		t.Fatal(err)
	}
	return tree
}

// leaves lists the values of a tree by their paths; elements of a list are told by number.
func leaves(path string, v any, into map[string]any) {
	switch v := v.(type) {
	case map[string]any:
		for name, inner := range v {
			leaves(path+"."+name, inner, into)
		}
	case []any:
		for i, inner := range v {
			leaves(fmt.Sprintf("%s[%d]", path, i), inner, into)
		}
	default:
		into[path] = v
	}
}

// What The Things Stack writes of a device with a session, and a hand-over does not, or with
// another value.
var otherwise = map[string]string{
	".created_at": "of their registry", ".updated_at": "of their registry",
	".activated_at": "of their registry", ".last_seen_at": "of their registry",
	".network_server_address": "their host", ".application_server_address": "their host",
	".join_server_address":           "their host",
	".session.started_at":            "they put the time of the import",
	".session.last_n_f_cnt_down":     "skips ahead",
	".session.last_a_f_cnt_down":     "skips ahead",
	".last_join_nonce":               "skips ahead",
	".mac_state.recent_uplinks":      "the last ones, for their ADR, which begins anew",
	".mac_state.recent_downlinks":    "the last that was sent, and no others",
	".mac_state.last_downlink_at":    "windows of uplinks, which are over",
	".mac_state.last_confirmed_down": "windows of uplinks, which are over",
	".mac_state.desired_parameters":  "what this network wants",
}

func otherwiseBy(path string) bool {
	for prefix := range otherwise {
		if strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return false
}

// A hand-over has, field by field, what The Things Stack writes of a device with a session; its
// import refuses what stands in ids.dev_addr of a device that joins.
func TestHandOverFields(t *testing.T) {
	b, err := os.ReadFile("testdata/tts-export.json")
	if err != nil {
		t.Fatal(err)
	}
	entries, err := Parse(b, opts)
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(strings.NewReader(string(b)))
	for _, e := range entries {
		var theirs map[string]any
		if err := dec.Decode(&theirs); err != nil {
			t.Fatal(err)
		}
		d := e.Device
		if d.Session == nil {
			continue
		}
		want, got := map[string]any{}, map[string]any{}
		leaves("", theirs, want)
		ours := handed(t, d)
		leaves("", ours, got)
		if d.SupportsJoin {
			delete(want, ".ids.dev_addr")
		}
		want[".ids.application_ids.application_id"] = "app1"
		for path, v := range want {
			if !otherwiseBy(path) && !reflect.DeepEqual(got[path], v) {
				t.Errorf("%v: %s is %v, they write %v", d.ID, path, got[path], v)
			}
		}
		for path := range got {
			if _, ok := want[path]; !ok && !otherwiseBy(path) {
				t.Errorf("%v: %s: they write none", d.ID, path)
			}
		}
		for _, fault := range refusedByTheirs(ours) {
			t.Errorf("%v: they refuse %s", d.ID, fault)
		}
	}
}

// refusedByTheirs returns what the registries of The Things Stack refuse in a device with a
// session, as far as the rules are about what such a file may hold.
//
// Source: lorawan-stack 3.32.1, Set in pkg/networkserver/grpc_deviceregistry.go and in
// pkg/joinserver/grpc_deviceregistry.go; api/ttn/lorawan/v3/end_device.proto, lorawan.proto.
func refusedByTheirs(tree map[string]any) (faults []string) {
	has := func(path string) bool { return lookup(tree, path) != nil }
	demand := func(ok bool, what string) {
		if !ok {
			faults = append(faults, what)
		}
	}
	if tree["supports_join"] == true {
		demand(!has("ids.dev_addr"), "ids.dev_addr")
		demand(has("session.keys.session_key_id"), "session.keys.session_key_id, missing")
		demand(has("ids.join_eui") && has("ids.dev_eui"), "ids")
	} else {
		demand(!has("session.keys.session_key_id"), "session.keys.session_key_id")
		demand(reflect.DeepEqual(lookup(tree, "ids.dev_addr"), lookup(tree, "session.dev_addr")), "ids.dev_addr")
	}
	for _, key := range []string{"f_nwk_s_int_key", "s_nwk_s_int_key", "nwk_s_enc_key", "app_s_key"} {
		demand(has("session.keys."+key+".key"), "session.keys."+key)
	}
	if !has("mac_state") {
		return faults // they make one
	}
	demand(has("mac_state.lorawan_version"), "mac_state.lorawan_version")
	for _, name := range []string{"mac_state.current_parameters", "mac_state.desired_parameters"} {
		channels, _ := lookup(tree, name+".channels").([]any)
		demand(len(channels) > 0, name+".channels, none")
		demand(has(name+".rx2_frequency"), name+".rx2_frequency")
		for _, c := range channels {
			demand(lookup(c, "downlink_frequency") != nil, name+".channels, without downlink_frequency")
		}
	}
	for _, u := range listOf(tree, "mac_state.recent_uplinks") {
		for _, part := range []string{
			"payload.m_hdr", "payload.mac_payload.f_hdr.f_ctrl", "settings.data_rate.lora",
		} {
			demand(lookup(u, part) != nil, "mac_state.recent_uplinks, without "+part)
		}
	}
	for _, down := range listOf(tree, "mac_state.recent_downlinks") {
		demand(lookup(down, "payload.m_hdr") != nil, "mac_state.recent_downlinks, without payload.m_hdr")
	}
	if tree["multicast"] == true {
		demand(reflect.DeepEqual(lookup(tree, "mac_state.current_parameters"),
			lookup(tree, "mac_state.desired_parameters")), "other desired_parameters of a group")
		for _, name := range []string{"recent_uplinks", "pending_requests", "last_dev_status_f_cnt_up"} {
			demand(!has("mac_state."+name), "mac_state."+name+" of a group")
		}
	}
	return faults
}

func lookup(v any, path string) any {
	for name := range strings.SplitSeq(path, ".") {
		tree, _ := v.(map[string]any)
		v = tree[name]
	}
	return v
}

func listOf(v any, path string) []any {
	list, _ := lookup(v, path).([]any)
	return list
}

// Each is a device that this server has and that The Things Stack would refuse as it is kept here.
func TestHandOverIsTaken(t *testing.T) {
	const told = `"mac_state":{"current_parameters":{"rx1_delay":5,"rx2_frequency":"869525000"}},"session"`
	keyID := strings.NewReplacer(`"dev_addr":"01ABCDEF","keys":{`, `"dev_addr":"01ABCDEF","keys":{"session_key_id":"AaICGS8nuqdwZIoklCk0dA==",`)
	first := strings.NewReplacer(`"session"`, `"mac_state":{"recent_uplinks":[{"payload":{"mac_payload":{}}}]},"session"`)
	for _, tt := range []struct{ name, text, refused string }{
		{"a device that joins", strings.Replace(keyID.Replace(otaaSession), `"session"`, told, 1), "ids.dev_addr"},
		{"one whose session nobody has named", strings.Replace(otaaSession, `"session"`, told, 1), "session_key_id, missing"},
		{"one that does not join, with a name", keyID.Replace(abp), "session.keys.session_key_id"},
		{"one that has sent one frame", first.Replace(abp), "current_parameters.channels, none"},
		{"one of US915", strings.NewReplacer("EU_863_870_TTN", "US_902_928_FSB_2", "EU_863_870", "US_902_928_FSB_2",
			"869525000", "923300000").Replace(strings.Replace(otaaSession, `"session"`, told, 1)), "channels, none"},
		{"a group", strings.Replace(abp, `"session"`, `"supports_class_c":true,"multicast":true,`+
			`"mac_settings":{"desired_rx1_delay":5},"mac_state":{"device_class":"CLASS_C","current_parameters":`+
			`{"rx1_delay":1,"rx2_frequency":"869525000"}},"session"`, 1), "other desired_parameters of a group"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			entries, err := Parse([]byte(tt.text), Options{Application: "app1", AssumePlanDefaults: true})
			if err != nil {
				t.Fatal(err)
			}
			d := entries[0].Device
			kept := refusedByTheirs(written(t, d, Form{Keys: true, Session: true}))
			if !slices.ContainsFunc(kept, func(fault string) bool { return strings.Contains(fault, tt.refused) }) {
				t.Errorf("as it is kept here they refuse %q, not %s", kept, tt.refused)
			}
			tree := handed(t, d)
			if faults := refusedByTheirs(tree); len(faults) > 0 {
				t.Errorf("they refuse %q\n%v", faults, tree)
			}
			if again := handed(t, d); !maps.Equal(flat(tree), flat(again)) {
				t.Errorf("handed over twice:\n%v\n%v", tree, again)
			}
		})
	}
}

func flat(tree map[string]any) map[string]any {
	into := map[string]any{}
	leaves("", tree, into)
	return into
}
