//go:build !small

package enddevice

import (
	"fmt"
	"strings"
	"testing"

	"lorawand/bridge/session"
	"lorawand/radio/fuzztest"
)

// Answers of ChirpStack 4 over HTTP, with all members as its proxy writes them.
const (
	answerDevice = `{"device":{"devEui":"0102030405060708","name":"Meter","description":"left","applicationId":"0b5f2f1e-7a55-4a4b-9b3e-1d1f5f1c2a01",` +
		`"deviceProfileId":"p1","skipFcntCheck":false,"isDisabled":false,"variables":{},"tags":{"site":"north"},"joinEui":"70b3d57ed0000000"},` +
		`"createdAt":"2026-11-01T10:00:00Z","updatedAt":"2026-11-01T10:00:00Z","lastSeenAt":"2026-11-20T10:00:00Z","deviceStatus":null,"classEnabled":"CLASS_A"}`
	answerKeys = `{"deviceKeys":{"devEui":"0102030405060708","nwkKey":"33333333333333333333333333333333","appKey":"00000000000000000000000000000000"},"createdAt":null,"updatedAt":null}`
	answerAt   = `{"deviceActivation":{"devEui":"0102030405060708","devAddr":"01abcdef","appSKey":"22222222222222222222222222222222",` +
		`"nwkSEncKey":"11111111111111111111111111111111","sNwkSIntKey":"11111111111111111111111111111111","fNwkSIntKey":"11111111111111111111111111111111",` +
		`"fCntUp":8,"nFCntDown":4,"aFCntDown":4},"joinServerContext":null}`
	answerProfile = `{"deviceProfile":{"id":"p1","tenantId":"t1","name":"meters","region":"EU868","macVersion":"LORAWAN_1_0_3","regParamsRevision":"A","adrAlgorithmId":"default",` +
		`"payloadCodecRuntime":"CAYENNE_LPP","payloadCodecScript":"","uplinkInterval":3600,"deviceStatusReqInterval":1,"supportsOtaa":true,"supportsClassB":false,"supportsClassC":false,` +
		`"classBTimeout":0,"abpRx1Delay":0,"abpRx1DrOffset":0,"abpRx2Dr":0,"abpRx2Freq":0,"tags":{},"regionConfigId":"","rx1Delay":0},"createdAt":null,"updatedAt":null}`
	// The same device in version 3 of the API, where NwkKey is the AppKey too.
	answersOf3 = `{"device":{"devEUI":"0102030405060708","name":"Meter","applicationID":"1","description":"left","deviceProfileID":"p1","skipFCntCheck":false,"tags":{"site":"north"}},"lastSeenAt":null}
{"deviceKeys":{"devEUI":"0102030405060708","nwkKey":"33333333333333333333333333333333","appKey":"00000000000000000000000000000000","genAppKey":"00000000000000000000000000000000"}}
{"deviceActivation":{"devEUI":"0102030405060708","devAddr":"01abcdef","appSKey":"22222222222222222222222222222222","nwkSEncKey":"11111111111111111111111111111111",` +
		`"sNwkSIntKey":"11111111111111111111111111111111","fNwkSIntKey":"11111111111111111111111111111111","fCntUp":8,"nFCntDown":4,"aFCntDown":4}}
{"deviceProfile":{"id":"p1","name":"meters","supportsClassB":false,"supportsClassC":false,"macVersion":"1.0.3","regParamsRevision":"A","rxDelay1":0,"supportsJoin":true,"rfRegion":"EU868",` +
		`"payloadCodec":"CAYENNE_LPP"}}`
)

const allAnswers = answerDevice + "\n" + answerKeys + "\n" + answerAt + "\n" + answerProfile

// summary says what of an imported device decides whether it is heard, and hears.
func summary(t *testing.T, d *session.Device) string {
	t.Helper()
	keys := func(k interface{ MarshalText() ([]byte, error) }) string {
		text, _ := k.MarshalText()
		return string(text[:2])
	}
	out := fmt.Sprintf("%s %v %s %s join %v", d.ID.Device, d.Version, d.PHYVersionName(), d.Plan, d.SupportsJoin)
	if d.SupportsJoin {
		out += fmt.Sprintf(" %v app %s nwk %s", d.JoinEUI, keys(d.RootKeys.AppKey), keys(d.RootKeys.NwkKey))
	}
	if s := d.Session; s != nil {
		out += fmt.Sprintf("; %v up %d %v down %d %d keys %s %s %s %s; %s", s.DevAddr, s.FCntUp, s.Heard, s.NFCntDown,
			s.AFCntDown, keys(s.Keys.FNwkSIntKey), keys(s.Keys.SNwkSIntKey), keys(s.Keys.NwkSEncKey), keys(s.Keys.AppSKey),
			windows(t, d))
	}
	return out
}

