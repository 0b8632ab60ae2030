package gwmp

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"lorawand/radio"
	"lorawand/radio/fuzztest"
)

var eui = radio.EUI64{0x02, 0x42, 0x02, 0, 0, 0x24, 0x78, 0x03}

func TestPacketRoundTrip(t *testing.T) {
	for _, p := range []Packet{
		{Version: 2, Token: 0xabcd, Type: PushData, EUI: eui, Body: []byte(`{"rxpk":[]}`)},
		{Version: 1, Token: 1, Type: PullData, EUI: eui, Body: []byte{}},
		{Version: 2, Token: 2, Type: PushAck, Body: []byte{}},
		{Version: 2, Token: 3, Type: PullAck, Body: []byte{}},
		{Version: 1, Token: 0, Type: PullResp, Body: []byte(`{"txpk":{}}`)},
		{Version: 2, Token: 5, Type: TxAck, EUI: eui, Body: []byte{}},
		{Version: 1, Token: 6, Type: TxAck, EUI: eui, Body: []byte(`{"txpk_ack":{"error":"TOO_LATE"}}`)},
		{Version: 0, Token: 7, Type: PushData, EUI: eui, Body: []byte(`{}`)},
		{Version: 3, Token: 8, Type: PullData, EUI: eui, Body: []byte{}},
		{Version: 255, Token: 9, Type: TxAck, EUI: eui, Body: []byte{}},
	} {
		got, err := ParsePacket(p.Append(nil))
		if err != nil || !reflect.DeepEqual(got, p) {
			t.Errorf("%+v came back as %+v, %v", p, got, err)
		}
	}
	want := []byte{2, 0xab, 0xcd, 0, 2, 0x42, 2, 0, 0, 0x24, 0x78, 3}
	if got := (Packet{Version: 2, Token: 0xabcd, Type: PushData, EUI: eui}).Append(nil); !bytes.Equal(got, want) {
		t.Errorf("PUSH_DATA is % x, want % x", got, want)
	}
}

func TestParsePacketRefuses(t *testing.T) {
	for name, b := range map[string][]byte{
		"nothing":           {},
		"3 bytes":           {2, 0, 0},
		"type 6":            {2, 0, 0, 6},
		"type 255":          {1, 0, 0, 255},
		"TX_ACK, no EUI":    {1, 0, 0, 5, 1, 2, 3, 4, 5, 6, 7},
		"PUSH_DATA, no EUI": {2, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7},
		"PULL_DATA, no EUI": {2, 0, 0, 2},
	} {
		if p, err := ParsePacket(b); !errors.Is(err, ErrPacket) {
			t.Errorf("%s: %+v, %v; want ErrPacket", name, p, err)
		}
	}
}

