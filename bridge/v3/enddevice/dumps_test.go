package enddevice

import (
	"fmt"
	"strings"
	"testing"

	"lorawand/bridge/session"
)

// Devices stand in wrappers of the HTTP API too, each with its line.
func TestWrappers(t *testing.T) {
	one, two, three := abp, change("dev1", "dev2"), change("dev1", "dev3")
	for _, tt := range []struct{ name, text, want string }{
		{"one", `{"end_device":` + one + `}`, "dev1 1"},
		{"one, with more", "{\"field_mask\":{\"paths\":[\"ids\"]},\n \"end_device\" :\n" + one + ",\"x\":[1]}", "dev1 3"},
		{"a list", "{\"end_devices\":[\n" + one + ",\n\n" + two + "\n]}", "dev1 2 dev2 4"},
		{"lists", "{\"end_devices\":[" + one + "]}\n{\"end_devices\":[" + two + "," + three + "]}\n", "dev1 1 dev2 2 dev3 2"},
		{"both", `{"end_device":` + one + `,"end_devices":[` + two + `]}`, "dev1 1 dev2 1"},
		{"in an array", "[{\"end_device\":" + one + "},\n{\"end_device\":" + two + "}]", "dev1 1 dev2 2"},
		{"an empty list", `{"end_devices":[]}` + one, "dev1 1"},
		{"a device with a strange member", change(`"ids"`, `"end_device":{},"ids"`), "dev1 1"},
		{"no list", `{"end_devices":{}}`, "line 1: no end devices: end_devices: not a list"},
		{"nothing", `{"end_devices":[]}`, "the file is empty"},
		{"a list of nothing", `{"end_devices":[7]}`, "line 1"},
		{"a fault", "{\"end_devices\":[\n" + one + ",\n" + change("dev1", "Dev 1") + "]}", "line 3: Dev 1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			entries, err := Parse([]byte(tt.text), opts)
			if err != nil {
				if !strings.Contains(err.Error(), tt.want) {
					t.Errorf("%v, want %s", err, tt.want)
				}
				return
			}
			var got []string
			for _, e := range entries {
				got = append(got, fmt.Sprintf("%s %d", e.Device.ID.Device, e.Line))
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("%v, want %s", got, tt.want)
			}
		})
	}
}

// Enumerations may be names or numbers, and may be wrapped as everything may.
func TestEnumerations(t *testing.T) {
	const names = `"lorawan_version":"MAC_V1_0_3","lorawan_phy_version":"PHY_V1_0_3_REV_A","formatters":{"up_formatter":"FORMATTER_CAYENNELPP","down_formatter":"FORMATTER_JAVASCRIPT"},` +
		`"locations":{"user":{"latitude":1,"source":"SOURCE_REGISTRY"}},"mac_state":{"current_parameters":{"rx1_delay":5,"max_duty_cycle":"DUTY_CYCLE_64",` +
		`"rejoin_time_periodicity":"REJOIN_TIME_5","adr_ack_limit_exponent":"ADR_ACK_LIMIT_64","adr_ack_delay_exponent":"ADR_ACK_DELAY_32"}}`
	wrapped := func(value string) string {
		return strings.NewReplacer(`"MAC_V1_0_3"`, `{"value":5}`, `"PHY_V1_0_3_REV_A"`, `{"value":"PHY_V1_0_3_REV_A"}`, `"DUTY_CYCLE_64"`, `{"value":6}`,
			`"ADR_ACK_LIMIT_64"`, `{"value":"ADR_ACK_LIMIT_64"}`, `"ADR_ACK_DELAY_32"`, `{"value":5}`, `"rx1_delay":5`, `"rx1_delay":{"value":"RX_DELAY_5"}`).Replace(value)
	}
	numbers := strings.NewReplacer(`"MAC_V1_0_3"`, "5", `"PHY_V1_0_3_REV_A"`, "7", `"FORMATTER_CAYENNELPP"`, "4",
		`"FORMATTER_JAVASCRIPT"`, "3", `"SOURCE_REGISTRY"`, "3",
		`"DUTY_CYCLE_64"`, "6", `"REJOIN_TIME_5"`, "5", `"ADR_ACK_LIMIT_64"`, "6", `"ADR_ACK_DELAY_32"`, "5").Replace(names)
	text := func(rest string) string { return change(`"lorawan_version":"MAC_V1_0_3"`, rest) }
	want := ""
	for i, rest := range []string{names, numbers, wrapped(names)} {
		entries, err := Parse([]byte(text(rest)), opts)
		if err != nil {
			t.Fatalf("%s: %v", rest, err)
		}
		b, err := Append(nil, entries[0].Device, Form{Keys: true})
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			want = string(b)
		}
		if string(b) != want {
			t.Errorf("%s is written as\n%s, want\n%s", rest, b, want)
		}
	}
	// A version that is told to be none is none.
	for _, phy := range []string{`0`, `"PHY_UNKNOWN"`, `""`, `null`, `{}`} {
		entries, err := Parse([]byte(text(`"lorawan_version":"MAC_V1_0_3","lorawan_phy_version":`+phy)), opts)
		if err != nil || entries[0].Device.PHYVersionName() != "PHY_V1_0_3_REV_A" {
			t.Errorf("lorawan_phy_version %s: %v", phy, err)
		}
	}
	for _, rest := range []string{
		`"lorawan_version":99`, `"lorawan_version":-1`, `"lorawan_version":1.5`, `"lorawan_version":true`, `"lorawan_version":{"value":[]}`, `"lorawan_phy_version":99`,
		`"lorawan_version":{"value":{"value":5}}`, `"lorawan_version":"MAC_V1_0_3","formatters":{"up_formatter":9}`,
	} {
		if _, err := Parse([]byte(text(rest)), opts); err == nil || !strings.Contains(err.Error(), "line 1: dev1") {
			t.Errorf("%s: %v", rest, err)
		}
	}
	if entries, err := Parse([]byte(text(`"lorawan_version":"MAC_V1_0_3","supports_class_c":{"value":true},"multicast":{},"resets_join_nonces":null`)), opts); err != nil || !entries[0].Device.ClassC {
		t.Errorf("wrapped bools: %v", err)
	}
}

