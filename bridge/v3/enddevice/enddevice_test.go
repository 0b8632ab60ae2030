package enddevice

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"lorawand/bridge/session"
	"lorawand/bridge/v3/enddevice/charset"
	"lorawand/radio"
	"lorawand/radio/fuzztest"
)

var opts = Options{Application: "app1", Plan: "EU_863_870"}

// Seven devices as The Things Stack 3.32.1's command line printed them.
func TestExport(t *testing.T) {
	b, err := os.ReadFile("testdata/tts-export.json")
	if err != nil {
		t.Fatal(err)
	}
	entries, err := Parse(b, opts)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, fmt.Sprintf("%s line %d %v", e.Device.ID, e.Line, e.Warnings))
		if first := strings.Split(string(b), "\n")[e.Line-1]; first != "{" {
			t.Errorf("%v: line %d is %q", e.Device.ID, e.Line, first)
		}
	}
	got := strings.Join(names, "\n")
	for _, want := range []string{
		"app1/dev1 line 1 []", "app1/dev-abp line", "app1/dev11 line 523 []", "app1/dev-c line 550 []",
		"app1/dev-us line 575 []",
		"app1/dev-lmn line", "app1/dev-cay line",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s\nis not in\n%s", want, got)
		}
	}
	if len(entries) != 7 || strings.Count(got, "not served") != 0 {
		t.Errorf("%d devices:\n%s", len(entries), got)
	}

	checkExported(t, entries[0].Device)
	abp := entries[1].Device
	if abp.SupportsJoin || abp.Session.Heard || abp.Session.DevAddr.String() != "00ABCDE1" ||
		abp.Session.Parameters.RX1Delay != 1 || abp.Session.Parameters.RX2DataRate != 0 {
		t.Errorf("dev-abp %+v", abp.Session)
	}
	if v11 := entries[2].Device; v11.Version != session.V1_1 || v11.RootKeys.NwkKey.IsZero() || v11.Session != nil {
		t.Errorf("dev11 %+v", v11)
	}
	if lmn := entries[5].Device; lmn.Version != session.V1_0_4 || lmn.LastDevNonce != 100 || lmn.LastJoinNonce != 3 ||
		lmn.Session.FCntUp != 5 {
		t.Errorf("dev-lmn %+v", lmn)
	}
	if cay := entries[6].Device; !cay.Settings.ResetsFCnt || cay.Formatters.Up != "FORMATTER_CAYENNELPP" {
		t.Errorf("dev-cay %+v", cay.Settings)
	}
}

// checkExported checks dev1 of the export: an OTAA device with a session.
func checkExported(t *testing.T, d *session.Device) {
	t.Helper()
	if d.Version != session.V1_0_3 || d.Plan != "EU_863_870_TTN" || !d.SupportsJoin ||
		d.DevEUI.String() != "70B3D57ED0000001" || !d.HasJoinEUI {
		t.Errorf("dev1 %+v", d)
	}
	if len(d.UsedDevNonces) != 1 || d.UsedDevNonces[0] != 38351 || d.LastJoinNonce != 1 ||
		!strings.Contains(d.Formatters.UpParameter, "decodeUplink") {
		t.Errorf("dev1 nonces %v %d", d.UsedDevNonces, d.LastJoinNonce)
	}
	s := d.Session
	if s.DevAddr.String() != "011165D5" || !s.Heard || s.FCntUp != 2 || s.NFCntDown != 2 || s.AFCntDown != 2 ||
		len(s.KeyID) != 16 {
		t.Errorf("dev1 session %+v", s)
	}
	if text, _ := s.Keys.AppSKey.MarshalText(); string(text) != "96144C94CADF16E4DDA6FA19F8E7600D" {
		t.Errorf("app_s_key %s", text)
	}
	if text, _ := d.RootKeys.AppKey.MarshalText(); string(text) != "000102030405060708090A0B0C0D0E0F" {
		t.Errorf("app_key %s", text)
	}
	p := s.Parameters
	if p == nil || p.RX1Delay != 5 || p.RX2DataRate != 3 || p.RX2Frequency != 869_525_000 || len(p.Channels) != 8 ||
		p.MaxEIRP != 1600 || p.ADRDataRate != 5 {
		t.Fatalf("dev1 parameters %+v", p)
	}
	if c := p.Channels[3]; c != (session.Channel{
		UplinkFrequency: 867_100_000, DownlinkFrequency: 867_100_000,
		MaxDataRate: 5, Enabled: true,
	}) {
		t.Errorf("dev1 channel 3 %+v", c)
	}
}