// What becomes of the device of the answers, and its session.
const (
	answered   = "eui-0102030405060708 1.0.3 PHY_V1_0_3_REV_A EU_863_870 join true 70B3D57ED0000000 app 33 nwk 00"
	answeredAt = "; 01ABCDEF up 7 true down 3 3 keys 11 11 11 22; 1s +0 DR0 869525000"
)

// answersWith returns the answers with some texts replaced, each of which is in them.
func answersWith(pairs ...string) string {
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(allAnswers, pairs[i]) {
			panic(pairs[i])
		}
	}
	return strings.NewReplacer(pairs...).Replace(allAnswers)
}

var chirpStackFiles = []struct{ name, text, want string }{
	{"all answers", allAnswers, answered + answeredAt},
	{"in another order", answerProfile + answerAt + answerDevice + answerKeys, answered + answeredAt},
	{
		"in an array", "[" + answerDevice + "," + answerKeys + "," + answerAt + "," + answerProfile + "]",
		answered + answeredAt,
	},
	{"in one object", strings.NewReplacer("}\n{", ",").Replace(answersWith(`,"createdAt":null,"updatedAt":null}`, "}",
		`"createdAt":"2026-11-01T10:00:00Z","updatedAt":"2026-11-01T10:00:00Z",`, "")), answered + answeredAt},
	{"names with underscores", answersWith("devEui", "dev_eui", "nwkKey", "nwk_key",
		"deviceProfileId", "device_profile_id", "joinEui", "join_eui",
		"fCntUp", "f_cnt_up", "nFCntDown", "n_f_cnt_down", "macVersion", "mac_version",
		`"deviceActivation"`, `"device_activation"`), answered + answeredAt},
	{"numbers for enumerations", answersWith(`"EU868"`, "0", `"LORAWAN_1_0_3"`, "3", `"regParamsRevision":"A"`, `"regParamsRevision":0`), answered + answeredAt},
	{"gRPC, which leaves out what is 0", answersWith(`"region":"EU868",`, "", `"regParamsRevision":"A",`, ""), answered + answeredAt},
	{"version 3", answersOf3, strings.Replace(answered, "70B3D57ED0000000", "0A0B0C0D0E0F0001", 1) + answeredAt},
	{"no session yet", answerDevice + answerKeys + answerProfile + `{"deviceActivation":null,"joinServerContext":null}`, answered},
	{"a session of zeros", answersWith("01abcdef", "00000000"), answered},
	{
		"only the first frame", answersWith(`"fCntUp":8`, `"fCntUp":1`, `"nFCntDown":4,"aFCntDown":4`, `"nFCntDown":0,"aFCntDown":0`),
		answered + strings.Replace(strings.Replace(answeredAt, "up 7", "up 0", 1), "down 3 3", "down 0 0", 1),
	},
	{"no frame", answersWith(`"fCntUp":8`, `"fCntUp":0`), answered + strings.Replace(answeredAt, "up 7 true", "up 0 false", 1)},
	{"a longer RX1 delay", answersWith(`"rx1Delay":0`, `"rx1Delay":3`), answered + strings.Replace(answeredAt, "1s", "3s", 1)},
	{
		"LoRaWAN 1.1", answersWith("LORAWAN_1_0_3", "LORAWAN_1_1_0", `"regParamsRevision":"A"`, `"regParamsRevision":"B"`,
			`"appKey":"00000000000000000000000000000000"`, `"appKey":"44444444444444444444444444444444"`, `"nFCntDown":4,"aFCntDown":4`, `"nFCntDown":4,"aFCntDown":9`),
		strings.NewReplacer("1.0.3", "1.1", "V1_0_3_REV_A", "V1_1_REV_B", "app 33 nwk 00", "app 44 nwk 33").
			Replace(answered) + strings.Replace(answeredAt, "down 3 3", "down 3 8", 1),
	},
	{
		"LoRaWAN 1.0.4", answersWith("LORAWAN_1_0_3", "LORAWAN_1_0_4", `"regParamsRevision":"A"`, `"regParamsRevision":"RP002_1_0_3"`),
		strings.NewReplacer("1.0.3", "1.0.4", "PHY_V1_0_3_REV_A", "RP002_V1_0_3").Replace(answered) + answeredAt,
	},
	{
		"US915", answersWith(`"EU868"`, `"US915"`, `"regionConfigId":""`, `"regionConfigId":"us915_1"`),
		strings.Replace(answered, "EU_863_870", "US_902_928_FSB_2", 1) +
			strings.Replace(answeredAt, "DR0 869525000", "DR8 923300000", 1),
	},
	{"ABP", answersWith(`"supportsOtaa":true`, `"supportsOtaa":false`, `"abpRx1Delay":0,"abpRx1DrOffset":0,"abpRx2Dr":0,"abpRx2Freq":0`,
		`"abpRx1Delay":2,"abpRx1DrOffset":1,"abpRx2Dr":3,"abpRx2Freq":868500000`), "eui-0102030405060708 1.0.3 PHY_V1_0_3_REV_A EU_863_870 join false" +
		strings.Replace(answeredAt, "1s +0 DR0 869525000", "2s +1 DR3 868500000", 1)},
}