// The session fields of a device that has not joined yet are no session.
func TestNeverJoined(t *testing.T) {
	const lost = "its session has no keys and is left out"
	for _, tt := range []struct{ name, rest, note string }{
		{"no session", `"used_dev_nonces":[]`, ""},
		{"null", `"session":null,"mac_state":null`, ""},
		{"empty", `"session":{},"mac_state":{}`, ""},
		{"empty keys", `"session":{"keys":{}},"mac_state":{"lorawan_version":"MAC_V1_0_3"}`, ""},
		{"zeros", `"session":{"dev_addr":"00000000","keys":{"app_s_key":{"key":"00000000000000000000000000000000"},"f_nwk_s_int_key":{}},"last_f_cnt_up":0}`, ""},
		{"pending", `"session":{"dev_addr":"00000000"},"pending_session":{"dev_addr":"01ABCDEF"},"last_dev_nonce":0,"last_join_nonce":0`, ""},
		{"keys not exported", `"session":{"dev_addr":"01ABCDEF","last_f_cnt_up":7}`, lost},
	} {
		for _, told := range []string{`"supports_join":true,`, ""} {
			text := `{"ids":{"device_id":"dev1","dev_eui":"0102030405060708","join_eui":"0000000000000000"},"lorawan_version":"MAC_V1_0_3",` + told +
				`"root_keys":{"app_key":{"key":"33333333333333333333333333333333"}},` + tt.rest + `}`
			entries, err := Parse([]byte(text), opts)
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
				continue
			}
			if d := entries[0].Device; !d.SupportsJoin || d.Session != nil || strings.Contains(fmt.Sprint(entries[0].Warnings),
				lost) != (tt.note != "") {
				t.Errorf("%s: %+v, %q", tt.name, d, entries[0].Warnings)
			}
		}
	}
}

// Below LoRaWAN 1.1 there is one root key, whatever it is called.
func TestRootKeys(t *testing.T) {
	const app, nwk = `"app_key":{"key":"11111111111111111111111111111111"}`, `"nwk_key":{"key":"22222222222222222222222222222222"}`
	for _, tt := range []struct {
		version, keys string
		want          byte // first byte of the AppKey; 0 is a refusal
		note          bool
	}{
		{"MAC_V1_0_3", app, 0x11, false},
		{"MAC_V1_0_3", app + "," + nwk, 0x11, false},
		{"MAC_V1_0_3", nwk, 0x22, true},
		{"MAC_V1_0", nwk, 0x22, true},
		{"MAC_V1_0_4", nwk, 0x22, true},
		{"MAC_V1_1", app + "," + nwk, 0x11, false},
		{"MAC_V1_1", app, 0, false},
	} {
		text := `{"ids":{"device_id":"dev1","dev_eui":"0102030405060708","join_eui":"0000000000000000"},"lorawan_version":"` + tt.version + `","supports_join":true,"root_keys":{` + tt.keys + `}}`
		entries, err := Parse([]byte(text), opts)
		if tt.want == 0 {
			if err == nil {
				t.Errorf("%s with %s is taken", tt.version, tt.keys)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s with %s: %v", tt.version, tt.keys, err)
			continue
		}
		d := entries[0].Device
		if noted := strings.Contains(fmt.Sprint(entries[0].Warnings),
			"nwk_key is taken as app_key"); d.RootKeys.AppKey[0] != tt.want || noted != tt.note {
			t.Errorf("%s with %s: %v, %q", tt.version, tt.keys, d.RootKeys, entries[0].Warnings)
		}
		if _, err := again(d); err != nil {
			t.Error(err)
		}
	}
	d := &session.Device{ID: session.ID{Application: "app1", Device: "dev1"}}
	notes, err := SetFields(d, map[string]string{"dev_eui": "1111111111111111", "join_eui": "0000000000000000", "nwk_key": strings.Repeat("2", 32)}, Options{Version: "1.0.3"})
	if err != nil || len(notes) != 1 || d.RootKeys.AppKey[0] != 0x22 {
		t.Errorf("fields: %v, %q, %v", d.RootKeys, notes, err)
	}
}
