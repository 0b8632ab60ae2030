package enddevice

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"lorawand/bridge/session"
)

// again writes a device and reads it back.
func again(d *session.Device) (*session.Device, error) {
	b, err := Append(nil, d, Form{Keys: true, Session: true})
	if err != nil {
		return nil, err
	}
	entries, err := Parse(b, Options{Application: d.ID.Application})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b, err)
	}
	second, err := Append(nil, entries[0].Device, Form{Keys: true, Session: true})
	if err != nil || !bytes.Equal(b, second) {
		return nil, fmt.Errorf("written as\n%s\nand then as\n%s, %w", b, second, err)
	}
	return entries[0].Device, nil
}

// A device that The Things Stack has exported is the same after it was written and read.
func TestWriteExport(t *testing.T) {
	b, err := os.ReadFile("testdata/tts-export.json")
	if err != nil {
		t.Fatal(err)
	}
	entries, err := Parse(b, opts)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		d, err := again(e.Device)
		if err != nil {
			t.Error(err)
			continue
		}
		if !reflect.DeepEqual(d, e.Device) {
			t.Errorf("%v\n%+v\n%+v", d.ID, d, e.Device)
		}
	}
	// The members that matter stand where and as The Things Stack has them.
	var theirs, ours map[string]any
	if err := json.NewDecoder(bytes.NewReader(b)).Decode(&theirs); err != nil {
		t.Fatal(err)
	}
	text, err := Append(nil, entries[0].Device, Form{Keys: true, Session: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &ours); err != nil {
		t.Fatal(err)
	}
	contained(t, "", ours, theirs)
}

// contained checks that all of ours stands in theirs.
func contained(t *testing.T, path string, ours, theirs any) {
	t.Helper()
	if m, ok := ours.(map[string]any); ok {
		them, _ := theirs.(map[string]any)
		for k, v := range m {
			contained(t, path+"."+k, v, them[k])
		}
		return
	}
	if !reflect.DeepEqual(ours, theirs) {
		t.Errorf("%s: %v, they have %v", path, ours, theirs)
	}
}

func TestForm(t *testing.T) {
	b, err := os.ReadFile("testdata/tts-export.json")
	if err != nil {
		t.Fatal(err)
	}
	entries, err := Parse(b, opts)
	if err != nil {
		t.Fatal(err)
	}
	otaa, abp := entries[0].Device, entries[1].Device
	for _, tt := range []struct {
		name      string
		d         *session.Device
		form      Form
		with, not []string
	}{
		{"registration", otaa, Form{Keys: true}, []string{`"root_keys"`, `"used_dev_nonces":[38351]`, `"last_join_nonce":1`}, []string{`"session"`, `"mac_state"`, "011165D5"}},
		{"without keys", otaa, Form{Session: true}, []string{`"last_f_cnt_up":2`, `"dev_addr":"011165D5"`}, []string{"000102030405060708090A0B0C0D0E0F", "96144C94CADF16E4DDA6FA19F8E7600D", "B7E59C8D"}},
		{"hand-over", otaa, Form{Keys: true, Session: true}, []string{`"last_n_f_cnt_down":2`, `"last_a_f_cnt_down":2`, `"last_f_cnt_up":2`, `"session_key_id":"AaICGS8nuqdwZIoklCk0dA=="`}, nil},
		{"ABP", abp, Form{Keys: true}, []string{`"dev_addr":"00ABCDE1"`, "11111111111111111111111111111111"}, []string{"supports_join"}},
	} {
		got, err := Append(nil, tt.d, tt.form)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range tt.with {
			if !strings.Contains(string(got), want) {
				t.Errorf("%s: %s is not in\n%s", tt.name, want, got)
			}
		}
		for _, no := range tt.not {
			if strings.Contains(string(got), no) {
				t.Errorf("%s: %s is in\n%s", tt.name, no, got)
			}
		}
		if bytes.Contains(got, []byte("\n")) || bytes.Contains(got, []byte(`\u003c`)) {
			t.Errorf("%s: %s", tt.name, got)
		}
	}
	// A counter that is reserved counts as used.
	otaa.Session.NStored, otaa.Session.AStored = 100, 100
	if got, _ := Append(nil, otaa, Form{Session: true}); !strings.Contains(string(got), `"last_n_f_cnt_down":100`) {
		t.Errorf("reserved counters: %s", got)
	}
}

