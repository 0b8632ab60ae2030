package enddevice

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
	"lorawand/radio"
)

// withMACState returns the device of a file whose session has a MAC state.
func withMACState(t *testing.T, state string) *session.Device {
	t.Helper()
	entries, err := Parse([]byte(change(`"session"`, `"mac_state":{`+state+`},"session"`)), opts)
	if err != nil || len(entries) != 1 {
		t.Fatal(err)
	}
	return entries[0].Device
}

// exported returns the MAC state that is written of a device.
func exported(t *testing.T, d *session.Device) map[string]json.RawMessage {
	t.Helper()
	b, err := Append(nil, d, Form{Keys: true, Session: true})
	if err != nil {
		t.Fatal(err)
	}
	var j struct {
		MACState map[string]json.RawMessage `json:"mac_state"`
	}
	if err := json.Unmarshal(b, &j); err != nil {
		t.Fatal(err)
	}
	return j.MACState
}

// Requests that are open are written as The Things Stack writes them, and are open after
// an import: their answers are taken.
func TestPendingRequests(t *testing.T) {
	for _, tt := range []struct{ name, request, asked string }{
		{"DevStatus", `{"cid":"CID_DEV_STATUS"}`, "06"},
		{
			"LinkADR", `{"cid":"CID_LINK_ADR","link_adr_req":{"data_rate_index":3,"tx_power_index":2,"channel_mask":[` +
				strings.Repeat("false,", 9) + `true` + strings.Repeat(",false", 6) + `],"channel_mask_control":7,"nb_trans":1}}`, "0332000271",
		},
		{"DutyCycle", `{"cid":"CID_DUTY_CYCLE","duty_cycle_req":{"max_duty_cycle":"DUTY_CYCLE_1024"}}`, "040a"},
		{
			"RXParamSetup",
			`{"cid":"CID_RX_PARAM_SETUP","rx_param_setup_req":{"rx2_data_rate_index":3,"rx1_data_rate_offset":1,"rx2_frequency":"869525000"}}`,
			"0513d2ad84",
		},
		{
			"NewChannel",
			`{"cid":"CID_NEW_CHANNEL","new_channel_req":{"channel_index":4,"frequency":"867700000","min_data_rate_index":1,"max_data_rate_index":5}}`,
			"070488668451",
		},
		{"RXTimingSetup", `{"cid":"CID_RX_TIMING_SETUP","rx_timing_setup_req":{"delay":5}}`, "0805"},
		{
			"TxParamSetup",
			`{"cid":"CID_TX_PARAM_SETUP","tx_param_setup_req":{"max_eirp_index":"DEVICE_EIRP_30","uplink_dwell_time":true}}`, "091d",
		},
		{"DlChannel", `{"cid":"CID_DL_CHANNEL","dl_channel_req":{"channel_index":3,"frequency":"868800000"}}`, "0a03809184"},
		{
			"ADRParamSetup",
			`{"cid":"CID_ADR_PARAM_SETUP","adr_param_setup_req":{"adr_ack_limit_exponent":"ADR_ACK_LIMIT_128","adr_ack_delay_exponent":"ADR_ACK_DELAY_64"}}`,
			"0c76",
		},
		{
			"RejoinParamSetup",
			`{"cid":"CID_REJOIN_PARAM_SETUP","rejoin_param_setup_req":{"max_count_exponent":"REJOIN_COUNT_1024","max_time_exponent":"REJOIN_TIME_5"}}`,
			"0f56",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := withMACState(t, `"pending_requests":[`+tt.request+`]`)
			if d.Session.MAC == nil || len(d.Session.MAC.Asked) != 1 {
				t.Fatalf("%+v is open", d.Session.MAC)
			}
			r := d.Session.MAC.Asked[0]
			if got := fmt.Sprintf("%x", r.Command.Append(nil)); got != tt.asked || r.Tries != 1 || r.FCntUp != d.Session.FCntUp {
				t.Errorf("%s, %d tries, after uplink %d; want %s, once, after uplink %d",
					got, r.Tries, r.FCntUp, tt.asked, d.Session.FCntUp)
			}
			if got := string(exported(t, d)["pending_requests"]); got != "["+tt.request+"]" {
				t.Errorf("written %s, want [%s]", got, tt.request)
			}
		})
	}
}