// The devices of ChirpStack are heard here, and hear, as they were there.
func TestChirpStack(t *testing.T) {
	for _, tt := range chirpStackFiles {
		t.Run(tt.name, func(t *testing.T) {
			o := opts
			if strings.Contains(tt.want, "0A0B0C0D0E0F0001") {
				o.JoinEUI = "0a0b0c0d0e0f0001"
			}
			entries, err := Parse([]byte(tt.text), o)
			if err != nil {
				t.Fatal(err)
			}
			d := entries[0].Device
			if got := summary(t, d); got != tt.want || len(entries) != 1 {
				t.Errorf("%d devices\n%s, want\n%s", len(entries), got, tt.want)
			}
			if d.Name != "Meter" || d.Attributes["site"] != "north" || d.Formatters.Up != "FORMATTER_CAYENNELPP" {
				t.Errorf("%q %v %+v", d.Name, d.Attributes, d.Formatters)
			}
			if told := strings.Contains(fmt.Sprint(entries[0].Warnings), "does not tell its MAC state"); told !=
				(d.SupportsJoin && d.Session != nil) {
				t.Errorf("warnings %q", entries[0].Warnings)
			}
			if _, err := again(d); err != nil {
				t.Error(err)
			}
		})
	}
}

// What ChirpStack does not tell, the owner is asked for; faults stand there with the line of the
// device.
func TestChirpStackFaults(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"no JoinEUI", strings.Replace(allAnswers, `,"joinEui":"70b3d57ed0000000"`, "", 1), "line 1: eui-0102030405060708: join_eui: ChirpStack has not told it; --join-eui does"},
		{"a block of channels", strings.Replace(allAnswers, `"EU868"`, `"AU915"`, 1), "--plan AU_915_928_FSB_N does"},
		{"no plan", strings.Replace(allAnswers, `"EU868"`, `"ISM2400"`, 1), `"ISM2400" has no frequency plan here`},
		{"no profile", answerDevice + answerKeys, "lorawan_version: missing; --version"},
		{"an unknown version", strings.Replace(allAnswers, "LORAWAN_1_0_3", "LORAWAN_9", 1), "lorawan_version: missing"},
		{"a counter", strings.Replace(allAnswers, `"fCntUp":8`, `"fCntUp":"x"`, 1), `fcntup: not a number: "x"`},
		{"a key", strings.Replace(allAnswers, `"nwkKey":"33`, `"nwkKey":"3`, 1), "root_keys.app_key.key"},
		{"no keys", answerDevice + answerProfile, "joins without root keys"},
		{"ABP without session", strings.Replace(answerDevice+answerProfile, `"supportsOtaa":true`, `"supportsOtaa":false`, 1), "neither joins nor has a session"},
		{"nothing of a device", answerProfile, "the file is empty"},
		{"no DevEUI", `{"device":{"name":"x"}}`, "the file is empty"},
		{"no object", `{"device":7}`, "the file is empty"},
	} {
		entries, err := Parse([]byte(tt.text), opts)
		if err == nil || !strings.Contains(err.Error(), tt.want) || len(entries) > 0 {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		}
	}
}

