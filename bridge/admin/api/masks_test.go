//go:build !small

package api

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

const (
	rootKey = "33333333333333333333333333333333"
	nwkKey  = "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1"
)

// keyless are texts of keys, which must not be told.
var keyless = []string{"!" + rootKey, "!" + strings.ToUpper(nwkKey), "!" + nwkKey, "!" + strings.ToUpper(rootKey)}

// joining is a device that joins, as the four registries are told of it.
func (s *stand) joining(id, eui string) {
	s.Helper()
	ids := `"ids":{"device_id":"` + id + `","dev_eui":"` + eui + `","join_eui":"0000000000000000"}`
	s.wants("app", "POST", "/applications/app1/devices", `{"end_device":{`+ids+`,"name":"first"}}`, 200)
	s.wants("app", "PUT", "/js/applications/app1/devices/"+id, `{"end_device":{`+ids+`,"root_keys":{"app_key":{"key":"`+
		rootKey+`"}}},"field_mask":{"paths":["root_keys.app_key.key"]}}`, 200, rootKey)
}

// A key that may read devices reads no keys of theirs, by no mask, in no registry, whether the
// device is complete or not.
func TestKeysAreNotRead(t *testing.T) {
	s := newStand(t)
	s.joining("dev2", "0200000000000001") // not complete
	pending := `{"end_device":{"pending_session":{"keys":{"x":{"key":"` + nwkKey + `"}}},"mac_state":` +
		`{"queued_join_accept":` +
		`{"keys":{"x":{"key":"` + nwkKey + `"}}}}},"field_mask":{"paths":["pending_session","mac_state"]}}`
	s.wants("devices", "PUT", "/ns/applications/app1/devices/dev2", pending, 200, nwkKey) // what it has told itself
	for _, device := range []string{"dev1", "dev2"} {
		for _, registry := range []string{"", "/js", "/ns", "/as"} {
			for _, mask := range []string{
				"session", "session,name", "pending_session", "pending_session.keys", "mac_state", "mac_state.queued_join_accept",
				"mac_state.queued_join_accept.keys", "ids,name,session,pending_session,mac_state,mac_settings",
			} {
				path := registry + "/applications/app1/devices/" + device + "?field_mask=" + mask
				if status, text := s.get("devices", "GET", path, ""); status == 200 || status == 404 {
					for _, not := range keyless {
						if strings.Contains(text, not[1:]) {
							t.Errorf("%s: %s", path, text)
						}
					}
				} else {
					t.Errorf("%s: %d", path, status)
				}
			}
			for _, mask := range []string{"root_keys", "root_keys.app_key.key", "session.keys", "session.keys.app_s_key.key"} {
				path := registry + "/applications/app1/devices/" + device + "?field_mask=" + mask
				s.wants("devices", "GET", path, "", 403, keyless...)
			}
		}
	}
	const list = "/applications/app1/devices?field_mask=session,root_keys,pending_session"
	s.wants("devices", "GET", list, "", 200, keyless...)
	s.wants("app", "GET", "/js/applications/app1/devices/dev2?field_mask=root_keys", "", 200, rootKey)
	s.wants("app", "GET", "/ns/applications/app1/devices/dev1?field_mask=session", "", 200, strings.ToUpper(nwkKey))
}

// A change answers with what its mask names, and with no keys that it has not told.
func TestAnswersOfChanges(t *testing.T) {
	s := newStand(t)
	s.joining("dev2", "0200000000000001")
	for _, tt := range []struct {
		name, registry, device, body, mask string
		status                             int
		with                               []string
	}{
		{"a name", "", "dev1", `"name":"x"`, `"name"`, 200, []string{`"name":"x"`, `!"session"`, `!"description"`}},
		{
			"two fields", "", "dev1", `"name":"x","description":"d"`, `"name","description"`, 200,
			[]string{`"name":"x"`, `"description":"d"`},
		},
		{
			"told, not named", "", "dev1", `"name":"y","description":"e"`, `"name"`, 200,
			[]string{`"name":"y"`, `!"description"`},
		},
		{"named, not told", "", "dev1", ``, `"description"`, 200, []string{`!"description"`}},
		{"a mask of nothing", "", "dev1", `"name":"z"`, ``, 200, []string{`!"name"`}},
		{"inside of the keys", "/js", "dev2", ``, `"root_keys.app_key.kek_label"`, 200, nil},
		{"ids", "", "dev1", ``, `"ids"`, 200, []string{`"device_id":"dev1"`}},
		{"another id", "", "dev1", `"ids":{"device_id":"dev9"}`, `"ids"`, 200, []string{`"device_id":"dev1"`, `!dev9`}},
		{"a field that is none", "", "dev1", `"colour":"red"`, `"colour"`, 400, []string{"colour"}},
		{"a path of no name", "", "dev1", ``, `"name."`, 400, nil},
		{"a path with a gap", "", "dev1", ``, `"mac_settings..x"`, 400, nil},
		{"a path that is too deep", "", "dev1", ``, `"mac_settings.` + strings.Repeat("a.", 9) + `a"`, 400, nil},
		{"many paths", "", "dev1", ``, strings.Repeat(`"name",`, 200) + `"name"`, 400, []string{"more than 128 paths"}},
		{
			"a plan that is none", "/ns", "dev1", `"frequency_plan_id":"MOON"`, `"frequency_plan_id"`, 404,
			[]string{"MOON"},
		},
		{
			"a version that is none", "/ns", "dev1", `"lorawan_version":"MAC_V9"`, `"lorawan_version"`, 400,
			[]string{"MAC_V9"},
		},
		{"attributes of one letter", "", "dev1", `"attributes":{"a":"b"}`, `"attributes"`, 400, []string{"attributes"}},
		{"a device that is none", "/ns", "Dev 9", `"name":"x"`, `"name"`, 400, nil},
	} {
		path := tt.registry + "/applications/app1/devices/" + strings.ReplaceAll(tt.device, " ", "%20")
		body := `{"end_device":{` + tt.body + `},"field_mask":{"paths":[` + tt.mask + `]}}`
		t.Run(tt.name, func(t *testing.T) {
			here := *s
			here.T = t
			here.wants("devices", http.MethodPut, path, body, tt.status, append(tt.with, keyless...)...)
		})
	}
	s.wants("app", "GET", "/js/applications/app1/devices/dev2?field_mask=root_keys", "", 200, rootKey)
}