const abp = `{"ids":{"device_id":"dev1","dev_eui":"0102030405060708"},"lorawan_version":"MAC_V1_0_3","frequency_plan_id":"EU_863_870",` +
	`"session":{"dev_addr":"01ABCDEF","keys":{"f_nwk_s_int_key":{"key":"11111111111111111111111111111111"},"app_s_key":{"key":"22222222222222222222222222222222"}}}}`

func change(old, to string) string {
	if !strings.Contains(abp, old) {
		panic(old)
	}
	return strings.Replace(abp, old, to, 1)
}

func TestForms(t *testing.T) {
	two := change("dev1", "dev2")
	for name, text := range map[string]string{
		"one": abp, "stream": abp + two, "lines": abp + "\n" + two + "\n\n", "array": "[" + abp + ",\n" + two + "]", "array, spaces": " \n[ " + abp + " , " + two + " ] \n",
		"arrays": "[" + abp + "]\n[" + two + "]", "mixed": abp + "[" + two + "]", "empty array too": "[]" + abp,
	} {
		entries, err := Parse([]byte(text), opts)
		want := strings.Count(text, "device_id")
		if err != nil || len(entries) != want {
			t.Errorf("%s: %d devices, %v; want %d", name, len(entries), err, want)
		}
		for _, e := range entries {
			if e.Device.ID.Application != "app1" {
				t.Errorf("%s: application %s", name, e.Device.ID.Application)
			}
		}
	}
	entries, err := Parse([]byte("\n\n"+abp+"\n"+two+"\n\n[\n"+change("dev1", "dev3")+",\n\n"+change("dev1", "dev4")+
		"\n]"), opts)
	if err != nil || fmt.Sprint(entries[0].Line, entries[1].Line, entries[2].Line, entries[3].Line) != "3 4 7 9" {
		t.Errorf("lines %+v, %v", entries, err)
	}
}

func TestLenient(t *testing.T) {
	for name, set := range map[string]string{
		"numbers":  `"rx1_delay":5,"rx1_data_rate_offset":1,"rx2_data_rate_index":3,"rx2_frequency":869525000`,
		"strings":  `"rx1_delay":"5","rx1_data_rate_offset":"1","rx2_data_rate_index":"3","rx2_frequency":"869525000"`,
		"names":    `"rx1_delay":"RX_DELAY_5","rx1_data_rate_offset":"DATA_RATE_OFFSET_1","rx2_data_rate_index":"DATA_RATE_3","rx2_frequency":"869525000"`,
		"wrapped":  `"rx1_delay":{"value":"RX_DELAY_5"},"rx1_data_rate_offset":{"value":1},"rx2_data_rate_index":{"value":"DATA_RATE_3"},"rx2_frequency":{"value":"869525000"}`,
		"with16":   `"rx1_delay":5,"rx1_data_rate_offset":1,"rx2_data_rate_index":3,"rx2_frequency":869525000,"supports_32_bit_f_cnt":{"value":false}`,
		"unknowns": `"rx1_delay":5,"rx1_data_rate_offset":1,"rx2_data_rate_index":3,"rx2_frequency":869525000,"ping_slot_periodicity":{"value":1},"x":[{}],"supports_32_bit_f_cnt":null`,
	} {
		text := change(`"session"`, `"mac_settings":{`+set+`,"factory_preset_frequencies":["868100000",868300000]},"session"`)
		entries, err := Parse([]byte(text), opts)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		s := entries[0].Device.Settings
		if *s.RX1Delay != 5 || *s.RX1DROffset != 1 || *s.RX2DataRate != 3 || *s.RX2Frequency != 869_525_000 ||
			len(s.Frequencies) != 2 || s.Counter16 != (name == "with16") {
			t.Errorf("%s: %+v", name, s)
		}
	}
	entries, err := Parse([]byte(change(`"session"`, `"mac_settings":{"rx2_data_rate_index":{},"resets_f_cnt":{"value":true}},"mac_state":{"recent_uplinks":[{"payload":{"mac_payload":{}}}]},"session"`)), opts)
	if err != nil {
		t.Fatal(err)
	}
	d := entries[0].Device
	if d.Settings.RX2DataRate == nil || *d.Settings.RX2DataRate != 0 || d.Settings.RX1Delay != nil ||
		!d.Settings.ResetsFCnt {
		t.Errorf("settings %+v", d.Settings)
	}
	if !d.Session.Heard || d.Session.FCntUp != 0 {
		t.Errorf("a first uplink with counter 0 was heard: %+v", d.Session)
	}
	k := d.Session.Keys
	if k.SNwkSIntKey != k.FNwkSIntKey || k.NwkSEncKey != k.FNwkSIntKey {
		t.Error("LoRaWAN 1.0 has one network key")
	}
	if entries, err := Parse([]byte(change(`,"frequency_plan_id":"EU_863_870"`, ``)), opts); err != nil || entries[0].Device.Plan != opts.Plan {
		t.Errorf("no plan: %v", err)
	}
}

