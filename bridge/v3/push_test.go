package v3

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"lorawand/bridge/session"
	"lorawand/radio"
	"lorawand/radio/fuzztest"
)

// one wraps the members of a downlink into a push.
func one(members string) string { return `{"downlinks":[{` + members + `}]}` }

// good is the item that most pushes of these tests come to.
var good = session.Item{FPort: 1, FRMPayload: []byte("hi")}

func with(change func(*session.Item)) session.Item {
	it := good
	change(&it)
	return it
}

// goodPushes are pushes with one item, and the item.
var goodPushes = []struct {
	name, push string
	want       session.Item
}{
	{"snake_case", one(`"f_port":1,"frm_payload":"aGk="`), good},
	{"camelCase", one(`"fPort":1,"frmPayload":"aGk="`), good},
	{"escaped name", one(`"f\u005fport":1,"frm_payload":"aGk="`), good},
	{"white space", " {\r\n\t\"downlinks\" : [ { \"f_port\" : 1 , \"frm_payload\" : \"aGk=\" } ] } ", good},
	{"a NUL behind it", one(`"f_port":1,"frm_payload":"aGk="`) + "\x00", good},
	{"number as string", one(`"f_port":"1","frm_payload":"aGk="`), good},
	{"number with a fraction of 0", one(`"f_port":1.0,"frm_payload":"aGk="`), good},
	{"number with an exponent", one(`"f_port":"0.1e1","frm_payload":"aGk="`), good},
	{"base64 without padding", one(`"f_port":1,"frm_payload":"aGk"`), good},
	{"base64 for URLs", one(`"f_port":1,"frm_payload":"-_8="`), with(func(it *session.Item) { it.FRMPayload = []byte{0xfb, 0xff} })},
	{"base64 for URLs without padding", one(`"f_port":1,"frm_payload":"-_8"`), with(func(it *session.Item) { it.FRMPayload = []byte{0xfb, 0xff} })},
	{"unknown members", `{"x":[1,{"y":null}],` + one(`"f_port":1,"frm_payload":"aGk=","X":true,"F_PORT":7,"decoded_payload_warnings":["w"]`)[1:], good},
	{"null is not there", one(`"f_port":1,"frm_payload":"aGk=","decoded_payload":null,"confirmed":null,"class_b_c":null,"priority":null,"correlation_ids":null,"confirmed_retry":null,"session_key_id":null,"f_cnt":null`), good},
	{"last port", one(`"f_port":223,"frm_payload":"aGk="`), with(func(it *session.Item) { it.FPort = 223 })},
	{"priority by name", one(`"f_port":1,"frm_payload":"aGk=","priority":"ABOVE_NORMAL"`), with(func(it *session.Item) { it.Priority = radio.PriorityAboveNormal })},
	{"priority by number", one(`"f_port":1,"frm_payload":"aGk=","priority":3`), with(func(it *session.Item) { it.Priority = radio.PriorityNormal })},
	{"unknown priority", one(`"f_port":1,"frm_payload":"aGk=","priority":"high"`), good},
	{"priority above an application's", one(`"f_port":1,"frm_payload":"aGk=","priority":"HIGHEST"`), with(func(it *session.Item) { it.Priority = radio.PriorityHighest })},
	{"correlation ids", one(`"f_port":1,"frm_payload":"aGk=","correlation_ids":["z","a\u00e9",""]`), with(func(it *session.Item) { it.CorrelationIDs = []string{"z", "aé", ""} })},
	{"correlation id, longest", one(`"f_port":1,"frm_payload":"aGk=","correlation_ids":["` + strings.Repeat("é", 100) + `"]`), with(func(it *session.Item) { it.CorrelationIDs = []string{strings.Repeat("é", 100)} })},
	{"confirmed", one(`"f_port":1,"frm_payload":"aGk=","confirmed":true`), with(func(it *session.Item) { it.Confirmed, it.Attempt = true, 1 })},
	{"confirmed, attempts given", one(`"f_port":1,"frm_payload":"aGk=","confirmed":true,"confirmed_retry":{"max_attempts":2}`), with(func(it *session.Item) { it.Confirmed, it.MaxAttempts = true, 2 })},
	{"confirmed, most attempts", one(`"f_port":1,"frm_payload":"aGk=","confirmed":true,"confirmedRetry":{"maxAttempts":"32","attempt":4}`), with(func(it *session.Item) { it.Confirmed, it.MaxAttempts, it.Attempt = true, 32, 4 })},
	{"confirmed, empty retry", one(`"f_port":1,"frm_payload":"aGk=","confirmed_retry":{},"confirmed":true`), with(func(it *session.Item) { it.Confirmed = true })},
	{"unconfirmed, too many attempts", one(`"f_port":1,"frm_payload":"aGk=","confirmed_retry":{"max_attempts":33}`), with(func(it *session.Item) { it.MaxAttempts = 33 })},
	{"decoded only", one(`"f_port":1,"decoded_payload":{}`), session.Item{FPort: 1, Decoded: []byte(`{}`)}},
	{"decoded only, without a port", one(`"decoded_payload":{}`), session.Item{Decoded: []byte(`{}`)}},
	{
		"decoded, put into order", one(`"f_port":1,"decodedPayload":{"b":[1.50,{"z":"<\u00e9\/>","y":null}, [ ]],"a":1e2,"":true,"c":-0.25,"ab":false}`),
		session.Item{FPort: 1, Decoded: []byte(`{"":true,"a":100,"ab":false,"b":[1.5,{"y":null,"z":"<é/>"},[]],"c":-0.25}`)},
	},
	{"both payloads", one(`"f_port":1,"frm_payload":"aGk=","decoded_payload":{"a":1}`), with(func(it *session.Item) { it.Decoded = []byte(`{"a":1}`) })},
	{"own cryptography", one(`"f_port":1,"frm_payload":"aGk=","session_key_id":"AQI=","f_cnt":4294967295`), with(func(it *session.Item) { it.SessionKeyID, it.FCnt = []byte{1, 2}, 1<<32-1 })},
	{
		"class B or C", one(`"f_port":1,"frm_payload":"aGk=","class_b_c":{"gateways":[{"gateway_ids":{"gateway_id":"gtw-1","eui":"ocD/7gAAAQA="},"antenna_index":1,"group_index":"2"},` +
			`{"gatewayIds":{"gatewayId":"gtw-2"}}],"absolute_time":"2026-11-22T10:09:06.5+02:00"}`),
		with(func(it *session.Item) {
			it.ClassBC = &session.ClassBC{
				Gateways: []session.GatewayAntenna{
					{GatewayID: "gtw-1", EUI: radio.EUI64{0xA1, 0xC0, 0xFF, 0xEE, 0, 0, 1, 0}, Antenna: 1, Group: 2},
					{GatewayID: "gtw-2"},
				},
				AbsoluteTime: time.Date(2026, 11, 22, 8, 9, 6, 500_000_000, time.UTC),
			}
		}),
	},
	{"class B or C, anyhow", one(`"f_port":1,"frm_payload":"aGk=","classBC":{}`), with(func(it *session.Item) { it.ClassBC = new(session.ClassBC) })},
}

