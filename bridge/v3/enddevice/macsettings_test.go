package enddevice

import (
	"encoding/json"
	"testing"
	"time"

	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
)

// mac_settings are read, and written again in the words of The Things Stack.
func TestMACSettings(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"nothing", `{}`, `{}`},
		{"disabled", `{"adr":{"disabled":{}}}`, ``},
		{"use_adr false", `{"use_adr":{"value":false}}`, `{"adr":{"disabled":{}}}`},
		{"use_adr true", `{"use_adr":true}`, `{}`},
		{"adr_margin", `{"adr_margin":12.5}`, `{"adr":{"dynamic":{"margin":12.5}}}`},
		{
			"static", `{"adr":{"static":{"data_rate_index":"DATA_RATE_3","tx_power_index":2,"nb_trans":2}}}`,
			`{"adr":{"static":{"data_rate_index":3,"tx_power_index":2,"nb_trans":2}}}`,
		},
		{"static zeros", `{"adr":{"static":{}}}`, `{"adr":{"static":{"data_rate_index":0,"tx_power_index":0,"nb_trans":0}}}`},
		{
			"dynamic", `{"adr":{"dynamic":{"margin":10,"min_data_rate_index":1,"max_data_rate_index":{"value":"DATA_RATE_4"},"max_nb_trans":2}}}`,
			`{"adr":{"dynamic":{"margin":10,"min_data_rate_index":1,"max_data_rate_index":4,"max_nb_trans":2}}}`,
		},
		{
			"status", `{"status_count_periodicity":{"value":3},"status_time_periodicity":"90s"}`,
			`{"status_count_periodicity":3,"status_time_periodicity":"90s"}`,
		},
		{"no status", `{"status_count_periodicity":0,"status_time_periodicity":"0s"}`, ``},
		{"wishes", `{"desired_rx2_frequency":"869525000","desired_max_duty_cycle":"DUTY_CYCLE_1024","desired_max_eirp":"DEVICE_EIRP_10",` +
			`"desired_adr_ack_limit_exponent":"ADR_ACK_LIMIT_128","desired_adr_ack_delay_exponent":"ADR_ACK_DELAY_64"}`, ``},
		{"power by its number", `{"desired_max_eirp":5}`, `{"desired_max_eirp":"DEVICE_EIRP_16"}`},
		{"highest power", `{"desired_max_eirp":"DEVICE_EIRP_36"}`, ``},
		{"Class B", `{"class_b_timeout":"60s","desired_ping_slot_frequency":"868500000",` +
			`"desired_ping_slot_data_rate_index":2,"desired_beacon_frequency":"0"}`, ``},
		{"of ping slots", `{"ping_slot_periodicity":"PING_EVERY_2S","ping_slot_data_rate_index":0,` +
			`"ping_slot_frequency":"868300000","beacon_frequency":"868400000"}`, ``},
		{
			"wrapped, by numbers", `{"ping_slot_periodicity":{"value":7},"ping_slot_data_rate_index":{"value":"DATA_RATE_3"}}`,
			`{"ping_slot_periodicity":"PING_EVERY_128S","ping_slot_data_rate_index":3}`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var j settingsJSON
			if err := json.Unmarshal([]byte(tt.in), &j); err != nil {
				t.Fatal(err)
			}
			var r reader
			s := j.settings(&r)
			if r.err != nil {
				t.Fatal(r.err)
			}
			got, err := json.Marshal(macSettingsOf(&s))
			if tt.want == "" {
				tt.want = tt.in
			}
			if err != nil || string(got) != tt.want {
				t.Errorf("%s, %v; want %s", got, err, tt.want)
			}
		})
	}
}

// A device is written with what it has told of itself.
func TestStatus(t *testing.T) {
	at := time.Date(2026, 11, 28, 16, 34, 30, 81_000_000, time.UTC)
	for _, tt := range []struct {
		name   string
		status *macstate.Status
		want   string
	}{
		{"none", nil, `{}`},
		{"battery", &macstate.Status{At: at, Battery: 200, Margin: 10}, `{"last_dev_status_received_at":"2026-11-28T16:34:30.081Z",` +
			`"power_state":"POWER_BATTERY","battery_percentage":0.78656125,"downlink_margin":10}`},
		{"external power, no calendar", &macstate.Status{Margin: -20}, `{"power_state":"POWER_EXTERNAL","downlink_margin":-20}`},
		{"not known", &macstate.Status{Battery: 255}, `{"power_state":"POWER_UNKNOWN","downlink_margin":0}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := json.Marshal(statusOf(&session.Session{MAC: &macstate.State{Status: tt.status}}))
			if err != nil || string(got) != tt.want {
				t.Errorf("%s, %v; want %s", got, err, tt.want)
			}
		})
	}
}
