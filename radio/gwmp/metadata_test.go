package gwmp

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"lorawand/radio"
)

// plainFrame is a frame of which every field can be read.
const plainFrame = `{"time":"2026-11-22T08:09:06.5Z","tmms":5000,"tmst":5,"ftime":7,"chan":2,"rfch":1,"freq":868.1,"stat":1,` +
	`"modu":"LORA","datr":"SF7BW125","codr":"4/5","rssi":-60,"lsnr":8.5,"foff":-713,"size":1,"data":"AA=="}`

func plainUplink() radio.Uplink {
	return radio.Uplink{
		PHYPayload: []byte{0}, Frequency: 868_100_000, DataRate: radio.LoRaDataRate(7, 125_000),
		CodingRate: radio.CodingRate45,
		Time:       5, GatewayTime: time.Date(2026, 11, 22, 8, 9, 6, 500_000_000, time.UTC),
		GPS: radio.GPSTime(5 * time.Second),
		Receptions: []radio.Reception{{
			Channel: 2, RSSI: -6000, SNR: 850, FrequencyOffset: -713, HasFineTimestamp: true,
			FineTimestamp: 7,
		}},
	}
}

func first(u *radio.Uplink) *radio.Reception { return &u.Receptions[0] }

// forget makes fields of a reception unknown.
func forget(r *radio.Reception, f radio.Fields) {
	r.Unknown |= f
	if f&radio.FieldRSSI != 0 {
		r.RSSI = 0
	}
	if f&radio.FieldSNR != 0 {
		r.SNR = 0
	}
	if f&radio.FieldChannel != 0 {
		r.Channel = 0
	}
	if f&radio.FieldFrequencyOffset != 0 {
		r.FrequencyOffset = 0
	}
}

// Changes of the plain uplink.
func noTime(u *radio.Uplink) { u.GatewayTime = time.Time{} }
func noGPS(u *radio.Uplink)  { u.GPS = 0 }
func noFine(u *radio.Uplink) { first(u).HasFineTimestamp, first(u).FineTimestamp = false, 0 }
func noCodr(u *radio.Uplink) { u.CodingRate = 0 }
func same(*radio.Uplink)     {}

func lose(f radio.Fields) func(*radio.Uplink) {
	return func(u *radio.Uplink) { forget(first(u), f) }
}

func antennas(rs ...radio.Reception) func(*radio.Uplink) {
	return func(u *radio.Uplink) { u.Receptions = rs }
}

const allFields = radio.FieldRSSI | radio.FieldSNR | radio.FieldChannel | radio.FieldFrequencyOffset