func TestParseDownlinks(t *testing.T) {
	for _, tt := range goodPushes {
		t.Run(tt.name, func(t *testing.T) {
			items, err := ParseDownlinks([]byte(tt.push))
			if err != nil || len(items) != 1 || !reflect.DeepEqual(items[0], tt.want) {
				t.Errorf("%s\ngot  %+v, %v\nwant %+v", tt.push, items, err, tt.want)
			}
		})
	}
}

func TestParseDownlinksNothing(t *testing.T) {
	for _, push := range []string{`{}`, `{"downlinks":null}`, `{"downlinks":[]}`, `{"x":1}`, ` { } `} {
		if items, err := ParseDownlinks([]byte(push)); err != nil || len(items) != 0 {
			t.Errorf("%s: %+v, %v; want nothing", push, items, err)
		}
	}
}

func TestParseDownlinksOrder(t *testing.T) {
	items, err := ParseDownlinks([]byte(`{"downlinks":[{"f_port":1,"frm_payload":"YQ=="},{"f_port":2,"frm_payload":"Yg=="},{"f_port":3,"frm_payload":"Yw=="}]}`))
	if err != nil || len(items) != 3 || items[0].FPort != 1 || items[1].FPort != 2 || items[2].FPort != 3 {
		t.Errorf("%+v, %v", items, err)
	}
}