// A mask in a body is a text or an object; anything else is refused.
func TestFormsOfAMask(t *testing.T) {
	s := newStand(t)
	for i, tt := range []struct {
		mask   string
		status int
		is     bool // the name is set
	}{
		{`"name"`, 200, true},
		{`"description,name"`, 200, true},
		{`{"paths":["name"]}`, 200, true},
		{`{"paths":[]}`, 200, false},
		{`{}`, 200, false},
		{`""`, 200, false},
		{`null`, 200, false},
		{`7`, 400, false},
		{`["name"]`, 400, false},
		{`{"paths":"name"}`, 400, false},
		{`{"paths":[7]}`, 400, false},
	} {
		name := fmt.Sprintf("name %d", i)
		body := `{"end_device":{"name":"` + name + `"},"field_mask":` + tt.mask + `}`
		s.wants("devices", "PUT", "/applications/app1/devices/dev1", body, tt.status)
		want := "!" + name
		if tt.is {
			want = name
		}
		s.wants("devices", "GET", "/applications/app1/devices/dev1?field_mask=name", "", 200, want)
	}
}

// A path that is none, or is written in another way, leads nowhere: not to the routes, and not
// to another application.
func TestHostilePaths(t *testing.T) {
	s := newStand(t)
	for _, tt := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/applications/app1/devices/dev1", 200},
		{"GET", "/applications/app1/devices/dev1/", 404},
		{"GET", "//applications/app1/devices/dev1", 404},
		{"GET", "/applications//devices/dev1", 404},
		{"GET", "/applications/app1/devices//", 404},
		{"GET", "/APPLICATIONS/app1/devices/dev1", 404},
		{"GET", "/applications/app1/../harness/devices/dev1", 404},
		{"GET", "/applications/app1%2F..%2Fharness/devices/dev1", 404},
		{"GET", "/applications/APP1/devices/dev1", 403},
		{"GET", "/applications/app1%00/devices/dev1", 403},
		{"GET", "/applications/harness/devices/dev1", 403},
		{"GET", "/applications/app1/devices/..%2Fdev1", 404},
		{"GET", "/applications/app1/devices/%23", 404},
		{"GET", "/applications/app1/devices/" + strings.Repeat("x", 4000), 404},
		{"GET", "/" + strings.Repeat("a/", 2000), 404},
		{"PATCH", "/applications/app1/devices/dev1", 501},
		{"DELETE", "/applications/app1/devices", 501},
		{"POST", "/as/applications/app1/devices/+/down/push", 404},
		{"POST", "/as/applications/app1/devices/%23/down/replace", 404},
		{"DELETE", "/applications/app1/devices/dev9", 404},
		{"DELETE", "/js/applications/app1/devices/dev9", 404},
		{"DELETE", "/applications/harness/devices/dev1", 403},
	} {
		status, text := s.get("app", tt.method, tt.path, `{"downlinks":[{"f_port":1,"frm_payload":"AA=="}]}`)
		if status != tt.status {
			t.Errorf("%s %.80s: %d, want %d: %.300s", tt.method, tt.path, status, tt.status, text)
		}
	}
	for _, key := range []string{"app", "foreign"} {
		application := map[string]string{"app": "app1", "foreign": "harness"}[key]
		s.wants(key, "GET", "/applications/"+application+"/devices/dev1", "", 200, "dev1")
	}
}