func TestParsePushAllFields(t *testing.T) {
	const body = `{"rxpk":[{"time":"2026-11-22T08:09:06.544321Z","tmms":1479370164544,"tmst":4257077994,"ftime":123456789,` +
		`"chan":2,"rfch":1,"freq":868.500000,"mid":8,"stat":1,"modu":"LORA","datr":"SF7BW125","codr":"4/5","rssi":-60,"rssis":-61,` +
		`"lsnr":8.5,"foff":-713,"size":3,"data":"AQL/","brd":0,"hpw":null}],` +
		`"stat":{"time":"2026-11-22 08:09:06 GMT","rxnb":4,"rxok":3,"rxfw":2,"ackr":99.5,"dwnb":7,"txnb":6,"temp":25.5,"lati":1.5}}`
	p, err := ParsePush([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	want := Push{
		Uplinks: []radio.Uplink{{
			PHYPayload: []byte{1, 2, 255}, Frequency: 868_500_000, DataRate: radio.LoRaDataRate(7, 125_000),
			CodingRate: radio.CodingRate45,
			Time:       4257077994, GatewayTime: time.Date(2026, 11, 22, 8, 9, 6, 544321000, time.UTC),
			GPS: radio.GPSTime(1479370164544 * time.Millisecond),
			Receptions: []radio.Reception{{
				Channel: 2, RSSI: -6000, SNR: 850, FrequencyOffset: -713, HasFineTimestamp: true, FineTimestamp: 123456789,
			}},
		}},
		Stat: &radio.Status{
			Received: 4, ReceivedOK: 3, Forwarded: 2, Acknowledged: 995, Downlinks: 7, Transmitted: 6, Temperature: 255,
			HasTemperature: true,
		},
	}
	if !reflect.DeepEqual(p, want) {
		t.Errorf("got  %+v\nwant %+v", p, want)
	}
}

func TestParsePushAntennas(t *testing.T) {
	const body = `{"rxpk":[{"tmst":5,"freq":867.1,"stat":0,"modu":"LORA","datr":"SF12BW125","codr":"4/8","size":1,"data":"AA","aesk":4,` +
		`"rsig":[{"ant":0,"chan":7,"rssic":-110.5,"rssis":-112,"rssisd":1,"lsnr":-7.2,"etime":"AAECAwQFBgcICQoLDA0ODw==","foff":17},` +
		`{"ant":1,"chan":15,"rssic":-99,"lsnr":3,"ftime":0,"foff":-17}]}]}`
	p, err := ParsePush([]byte(body))
	if err != nil || len(p.Uplinks) != 1 {
		t.Fatalf("%+v, %v", p, err)
	}
	want := []radio.Reception{
		{
			Channel: 7, RSSI: -11050, HasSignalRSSI: true, SignalRSSI: -11200, RSSIStandardDeviation: 100, SNR: -720,
			FrequencyOffset:        17,
			EncryptedFineTimestamp: []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, FineTimestampKey: "4",
		},
		{Antenna: 1, Channel: 15, RSSI: -9900, SNR: 300, FrequencyOffset: -17, HasFineTimestamp: true, NoDownlink: true},
	}
	if got := p.Uplinks[0].Receptions; !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if p.Uplinks[0].CodingRate != radio.CodingRate48 {
		t.Errorf("coding rate %v", p.Uplinks[0].CodingRate)
	}
}

func TestParsePushFSK(t *testing.T) {
	p, err := ParsePush([]byte(`{"rxpk":[{"tmst":5,"freq":868.8,"stat":1,"modu":"FSK","datr":50000,"rssi":-75,"size":1,"data":"AA=="}]}` + "\x00\n"))
	if err != nil || len(p.Uplinks) != 1 || p.Uplinks[0].DataRate != radio.FSKDataRate(50_000) ||
		p.Uplinks[0].CodingRate != 0 {
		t.Errorf("%+v, %v", p, err)
	}
}

// One faulty frame costs only itself.
func TestParsePushKeepsTheGood(t *testing.T) {
	good := `{"tmst":5,"freq":868.1,"stat":1,"modu":"LORA","datr":"SF7BW125","codr":"4/5","rssi":-75,"lsnr":1,"data":"AA=="}`
	frames := map[string]string{
		"CRC":        strings.Replace(good, `"stat":1`, `"stat":-1`, 1),
		"no tmst":    strings.Replace(good, `"tmst":5,`, ``, 1),
		"tmst -1":    strings.Replace(good, `"tmst":5`, `"tmst":-1`, 1),
		"tmst 2^32":  strings.Replace(good, `"tmst":5`, `"tmst":4294967296`, 1),
		"tmst 1.5":   strings.Replace(good, `"tmst":5`, `"tmst":1.5`, 1),
		"no freq":    strings.Replace(good, `"freq":868.1,`, ``, 1),
		"freq 5 GHz": strings.Replace(good, `868.1`, `5000`, 1),
		"freq 1e300": strings.Replace(good, `868.1`, `1e300`, 1),
		"freq text":  strings.Replace(good, `868.1`, `"868.1"`, 1),
		"LR-FHSS":    strings.Replace(strings.Replace(good, `LORA`, `LR-FHSS`, 1), `SF7BW125`, `M0CW137`, 1),
		"SF4":        strings.Replace(good, `SF7`, `SF4`, 1),
		"SF13":       strings.Replace(good, `SF7`, `SF13`, 1),
		"datr 0":     strings.Replace(strings.Replace(good, `LORA`, `FSK`, 1), `"SF7BW125"`, `0`, 1),
		"no datr":    strings.Replace(good, `"datr":"SF7BW125",`, ``, 1),
		"datr list":  strings.Replace(good, `"SF7BW125"`, `["SF7BW125"]`, 1),
		"stat text":  strings.Replace(good, `"stat":1`, `"stat":"OK"`, 1),
		"data null":  strings.Replace(good, `"AA=="`, `null`, 1),
		"base64":     strings.Replace(good, `AA==`, `*`, 1),
		"no data":    strings.Replace(good, `"AA=="`, `""`, 1),
		"256 bytes":  strings.Replace(good, `AA==`, strings.Repeat("AAAA", 86), 1),
		"a number":   `7`,
	}
	for name, bad := range frames {
		p, err := ParsePush([]byte(`{"rxpk":[` + good + `,` + bad + `,` + good + `]}`))
		if err != nil || len(p.Uplinks) != 2 || p.Faulty+p.BadCRC != 1 {
			t.Errorf("%s: %d frames, %d faulty, %d bad CRC, %v; want 2 good ones and 1 bad", name, len(p.Uplinks), p.Faulty,
				p.BadCRC, err)
		}
		if (name == "CRC") != (p.BadCRC == 1) {
			t.Errorf("%s: counted as %d of bad CRC", name, p.BadCRC)
		}
		if p.Faulty > 0 && !errors.Is(p.Fault, ErrPacket) {
			t.Errorf("%s: fault %v is not ErrPacket", name, p.Fault)
		}
	}
}

func TestParsePushRefuses(t *testing.T) {
	for name, body := range map[string]string{
		"nothing":   "",
		"not JSON":  "rxpk",
		"cut off":   `{"rxpk":[{"tmst":5`,
		"a list":    `[]`,
		"rxpk text": `{"rxpk":"x"}`,
		"65 frames": `{"rxpk":[` + strings.Repeat(`{},`, 64) + `{}]}`,
		"deep":      strings.Repeat(`{"rxpk":[`, 20_000),
	} {
		if p, err := ParsePush([]byte(body)); !errors.Is(err, ErrPacket) {
			t.Errorf("%s: %+v, %v; want ErrPacket", name, p, err)
		}
	}
	for _, body := range []string{`{}`, `null`, `{"rxpk":null,"stat":null}`, `{"rxpk":[],"other":{"x":1}}`} {
		if p, err := ParsePush([]byte(body)); err != nil || len(p.Uplinks) != 0 || p.Stat != nil {
			t.Errorf("%s: %+v, %v", body, p, err)
		}
	}
}

func TestPushRoundTrip(t *testing.T) {
	ups := []radio.Uplink{
		{
			PHYPayload: []byte{1, 2, 3}, Frequency: 868_100_000, DataRate: radio.LoRaDataRate(12, 125_000),
			CodingRate: radio.CodingRate46,
			Time:       4294967295, Receptions: []radio.Reception{{Channel: 7, RSSI: -12050, SNR: -2075, FrequencyOffset: -1}},
		},
		{
			PHYPayload: []byte{4}, Frequency: 868_800_000, DataRate: radio.FSKDataRate(50_000), Time: 0,
			GatewayTime: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC), GPS: radio.GPSTime(time.Hour),
			Receptions: []radio.Reception{{RSSI: -60, HasFineTimestamp: true}},
		},
		{
			PHYPayload: bytes.Repeat([]byte{5}, 255), Frequency: 902_300_000, DataRate: radio.LoRaDataRate(8, 500_000),
			CodingRate: radio.CodingRate45,
			Time:       77, Receptions: []radio.Reception{
				{RSSI: -6100, HasSignalRSSI: true, SignalRSSI: -6200},
				{Antenna: 1, NoDownlink: true},
			},
		},
	}
	stat := &radio.Status{
		Received: 1, ReceivedOK: 2, Forwarded: 3, Acknowledged: 1000, Downlinks: 4, Transmitted: 5,
		Temperature: -55, HasTemperature: true,
	}
	body := AppendPush(nil, ups, stat)
	if !json.Valid(body) {
		t.Fatalf("not JSON: %s", body)
	}
	p, err := ParsePush(body)
	if err != nil || p.Faulty > 0 || !reflect.DeepEqual(p.Uplinks, ups) || !reflect.DeepEqual(p.Stat, stat) {
		t.Errorf("got  %+v, %v\nwant %+v\nfrom %s", p, err, ups, body)
	}
}

func TestTxRoundTrip(t *testing.T) {
	tests := map[string]struct {
		d    radio.Downlink
		want string
	}{
		"LoRa": {
			radio.Downlink{
				PHYPayload: []byte{1, 2}, Frequency: 869_525_000, DataRate: radio.LoRaDataRate(9, 125_000),
				CodingRate: radio.CodingRate45, Power: 2700, Time: 4294967295,
			},
			`{"txpk":{"imme":false,"tmst":4294967295,"freq":869.525,"rfch":0,"powe":27,"modu":"LORA","datr":"SF9BW125","codr":"4/5","ipol":true,"size":2,"ncrc":true,"data":"AQI="}}`,
		},
		"FSK": {
			radio.Downlink{
				PHYPayload: []byte{1}, Frequency: 868_800_000, DataRate: radio.FSKDataRate(50_000), Power: 1400,
				Time: 5,
			},
			`{"txpk":{"imme":false,"tmst":5,"freq":868.8,"rfch":0,"powe":14,"modu":"FSK","datr":50000,"fdev":25000,"size":1,"data":"AQ=="}}`,
		},
		"by GPS time": { // as The Things Stack 3.32.1 sends into a ping slot
			radio.Downlink{
				PHYPayload: []byte{1, 2}, Frequency: 869_525_000, DataRate: radio.LoRaDataRate(9, 125_000),
				CodingRate: radio.CodingRate45, Power: 2700, GPS: radio.GPSTime(1_479_919_234_360 * time.Millisecond),
			},
			`{"txpk":{"imme":false,"tmms":1479919234360,"freq":869.525,"rfch":0,"powe":27,"modu":"LORA","datr":"SF9BW125","codr":"4/5","ipol":true,"size":2,"ncrc":true,"data":"AQI="}}`,
		},
		"at once": {
			radio.Downlink{
				PHYPayload: []byte{1}, Frequency: 868_100_000, DataRate: radio.LoRaDataRate(7, 125_000),
				CodingRate: radio.CodingRate45, Immediate: true, Antenna: 1,
			},
			`{"txpk":{"imme":true,"freq":868.1,"rfch":0,"ant":1,"powe":0,"modu":"LORA","datr":"SF7BW125","codr":"4/5","ipol":true,"size":1,"ncrc":true,"data":"AQ=="}}`,
		},
	}
	for name, tt := range tests {
		body := AppendTx(nil, &tt.d)
		if string(body) != tt.want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, body, tt.want)
		}
		want := tt.d
		want.Uplink = want.DataRate.Modulation == radio.FSK // FSK has no polarity to tell
		if got, err := ParseTx(body); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: came back as %+v, %v", name, got, err)
		}
	}
	for d, want := range map[radio.Decibel]int64{1400: 14, 1385: 13, 0: 0, -1: -1, -100: -1, -101: -2} {
		if got := wholeDecibel(d); got != want {
			t.Errorf("%v dBm is sent as %d, want %d", d, got, want)
		}
	}
}