// fine are the members of an item without faults.
const fine = `"f_port":1,"frm_payload":"aGk="`

// badPushes are pushes that are refused, with the error and a part of its text.
var badPushes = []struct {
	name, push string
	kind       *Error
	says       string
}{
	{"nothing", ``, NotDecoded(""), "not JSON at byte 0"},
	{"a list", `[]`, NotDecoded(""), "the message: not an object"},
	{"null", `null`, NotDecoded(""), "the message: not an object"},
	{"text", `hello`, NotDecoded(""), "not an object"},
	{"cut off", `{"downlinks":[{"f_port":1`, NotDecoded(""), "not JSON at byte 25"},
	{"cut off in a value", `{"downlinks":[{"f_port":`, NotDecoded(""), "not JSON at byte 24"},
	{"cut off in a string", `{"downlinks":[{"frm_payload":"aGk`, NotDecoded(""), "not JSON at byte 30"},
	{"comma too much", one(fine + `,`), NotDecoded(""), "not JSON"},
	{"comma missing", one(`"f_port":1 "frm_payload":"aGk="`), NotDecoded(""), "not JSON"},
	{"colon missing", one(`"f_port" 1`), NotDecoded(""), "not JSON"},
	{"name without quotes", one(`f_port:1`), NotDecoded(""), "not JSON"},
	{"brackets crossed", `{"downlinks":[{"x":[}]}`, NotDecoded(""), "not JSON"},
	{"line break in a string", one(fine + ",\"x\":\"a\nb\""), NotDecoded(""), "not JSON"},
	{"bad escape", one(fine + `,"x":"\x"`), NotDecoded(""), "not JSON"},
	{"half a surrogate pair", one(fine + `,"x":"\ud83d-"`), NotDecoded(""), "not JSON"},
	{"bad UTF-8", one(fine + ",\"x\":\"\xff\""), NotDecoded(""), "not UTF-8"},
	{"bad number", one(fine + `,"x":01`), NotDecoded(""), "not JSON"},
	{"bad literal", one(fine + `,"x":nul`), NotDecoded(""), "not JSON"},
	{"nested deep", one(fine + `,"x":` + strings.Repeat("[", 30) + strings.Repeat("]", 30)), NotDecoded(""), "nested too deep at byte"},
	{"decoded nested deep", one(fine + `,"decoded_payload":` + strings.Repeat(`{"a":`, 30) + "1" + strings.Repeat("}", 30)), NotDecoded(""), "nested too deep at byte"},
	{"large", one(fine) + strings.Repeat(" ", MaxPushSize), NotDecoded(""), " bytes, at most 65536"},
	{"downlinks no list", `{"downlinks":{}}`, NotDecoded(""), "downlinks: not a list"},
	{"downlinks twice", `{"downlinks":[],"downlinks":[]}`, NotDecoded(""), "downlinks: more than once"},
	{"downlink null", `{"downlinks":[null]}`, NotDecoded(""), "downlinks[0]: not an object"},
	{"downlink a number", `{"downlinks":[{` + fine + `},5]}`, NotDecoded(""), "downlinks[1]: not an object"},
	{"field twice", one(fine + `,"fPort":2`), NotDecoded(""), "downlinks[0].f_port: more than once"},
	{"null twice", one(fine + `,"priority":null,"priority":1`), NotDecoded(""), "downlinks[0].priority: more than once"},
	{"port -1", one(`"f_port":-1,"frm_payload":"aGk="`), NotDecoded(""), "downlinks[0].f_port: not an integer from 0 to 4294967295"},
	{"port 1.5", one(`"f_port":1.5,"frm_payload":"aGk="`), NotDecoded(""), "not an integer"},
	{"port 2^32", one(`"f_port":4294967296,"frm_payload":"aGk="`), NotDecoded(""), "not an integer"},
	{"port 10^400", one(`"f_port":1e400,"frm_payload":"aGk="`), NotDecoded(""), "not an integer"},
	{"port in words", one(`"f_port":"one","frm_payload":"aGk="`), NotDecoded(""), "not an integer"},
	{"port with a space", one(`"f_port":"1 ","frm_payload":"aGk="`), NotDecoded(""), "not an integer"},
	{"port a list", one(`"f_port":[1],"frm_payload":"aGk="`), NotDecoded(""), "downlinks[0].f_port: not a number"},
	{"bad base64", one(`"f_port":1,"frm_payload":"a b"`), NotDecoded(""), "downlinks[0].frm_payload: not base64"},
	{"half a padding", one(`"f_port":1,"frm_payload":"YQ="`), NotDecoded(""), "not base64"},
	{"payload in numbers", one(`"f_port":1,"frm_payload":[1,2]`), NotDecoded(""), "downlinks[0].frm_payload: not a string"},
	{"decoded no object", one(`"f_port":1,"decoded_payload":[1]`), NotDecoded(""), "downlinks[0].decoded_payload: not an object"},
	{"decoded, key twice", one(`"f_port":1,"decoded_payload":{"a":1,"b":2,"a":3}`), NotDecoded(""), "downlinks[0].decoded_payload: a key more than once"},
	{"decoded, large number", one(`"f_port":1,"decoded_payload":{"a":1e400}`), NotDecoded(""), "a number out of range"},
	{"confirmed in words", one(fine + `,"confirmed":"true"`), NotDecoded(""), "downlinks[0].confirmed: not true or false"},
	{"priority a list", one(fine + `,"priority":[]`), NotDecoded(""), "downlinks[0].priority: not a name or a number"},
	{"priority 1.5", one(fine + `,"priority":1.5`), NotDecoded(""), "downlinks[0].priority: not an integer"},
	{"correlation id null", one(fine + `,"correlation_ids":[null]`), NotDecoded(""), "downlinks[0].correlation_ids: not a string"},
	{"correlation ids no list", one(fine + `,"correlation_ids":"a"`), NotDecoded(""), "downlinks[0].correlation_ids: not a list"},
	{"class_b_c no object", one(fine + `,"class_b_c":true`), NotDecoded(""), "downlinks[0].class_b_c: not an object"},
	{"gateways no list", one(fine + `,"class_b_c":{"gateways":{}}`), NotDecoded(""), "downlinks[0].class_b_c.gateways: not a list"},
	{"gateway no object", one(fine + `,"class_b_c":{"gateways":["gtw-1"]}`), NotDecoded(""), "downlinks[0].class_b_c.gateways: not an object"},
	{"gateway_ids no object", one(fine + `,"class_b_c":{"gateways":[{"gateway_ids":"gtw-1"}]}`), NotDecoded(""), "gateway_ids: not an object"},
	{"absolute_time a number", one(fine + `,"class_b_c":{"absolute_time":5}`), NotDecoded(""), "downlinks[0].class_b_c.absolute_time: not a string"},
	{"absolute_time without zone", one(fine + `,"class_b_c":{"absolute_time":"2026-11-22T08:09:06"}`), NotDecoded(""), "not a time as in RFC 3339"},
	{"absolute_time long ago", one(fine + `,"class_b_c":{"absolute_time":"0001-01-01T00:00:00Z"}`), NotDecoded(""), "not a time as in RFC 3339"},
	{"confirmed_retry no object", one(fine + `,"confirmed_retry":2`), NotDecoded(""), "downlinks[0].confirmed_retry: not an object"},

	{"port 225", one(`"f_port":225,"frm_payload":"aGk="`), Invalid("", ""), "invalid `downlinks[0].f_port`: value must be inside range [1, 223]"},
	{"port 255", one(`"f_port":255,"frm_payload":"aGk="`), Invalid("", ""), "inside range [1, 223]"},
	{"port 257", one(`"f_port":257,"frm_payload":"aGk="`), Invalid("", ""), "inside range [1, 223]"},
	{"payload of 256 bytes", one(`"f_port":1,"frm_payload":"` + strings.Repeat("AAAA", 85) + `AA=="`), Invalid("", ""), "invalid `downlinks[0].frm_payload`: value length must be at most 255 bytes"},
	{"session_key_id of 2049 bytes", one(fine + `,"session_key_id":"` + strings.Repeat("AAAA", 683) + `"`), Invalid("", ""), "session_key_id`: value length must be at most 2048 bytes"},
	{"priority 7", one(fine + `,"priority":7`), Invalid("", ""), "invalid `downlinks[0].priority`: value must be one of the defined enum values"},
	{"priority -1", one(fine + `,"priority":-1`), Invalid("", ""), "defined enum values"},
	{"correlation id of 101 characters", one(fine + `,"correlation_ids":["a","` + strings.Repeat("é", 101) + `"]`), Invalid("", ""), "correlation_ids`: value length must be at most 100 runes"},
	{"33 correlation ids", one(fine + `,"correlation_ids":["a"` + strings.Repeat(`,"a"`, 32) + `]`), Invalid("", ""), "correlation_ids`: value must contain no more than 32 items"},
	{"no attempts", one(fine + `,"confirmed":true,"confirmed_retry":{"max_attempts":0}`), Invalid("", ""), "confirmed_retry.max_attempts`: value must be inside range (0, 100]"},
	{"101 attempts", one(fine + `,"confirmed_retry":{"max_attempts":101}`), Invalid("", ""), "inside range (0, 100]"},
	{"attempt 101", one(fine + `,"confirmed_retry":{"attempt":101}`), Invalid("", ""), "confirmed_retry.attempt`: value must be at most 100"},
	{"gateway without ids", one(fine + `,"class_b_c":{"gateways":[{}]}`), Invalid("", ""), "gateways.gateway_ids.gateway_id`: value must be an id"},
	{"gateway EUI in hex", one(fine + `,"class_b_c":{"gateways":[{"gateway_ids":{"gateway_id":"gtw-1","eui":"A1C0FFEE00000100"}}]}`), Invalid("", ""), "gateway_ids.eui`: value length must be 8 bytes"},
	{"33 gateways", one(fine + `,"class_b_c":{"gateways":[{"gateway_ids":{"gateway_id":"gtw"}}` + strings.Repeat(`,{"gateway_ids":{"gateway_id":"gtw"}}`, 32) + `]}`), Invalid("", ""), "class_b_c.gateways`: value must contain no more than 32 items"},

	{"33 attempts", one(fine + `,"confirmed":true,"confirmed_retry":{"max_attempts":33}`), TooManyRetries(), "configured maximum of 32"},
	{"no payload", one(`"f_port":1`), NoPayload(), "no payload"},
	{"empty payload", one(`"f_port":1,"frm_payload":""`), NoPayload(), "no payload"},
	{"neither port nor payload", one(``), NoPayload(), "no payload"},
	{"no port", one(`"frm_payload":"aGk="`), NoFPort(), "no FPort"},
	{"port 0", one(`"f_port":0,"frm_payload":"aGk="`), NoFPort(), "no FPort"},
	{"port 0 as string", one(`"f_port":"0","frm_payload":"aGk=","decoded_payload":{}`), NoFPort(), "no FPort"},

	{"decoding comes first", `{"downlinks":[{"f_port":0},{"f_port":300},{"f_port":"x"}]}`, NotDecoded(""), "downlinks[2].f_port"},
	{"then the fields", `{"downlinks":[{"f_port":1},{"f_port":300}]}`, Invalid("", ""), "downlinks[1].f_port"},
	{"then the payloads", `{"downlinks":[{"frm_payload":"YQ=="},{"f_port":1}]}`, NoPayload(), "no payload"},
}

