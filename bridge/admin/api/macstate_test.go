//go:build !small

package api

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
	"lorawand/radio/region"
)

// The parameters that an owner wants for a session (of a personalised device, and of one
// that has joined) are asked of the device and read again; the session stays as it is.
func TestDesiredParameters(t *testing.T) {
	s := newStand(t)
	key := `{"key":"` + strings.Repeat("0F", 16) + `"}`
	keys := `"keys":{"f_nwk_s_int_key":` + key + `,"s_nwk_s_int_key":` + key + `,"nwk_s_enc_key":` + key + `,"app_s_key":` + key + `}`
	for _, tt := range []struct{ name, how string }{
		{"personalised", `"session":{"dev_addr":"01AABB01",` + keys + `}`},
		{
			"joined", `"supports_join":true,"root_keys":{"app_key":` + key + `},"session":{"dev_addr":"01AABB02",` + keys + `},` +
				`"mac_state":{"current_parameters":{"rx1_delay":5,"rx2_data_rate_index":3,"rx2_frequency":"869525000"}}`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			at := *s
			at.T = t
			id := session.ID{Application: "app1", Device: tt.name}
			eui := map[string]string{"personalised": "A1B2C3D4E5F60701", "joined": "A1B2C3D4E5F60702"}[tt.name]
			at.wants("devices", "POST", "/applications/app1/devices", `{"end_device":{"ids":{"device_id":"`+tt.name+`","dev_eui":"`+eui+`",`+
				`"join_eui":"0000000000000001"},"lorawan_version":"MAC_V1_0_3","frequency_plan_id":"EU_863_870_TTN",`+tt.how+`}}`, 200)
			before, err := s.Device(context.Background(), id)
			if err != nil || before.Session == nil {
				t.Fatalf("%+v, %v", before, err)
			}
			path := "/ns/applications/app1/devices/" + tt.name
			at.wants("devices", "PUT", path, `{"end_device":{"mac_state":{"desired_parameters":{"rx1_delay":"RX_DELAY_4","max_duty_cycle":"DUTY_CYCLE_64"}}},`+
				`"field_mask":{"paths":["mac_state.desired_parameters.rx1_delay","mac_state.desired_parameters.max_duty_cycle"]}}`, 200)
			at.wants("devices", "GET", path+"?field_mask=mac_state.desired_parameters", "", 200, `"rx1_delay":4`, `"max_duty_cycle":"DUTY_CYCLE_64"`)
			after, err := s.Device(context.Background(), id)
			if err != nil || after.Session == nil || !after.Session.IsSame(before.Session) || after.Session.MAC == nil {
				t.Fatalf("%+v, %v", after, err)
			}
			if w := after.Session.MAC.Wish; w == nil || w.RX1Delay == nil || *w.RX1Delay != 4 || w.RX1DROffset != nil ||
				w.RX2DataRate != nil {
				t.Errorf("wished %+v", w)
			}
			v, err := s.MAC(context.Background(), id)
			if asked := strings.Join(v.Wanted, "; "); err != nil || !strings.Contains(asked, "DutyCycleReq 1/64 of the time") ||
				!strings.Contains(asked, "RXTimingSetupReq 4 s") {
				t.Errorf("asked %s, %v", asked, err)
			}
		})
	}
}

// The channels to use of a band that lays all down are wished by a list of all 72, as The
// Things Stack has it, and are asked by a block of LinkADRReqs.
func TestDesiredChannels(t *testing.T) {
	s := newStand(t)
	key := `{"key":"` + strings.Repeat("0F", 16) + `"}`
	s.wants("devices", "POST", "/applications/app1/devices", `{"end_device":{"ids":{"device_id":"us915","dev_eui":"A1B2C3D4E5F60703",`+
		`"join_eui":"0000000000000001"},"lorawan_version":"MAC_V1_0_4","frequency_plan_id":"US_902_928_FSB_2",`+
		`"session":{"dev_addr":"01AABB03","keys":{"f_nwk_s_int_key":`+key+`,"s_nwk_s_int_key":`+key+`,"nwk_s_enc_key":`+key+
		`,"app_s_key":`+key+`}}}}`, 200)
	plan, err := region.Lookup("US_902_928_FSB_2")
	if err != nil {
		t.Fatal(err)
	}
	wish := region.ChannelMask{0x0f00, 0, 0, 0, 0x0002}
	var list []string
	for _, c := range macstate.FixedChannels(wish, plan) {
		list = append(list, fmt.Sprintf(`{"uplink_frequency":"%d","downlink_frequency":"%d","min_data_rate_index":%d,`+
			`"max_data_rate_index":%d,"enable_uplink":%t}`, c.UplinkFrequency, c.DownlinkFrequency, c.MinDataRate, c.MaxDataRate, c.Enabled))
	}
	const path = "/ns/applications/app1/devices/us915"
	s.wants("devices", "PUT", path, `{"end_device":{"mac_state":{"desired_parameters":{"channels":[`+strings.Join(list, ",")+
		`]}}},"field_mask":{"paths":["mac_state.desired_parameters.channels"]}}`, 200)
	v, err := s.MAC(context.Background(), session.ID{Application: "app1", Device: "us915"})
	asked := strings.Join(v.Wanted, "; ")
	if err != nil || !strings.Contains(asked, "channels 0002, ChMaskCntl 7; ") ||
		!strings.Contains(asked, "channels 0f00, ChMaskCntl 0") {
		t.Errorf("asked %s, %v", asked, err)
	}
	s.wants("devices", "GET", path+"?field_mask=mac_state.desired_parameters", "", 200,
		`{"downlink_frequency":"923300000","enable_uplink":true,"max_data_rate_index":3,"uplink_frequency":"903900000"}`)
}