// oddMetadata has odd fields of a frame, and how they change the plain uplink.
// With "field" only, the field is taken out; with "field":value it has
// another value; what else there is stands behind all others.
var oddMetadata = []struct {
	odd  string
	want func(*radio.Uplink)
	lost int
}{
	{`"time":"0"`, noTime, 1},
	{`"time":0`, noTime, 1},
	{`"time":""`, noTime, 0},
	{`"time":null`, noTime, 0},
	{`"time":"2026-11-22 08:09:06 GMT"`, noTime, 1},
	{`"time":{}`, noTime, 1},
	{`"tmms":"5000"`, noGPS, 1},
	{`"tmms":-1`, noGPS, 1},
	{`"tmms":0`, noGPS, 0},
	{`"tmms":5e3`, same, 0},
	{`"tmms":99999999999999999999`, noGPS, 1},
	{`"tmms":9223372036854775807`, noGPS, 1},
	{`"tmms":null`, noGPS, 0},
	{`"tmst":5.0`, same, 0},
	{`"tmst":0.5e1`, same, 0},
	{`"ftime":-5`, noFine, 1},
	{`"ftime":"7"`, noFine, 1},
	{`"ftime":7.5`, noFine, 1},
	{`"chan":-1`, lose(radio.FieldChannel), 1},
	{`"chan":"3"`, lose(radio.FieldChannel), 1},
	{`"chan":256`, lose(radio.FieldChannel), 1},
	{`"chan"`, lose(radio.FieldChannel), 0},
	{`"rfch":"x"`, same, 0},
	{`"freq":8.681E2`, same, 0},
	{`"stat":1.0`, same, 0},
	{`"stat":0`, same, 0},
	{`"stat":300`, same, 0},
	{`"stat"`, same, 0},
	{`"stat":null`, same, 0},
	{`"modu"`, same, 0},
	{`"modu":"lora"`, same, 0},
	{`"modu":"CSS"`, same, 0},
	{`"modu":7`, same, 0},
	{`"codr":"4/9"`, noCodr, 1},
	{`"codr":45`, noCodr, 1},
	{`"codr":""`, noCodr, 0},
	{`"codr":"OFF"`, noCodr, 0},
	{`"codr"`, noCodr, 0},
	{`"rssi":"-60"`, lose(radio.FieldRSSI), 1},
	{`"rssi":[-60]`, lose(radio.FieldRSSI), 1},
	{`"rssi":-6e1`, same, 0},
	{`"rssi":-60.004`, same, 0},
	{`"rssi":null`, lose(radio.FieldRSSI), 0},
	{`"rssi"`, lose(radio.FieldRSSI), 0},
	{`"lsnr":"8.5"`, lose(radio.FieldSNR), 1},
	{`"lsnr":true`, lose(radio.FieldSNR), 1},
	{`"lsnr"`, lose(radio.FieldSNR), 0},
	{`"foff":12.5`, lose(radio.FieldFrequencyOffset), 1},
	{`"foff":-7.13e2`, same, 0},
	{`"foff":2147483648`, lose(radio.FieldFrequencyOffset), 1},
	{`"foff"`, lose(radio.FieldFrequencyOffset), 0},
	{`"size":200`, same, 0},
	{`"size":"1"`, same, 0},
	{`"size":-1`, same, 0},
	{`"aesk":""`, same, 0}, // and there is nothing encrypted
	{`"rsig":null`, same, 0},
	{`"rsig":[]`, same, 0},
	{`"rsig":"x"`, same, 1},
	{`"rsig":{}`, same, 1},
	{`"rsig":[null]`, same, 0},
	{`"rsig":[7]`, same, 1},
	{`"rsig":[{}]`, antennas(radio.Reception{Unknown: allFields}), 0},
	{
		`"rsig":[{"ant":0,"chan":1,"rssic":-60,"rssis":-61,"lsnr":8.5,"ftime":-5,"foff":12}]`,
		antennas(radio.Reception{
			Channel: 1, RSSI: -6000, HasSignalRSSI: true, SignalRSSI: -6100, SNR: 850,
			FrequencyOffset: 12,
		}), 1,
	},
	{
		`"rsig":[7,{"ant":"1","chan":[],"rssic":"x","rssis":{},"rssisd":"","lsnr":"x","etime":5,"foff":0.5}]`,
		antennas(radio.Reception{Unknown: allFields}), 9,
	},
	{
		`"rsig":[{"chan":1,"rssic":-60,"lsnr":1,"foff":0,"etime":"*"}]`,
		antennas(radio.Reception{Channel: 1, RSSI: -6000, SNR: 100}), 1,
	},
	{
		`"aesk":"","rsig":[{"chan":1,"rssic":-60,"lsnr":1,"foff":0,"etime":"AAAA"}]`,
		antennas(radio.Reception{Channel: 1, RSSI: -6000, SNR: 100, EncryptedFineTimestamp: []byte{0, 0, 0}}), 1,
	},
	{
		`"rsig":[{"ant":0},{"ant":1},{"ant":2},{"ant":3},{"ant":4},{"ant":5},{"ant":6},{"ant":7},{"ant":8}]`,
		func(u *radio.Uplink) {
			u.Receptions = nil
			for i := range uint8(8) {
				u.Receptions = append(u.Receptions, radio.Reception{Antenna: i, NoDownlink: i > 0, Unknown: allFields})
			}
		}, 1,
	},
	{`"ant":1`, func(u *radio.Uplink) { first(u).Antenna = 1 }, 0},
	{`"ant":-1`, same, 1},
	{
		`"rsig":[{"ant":1,"chan":1,"rssic":-60,"lsnr":1,"foff":0}]`,
		antennas(radio.Reception{Antenna: 1, Channel: 1, RSSI: -6000, SNR: 100}), 0,
	},
	{
		`"rsig":[{"ant":2,"chan":1,"rssic":-90,"lsnr":1,"foff":0},{"ant":1,"chan":1,"rssic":-60,"lsnr":1,"foff":0},{"ant":3}]`,
		antennas(
			radio.Reception{Antenna: 2, Channel: 1, RSSI: -9000, SNR: 100, NoDownlink: true},
			radio.Reception{Antenna: 1, Channel: 1, RSSI: -6000, SNR: 100},
			radio.Reception{Antenna: 3, NoDownlink: true, Unknown: allFields},
		), 0,
	},
	{
		`"rsig":[{"ant":1,"chan":1,"rssic":-60,"lsnr":1,"foff":0},{"ant":0,"chan":1,"rssic":-90,"lsnr":1,"foff":0}]`,
		antennas(
			radio.Reception{Antenna: 1, Channel: 1, RSSI: -6000, SNR: 100, NoDownlink: true},
			radio.Reception{Channel: 1, RSSI: -9000, SNR: 100},
		), 0,
	},
	{`"vendor":{"x":[1,{"rssi":"x"}]},"brd":null,"mid":-1`, same, 0},
	{`"rssi":"x","RSSI":-60`, same, 0}, // the last one counts
	{`"rssi":-1,"rssi":null`, lose(radio.FieldRSSI), 0},
}