// Each bad push is refused with the fault of its case.
func TestParseDownlinksRefuses(t *testing.T) {
	for _, tt := range badPushes {
		t.Run(tt.name, func(t *testing.T) {
			items, err := ParseDownlinks([]byte(tt.push))
			if !errors.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%.200s\ngot  %+v, %v\nwant %s: … %s …", tt.push, items, err, tt.kind.Name, tt.says)
			}
		})
	}
}

// The readable part of a push that is refused is returned, so that the failures can show
// it.
func TestParseDownlinksKeepsWhatItRead(t *testing.T) {
	a, b := session.Item{FPort: 1, FRMPayload: []byte("a")}, session.Item{
		FPort: 2, FRMPayload: []byte("b"),
		CorrelationIDs: []string{"b"},
	}
	const one, two = `{"f_port":1,"frm_payload":"YQ=="}`, `{"f_port":2,"frm_payload":"Yg==","correlation_ids":["b"]}`
	tests := []struct {
		name, push string
		want       []session.Item
	}{
		{"no JSON", `hello`, nil},
		{"bad port", `{"downlinks":[` + one + `,{"f_port":0,"frm_payload":"Yg==","correlation_ids":["b"]}]}`, []session.Item{a, {FRMPayload: b.FRMPayload, CorrelationIDs: b.CorrelationIDs}}},
		{"port 225", `{"downlinks":[{"f_port":225,"frm_payload":"YQ=="},` + two + `]}`, []session.Item{{FPort: 225, FRMPayload: a.FRMPayload}, b}},
		{"bad base64", `{"downlinks":[{"frm_payload":"?","f_port":1},` + two + `]}`, []session.Item{{FPort: 1}, b}},
		{"value of the wrong kind", `{"downlinks":[{"frm_payload":[[{}],"}"],"f_port":1},5,` + two + `]}`, []session.Item{{FPort: 1}, {}, b}},
		{"bad decoded_payload", `{"downlinks":[{"f_port":1,"decoded_payload":{"a":1e999}},` + two + `]}`, []session.Item{{FPort: 1}, b}},
		{"cut off", `{"downlinks":[` + one + `,{"f_port":2,"frm_payload":"Yg==","correlation_ids":["b"`, []session.Item{a, b}},
		{"cut off between items", `{"downlinks":[` + one + `,` + two, []session.Item{a, b}},
		{"garbage in the list", `{"downlinks":[` + one + `,]}`, []session.Item{a, {}}},
		{"too many", `{"downlinks":[` + one + strings.Repeat(`,`+one, MaxPushItems) + `]}`, nil},
		{"too many, and one is bad", `{"downlinks":[{}` + strings.Repeat(`,`+one, MaxPushItems) + `]}`, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			items, err := ParseDownlinks([]byte(tt.push))
			if err == nil || !reflect.DeepEqual(items, tt.want) {
				t.Errorf("got  %+v, %v\nwant %+v and an error", items, err, tt.want)
			}
		})
	}
	_, err := ParseDownlinks([]byte(`{"downlinks":[` + one + strings.Repeat(`,`+one, MaxPushItems) + `]}`))
	if !errors.Is(err, Invalid("", "")) || !strings.Contains(err.Error(),
		"`downlinks`: value must contain no more than 512 items") {
		t.Errorf("too many: %v", err)
	}
	items, err := ParseDownlinks([]byte(`{"downlinks":[` + one + strings.Repeat(`,`+one, MaxPushItems-1) + `]}`))
	if err != nil || len(items) != MaxPushItems {
		t.Errorf("as many as there may be: %d, %v", len(items), err)
	}
}

