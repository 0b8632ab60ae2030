package v3

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"lorawand/bridge/gateway"
	"lorawand/bridge/session"
	"lorawand/radio"
	"lorawand/radio/fuzztest"
)

func at(t testing.TB, s string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// example is an uplink of an ABP device through one gateway.
func example(t testing.TB) *Uplink {
	up := &radio.Uplink{
		Frequency: 868_300_000, DataRate: radio.LoRaDataRate(7, 125_000), CodingRate: radio.CodingRate45,
		Time: 1<<32 + 4263379202, GPS: radio.GPSTimeOf(at(t, "2026-11-22T08:09:12.845Z")),
		Receptions: []radio.Reception{{
			Channel: 1, RSSI: -6000, SNR: 850, FrequencyOffset: -713,
			Token: radio.UplinkToken{Gateway: radio.EUI64{0xA1, 0xC0, 0xFF, 0xEE, 0, 0, 1, 0}, Time: 1<<32 + 4263379202},
		}},
	}
	gw := &gateway.Gateway{ID: "h-gw-1-0", EUI: radio.EUI64{0xA1, 0xC0, 0xFF, 0xEE, 0, 0, 1, 0}}
	return &Uplink{
		DeviceIDs: DeviceIDs{
			ID: session.ID{Application: "harness", Device: "h-up-abp"}, DevEUI: radio.EUI64{
				0xA2, 0x25, 0x1B, 0x4C, 0x1F, 0x1D,
				0x86, 0x0E,
			},
			DevAddr: radio.DevAddr{0x01, 0xD1, 0x47, 0x08}, HasDevAddr: true,
		},
		CorrelationIDs: []string{"as:up:A", "gs:uplink:B"},
		ReceivedAt:     at(t, "2026-11-22T08:09:13.051192606Z"),
		FPort:          3, FCnt: 20, FRMPayload: []byte("hello"),
		Receptions: []Reception{{
			Gateway: gw, Uplink: up, Antenna: &up.Receptions[0],
			ReceivedAt: at(t, "2026-11-22T08:09:12.844155Z"), ShowTime: true,
		}},
		Settings:        Settings{Uplink: up, DataRateIndex: 5, DeviceChannelIndex: 1, ShowTime: true},
		FrameReceivedAt: at(t, "2026-11-22T08:09:12.846545021Z"), ConsumedAirtime: 51456 * time.Microsecond,
	}
}

// The text is what The Things Stack 3.32.1 published for this frame, with
// other correlation ids and another token.
func TestUplinkAsTheThingsStack(t *testing.T) {
	const want = `{"end_device_ids":{"device_id":"h-up-abp","application_ids":{"application_id":"harness"},"dev_eui":"A2251B4C1F1D860E","dev_addr":"01D14708"},` +
		`"correlation_ids":["as:up:A","gs:uplink:B"],"received_at":"2026-11-22T08:09:13.051192606Z",` +
		`"uplink_message":{"f_port":3,"f_cnt":20,"frm_payload":"aGVsbG8=",` +
		`"rx_metadata":[{"gateway_ids":{"gateway_id":"h-gw-1-0","eui":"A1C0FFEE00000100"},"time":"2026-11-22T08:09:12.845Z","timestamp":4263379202,` +
		`"rssi":-60,"channel_rssi":-60,"snr":8.5,"frequency_offset":"-713","uplink_token":"AaHA/+4AAAEAAAAAAAH+HgECAAAAAAAAAAAAAAAAAAAAAA==",` +
		`"channel_index":1,"gps_time":"2026-11-22T08:09:12.845Z","received_at":"2026-11-22T08:09:12.844155Z"}],` +
		`"settings":{"data_rate":{"lora":{"bandwidth":125000,"spreading_factor":7,"coding_rate":"4/5"}},"frequency":"868300000","timestamp":4263379202,"time":"2026-11-22T08:09:12.845Z"},` +
		`"received_at":"2026-11-22T08:09:12.846545021Z","consumed_airtime":"0.051456s","network_ids":{"net_id":"000000"}}}`
	got := string((&Encoder{}).AppendUplink(nil, example(t)))
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestUplinkEveryField(t *testing.T) {
	u := example(t)
	u.DeviceIDs.HasJoinEUI, u.DeviceIDs.JoinEUI = true, radio.EUI64{0x70}
	u.SessionKeyID = []byte{1, 0x99, 2}
	u.Confirmed, u.Lost, u.LostOf = true, 3, 14
	u.Locations = map[string]session.Location{
		"user":  {Latitude: 52.3731, Longitude: 4.8925, Altitude: 12, Accuracy: 5, Source: "SOURCE_REGISTRY"},
		"a\"\n": {Latitude: -1e-7, Altitude: -3},
	}
	u.VersionIDs = session.VersionIDs{Brand: "b", Model: "m", Hardware: "1.0", Firmware: "2.0", Band: "EU_863_870"}
	u.Receptions[0].Gateway.Location = &gateway.Location{Latitude: 52, Longitude: 4.5, Altitude: 12}
	up := u.Settings.Uplink
	up.GPS, up.GatewayTime = 0, at(t, "2026-11-22T08:09:12.844999Z")
	up.Receptions = append(up.Receptions, radio.Reception{
		Antenna: 1, HasSignalRSSI: true, SignalRSSI: -11200, RSSIStandardDeviation: 100, SNR: -1025, HasFineTimestamp: true,
		FineTimestamp:          7,
		EncryptedFineTimestamp: []byte{1}, FineTimestampKey: "4", NoDownlink: true,
	})
	u.Receptions[0].Antenna = &up.Receptions[0]
	second := u.Receptions[0]
	second.Antenna = &up.Receptions[1]
	u.Receptions = append(u.Receptions, second)
	got := string((&Encoder{NetID: radio.NetID{0, 0, 0x13}}).AppendUplink(nil, u))
	for _, want := range []string{
		`"dev_eui":"A2251B4C1F1D860E","join_eui":"7000000000000000","dev_addr":"01D14708"}`,
		`"uplink_message":{"session_key_id":"AZkC","f_port":3,`,
		`"time":"2026-11-22T08:09:12.844999Z","timestamp":4263379202,"rssi":-60,`,
		`"location":{"latitude":52,"longitude":4.5,"altitude":12,"source":"SOURCE_REGISTRY"},"uplink_token":"`,
		`,{"gateway_ids":{"gateway_id":"h-gw-1-0","eui":"A1C0FFEE00000100"},"antenna_index":1,"time":"2026-11-22T08:09:12.844999Z","timestamp":4263379202,` +
			`"fine_timestamp":"7","encrypted_fine_timestamp":"AQ==","encrypted_fine_timestamp_key_id":"4","signal_rssi":-112,"rssi_standard_deviation":1,` +
			`"snr":-10.25,"location":{"latitude":52,"longitude":4.5,"altitude":12,"source":"SOURCE_REGISTRY"},"downlink_path_constraint":"DOWNLINK_PATH_CONSTRAINT_NEVER",` +
			`"received_at":"2026-11-22T08:09:12.844155Z"}],`,
		`"confirmed":true,"consumed_airtime":"0.051456s","packet_error_rate":0.21428572,` +
			`"locations":{"a\"\n":{"latitude":-1e-7,"altitude":-3},"user":{"latitude":52.3731,"longitude":4.8925,"altitude":12,"accuracy":5,"source":"SOURCE_REGISTRY"}},` +
			`"version_ids":{"brand_id":"b","model_id":"m","hardware_version":"1.0","firmware_version":"2.0","band_id":"EU_863_870"},"network_ids":{"net_id":"000013"}}}`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s\nis not in\n%s", want, got)
		}
	}
	if strings.Contains(got, "gps_time") || !json.Valid([]byte(got)) {
		t.Errorf("got %s", got)
	}
}

// The first frame has counter 0 and the like: zeros are left out, unless wanted.
func TestUplinkZeros(t *testing.T) {
	u := example(t)
	u.FPort, u.FCnt, u.FRMPayload, u.ConsumedAirtime = 0, 0, nil, 0
	u.Settings.DataRateIndex, u.Settings.DeviceChannelIndex = 0, 0
	u.Settings.Uplink.Receptions[0] = radio.Reception{}
	got := string((&Encoder{Legacy: true}).AppendUplink(nil, u))
	for _, no := range []string{
		"f_port", "f_cnt", "frm_payload", "confirmed", "rssi", "snr", "channel_index",
		"antenna_index", "frequency_offset", "data_rate_index", "packet_error_rate", "null",
	} {
		if strings.Contains(got, no) {
			t.Errorf("%s stands in %s", no, got)
		}
	}
	got = string((&Encoder{Legacy: true, Zero: true}).AppendUplink(nil, u))
	for _, want := range []string{
		`"f_port":0,"f_cnt":0,"frm_payload":"","rx_metadata":[{`, `"antenna_index":0,`, `"rssi":0,"channel_rssi":0,"snr":0,"frequency_offset":"0",`,
		`"channel_index":0,`, `"confirmed":false,"consumed_airtime":"0s"`, `"data_rate_index":0,"coding_rate":"4/5",`, `"gateway_channel_index":0,"device_channel_index":0,`,
		`"packet_error_rate":0,`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is not in %s", want, got)
		}
	}
	if !json.Valid([]byte(got)) {
		t.Errorf("not JSON: %s", got)
	}
}

