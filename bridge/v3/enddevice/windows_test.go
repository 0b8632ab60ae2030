package enddevice

import (
	"fmt"
	"strings"
	"testing"

	"lorawand/bridge/mac"
	"lorawand/bridge/session"
)

// windows says what the network goes by: RX1 delay and offset, RX2.
func windows(t *testing.T, d *session.Device) string {
	t.Helper()
	plan, err := d.FrequencyPlan()
	if err != nil {
		t.Fatal(err)
	}
	w := mac.Windows(d, d.Session, plan)
	return fmt.Sprintf("%v +%d DR%d %d", w.Delay, w.RX1DROffset, w.RX2.DataRate, uint32(w.RX2.Frequency))
}

const (
	allSettings = `"rx1_delay":3,"rx1_data_rate_offset":1,"rx2_data_rate_index":2,"rx2_frequency":"868500000"`
	allCurrent  = `"rx1_delay":4,"rx1_data_rate_offset":2,"rx2_data_rate_index":1,"rx2_frequency":"868700000"`
	wishes      = `"desired_rx1_delay":7,"desired_rx1_data_rate_offset":4,"desired_rx2_data_rate_index":4`
)

// An imported device has the receive windows of its current parameters, else of its
// settings, else of the band. A device that is written and read has the same ones.
func TestWindowsOfImport(t *testing.T) {
	for _, tt := range []struct {
		name                   string
		otaa, assume           bool
		settings, state, field string
		want                   string // "" is a refusal
	}{
		{name: "ABP, nothing told", want: "1s +0 DR0 869525000"},
		{name: "ABP, settings", settings: allSettings, want: "3s +1 DR2 868500000"},
		{name: "ABP, wishes are not current", settings: wishes, want: "1s +0 DR0 869525000"},
		{name: "ABP, current", settings: allSettings, state: allCurrent, want: "4s +2 DR1 868700000"},
		{name: "ABP, current without what cannot be 0", settings: allSettings, state: `"rx2_data_rate_index":1`, want: "3s +0 DR1 868500000"},
		{name: "ABP, empty current", state: `"max_eirp":16`, want: "1s +0 DR0 869525000"},
		{name: "OTAA, nothing told", otaa: true},
		{name: "OTAA, wishes only", otaa: true, settings: wishes},
		{name: "OTAA, nothing told, assumed", otaa: true, assume: true, want: "5s +0 DR3 869525000"},
		{name: "OTAA, wishes, assumed", otaa: true, assume: true, settings: wishes, want: "7s +4 DR4 869525000"},
		{name: "OTAA, RX1 delay", otaa: true, settings: `"rx1_delay":1`, want: "1s +0 DR0 869525000"},
		{name: "OTAA, RX1 delay, assumed", otaa: true, assume: true, settings: `"rx1_delay":1`, want: "1s +0 DR3 869525000"},
		{name: "OTAA, settings", otaa: true, settings: allSettings, want: "3s +1 DR2 868500000"},
		{
			name: "OTAA, settings, assumed", otaa: true, assume: true, settings: allSettings + "," + wishes,
			want: "3s +1 DR2 868500000",
		},
		{name: "OTAA, RX2 frequency, assumed", otaa: true, assume: true, settings: `"rx2_frequency":"868500000"`, want: "5s +0 DR3 868500000"},
		{name: "OTAA, current", otaa: true, settings: allSettings, state: allCurrent, want: "4s +2 DR1 868700000"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.Replace(otaaSession, `"supports_join":true`, fmt.Sprintf(`"supports_join":%v`, tt.otaa), 1)
			if tt.settings != "" {
				text = strings.Replace(text, `"session"`, `"mac_settings":{`+tt.settings+`},"session"`, 1)
			}
			if tt.state != "" {
				text = strings.Replace(text, `"session"`, `"mac_state":{"current_parameters":{`+tt.state+`}},"session"`, 1)
			}
			entries, err := Parse([]byte(text), Options{Application: "app1", AssumePlanDefaults: tt.assume})
			if tt.want == "" {
				if err == nil || !strings.Contains(err.Error(), "mac_settings.rx1_delay tells it") {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			d := entries[0].Device
			if got := windows(t, d); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
			next, err := again(d)
			if err != nil {
				t.Fatal(err)
			}
			if got := windows(t, next); got != tt.want {
				t.Errorf("after export and import %s, want %s", got, tt.want)
			}
		})
	}
}

var givenFields = map[string]string{"rx1_delay": "3", "rx1_data_rate_offset": "DATA_RATE_OFFSET_1", "rx2_data_rate_index": "2", "rx2_frequency": "868500000"}

// told are the parameters that the network told the device.
var told = &session.Parameters{RX1Delay: 4, RX1DROffset: 2, RX2DataRate: 1, RX2Frequency: 868_700_000, ADRNbTrans: 2}

var windowFields = []struct {
	name       string
	otaa       bool
	parameters *session.Parameters
	settings   session.Settings
	fields     map[string]string
	want, join string
}{
	{"ABP", false, nil, session.Settings{}, givenFields, "3s +1 DR2 868500000", ""},
	{"ABP that was told others", false, told, session.Settings{}, givenFields, "3s +1 DR2 868500000", ""},
	{"ABP that was told others, one field", false, told, session.Settings{RX1DROffset: new(uint8(1))}, map[string]string{"rx1_delay": "1"}, "1s +2 DR1 868700000", ""},
	{"ABP, said again", false, told, session.Settings{RX1Delay: new(uint8(1))}, map[string]string{"rx1_delay": "1"}, "1s +2 DR1 868700000", ""},
	{"OTAA in its session", true, told, session.Settings{}, givenFields, "4s +2 DR1 868700000", "3s +1 DR2 868500000"},
	{
		"OTAA, said before", true, told,
		session.Settings{RX1Delay: new(uint8(1))},
		givenFields, "4s +2 DR1 868700000",
		"3s +1 DR2 868500000",
	},
	{"another field", true, told, session.Settings{RX1Delay: new(uint8(1))}, map[string]string{"name": "x"}, "4s +2 DR1 868700000", "5s +0 DR3 869525000"},
}

// A table can say the same of a device, and what is said of one that has a
// session is what it goes by, or what its next join tells it.
func TestWindowsOfFields(t *testing.T) {
	for _, tt := range windowFields {
		t.Run(tt.name, func(t *testing.T) {
			entries, err := Parse([]byte(otaaSession), Options{Application: "app1", AssumePlanDefaults: true})
			if err != nil {
				t.Fatal(err)
			}
			d := entries[0].Device
			d.SupportsJoin, d.Settings, d.Session.Parameters = tt.otaa, tt.settings, tt.parameters
			if _, err := SetFields(d, tt.fields, Options{AssumePlanDefaults: true}); err != nil {
				t.Fatal(err)
			}
			if got := windows(t, d); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
			if p := d.Session.Parameters; p != nil && p.ADRNbTrans != 2 {
				t.Errorf("the rest is lost: %+v", p)
			}
			if told.RX1Delay != 4 || told.RX1DROffset != 2 || told.RX2Frequency != 868_700_000 {
				t.Errorf("the parameters of before are another's: %+v", told)
			}
			if next, err := again(d); err != nil || windows(t, next) != tt.want {
				t.Errorf("after export and import: %v", err)
			}
			if tt.join == "" {
				return
			}
			plan, err := d.FrequencyPlan()
			if err != nil {
				t.Fatal(err)
			}
			p := d.JoinedParameters(plan, 5)
			d.Session.Parameters = &p
			if got := windows(t, d); got != tt.join {
				t.Errorf("after a join %s, want %s", got, tt.join)
			}
		})
	}
}

// A row of a table that joins is told by its next join what the table says; a
// session that the row has uses it.
func TestWindowsOfRows(t *testing.T) {
	key := strings.Repeat("1", 32)
	const head = "id;dev_eui;join_eui;lorawan_version;rx1_delay;app_key;dev_addr;app_s_key;f_nwk_s_int_key\n"
	entries, err := Parse([]byte(head+
		"abp;;;1.0.3;2;;01ABCDEF;"+key+";"+key+"\n"+
		"otaa;1111111111111111;0000000000000000;1.0.3;2;"+key+";;;\n"+
		"both;1111111111111112;0000000000000000;1.0.3;2;"+key+";01ABCDF0;"+key+";"+key+"\n"), opts)
	if err != nil {
		t.Fatal(err)
	}
	abp, otaa, both := entries[0].Device, entries[1].Device, entries[2].Device
	if got := windows(t, abp); got != "2s +0 DR0 869525000" {
		t.Errorf("ABP: %s", got)
	}
	if otaa.Settings.RX1Delay != nil || *otaa.Settings.Desired.RX1Delay != 2 {
		t.Errorf("OTAA: %+v", otaa.Settings)
	}
	if got := windows(t, both); got != "2s +0 DR0 869525000" || *both.Settings.Desired.RX1Delay != 2 {
		t.Errorf("OTAA with a session: %s", got)
	}
}

// Settings that a device has for nothing are told, with those that count.
func TestUnheededSettings(t *testing.T) {
	const device = `{"ids":{"device_id":"dev1","dev_eui":"0102030405060708","join_eui":"0000000000000000"},"lorawan_version":"MAC_V1_0_3",` +
		`"supports_join":true,"root_keys":{"app_key":{"key":"33333333333333333333333333333333"}},"mac_settings":{%s}}`
	for _, tt := range []struct{ settings, want string }{
		{`"rx1_delay":1`, "[rx1_delay: a device that joins goes by what its join tells it; desired_rx1_delay says what that is]"},
		{`"rx2_data_rate_index":1,"rx1_data_rate_offset":1`, "[rx1_data_rate_offset, rx2_data_rate_index: a device that joins goes by " +
			"what its join tells it; desired_rx1_data_rate_offset says what that is]"},
		{`"rx1_delay":1,"desired_rx1_delay":2`, "[rx1_delay: a device that joins goes by what its join tells it; desired_rx1_delay says what that is]"},
		{`"rx1_delay":1,"desired_rx1_delay":1`, "[]"},
		{`"rx2_frequency":"868500000"`, "[]"},
	} {
		entries, err := Parse(fmt.Appendf(nil, device, tt.settings), opts)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(entries[0].Warnings); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.settings, got, tt.want)
		}
	}
}