// worst are pushes that would be slow to read for a reader that looks at
// something twice.
func worst() map[string][]byte {
	fill := func(head, again, tail string) []byte {
		n := (MaxPushSize - len(head) - len(tail)) / len(again)
		return []byte(head + strings.Repeat(again, n) + tail)
	}
	deep := func(again string) []byte {
		return fill(`{"downlinks":[{"decoded_payload":`+strings.Repeat(`{"b":1,"a":`, 25)+`[1`, again, `]`+strings.Repeat("}", 25)+`}]}`)
	}
	keys := []byte(`{"downlinks":[{"decoded_payload":{"x":0`)
	for i := 5000; len(keys) < MaxPushSize-16; i-- {
		keys = fmt.Appendf(keys, `,"%04d":0`, i)
	}
	return map[string][]byte{
		"items":            fill(`{"downlinks":[{}`, `,{}`, `]}`),
		"open brackets":    fill(`{"downlinks":`, `[`, ``),
		"backslashes":      fill(`{"downlinks":[{"correlation_ids":["`, `\u00e9`, `"]}]}`),
		"unknown members":  fill(`{"downlinks":[{"a":0`, `,"":0`, `}]}`),
		"white space":      fill(`{"downlinks":`, ` `, `[]}`),
		"digits":           fill(`{"downlinks":[{"f_port":1`, `1`, `}]}`),
		"digits, decoded":  fill(`{"downlinks":[{"decoded_payload":{"a":0.1`, `1`, `}}]}`),
		"deep list":        deep(`,1`),
		"unsorted objects": deep(`,{"b":1,"a":2}`),
		"unsorted keys":    append(keys, `}}]}`...),
		"base64":           fill(`{"downlinks":[{"frm_payload":"`, `AAAA`, `"}]}`),
	}
}