// Fields that the gateway has not told are absent, even if zeros are wanted.
func TestUplinkUnknownFields(t *testing.T) {
	u := example(t)
	up := u.Settings.Uplink
	up.CodingRate = 0
	up.Receptions[0] = radio.Reception{
		Unknown:                radio.FieldRSSI | radio.FieldSNR | radio.FieldChannel | radio.FieldFrequencyOffset,
		EncryptedFineTimestamp: []byte{1},
	}
	got := string((&Encoder{Legacy: true, Zero: true}).AppendUplink(nil, u))
	for _, no := range []string{`rssi"`, `"snr"`, `channel_index":0`, "frequency_offset", "coding_rate", "key_id"} {
		if strings.Contains(strings.ReplaceAll(got, "device_channel_index", ""), no) {
			t.Errorf("%s stands in %s", no, got)
		}
	}
	if !json.Valid([]byte(got)) {
		t.Errorf("not JSON: %s", got)
	}
}

func TestUplinkLegacy(t *testing.T) {
	got := string((&Encoder{Legacy: true}).AppendUplink(nil, example(t)))
	const want = `"settings":{"data_rate":{"lora":{"bandwidth":125000,"spreading_factor":7,"coding_rate":"4/5"}},"data_rate_index":5,"coding_rate":"4/5",` +
		`"frequency":"868300000","gateway_channel_index":1,"device_channel_index":1,"timestamp":`
	if !strings.Contains(got, want) {
		t.Errorf("%s\nis not in\n%s", want, got)
	}
}