func TestUnservedIsKept(t *testing.T) {
	for _, text := range []string{
		change("MAC_V1_0_3", "MAC_V9"), change("EU_863_870", "ISM_2400_3CH_DRAFT2"),
		change(`"session"`, `"supports_class_b":true,"multicast":true,"session"`),
	} {
		entries, err := Parse([]byte(text), opts)
		if err != nil || len(entries) != 1 || len(entries[0].Warnings) != 1 ||
			!errors.Is(entries[0].Device.Unserved(), session.ErrUnserved) {
			t.Errorf("%s: %+v, %v", text, entries, err)
		}
	}
}

func TestFaults(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"id":             {change("dev1", "Dev 1"), "Dev 1: device id"},
		"no id":          {change(`"device_id":"dev1",`, ``), "without ids.device_id"},
		"EUI":            {change("0102030405060708", "01020304"), "dev1: ids.dev_eui"},
		"DevAddr":        {change("01ABCDEF", "xyz"), "session.dev_addr"},
		"no DevAddr":     {change(`"dev_addr":"01ABCDEF",`, ``), "session.dev_addr: missing"},
		"key":            {change(strings.Repeat("2", 32), "2222"), "session.keys.app_s_key.key: a key has 32"},
		"no key":         {change(`,"app_s_key":{"key":"22222222222222222222222222222222"}`, ``), "without app_s_key"},
		"wrapped key":    {change(`{"key":"22222222222222222222222222222222"}`, `{"encrypted_key":"AA==","kek_label":"x"}`), "wrapped"},
		"no version":     {change(`"lorawan_version":"MAC_V1_0_3",`, ``), "lorawan_version: missing"},
		"no session":     {`{"ids":{"device_id":"dev1"},"lorawan_version":"MAC_V1_0_3"}`, "neither joins nor has a session"},
		"no root keys":   {`{"ids":{"device_id":"dev1","dev_eui":"0102030405060708","join_eui":"0102030405060708"},"lorawan_version":"MAC_V1_0_3","supports_join":true}`, "without root keys"},
		"channels":       {manyChannels("current"), "dev1: mac_state.current_parameters.channels: 97, at most 96"},
		"channels asked": {manyChannels("desired"), "channels: 97, at most 96"},
		"type":           {change(`"dev1"`, `7`), "ids.device_id: not a number"},
		"rx1_delay":      {change(`"session"`, `"mac_settings":{"rx1_delay":16},"session"`), "mac_settings.rx1_delay: 16, at most 15"},
		"power":          {change(`"session"`, `"mac_settings":{"desired_max_eirp":"DEVICE_EIRP_9"},"session"`), "mac_settings.desired_max_eirp: "},
		"number":         {change(`"session"`, `"mac_settings":{"rx1_delay":"soon"},"session"`), "not a number"},
		"negative":       {change(`"keys"`, `"last_f_cnt_up":-1,"keys"`), "not a number"},
		"counter":        {change(`"keys"`, `"last_f_cnt_up":4294967296,"keys"`), "session.last_f_cnt_up"},
		"nonce":          {change(`"session"`, `"used_dev_nonces":[65536],"session"`), "used_dev_nonces"},
		"base64":         {change(`"f_nwk`, `"session_key_id":"*","f_nwk`), "session_key_id"},
		"double wrapped": {change(`"session"`, `"last_dev_nonce":{"value":{"value":1}},"session"`), "not a number"},
		"not an object":  {`7`, "line 1"},
		"text":           {`hello`, "not JSON"},
		"cut off":        {abp[:len(abp)-5], "not JSON"},
		"array cut off":  {"[" + abp, "line 1"},
		"array, no end":  {"[" + abp + ",", "line 1"},
		"empty":          {"", "empty"},
		"empty array":    {"[]", "empty"},
	} {
		entries, err := Parse([]byte("\n"+tt.text), opts)
		if err == nil || len(entries) > 0 {
			t.Errorf("%s: taken: %+v", name, entries)
			continue
		}
		if want := strings.Replace(tt.want, "line 1", "line 2", 1); !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v\nwant %q in it", name, err, want)
		}
		if strings.Contains(err.Error(), strings.Repeat("1", 32)) {
			t.Errorf("%s: a key stands in %v", name, err)
		}
	}
	// All faults at once, and then nothing is taken.
	text := abp + "\n" + change("01ABCDEF", "x") + "\n" + change("dev1", "X") + "\n" + abp
	_, err := Parse([]byte(text), opts)
	if err == nil || !strings.Contains(err.Error(), "line 2: dev1") || !strings.Contains(err.Error(), "line 3: X") ||
		strings.Contains(err.Error(), "line 4") {
		t.Errorf("faults: %v", err)
	}
	if _, err = Parse([]byte(strings.Repeat(change("dev1", "X")+"\n", 1000)), opts); err == nil ||
		strings.Count(err.Error(), "\n") > maxFaults || !strings.Contains(err.Error(), "and 950 faults more") {
		t.Errorf("a thousand faults: %v", err)
	}
}