// Memory is a measure of the work that does not depend on the machine.
func TestParseDownlinksWorst(t *testing.T) {
	for name, push := range worst() {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, _ = ParseDownlinks(push)
			runtime.ReadMemStats(&after)
			if got := after.TotalAlloc - before.TotalAlloc; got > 64*MaxPushSize {
				t.Errorf("%d bytes of push take %d bytes of memory", len(push), got)
			}
		})
	}
}

func FuzzDownlinks(f *testing.F) {
	for _, s := range []string{
		one(`"f_port":1,"frm_payload":"aGk="`), one(`"fPort":"1","frmPayload":"-_8","confirmed":true,"priority":"HIGH","correlation_ids":["\ud83d\ude00"]`),
		one(`"f_port":2.0,"decoded_payload":{"b":[1e2,{"z":null,"a":-0}],"a":"\u0000"},"confirmed":true,"confirmed_retry":{"max_attempts":3}`),
		one(`"f_port":3,"frm_payload":"AA==","class_b_c":{"gateways":[{"gateway_ids":{"gateway_id":"gtw-1","eui":"ocD/7gAAAQA="},"antenna_index":1}],"absolute_time":"2026-11-22T08:09:06.5Z"}`),
		one(`"session_key_id":"AQI","f_cnt":7,"priority":6,"x":[[[]]]`), `{"downlinks":[{"f_port":0},{"f_port":300},5,null]}`,
		one(`"decoded_payload":{}`), one(`"f_port":224,"frm_payload":"AA=="`),
		`{}`, `{"downlinks":null}`, `[]`, `{"downlinks":[{"frm_payload":"` + strings.Repeat("A", 400) + `"}]}`, strings.Repeat(`{"downlinks":[`, 40),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(fuzztest.Quick(func(t *testing.T, push []byte) {
		items, err := ParseDownlinks(push)
		e, _ := err.(*Error)
		if err != nil && (e == nil || e.Code == 0 || strings.ContainsAny(err.Error(), "\n\r\x00")) {
			t.Fatalf("%q: error %#v", push, err)
		}
		if len(items) > MaxPushItems {
			t.Fatalf("%d items", len(items))
		}
		for i := range items {
			fuzzItem(t, &items[i], e)
		}
	}))
}

// fuzzItem writes an item of a push, and reads it again.
func fuzzItem(t *testing.T, it *session.Item, e *Error) {
	d := &Downlink{Item: it}
	kind := DownQueued
	if e != nil {
		kind, d.Err = DownFailed, e
	}
	b := (&Encoder{}).AppendDownlink(nil, kind, d)
	if !json.Valid(b) {
		t.Fatalf("%+v is written as %s", it, b)
	}
	if e != nil {
		return
	}
	encoded := len(it.FRMPayload) > 0 || it.Decoded == nil // else a formatter gives the rest
	if encoded && (it.FPort == 0 || len(it.FRMPayload) == 0) || it.FPort > MaxFPort && it.FPort != session.TestPort ||
		len(it.FRMPayload) > MaxFRMPayload ||
		it.Confirmed && it.MaxAttempts > MaxRetries || it.Priority > radio.PriorityHighest ||
		len(it.CorrelationIDs) > MaxCorrelationIDs {
		t.Fatalf("taken is %+v", it)
	}
	if it.ClassBC != nil && slices.ContainsFunc(it.ClassBC.Gateways, func(g session.GatewayAntenna) bool {
		return !g.EUI.IsZero()
	}) {
		return // an EUI is written in hex and read in base64
	}
	_, queued, _ := bytes.Cut(b, []byte(`"downlink_queued":`))
	again, err := ParseDownlinks([]byte(`{"downlinks":[` + string(queued[:len(queued)-1]) + `]}`))
	if err != nil || len(again) != 1 || !reflect.DeepEqual(again[0], *it) {
		t.Fatalf("%s comes back as %+v, %v; want %+v", queued, again, err, it)
	}
}

func BenchmarkParseDownlinks(b *testing.B) {
	push := []byte(one(`"f_port":15,"frm_payload":"aGVsbG8=","priority":"NORMAL","confirmed":true,"correlation_ids":["my-id"]`))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseDownlinks(push); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseDownlinksWorst(b *testing.B) {
	for name, push := range worst() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = ParseDownlinks(push)
			}
		})
	}
}