// A device that has joined here goes on elsewhere with all that it was told.
func TestWriteJoined(t *testing.T) {
	entries, err := Parse([]byte(otaaSession), Options{Application: "app1", AssumePlanDefaults: true})
	if err != nil {
		t.Fatal(err)
	}
	d := entries[0].Device
	p := d.Session.Parameters
	if p == nil || p.RX1Delay != 5 || p.RX2DataRate != 3 || p.RX2Frequency != 869_525_000 {
		t.Fatalf("parameters %+v", p)
	}
	got, err := again(d)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Session.Parameters.Channels) != 8 || got.Session.Parameters.Channels[3].UplinkFrequency != 867_100_000 ||
		got.PHYVersion != "PHY_V1_0_3_REV_A" {
		t.Errorf("%+v", got.Session.Parameters)
	}
	// The first uplink, which has counter 0, is known to have been heard.
	d.Session.Heard, d.Session.FCntUp = true, 0
	if got, err = again(d); err != nil || !got.Session.Heard {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := Parse([]byte(otaaSession), opts); err == nil || !strings.Contains(err.Error(),
		"line 1: dev1: session without mac_state") || !strings.Contains(err.Error(), "--assume-plan-defaults") {
		t.Errorf("without mac_state: %v", err)
	}
	w := strings.Replace(otaaSession, `"supports_join"`, `"mac_settings":{"desired_rx1_delay":2,"desired_rx1_data_rate_offset":1,"desired_rx2_data_rate_index":0},"supports_join"`, 1)
	entries, err = Parse([]byte(w), Options{Application: "app1", AssumePlanDefaults: true})
	if err != nil {
		t.Fatal(err)
	}
	if p := entries[0].Device.Session.Parameters; p.RX1Delay != 2 || p.RX1DROffset != 1 || p.RX2DataRate != 0 {
		t.Errorf("the owner's wishes: %+v", p)
	}
}

const otaaSession = `{"ids":{"device_id":"dev1","dev_eui":"0102030405060708","join_eui":"0000000000000000"},"lorawan_version":"MAC_V1_0_3","frequency_plan_id":"EU_863_870_TTN",` +
	`"supports_join":true,"root_keys":{"app_key":{"key":"33333333333333333333333333333333"}},` +
	`"session":{"dev_addr":"01ABCDEF","keys":{"f_nwk_s_int_key":{"key":"11111111111111111111111111111111"},"app_s_key":{"key":"22222222222222222222222222222222"}},"last_f_cnt_up":7}}`

const ttsCSV = "id;dev_eui;join_eui;name;frequency_plan_id;lorawan_version;lorawan_phy_version;brand_id;app_key;" +
	"rx1_delay;supports_32_bit_f_cnt;supports_class_c;vendor_id" + `
dev-1;1111111111111111;70B3D57ED0000000;"Kitchen; left ""A""";EU_863_870_TTN;MAC_V1_0_4;RP002_V1_0_3;acme;11111111111111111111111111111111;RX_DELAY_5;false;false;7
dev-2;2222222222222222;70b3d57ed0000000;;;1.0.3;;;22222222222222222222222222222222;;;TRUE;
;3333333333333333;70B3D57ED0000000;"two
lines";EU_863_870;MAC_V1_0_2;;;33333333333333333333333333333333;1;;;
`

func TestCSV(t *testing.T) {
	entries, err := Parse([]byte(ttsCSV), opts)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 3 || entries[0].Line != 2 || entries[1].Line != 3 || entries[2].Line != 4 {
		t.Fatalf("%+v", entries)
	}
	one, two, three := entries[0].Device, entries[1].Device, entries[2].Device
	if one.ID != (session.ID{Application: "app1", Device: "dev-1"}) || one.DevEUI.String() != "1111111111111111" ||
		one.JoinEUI.String() != "70B3D57ED0000000" || !one.HasJoinEUI ||
		one.Name != `Kitchen; left "A"` || one.Plan != "EU_863_870_TTN" || one.Version != session.V1_0_4 ||
		one.VersionIDs.Brand != "acme" || !one.SupportsJoin ||
		one.Settings.RX1Delay != nil || *one.Settings.Desired.RX1Delay != 5 || !one.Settings.Counter16 || one.ClassC {
		t.Errorf("%+v", one)
	}
	if two.Version != session.V1_0_3 || two.Plan != opts.Plan || !two.ClassC || two.Settings.Counter16 ||
		len(entries[1].Warnings) != 0 {
		t.Errorf("%+v %v", two, entries[1].Warnings)
	}
	if three.ID.Device != "eui-3333333333333333" || three.Name != "two\nlines" || *three.Settings.Desired.RX1Delay != 1 {
		t.Errorf("%+v", three)
	}
}