// hasZeroAddress reports whether a file may name the address 00000000.
func hasZeroAddress(b []byte) bool {
	text, err := charset.UTF8(b)
	if err != nil {
		return false
	}
	digits := strings.NewReplacer("-", "", ":", "", ".", "", "_", "").Replace(strings.Join(strings.Fields(string(text)),
		""))
	return strings.Contains(digits, "00000000") || strings.Contains(digits, `\u`)
}

// manyChannels is a device that has, or is to have, more channels than any band lays down.
func manyChannels(parameters string) string {
	channel := `{"uplink_frequency":"902300000","enable_uplink":true}`
	return strings.NewReplacer("EU_863_870", "US_902_928_FSB_2", `"session"`,
		`"mac_state":{"`+parameters+`_parameters":{"channels":[`+channel+strings.Repeat(","+channel, 96)+`]}},"session"`).Replace(abp)
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(manyChannels("current")))
	f.Add([]byte(manyChannels("desired")))
	f.Add([]byte(abp))
	f.Add([]byte("[" + abp + "," + change("dev1", "dev2") + "]\n" + abp))
	f.Add([]byte(change(`"session"`, `"mac_settings":{"rx1_delay":{"value":"RX_DELAY_5"},"rx2_frequency":"1"},"mac_state":{"current_parameters":{"channels":[{"uplink_frequency":"868100000"}]}},"session"`)))
	f.Add([]byte(`{"ids":{"device_id":"dev1","dev_eui":"0102030405060708","join_eui":"0102030405060708"},"lorawan_version":"MAC_V1_1","supports_join":true,"root_keys":{"app_key":{"key":"11111111111111111111111111111111"},"nwk_key":{"key":"11111111111111111111111111111111"}},"locations":{"user":{"latitude":1e3}},"used_dev_nonces":[1,"2"]}`))
	f.Add([]byte(ttsCSV))
	for _, tt := range oddTables {
		f.Add([]byte(tt.text))
	}
	f.Add([]byte(`{"end_devices":[` + abp + `]}`))
	f.Add([]byte("\ufeffid,dev_eui,join_eui,app_key,nwk_key,lorawan_version\n\"a\"\"b\",1111111111111111,,,,1.0.4\n"))
	f.Fuzz(fuzztest.Quick(func(t *testing.T, b []byte) {
		entries, err := Parse(b, opts)
		if err != nil {
			if len(entries) > 0 {
				t.Fatalf("%q: %d devices together with %v", b, len(entries), err)
			}
			return
		}
		for _, e := range entries {
			if err := e.Device.Check(); err != nil || e.Line < 1 {
				t.Fatalf("%q: line %d: %v", b, e.Line, err)
			}
			kept, err := session.MarshalDevice(e.Device)
			if err != nil {
				t.Fatalf("%q: cannot be kept: %v", b, err)
			}
			if _, err := session.UnmarshalDevice(kept); err != nil {
				t.Fatalf("%q: kept as %s: %v", b, kept, err)
			}
			if _, err := again(e.Device); err != nil {
				t.Fatalf("%q: %v", b, err)
			}
			if e.Device.Session != nil && e.Device.Session.DevAddr == (radio.DevAddr{}) && !hasZeroAddress(b) {
				t.Fatalf("%q: a session without DevAddr", b)
			}
		}
	}))
}
