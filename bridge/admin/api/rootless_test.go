//go:build !small

package api

import (
	"context"
	"strings"
	"testing"

	"lorawand/bridge/session"
)

// A device whose root keys are elsewhere, and which came with the session of its join, can be
// changed as others, and keeps its session.
func TestChangesWithoutRootKeys(t *testing.T) {
	s := newStand(t)
	key := `{"key":"` + strings.Repeat("0F", 16) + `"}`
	s.wants("devices", "POST", "/applications/app1/devices", `{"end_device":{"ids":{"device_id":"rootless","dev_eui":"A1B2C3D4E5F6070A",`+
		`"join_eui":"0000000000000001"},"lorawan_version":"MAC_V1_0_3","frequency_plan_id":"EU_863_870_TTN","supports_join":true,`+
		`"session":{"dev_addr":"01AABB0A","keys":{"session_key_id":"AQID","f_nwk_s_int_key":`+key+`,"app_s_key":`+key+`},"last_n_f_cnt_down":10},`+
		`"mac_state":{"current_parameters":{"rx1_delay":3,"rx2_data_rate_index":3,"rx2_frequency":"869525000"}}}}`, 200)
	for _, registry := range []string{"", "/ns", "/as"} {
		s.wants("devices", "PUT", registry+"/applications/app1/devices/rootless",
			`{"end_device":{"name":"new"},"field_mask":{"paths":["name"]}}`, 200)
		d, err := s.Device(context.Background(), session.ID{Application: "app1", Device: "rootless"})
		if err != nil || d.Session == nil || d.Session.NFCntDown != 10 || d.Session.Parameters == nil ||
			d.Session.Parameters.RX1Delay != 3 {
			t.Fatalf("%s: %+v, %v", registry, d, err)
		}
	}
}