// Odd metadata costs no frame: only the field is lost, and an unknown value is not told as
// 0.
func TestParsePushOddMetadata(t *testing.T) {
	for _, tt := range oddMetadata {
		t.Run(tt.odd, func(t *testing.T) {
			want := plainUplink()
			tt.want(&want)
			p, err := ParsePush([]byte(`{"rxpk":[` + oddFrame(tt.odd) + `,` + plainFrame + `]}`))
			if err != nil || len(p.Uplinks) != 2 || p.Faulty+p.BadCRC > 0 {
				t.Fatalf("%+v, %v; want both frames", p, err)
			}
			if !reflect.DeepEqual(p.Uplinks[0], want) {
				t.Errorf("got  %+v\nwant %+v", p.Uplinks[0], want)
			}
			if p.Lost != tt.lost || (p.LostField != "") != (tt.lost > 0) {
				t.Errorf("%d fields lost, the last one %q; want %d", p.Lost, p.LostField, tt.lost)
			}
		})
	}
}

// oddFrame is plainFrame with other fields.
func oddFrame(odd string) string {
	frame := strings.TrimSuffix(plainFrame, "}")
	name, _, changed := strings.Cut(odd, ":")
	if i := strings.Index(frame, name); i >= 0 && strings.Count(odd, name) == 1 {
		end := i + strings.Index(frame[i:]+",", `,"`)
		if end < i {
			end = len(frame)
		}
		frame = frame[:i] + strings.TrimPrefix(frame[end:], ",")
		frame = strings.TrimSuffix(frame, ",")
	}
	if changed {
		frame += "," + odd
	}
	return frame + "}"
}