// The other separator, ABP, LoRaWAN 1.1, and what spreadsheets add.
func TestPlainCSV(t *testing.T) {
	text := "\ufeffDevice_ID, Dev_EUI " +
		",app_eui,lorawan_version,dev_addr,nwk_s_key,app_s_key,s_nwk_s_int_key,nwk_s_enc_key," +
		"last_f_cnt_up,last_n_f_cnt_down,last_a_f_cnt_down,resets_f_cnt,colour\r\n" +
		"abp-1,,,1.0.3,01ABCDEF," + strings.Repeat("1", 32) + "," + strings.Repeat("2", 32) + ",,,12,5,9,true,red\r\n" +
		"abp-2,,,1.1.0,01ABCDF0," + strings.Repeat("1", 32) + "," + strings.Repeat("2", 32) + "," + strings.Repeat("3", 32) +
		"," + strings.Repeat("4", 32) + ",,5,9,,\r\n"
	entries, err := Parse([]byte(text), opts)
	if err != nil {
		t.Fatal(err)
	}
	s := entries[0].Device.Session
	if s.DevAddr.String() != "01ABCDEF" || !s.Heard || s.FCntUp != 12 || s.NFCntDown != 9 || s.AFCntDown != 9 ||
		s.Keys.NwkSEncKey != s.Keys.FNwkSIntKey || !entries[0].Device.Settings.ResetsFCnt {
		t.Errorf("1.0: %+v", s)
	}
	s = entries[1].Device.Session
	if s.Heard || s.NFCntDown != 5 || s.AFCntDown != 9 || s.Keys.NwkSEncKey == s.Keys.FNwkSIntKey ||
		s.Keys.SNwkSIntKey == s.Keys.FNwkSIntKey {
		t.Errorf("1.1: %+v", s)
	}
	o := opts
	o.Version = "1.0.4"
	entries, err = Parse([]byte("dev_eui,join_eui,app_key\n1111111111111111,0000000000000000,"+strings.Repeat("1", 32)+
		"\n"), o)
	if err != nil || entries[0].Device.Version != session.V1_0_4 || !entries[0].Device.HasJoinEUI {
		t.Errorf("the shortest: %+v, %v", entries, err)
	}
}

func TestCSVFaults(t *testing.T) {
	const head = "id;dev_eui;join_eui;lorawan_version;app_key\n"
	key := strings.Repeat("1", 32)
	for name, tt := range map[string]struct{ text, want string }{
		"no known column": {"a;b\n1;2\n", "line 1: no end devices: not JSON, and not CSV"},
		"only a header":   {head, "the file is empty"},
		"fields":          {head + "dev1;1111111111111111\n", "line 2: wrong number of fields"},
		"quote":           {head + "dev1;\"111;0000000000000000;1.0.3;" + key + "\n", "line 2: "},
		"EUI":             {head + "dev1;11;0000000000000000;1.0.3;" + key + "\n", "line 2: dev1: dev_eui: malformed identifier"},
		"key":             {head + "dev1;1111111111111111;0000000000000000;1.0.3;" + key + "1\n", "line 2: dev1: app_key: a key has 32"},
		"no key": {
			head + "dev1;1111111111111111;0000000000000000;1.0.3;\n",
			"line 2: dev1: not a usable device: neither joins nor has a session",
		},
		"no join_eui": {head + "dev1;1111111111111111;;1.0.3;" + key + "\n", "without a join_eui"},
		"no version":  {head + "dev1;1111111111111111;0000000000000000;;" + key + "\n", "dev1: lorawan_version: missing"},
		"no id":       {head + ";;0000000000000000;1.0.3;" + key + "\n", "line 2: without id and dev_eui"},
		"id":          {head + "Dev 1;1111111111111111;0000000000000000;1.0.3;" + key + "\n", "line 2: Dev 1: device id"},
		"Latin letters": {
			head + "dev1;\xff;0000000000000000;1.0.3;" + key + "\n",
			"line 2: dev1: dev_eui: malformed identifier",
		},
		"delay":   {"id;rx1_delay\ndev1;16\n", "rx1_delay: \"16\", must be 1 to 15"},
		"boolean": {"id;supports_class_c\ndev1;maybe\n", "supports_class_c: \"maybe\", must be true or false"},
		"counter": {"id;last_f_cnt_up\ndev1;4294967296\n", "last_f_cnt_up: \"4294967296\", must be 0 to"},
		"session": {"id;dev_eui;join_eui;lorawan_version;app_key;dev_addr;app_s_key;f_nwk_s_int_key\ndev1;1111111111111111;0000000000000000;1.0.3;" + key + ";01ABCDEF;" + key + ";" + key + "\n", "session without mac_state"},
		"all":     {head + "a;;;;\n\ndev1;11;;;\ndev2;;;1.0.3;\n", "line 4: dev1"},
	} {
		entries, err := Parse([]byte(tt.text), opts)
		if err == nil || len(entries) > 0 || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %+v, %v\nwant %s", name, entries, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), key) {
			t.Errorf("%s: a key stands in %v", name, err)
		}
	}
}

func TestSetFields(t *testing.T) {
	d := &session.Device{ID: session.ID{Application: "app1", Device: "dev1"}}
	fields := map[string]string{"dev_eui": "1111111111111111", "join_eui": "0000000000000000", "app_key": strings.Repeat("1", 32)}
	o := Options{Plan: "EU_863_870", Version: "1.0.3"}
	if _, err := SetFields(d, fields, o); err != nil || !d.SupportsJoin || d.Version != session.V1_0_3 ||
		d.Plan != "EU_863_870" {
		t.Errorf("%+v, %v", d, err)
	}
	if _, err := SetFields(d, map[string]string{"name": ""}, o); err != nil || d.Name != "" {
		t.Errorf("an empty name: %v", err)
	}
	if _, err := SetFields(d, map[string]string{"colour": "red"}, o); err == nil || !strings.Contains(err.Error(), `no such field: "colour"`) {
		t.Errorf("%v", err)
	}
	if _, err := SetFields(d, map[string]string{"dev_eui": ""}, o); err == nil {
		t.Error("an empty DevEUI is taken")
	}
}
