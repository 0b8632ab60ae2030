package enddevice

import (
	"encoding/json"
	"strings"
	"testing"

	"lorawand/bridge/session"
)

// desired_parameters become the wish where they are not what the device would be asked without, and no others.
func TestWish(t *testing.T) {
	const (
		plans     = `"rx1_delay":5,"rx2_frequency":"869525000","max_eirp":16,"adr_nb_trans":1`
		current   = `"rx1_delay":1,"rx2_data_rate_index":3,"rx2_frequency":"869525000","max_eirp":16,"adr_nb_trans":1`
		one       = `"channels":[{"uplink_frequency":"868100000","downlink_frequency":"868100000","max_data_rate_index":5,"enable_uplink":true}]`
		wishOfOne = `{"Channels":[{"UplinkFrequency":868100000,"DownlinkFrequency":868100000,"MinDataRate":0,"MaxDataRate":5,"Enabled":true}]}`
		moved     = `"channels":[{"uplink_frequency":"868100000","downlink_frequency":"868800000","max_data_rate_index":5,"enable_uplink":true}]`
	)
	eight := `"channels":` + channelsOfThePlan(t)
	for _, tt := range []struct{ name, current, desired, want string }{
		{"none", current, ``, `null`},
		{"the same, which is the network's and the plan's", plans, plans, `null`},
		{"the network's and the plan's, and it has others", current, plans, `{}`},
		{"the same, which is neither's", current, current, `{"RX1Delay":1,"RX2DataRate":3}`},
		{"what ADR wants", plans, plans + `,"adr_data_rate_index":5,"adr_tx_power_index":1`, `null`},
		{"left out: 0", current, `"rx1_delay":1,"rx2_frequency":"869525000","max_eirp":16`, `{"RX1Delay":1}`},
		{
			"a few alone", current, `"rx1_delay":"RX_DELAY_4","rx1_data_rate_offset":"DATA_RATE_OFFSET_2","max_duty_cycle":"DUTY_CYCLE_64"`,
			`{"RX1Delay":4,"RX1DROffset":2,"MaxDutyCycle":6}`,
		},
		{"no current ones", ``, `"rx1_delay":4`, `{"RX1Delay":4}`},
		{"RX2", current, `"rx2_frequency":"868500000","rx2_data_rate_index":1`, `{"RX2DataRate":1,"RX2Frequency":868500000}`},
		{
			"1.1", current, `"adr_ack_limit_exponent":"ADR_ACK_LIMIT_128","adr_ack_delay_exponent":"ADR_ACK_DELAY_64",` +
				`"rejoin_time_periodicity":"REJOIN_TIME_5","rejoin_count_periodicity":"REJOIN_COUNT_1024"`,
			`{"ADRAckLimit":7,"ADRAckDelay":6,"RejoinTime":5,"RejoinCount":6}`,
		},
		{
			"power and dwell time", current, `"max_eirp":10,"uplink_dwell_time":{"value":true},"downlink_dwell_time":false`,
			`{"MaxEIRP":1000,"UplinkDwell":true,"DownlinkDwell":false}`,
		},
		{"channels that it has, which are not the plan's", current + "," + one, one, wishOfOne},
		{"channels of the plan that it has", current + "," + eight, eight, `null`},
		{"channels of the plan, and it has others", current + "," + one, eight, `{}`},
		{
			"a downlink frequency", current + "," + one, moved,
			`{"Channels":[{"UplinkFrequency":868100000,"DownlinkFrequency":868800000,"MinDataRate":0,"MaxDataRate":5,"Enabled":true}]}`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := wishIn(t, tt.current, tt.desired)
			if got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

// wishIn returns what is wished after the import of a device with such parameters.
func wishIn(t *testing.T, current, desired string) string {
	t.Helper()
	state := `{}`
	if current != "" {
		state = `{"current_parameters":{` + current + `}}`
	}
	if desired != "" {
		state = strings.Replace(state[:len(state)-1]+`,"desired_parameters":{`+desired+`}}`, "{,", "{", 1)
	}
	entries, err := Parse([]byte(change(`"session"`, `"mac_state":`+state+`,"session"`)), opts)
	if err != nil || len(entries) != 1 {
		t.Fatal(err)
	}
	got := "null"
	if m := entries[0].Device.Session.MAC; m != nil {
		b, err := json.Marshal(m.Wish)
		if err != nil {
			t.Fatal(err)
		}
		got = string(b)
	}
	return got
}

// channelsOfThePlan writes those of the plan that the tests' devices have.
func channelsOfThePlan(t *testing.T) string {
	t.Helper()
	b, err := json.Marshal(parametersOf(quiet(personalised), &session.Parameters{}).Channels)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The wishes, refusals and statuses of a device are exported, and are the same after an
// import.
func TestMACStateIsHandedOver(t *testing.T) {
	text := change(`"session"`, `"mac_state":{"current_parameters":{"rx1_delay":1,"rx2_frequency":"869525000"},"desired_parameters":`+
		`{"rx1_delay":4,"rejoin_time_periodicity":"REJOIN_TIME_5","rejoin_count_periodicity":"REJOIN_COUNT_1024"},`+
		`"last_dev_status_f_cnt_up":7,"rejected_adr_data_rate_indexes":[0,4],"rejected_adr_tx_power_indexes":[1]},`+
		`"last_dev_status_received_at":"2026-11-28T16:34:30.081Z","power_state":"POWER_BATTERY","battery_percentage":0.78656125,`+
		`"downlink_margin":-3,"session"`)
	var states []string
	for range 2 {
		entries, err := Parse([]byte(text), opts)
		if err != nil || len(entries) != 1 {
			t.Fatal(err)
		}
		d := entries[0].Device
		b, err := json.Marshal(d.Session.MAC)
		if err != nil {
			t.Fatal(err)
		}
		states = append(states, string(b))
		out, err := Append(nil, d, Form{Keys: true, Session: true})
		if err != nil {
			t.Fatal(err)
		}
		text = string(out)
	}
	for _, part := range []string{`"NoRates":17`, `"NoPowers":2`, `"FCntUp":7`, `"Battery":200`, `"Margin":-3`, `"RX1Delay":4`, `"RejoinCount":6`} {
		if !strings.Contains(states[0], part) {
			t.Errorf("%s has no %s", states[0], part)
		}
	}
	for _, part := range []string{
		`"rejected_adr_data_rate_indexes":[0,4]`, `"rejected_adr_tx_power_indexes":[1]`, `"last_dev_status_f_cnt_up":7`,
		`"last_dev_status_received_at":"2026-11-28T16:34:30.081Z"`, `"rejoin_count_periodicity":"REJOIN_COUNT_1024"`,
	} {
		if !strings.Contains(text, part) {
			t.Errorf("the export has no %s:\n%s", part, text)
		}
	}
	if states[0] != states[1] {
		t.Errorf("%s\nafter the hand-over:\n%s", states[0], states[1])
	}
}