// The codecs of both versions run here.
func TestChirpStackCodecs(t *testing.T) {
	const script = "function decodeUplink(input) { return { data: {} }; }"
	for _, tt := range []struct{ profile, up, down string }{
		{`"payloadCodecRuntime":"JS","payloadCodecScript":"` + script + `"`, script, script},
		{`"payloadCodecRuntime":2,"payloadCodecScript":"` + script + `"`, script, script},
		{`"payloadCodecRuntime":"NONE","payloadCodecScript":""`, "", ""},
		{
			`"payloadCodec":"CUSTOM_JS","payloadDecoderScript":"function Decode(p, b, v) {}","payloadEncoderScript":""`,
			"data: Decode(input.fPort, input.bytes, {})", "",
		},
	} {
		text := strings.Replace(allAnswers, `"payloadCodecRuntime":"CAYENNE_LPP","payloadCodecScript":""`, tt.profile, 1)
		entries, err := Parse([]byte(text), opts)
		if err != nil {
			t.Fatal(err)
		}
		f := entries[0].Device.Formatters
		if !strings.Contains(f.UpParameter, tt.up) || !strings.Contains(f.DownParameter, tt.down) ||
			(tt.up == "") != (f.Up == "") || (tt.down == "") != (f.Down == "") {
			t.Errorf("%s: %+v", tt.profile, f)
		}
	}
}

// Files of ttn-lw-migrate: until version 0.11 sessions without MAC state, with the AppKey of
// ChirpStack as NwkKey where it was kept so; later ones with both.
func TestMigrated(t *testing.T) {
	const ids = `{"ids":{"device_id":"eui-0102030405060708","application_ids":{"application_id":"chirpstack-1"},"dev_eui":"0102030405060708","join_eui":"0101010102020203"},` +
		`"name":"Meter","attributes":{"chirpstack-device-profile":"p1"},"lorawan_version":"MAC_V1_0_3","lorawan_phy_version":"PHY_V1_0_3_REV_A","frequency_plan_id":"EU_863_870","supports_join":true,`
	const sess = `"session":{"dev_addr":"01ABCDEF","keys":{"session_key_id":"AaICGS8nuqdwZIoklCk0dA==","f_nwk_s_int_key":{"key":"11111111111111111111111111111111"},` +
		`"app_s_key":{"key":"22222222222222222222222222222222"}},"last_f_cnt_up":8,"last_n_f_cnt_down":4,"started_at":"2026-11-22T07:12:19.823818141Z"}}`
	const nwk, app = `"root_keys":{"nwk_key":{"key":"33333333333333333333333333333333"}},`, `"root_keys":{"app_key":{"key":"33333333333333333333333333333333"}},`
	const want = "eui-0102030405060708 1.0.3 PHY_V1_0_3_REV_A EU_863_870 join true 0101010102020203 app 33 nwk 00; " +
		"01ABCDEF up 8 true down 4 4 keys 11 11 11 22; "
	for _, tt := range []struct{ name, text, windows string }{
		{"with the RX1 delay", ids + nwk + `"mac_settings":{"rx1_delay":1,"status_time_periodicity":"0.000000001s"},` + sess, "1s +0 DR0 869525000"},
		{"with MAC state", ids + app + `"mac_settings":{"rx1_delay":"RX_DELAY_1"},"mac_state":{"current_parameters":{"max_eirp":16,"adr_nb_trans":1,"rx1_delay":1,"rx2_frequency":"869525000",` +
			`"channels":[{"uplink_frequency":"868100000","downlink_frequency":"868100000","max_data_rate_index":5,"enable_uplink":true}]},"lorawan_version":"MAC_V1_0_3"},` + sess, "1s +0 DR0 869525000"},
		{"with neither", ids + nwk + sess, ""},
	} {
		entries, err := Parse([]byte(tt.text), opts)
		if tt.windows == "" {
			if err == nil || !strings.Contains(err.Error(), "session without mac_state") {
				t.Errorf("%s: %v", tt.name, err)
			}
			o := opts
			o.AssumePlanDefaults, tt.windows = true, "5s +0 DR0 869525000"
			entries, err = Parse([]byte(tt.text), o)
		}
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		d := entries[0].Device
		if got := summary(t, d); got != want+tt.windows || d.Settings.MAC.StatusTime != nil {
			t.Errorf("%s:\n%s, want\n%s; asked for its status each %v", tt.name, got, want+tt.windows, d.Settings.MAC.StatusTime)
		}
	}
}

func FuzzChirpStack(f *testing.F) {
	f.Add([]byte(allAnswers))
	f.Add([]byte(answersOf3))
	f.Fuzz(fuzztest.Quick(func(t *testing.T, b []byte) {
		entries, err := Parse(b, opts)
		if err != nil {
			return
		}
		for _, e := range entries {
			if err := e.Device.Check(); err != nil {
				t.Fatalf("%q: %v", b, err)
			}
			if _, err := again(e.Device); err != nil {
				t.Fatalf("%q: %v", b, err)
			}
		}
	}))
}