// A txpk with one of the members of an uplink is no proper downlink.
func TestParseTxUplink(t *testing.T) {
	const head = `{"txpk":{"imme":true,"freq":868.1,"modu":"LORA","datr":"SF9BW125","codr":"4/5","data":"AQI="`
	for rest, want := range map[string]bool{
		`,"ipol":true,"ncrc":true`: false, `,"ipol":true`: true, `,"ncrc":true`: true, `,"ipol":true,"ncrc":false`: true, ``: true,
	} {
		if d, err := ParseTx([]byte(head + rest + "}}")); err != nil || d.Uplink != want {
			t.Errorf("with %s: Uplink %v, %v; want %v", rest, d.Uplink, err, want)
		}
	}
}

func TestParseTxRefuses(t *testing.T) {
	good := `{"txpk":{"imme":false,"tmst":5,"freq":868.1,"powe":14,"modu":"LORA","datr":"SF9BW125","codr":"4/5","ipol":true,"data":"AQI="}}`
	if _, err := ParseTx([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string]string{
		"nothing": "", "no txpk": `{}`, "not JSON": `{`,
		"no time":        strings.Replace(good, `"tmst":5,`, ``, 1),
		"tmms":           strings.Replace(good, `"tmst":5,`, `"tmms":9223372036855,`, 1),
		"tmms, negative": strings.Replace(good, `"tmst":5,`, `"tmms":-1,`, 1),
		"freq":           strings.Replace(good, `868.1`, `0`, 1),
		"datr":           strings.Replace(good, `SF9BW125`, `SF9`, 1),
		"codr":           strings.Replace(good, `4/5`, `5/4`, 1),
		"no data":        strings.Replace(good, `AQI=`, ``, 1),
		"base64":         strings.Replace(good, `AQI=`, `!`, 1),
	} {
		if d, err := ParseTx([]byte(body)); !errors.Is(err, ErrPacket) {
			t.Errorf("%s: %+v, %v; want ErrPacket", name, d, err)
		}
	}
}

// A counter, or at once, goes before GPS time, as in the forwarders.
func TestParseTxTimes(t *testing.T) {
	const rest = `"freq":868.1,"powe":14,"modu":"LORA","datr":"SF9BW125","codr":"4/5","ipol":true,"data":"AQI="}}`
	for times, want := range map[string]radio.Downlink{
		`"tmst":5,"tmms":7,`:    {Time: 5},
		`"imme":true,"tmms":7,`: {Immediate: true},
		`"tmms":7,`:             {GPS: radio.GPSTime(7 * time.Millisecond)},
	} {
		d, err := ParseTx([]byte(`{"txpk":{` + times + rest))
		if err != nil || d.Time != want.Time || d.GPS != want.GPS || d.Immediate != want.Immediate {
			t.Errorf("%s: %+v, %v", times, d, err)
		}
	}
}

func TestParseAck(t *testing.T) {
	tests := map[string]Ack{
		"":                                       {},
		" \x00\n":                                {},
		`{}`:                                     {},
		`{"txpk_ack":null}`:                      {},
		`{"txpk_ack":{"error":""}}`:              {},
		`{"txpk_ack":{"error":"X"}}`:             {Result: radio.TxUnknownError, Word: "X"},
		`{"txpk_ack":{"error":"NONE"}}` + "\x00": {Word: "NONE"},
		`{"txpk_ack":{"error":"NONE","warn":"TX_POWER","value":20}}`: {Word: "NONE", Warning: "TX_POWER"},
	}
	for r := radio.TxTooLate; r < radio.TxUnknownError; r++ {
		tests[string(AppendAck(nil, r))] = Ack{Result: r, Word: r.String()}
	}
	if len(tests) != 8+8 {
		t.Errorf("%d error words, want 8", len(tests)-8)
	}
	for body, want := range tests {
		if got, err := ParseAck([]byte(body)); err != nil || got != want {
			t.Errorf("%q: %+v, %v; want %+v", body, got, err, want)
		}
	}
	for _, body := range []string{`{`, `[]`, `{"txpk_ack":7}`, `{"txpk_ack":{"error":7}}`} {
		if got, err := ParseAck([]byte(body)); !errors.Is(err, ErrPacket) {
			t.Errorf("%q: %+v, %v; want ErrPacket", body, got, err)
		}
	}
}

func TestParseFixed(t *testing.T) {
	tests := []struct {
		in     string
		digits int
		want   int64
		ok     bool
	}{
		{"868.1", 6, 868_100_000, true},
		{"868.100000", 6, 868_100_000, true},
		{"868.0999995", 6, 868_100_000, true},
		{"868.09999949", 6, 868_099_999, true},
		{"868", 6, 868_000_000, true},
		{"-7.25", 2, -725, true},
		{"-7.255", 2, -726, true},
		{"-7.2549", 2, -725, true},
		{"0", 2, 0, true},
		{"-0", 2, 0, true},
		{"8.681E2", 6, 868_100_000, true},
		{"-1e-1", 2, -10, true},
		{"", 2, 0, false},
		{"-", 2, 0, false},
		{".", 2, 0, false},
		{"1.2.3", 2, 0, false},
		{"x", 2, 0, false},
		{"1e999", 2, 0, false},
		{"9223372036854775807", 2, 0, false},
		{"99999999999999999999999999", 2, 0, false},
		{"99999999999999999999", 2, 0, false},
		{"10000000000000000000", 2, 0, false},
		{"999999999999.999999", 6, 999_999_999_999_999_999, true},
		{"999999999999.9999995", 6, 1_000_000_000_000_000_000, true},
		{"1000000000000", 6, 0, false},
	}
	for _, tt := range tests {
		if got, ok := parseFixed([]byte(tt.in), tt.digits); ok != tt.ok || ok && got != tt.want {
			t.Errorf("parseFixed(%q, %d) = %d, %v; want %d, %v", tt.in, tt.digits, got, ok, tt.want, tt.ok)
		}
	}
}

func FuzzDatagram(f *testing.F) {
	up := radio.Uplink{
		PHYPayload: []byte{1, 2, 3}, Frequency: 868_100_000, DataRate: radio.LoRaDataRate(12, 125_000),
		CodingRate: radio.CodingRate46,
		Receptions: []radio.Reception{{RSSI: -12050}},
	}
	two := up
	two.Receptions = []radio.Reception{{HasSignalRSSI: true}, {Antenna: 1, NoDownlink: true, HasFineTimestamp: true}}
	fsk := up
	fsk.DataRate, fsk.CodingRate = radio.FSKDataRate(50_000), 0
	f.Add(Packet{
		Version: 2, Type: PushData,
		Body: AppendPush(nil, []radio.Uplink{up, two, fsk}, &radio.Status{HasTemperature: true}),
	}.Append(nil))
	f.Add(Packet{Version: 1, Type: PullData}.Append(nil))
	f.Add(Packet{
		Version: 2, Type: PullResp,
		Body: AppendTx(nil, &radio.Downlink{
			PHYPayload: []byte{1}, Frequency: 868_100_000,
			DataRate: radio.LoRaDataRate(7, 125_000),
		}),
	}.Append(nil))
	f.Add(Packet{Version: 2, Type: TxAck, Body: AppendAck(nil, radio.TxTooLate)}.Append(nil))
	f.Add(Packet{Version: 2, Type: PushData, Body: []byte(`{"rxpk":[{"tmst":5,"freq":8.681e2,"modu":"LORA","datr":"SF7BW125","data":"AA","rsig":[{"etime":"AAAA"}]}],"stat":{"ackr":1e2}}`)}.Append(nil))
	f.Fuzz(fuzztest.Quick(func(t *testing.T, b []byte) {
		p, err := ParsePacket(b)
		if err != nil {
			if !errors.Is(err, ErrPacket) {
				t.Fatalf("%x: %v is not ErrPacket", b, err)
			}
			return
		}
		if !bytes.Equal(p.Append(nil), b) {
			t.Fatalf("%x came back as %x", b, p.Append(nil))
		}
		fuzzPush(t, p.Body)
		if d, err := ParseTx(p.Body); err == nil {
			if again, err := ParseTx(AppendTx(nil, &d)); err != nil || !bytes.Equal(again.PHYPayload, d.PHYPayload) {
				t.Fatalf("%s: %+v came back as %+v, %v", p.Body, d, again, err)
			}
		}
		if a, err := ParseAck(p.Body); err == nil && a.Result > radio.TxUnknownError {
			t.Fatalf("%s: result %v", p.Body, a.Result)
		}
	}))
}

func fuzzPush(t *testing.T, body []byte) {
	push, err := ParsePush(body)
	if err != nil {
		return
	}
	for _, up := range push.Uplinks {
		if len(up.PHYPayload) == 0 || len(up.PHYPayload) > 255 || len(up.Receptions) == 0 || up.Frequency == 0 {
			t.Fatalf("%s: impossible frame %+v", body, up)
		}
		if _, err := radio.TimeOnAir(radio.Packet{
			DataRate: up.DataRate, CodingRate: up.CodingRate,
			Size: len(up.PHYPayload),
		}); err != nil && up.DataRate.Modulation == radio.FSK {
			t.Fatalf("%s: %v", body, err)
		}
	}
	again, err := ParsePush(AppendPush(nil, push.Uplinks, push.Stat))
	if err != nil || len(again.Uplinks) != len(push.Uplinks) || again.Faulty > 0 {
		t.Fatalf("%s: written anew it is refused: %+v, %v", body, again, err)
	}
}