// Dwell times and the version of the regional parameters come from the file, and
// stay what they were when the device is written.
func TestRegionalParameters(t *testing.T) {
	for _, tt := range []struct {
		name, settings, state, want string
	}{
		{"nothing told", "", "", "PHY_V1_0_3_REV_A - - - -"},
		{"settings", `"uplink_dwell_time":true,"downlink_dwell_time":{"value":false}`, "", "PHY_V1_0_3_REV_A true false - -"},
		{"current", `"downlink_dwell_time":true`, `"rx1_delay":1,"downlink_dwell_time":false`, "PHY_V1_0_3_REV_A - true - false"},
	} {
		text := strings.Replace(otaaSession, `"session"`, `"mac_settings":{`+tt.settings+`},"mac_state":{"current_parameters":{`+tt.state+`}},"session"`, 1)
		entries, err := Parse([]byte(text), opts)
		if err != nil {
			t.Fatal(err)
		}
		next, err := again(entries[0].Device)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range []*session.Device{entries[0].Device, next} {
			word := func(v *bool) string {
				if v == nil {
					return "-"
				}
				return fmt.Sprint(*v)
			}
			s, p := d.Settings, d.Session.Parameters
			got := fmt.Sprint(d.RegionalParameters(), " ", word(s.UplinkDwell), " ", word(s.DownlinkDwell), " ",
				word(p.UplinkDwell), " ", word(p.DownlinkDwell))
			if got != tt.want {
				t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
			}
		}
	}
}