// An FSK frame has neither a coding rate nor an SNR, whatever stands there.
func TestParsePushOddFSK(t *testing.T) {
	for _, odd := range []string{`"codr":"4/5"`, `"codr":"4/9"`, `"modu":"LORA"`, `"datr":5e4`} {
		frame := `{"tmst":5,"freq":868.8,"stat":1,"datr":50000,"rssi":-75,"data":"AA==",` + odd + `}`
		p, err := ParsePush([]byte(`{"rxpk":[` + frame + `]}`))
		if err != nil || len(p.Uplinks) != 1 || p.Uplinks[0].DataRate != radio.FSKDataRate(50_000) ||
			p.Uplinks[0].CodingRate != 0 {
			t.Errorf("%s: %+v, %v", odd, p, err)
		} else if p.Uplinks[0].Receptions[0].Knows(radio.FieldSNR) || p.Lost > 0 {
			t.Errorf("%s: %d lost, %+v", odd, p.Lost, p.Uplinks[0].Receptions)
		}
	}
}

// As with a frame, one field of a status costs no other.
func TestParsePushOddStatus(t *testing.T) {
	for body, want := range map[string]struct {
		stat radio.Status
		lost int
	}{
		`{"rxnb":-1,"rxok":2}`:                {radio.Status{ReceivedOK: 2}, 1},
		`{"rxnb":"1","rxok":2}`:               {radio.Status{ReceivedOK: 2}, 1},
		`{"ackr":"100%","temp":"warm"}`:       {radio.Status{}, 2},
		`{"ackr":null,"dwnb":1e1,"txnb":3.0}`: {radio.Status{Downlinks: 10, Transmitted: 3}, 0},
		`{"temp":-300000}`:                    {radio.Status{HasTemperature: true, Temperature: -10_000}, 0},
	} {
		p, err := ParsePush([]byte(`{"stat":` + body + `}`))
		if err != nil || p.Stat == nil || *p.Stat != want.stat || p.Lost != want.lost || p.Faulty > 0 {
			t.Errorf("%s: %+v, %+v, %v; want %+v", body, p.Stat, p, err, want)
		}
	}
	if p, err := ParsePush([]byte(`{"stat":7}`)); err != nil || p.Stat != nil || p.Faulty != 1 {
		t.Errorf("a status that is a number: %+v, %v", p, err)
	}
}

func TestParseWhole(t *testing.T) {
	for in, want := range map[string]int64{
		"0": 0, "-0": 0, "7": 7, "7.0": 7, "70e-1": 7, "4.257077994e9": 4257077994, "-1.5e1": -15, "9223372036854775807": math.MaxInt64,
		"-9223372036854775808": math.MinInt64, "9007199254740992.0": 1 << 53,
	} {
		if got, ok := parseWhole([]byte(in)); !ok || got != want {
			t.Errorf("parseWhole(%q) = %d, %v; want %d", in, got, ok, want)
		}
	}
	for _, in := range []string{
		"", "-", "1.5", "1e-1", "1e300", "1e999", "9223372036854775808", "9223372036854775807.0",
		"x", "e", "inf",
	} {
		if got, ok := parseWhole([]byte(in)); ok {
			t.Errorf("parseWhole(%q) = %d", in, got)
		}
	}
	if v, ok := parseWhole(fmt.Appendf(nil, "%d.%s", 1, strings.Repeat("0", 60_000))); !ok || v != 1 {
		t.Errorf("a long 1 is %d, %v", v, ok)
	}
}

// A time is one that JSON has too, in whatever zone it is told.
func TestParseTime(t *testing.T) {
	for text, want := range map[string]bool{
		"":                          true,
		"2026-11-22T08:09:06.5Z":    true,
		"9999-12-31T23:59:59Z":      true,
		"9999-12-31T23:59:59-12:00": false,
		"0001-01-01T00:00:00Z":      true,
		"0001-01-01T00:00:00+12:00": false,
		"0000-01-01T00:00:00Z":      false,
		"yesterday":                 false,
	} {
		got, ok := parseTime([]byte(text))
		if ok != want {
			t.Errorf("%q: %v, want %v", text, ok, want)
		}
		if _, err := got.MarshalJSON(); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}
