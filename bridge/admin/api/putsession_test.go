//go:build !small

package api

import (
	"context"
	"strings"
	"testing"

	"lorawand/bridge/session"
)

// A change of a device leaves its session alone: no counter of downlinks is passed over but where
// the client tells counters, and the channels of the plan before are not wished in the next one.
func TestChangesLeaveTheSession(t *testing.T) {
	s := newStand(t)
	key := `{"key":"` + strings.Repeat("0F", 16) + `"}`
	const channels = `"channels":[{"uplink_frequency":"868100000","downlink_frequency":"868100000","max_data_rate_index":5,"enable_uplink":true}]`
	s.wants("devices", "POST", "/applications/app1/devices", `{"end_device":{"ids":{"device_id":"counts","dev_eui":"A1B2C3D4E5F60709",`+
		`"join_eui":"0000000000000001"},"lorawan_version":"MAC_V1_0_3","frequency_plan_id":"EU_863_870_TTN","session":{"dev_addr":"01AABB09",`+
		`"keys":{"f_nwk_s_int_key":`+key+`,"app_s_key":`+key+`},"last_f_cnt_up":5,"last_n_f_cnt_down":10},`+
		`"mac_state":{"current_parameters":{"rx1_delay":3,"rx2_data_rate_index":3,"rx2_frequency":"869525000",`+channels+`}}}}`, 200)
	for _, tt := range []struct {
		registry, body, paths string
		nFCntDown             uint32
	}{
		{"", `"name":"one"`, `"name"`, 10},
		{"", `"name":"two"`, `"name"`, 10},
		{"/ns", `"mac_settings":{"desired_rx2_data_rate_index":2}`, `"mac_settings.desired_rx2_data_rate_index"`, 10},
		{"/ns", `"mac_state":{"desired_parameters":{"max_duty_cycle":"DUTY_CYCLE_64"}}`, `"mac_state.desired_parameters.max_duty_cycle"`, 10},
		{"/ns", `"frequency_plan_id":"EU_868_1"`, `"frequency_plan_id"`, 10},
		{"/ns", `"session":{"last_n_f_cnt_down":40}`, `"session.last_n_f_cnt_down"`, 40},
		{"/ns", `"session":{"last_n_f_cnt_down":20}`, `"session.last_n_f_cnt_down"`, 41}, // what was reserved
		{"", `"name":"three"`, `"name"`, 41},
	} {
		s.wants("devices", "PUT", tt.registry+"/applications/app1/devices/counts",
			`{"end_device":{`+tt.body+`},"field_mask":{"paths":[`+tt.paths+`]}}`, 200)
		d, err := s.Device(context.Background(), session.ID{Application: "app1", Device: "counts"})
		if err != nil || d.Session == nil || d.Session.Parameters == nil {
			t.Fatalf("%s: %+v, %v", tt.body, d, err)
		}
		if q := d.Session; q.NFCntDown != tt.nFCntDown || q.FCntUp != 5 || !q.Heard || q.Parameters.RX1Delay != 3 ||
			len(q.Parameters.Channels) != 1 {
			t.Errorf("%s: NFCntDown %d, want %d; FCntUp %d; %+v", tt.body, q.NFCntDown, tt.nFCntDown, q.FCntUp, q.Parameters)
		}
		if m := d.Session.MAC; m != nil && m.Wish != nil && len(m.Wish.Channels) > 0 {
			t.Errorf("%s: wishes %v", tt.body, m.Wish.Channels)
		}
	}
}