func TestUplinkFSK(t *testing.T) {
	u := example(t)
	u.Settings.Uplink.DataRate, u.Settings.Uplink.CodingRate = radio.FSKDataRate(50_000), 0
	got := string((&Encoder{Legacy: true}).AppendUplink(nil, u))
	if !strings.Contains(got, `"data_rate":{"fsk":{"bit_rate":50000}},"data_rate_index":5,"frequency"`) {
		t.Errorf("got %s", got)
	}
}

// Without a calendar no time is shown, but what the satellites said.
func TestUplinkWithoutClock(t *testing.T) {
	u := example(t)
	u.ReceivedAt, u.FrameReceivedAt = time.Time{}, time.Time{}
	u.Receptions[0].ReceivedAt, u.Receptions[0].ShowTime, u.Settings.ShowTime = time.Time{}, false, false
	got := string((&Encoder{}).AppendUplink(nil, u))
	if strings.Contains(got, "received_at") || strings.Contains(got, `"time"`) || !strings.Contains(got, `"gps_time"`) ||
		!json.Valid([]byte(got)) {
		t.Errorf("got %s", got)
	}
}

func TestTimesAndDurations(t *testing.T) {
	for in, want := range map[string]string{
		"2026-11-22T08:09:06Z": "2026-11-22T08:09:06Z", "2026-11-22T08:09:06.1Z": "2026-11-22T08:09:06.100Z",
		"2026-11-22T08:09:06.00012Z":          "2026-11-22T08:09:06.000120Z",
		"2026-11-22T10:09:06.000000001+02:00": "2026-11-22T08:09:06.000000001Z",
	} {
		if got := string(appendTime(nil, at(t, in))); got != want {
			t.Errorf("%s is %s, want %s", in, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "0s", time.Second: "1s", 1155072 * time.Microsecond: "1.155072s", 46336 * time.Microsecond: "0.046336s",
		time.Nanosecond: "0.000000001s", -1500 * time.Millisecond: "-1.500s", 3 * time.Hour: "10800s",
	} {
		if got := string(appendDuration(nil, d)); got != want {
			t.Errorf("%d is %s, want %s", d, got, want)
		}
	}
}

// A number that JSON has no form for does not spoil the message.
func TestNumbersWithoutForm(t *testing.T) {
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		if got := string(appendFloat(nil, v, 64)); got != "0" {
			t.Errorf("%v is written as %s", v, got)
		}
	}
}

// The example of the ULID specification, and the limits.
func TestCorrelationID(t *testing.T) {
	entropy := [10]byte{0xd6, 0x76, 0x4c, 0x61, 0xef, 0xb9, 0x93, 0x02, 0xbd, 0x5b}
	if got := string(AppendCorrelationID(nil, "x:", time.UnixMilli(1469922850259),
		entropy)); got != "x:01ARZ3NDEKTSV4RRFFQ69G5FAV" {
		t.Errorf("%s, want x:01ARZ3NDEKTSV4RRFFQ69G5FAV", got)
	}
	if got := string(AppendCorrelationID(nil, "", time.UnixMilli(-5), [10]byte{})); got != strings.Repeat("0", 26) {
		t.Errorf("before 1970: %s", got)
	}
	if got := string(AppendCorrelationID(nil, "", time.UnixMilli(1<<48-1),
		[10]byte{255, 255, 255, 255, 255, 255, 255, 255, 255, 255})); got != "7"+strings.Repeat("Z", 25) {
		t.Errorf("the largest: %s", got)
	}
}

// The 16 bytes are what the text of the same ULID stands for.
func TestULID(t *testing.T) {
	entropy := [10]byte{0xd6, 0x76, 0x4c, 0x61, 0xef, 0xb9, 0x93, 0x02, 0xbd, 0x5b}
	want := [16]byte{0x01, 0x56, 0x3e, 0x3a, 0xb5, 0xd3, 0xd6, 0x76, 0x4c, 0x61, 0xef, 0xb9, 0x93, 0x02, 0xbd, 0x5b}
	if got := ULID(time.UnixMilli(1469922850259), entropy); got != want {
		t.Errorf("%x, want %x", got, want)
	}
	if got := ULID(time.Time{}, [10]byte{}); got != [16]byte{} {
		t.Errorf("without a clock: %x", got)
	}
}

func TestErrorCorrelationID(t *testing.T) {
	if got := ErrorCorrelationID([16]byte{0x7c, 0x6b, 6: 0xf4, 7: 0x50, 8: 0xc9, 15: 0xb7}); got != "7c6b00000000445089000000000000b7" {
		t.Errorf("got %s", got)
	}
}

func TestFilter(t *testing.T) {
	tests := []struct {
		filter, tenant, want string
		ok                   bool
	}{
		{"#", "", "v3/app1/#", true},
		{"v3/#", "", "v3/app1/#", true},
		{"v3/+/devices/+/up", "", "v3/app1/devices/+/up", true},
		{"v3/app1/devices/+/up", "", "v3/app1/devices/+/up", true},
		{"v3/app1/#", "", "v3/app1/#", true},
		{"v3/app1", "", "v3/app1", true},
		{"v3/+", "", "v3/app1", true},
		{"v3/+/#", "", "v3/app1/#", true},
		{"v3/app1@ttn/devices/+/up", "ttn", "v3/app1@ttn/devices/+/up", true},
		{"#", "ttn", "v3/app1@ttn/#", true},
		{"v3/+", "ttn", "v3/app1@ttn", true},
		{"v3/app1/devices/+/up", "ttn", "v3/app1/devices/+/up", true},
		{"$share/g/#", "", "$share/g/v3/app1/#", true},
		{"$share/g/v3/+/devices/+/up", "ttn", "$share/g/v3/app1@ttn/devices/+/up", true},
		{"v3/app1@ttn/#", "", "", false},
		{"v3/app1@tti/#", "ttn", "", false},
		{"v3/app2/#", "", "", false},
		{"v3/app12/#", "", "", false},
		{"v3/app1#", "", "", false},
		{"+/#", "", "", false},
		{"+/app1/#", "", "", false},
		{"v3", "", "", false},
		{"v3/", "", "", false},
		{"", "", "", false},
		{"foo/bar", "", "", false},
		{"$SYS/#", "", "", false},
		{"/v3/app1/#", "", "", false},
		{"v2/app1/#", "", "", false},
		{"V3/app1/#", "", "", false},
		{"$share/g/v3/app2/#", "", "", false},
		{"$share/g/$SYS/#", "", "", false},
		{"$share//#", "", "", false},
		{"$share/g", "", "", false},
		{"$SHARE/g/#", "", "", false},
	}
	for _, tt := range tests {
		got, ok := Filter(tt.filter, "app1", tt.tenant)
		if ok != tt.ok || ok && got != tt.want {
			t.Errorf("Filter(%q, tenant %q) = %q, %v; want %q, %v", tt.filter, tt.tenant, got, ok, tt.want, tt.ok)
		}
	}
}

func TestValidFilter(t *testing.T) {
	for _, good := range []string{"#", "+", "a", "a/b", "/", "a/#", "+/+/#", "a//b", "$share/g/a/#", "a/+/b", "$SYS/#"} {
		if !ValidFilter(good) {
			t.Errorf("%q is refused", good)
		}
	}
	for _, bad := range []string{
		"", "a/b#", "#/a", "a#", "a+", "+a/b", "a/#/b", "a\x00", "$share/g", "$share//a",
		"$share/+/a", "$share/g/", strings.Repeat("a", 65536),
	} {
		if ValidFilter(bad) {
			t.Errorf("%.40q is taken", bad)
		}
	}
}

func TestMatches(t *testing.T) {
	const up = "v3/app1/devices/dev1/up"
	for _, filter := range []string{
		"#", "v3/#", "v3/app1/#", "v3/app1/devices/+/up", up, "v3/app1/devices/dev1/#",
		"v3/+/+/+/+", "v3/app1/devices/dev1/up/#",
	} {
		if !Matches(filter, up) {
			t.Errorf("%s does not match %s", filter, up)
		}
	}
	for _, filter := range []string{
		"v3/app1/devices/+", "v3/app1/devices/dev1", "v3/app1/devices/dev1/up/+",
		"v3/app1/devices/dev2/up", "v3/app1/devices/dev1/down/#", "+", "+/+/+/+", "v3/app1/devices/dev1/u",
	} {
		if Matches(filter, up) {
			t.Errorf("%s matches %s", filter, up)
		}
	}
	if Matches("#", "$SYS/a") || Matches("+/a", "$SYS/a") || !Matches("$SYS/+", "$SYS/a") {
		t.Error("topics that begin with $")
	}
	if !Matches("a/+", "a/") || Matches("a/+", "a") || !Matches("a/#", "a") || !Matches("/+", "/a") {
		t.Error("empty levels")
	}
}

func TestParsePush(t *testing.T) {
	tests := []struct{ topic, tenant, device, suffix string }{
		{"v3/app1/devices/dev1/down/push", "", "dev1", DownPush},
		{"v3/app1/devices/dev1/down/replace", "", "dev1", DownReplace},
		{"v3/app1@ttn/devices/dev1/down/push", "ttn", "dev1", DownPush},
		{"v3/app1/devices/dev1/down/push", "ttn", "dev1", DownPush},
		{"v3/app1/devices/Not An Id/down/push", "", "Not An Id", DownPush},
		{"v3/app1@ttn/devices/dev1/down/push", "", "", ""},
		{"v3/app2/devices/dev1/down/push", "", "", ""},
		{"v3/+/devices/dev1/down/push", "", "", ""},
		{"#", "", "", ""},
		{"v3/app1/devices//down/push", "", "", ""},
		{"v3/app1/devices/dev1/up", "", "", ""},
		{"v3/app1/devices/dev1/down/push/x", "", "", ""},
		{"v3/app1/devices/dev1/down", "", "", ""},
		{"", "", "", ""},
	}
	for _, tt := range tests {
		device, suffix, ok := ParsePush(tt.topic, "app1", tt.tenant)
		if ok != (tt.device != "") || ok && (device != tt.device || suffix != tt.suffix) {
			t.Errorf("%s (%s): %q, %q, %v", tt.topic, tt.tenant, device, suffix, ok)
		}
	}
	m := Message{Application: "app1", Device: "dev1", Suffix: Up}
	if got := m.Topic(UID("app1", "ttn")); got != "v3/app1@ttn/devices/dev1/up" {
		t.Errorf("topic %s", got)
	}
	if got := m.Topic(UID("app1", "")); got != "v3/app1/devices/dev1/up" {
		t.Errorf("topic %s", got)
	}
}

// No filter of a client leaves its own application.
func FuzzFilter(f *testing.F) {
	for _, s := range []string{
		"#", "v3/#", "v3/+/devices/+/up", "$share/g/#", "v3/app1@ttn/+/x", "+/#", "v3/app2/#",
		"$share/v3/app2/#", "v3/+/#",
	} {
		f.Add(s, "ttn", "v3/app2/devices/dev1/up")
	}
	f.Fuzz(fuzztest.Quick(func(t *testing.T, filter, tenant, topic string) {
		valid := ValidFilter(filter)
		rewritten, ok := Filter(filter, "app1", tenant)
		ParsePush(filter, "app1", tenant)
		if !valid || !ok {
			return
		}
		if !ValidFilter(rewritten) {
			t.Fatalf("%q became %q, which is not valid", filter, rewritten)
		}
		if again, ok := Filter(rewritten, "app1", tenant); !ok || again != rewritten {
			t.Fatalf("%q became %q, which becomes %q, %v", filter, rewritten, again, ok)
		}
		_, inner, _ := Shared(rewritten)
		own := "v3/" + UID("app1", tenant)
		if Matches(inner, topic) && topic != "v3/app1" && !strings.HasPrefix(topic, "v3/app1/") && topic != own &&
			!strings.HasPrefix(topic, own+"/") {
			t.Fatalf("%q of app1 matches %q", filter, topic)
		}
	}))
}

func BenchmarkAppendUplink(b *testing.B) {
	u := example(b)
	e := &Encoder{Legacy: true}
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		buf = e.AppendUplink(buf[:0], u)
	}
}