// Names and numbers are read alike, and what cannot be open is passed over: requests that
// are not asked here, and those without what they ask.
func TestPendingRequestsOfOthers(t *testing.T) {
	d := withMACState(t, `"pending_requests":[{"cid":19,"beacon_freq_req":{"frequency":"869525000"}},{"cid":"CID_FORCE_REJOIN","force_rejoin_req":{}},`+
		`{"cid":"CID_RELAY_CONF","relay_conf_req":{}},{"cid":"CID_NEW_CHANNEL"},{"cid":8,"rx_timing_setup_req":{"delay":"RX_DELAY_5"}},{"cid":300}],`+
		`"queued_responses":[{"cid":"CID_LINK_CHECK","link_check_ans":{"margin":7,"gateway_count":1}}]`)
	m := d.Session.MAC
	if m == nil || len(m.Asked) != 1 || m.Asked[0].Command != macstate.New(8, 5) {
		t.Errorf("%+v", m)
	}
	if text, ok := exported(t, d)["queued_responses"]; ok {
		t.Errorf("an answer of an uplink whose windows are over is written: %s", text)
	}
	if _, err := Parse([]byte(change(`"session"`, `"mac_state":{"pending_requests":[`+
		`{"cid":"CID_NEW_CHANNEL","new_channel_req":{"channel_index":300}}]},"session"`)), opts); err == nil {
		t.Error("channel 300 is taken")
	}
}

// Of requests that stand for one another the last ones are open.
func TestPendingRequestsAreTheLast(t *testing.T) {
	d := withMACState(t, ``)
	d.Session.MAC = &macstate.State{Asked: []macstate.Request{
		{Command: macstate.New(3, 0x32, 0, 0, 0x71), Tries: 1, FCntUp: 3},
		{Command: macstate.New(3, 0x50, 0xff, 0, 0x01), Tries: 2, FCntUp: 9},
		{Command: macstate.New(6), Tries: 6, FCntUp: 4},
	}}
	text := string(exported(t, d)["pending_requests"])
	if strings.Count(text, "cid") != 2 || strings.Contains(text, `"channel_mask_control":7`) || !strings.Contains(text, "CID_DEV_STATUS") {
		t.Errorf("%s", text)
	}
}

// The channels that a device has refused are written and read as The Things Stack does, by
// frequency and data rates.
func TestRejectedChannels(t *testing.T) {
	const rejected = `"rejected_frequencies":["867100000","868800000"],` +
		`"rejected_data_rate_ranges":{"867300000":{"ranges":[{"min_data_rate_index":1,"max_data_rate_index":5}]}}`
	const desired = `"desired_parameters":{"channels":[` +
		`{"uplink_frequency":"868100000","downlink_frequency":"868100000","max_data_rate_index":5,"enable_uplink":true},` +
		`{"uplink_frequency":"867300000","downlink_frequency":"867300000","min_data_rate_index":1,"max_data_rate_index":5,"enable_uplink":true}]}`
	d := withMACState(t, desired+","+rejected)
	m := d.Session.MAC
	if want := []radio.Frequency{867_100_000, 868_800_000}; m == nil || !slices.Equal(m.NoFrequencies, want) {
		t.Errorf("%+v, want %v", m, want)
	}
	if want := macstate.New(7, 1, 0xe8, 0x56, 0x84, 0x51); !m.HasRefused(want) {
		t.Errorf("%+v, want NewChannelReq for channel 1", m.Refused)
	}
	out := exported(t, d)
	if got := fmt.Sprintf(`"rejected_frequencies":%s,"rejected_data_rate_ranges":%s`,
		out["rejected_frequencies"], out["rejected_data_rate_ranges"]); got != rejected {
		t.Errorf("written %s, want %s", got, rejected)
	}
	if m = withMACState(t, `"rejected_frequencies":["0"],"rejected_data_rate_ranges":{"867500000":{"ranges":[{}]},"x":{}}`).Session.MAC; m != nil {
		t.Errorf("%+v of channels that nobody wishes", m)
	}
}
