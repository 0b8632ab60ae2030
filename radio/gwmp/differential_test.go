package gwmp

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"lorawand/radio"
	"lorawand/radio/fuzztest"
)

// samePush fails unless ParsePush does with a body what encoding/json makes of
// it. The words of the faults are its own.
func samePush(t testing.TB, body []byte) {
	t.Helper()
	got, err := ParsePush(body)
	want, wantErr := referencePush(body)
	if (err == nil) != (wantErr == nil) || err != nil && !errors.Is(err, ErrPacket) {
		t.Fatalf("%q:\ngot  %v\nwant %v", body, err, wantErr)
	}
	if (got.Fault == nil) != (want.Fault == nil) || got.Fault != nil && !errors.Is(got.Fault, ErrPacket) {
		t.Fatalf("%q:\ngot a fault of  %v\nwant a fault of %v", body, got.Fault, want.Fault)
	}
	got.Fault, want.Fault, got.LostField = nil, nil, ""
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%q:\ngot  %+v\nwant %+v", body, got, want)
	}
	// Nothing is left of what was parsed before.
	used := Push{
		Uplinks: make([]radio.Uplink, 2, 8), Stat: &radio.Status{Received: 1}, BadCRC: 3, Faulty: 4,
		Fault: ErrPacket, Lost: 5, LostField: "x",
	}
	used.Uplinks[0].GPS, used.Uplinks[1].CodingRate = 1, 2
	againErr := used.Parse(body)
	used.Fault, used.LostField = nil, ""
	if len(used.Uplinks) == 0 && len(got.Uplinks) == 0 {
		used.Uplinks = got.Uplinks
	}
	if (againErr == nil) != (err == nil) || !reflect.DeepEqual(used, got) {
		t.Fatalf("%q:\nsecond time %+v\nfirst time  %+v", body, used, got)
	}
}

// realPushes are bodies as forwarders write them.
var realPushes = []string{
	// Semtech's packet_forwarder 4.0.1
	`{"rxpk":[{"tmst":3512348514,"time":"2026-11-22T08:09:06.544321Z","chan":2,"rfch":1,"freq":866.349812,"stat":1,"modu":"LORA","datr":"SF7BW125",` +
		`"codr":"4/6","lsnr":5.1,"rssi":-35,"size":6,"data":"gP3erb4A"},{"tmst":3512348611,"chan":9,"rfch":1,"freq":869.100000,"stat":1,"modu":"FSK",` +
		`"datr":50000,"rssi":-75,"size":4,"data":"VEVTVA=="}],"stat":{"time":"2026-11-22 08:09:06 GMT","lati":46.24000,"long":3.25230,"alti":145,` +
		`"rxnb":2,"rxok":2,"rxfw":2,"ackr":100.0,"dwnb":2,"txnb":2}}`,
	// sx1302_hal 2.1.0, with GPS
	benchBody,
	`{"rxpk":[{"jver":1,"tmst":20980692,"time":"2026-11-22T08:09:06.544321Z","tmms":1479370164544,"ftime":123456789,"chan":2,"rfch":0,` +
		`"freq":868.500000,"mid": 8,"stat":-1,"modu":"LORA","datr":"SF12BW125","codr":"OFF","rssis":-60,"lsnr":-13.5,"foff":-713,"rssi":-61,` +
		`"size":12,"data":"QO/Nq4GABQAPAQID"}],"stat":{"time":"2026-11-22 08:09:06 GMT","rxnb":1,"rxok":0,"rxfw":0,"ackr":0.0,"dwnb":0,"txnb":0,"temp":25.5}}`,
	// Several antennas, as Kerlink's and Semtech's reference 2
	`{"rxpk":[{"aesk":4,"brd":262,"codr":"4/5","data":"QO\/Nq4GABQAPAQID","datr":"SF9BW125","freq":868.1,"jver":2,"modu":"LORA","rsig":[` +
		`{"ant":0,"chan":7,"lsnr":7.2,"etime":"AAECAwQFBgcICQoLDA0ODw==","rssic":-110,"rssis":-112,"rssisd":1,"foff":17},` +
		`{"ant":1,"chan":15,"lsnr":-3.25,"ftime":0,"ftstat":1,"ftver":1,"rssic":-99,"foff":-17}],` +
		`"size":12,"stat":0,"time":"2026-11-22T08:09:06.544321987Z","tmst":5}]}`,
	"{ \"stat\" : {\n\t\"rxnb\" : 7 ,\r\n\"temp\" : null , \"fpga\":0,\"ping\":[]} ,\"rxpk\" : [ ] }\n\x00\x00",
	`{"stat":{"time":"2026-11-22 08:09:06 GMT","rxnb":-1},"rxpk":null}`,
	`null`,
}

// oddTokens take the place of the tokens of a real body.
var oddTokens = []string{
	``, `null`, `true`, `false`, `nul`, `truee`, `0`, `-0`, `-1`, `1`, `7.0`, `-7.25`, `1e2`, `1E+400`, `-1e-7`, `01`,
	`+1`, `.5`, `5.`, `1e`, `-`,
	`127`, `128`, `-128`, `-129`, `255`, `256`, `4294967295`, `4294967296`, `2147483647`, `2147483648`, `-2147483648`,
	`-2147483649`,
	`9223372036854775807`, `9223372036854775808`, `-9223372036854775808`, `-9223372036854775809`, `99999999999999999999`, `100000000000000000000000000`,
	`9999999999999.5`, `868.0999995`, strings.Repeat(`9`, 400), `0.` + strings.Repeat(`0`, 400) + `1`,
	`""`, `"`, `"SF7BW125"`, `"SF07BW0500"`, `"SF7BW65536"`, `"SF99999999999999999999BW125"`, `"\u0053F7BW125"`, `"LORA"`,
	`"\u004cORA"`, `"\u004CORA"`, `"\u004gORA"`, `"\u00-0"`, `"lora"`, `"FSK"`,
	`"4/5"`, `"4\/5"`, `"AA=="`, `"AA="`, `"A\nA\r=\u003d"`, `"=AA"`, `"A==A"`, `"AAAA\/\/\/\/"`, `"-_-_"`, `"x"`,
	"\"\xff\"", "\"A\x80A\"", `"\ud800"`, `"\ud83d\ude00"`, `"\ude00A"`, `"\u00"`,
	`"\x"`, `"\`, "\"\n\"", "\"\x1f\"", "\"\x7f\"", `"2026-11-22T08:09:06+01:00"`, `"2026-11-22T08:09:06,5Z"`,
	`"2026-11-22 08:09:06 GMT"`, `"0000-00-00T00:00:00Z"`,
	`"` + strings.Repeat("QUFB", 85) + `"`, `"` + strings.Repeat("QUFB", 86) + `"`,
	`"` + strings.Repeat(`\u0041`, 340) + `"`,
	`{}`, `[]`, `{`, `[`, `}`, `]`, `,`, `:`, `,,`, `[{}]`, `{"ant":1}`, `[{"ant":1},{"chan":2}]`, `[null,{"ANT":3}]`, `[7]`, `[{},{},{},{},{},{},{},{}]`, `[{},{},{},{},{},{},{},{},{}]`,
	`{"a":[{"b":[[],{},"]",1e3]},null]}`, `{"a":}`, `{"a"}`, `{"a":1,}`, `{,}`, `[1,]`, `[1 2]`, `{"a":1 "b":2}`, `{1:2}`, `{"\q":1}`,
	`"tmst"`, `"TMST"`, `"tm\u0073t"`, `"tm\u017ft"`, "\"tm\u017ft\"", `"tmst\u0000"`, `"rssis"`, `"RSSI"`, `"foff"`,
	`"stat"`, `"STAT"`, `"rsig"`, `"aes\u212a"`, "\"aes\u212a\"", `"ftime"`, `"etime"`, `"temp"`, `"rxpk"`,
	"/* */", "\ufeff", " \v ", "\x00", `\u0022`,
}

// tokens takes a JSON text apart: brackets, commas, colons, strings and words.
func tokens(text string) (out []string) {
	for i := 0; i < len(text); {
		n := 1
		switch c := text[i]; {
		case c == '"':
			for text[i+n] != '"' {
				n++
			}
			n++
		case !strings.ContainsRune("{}[],: \n\r\t\x00", rune(c)):
			for i+n < len(text) && !strings.ContainsRune("{}[],: \n\r\t\x00\"", rune(text[i+n])) {
				n++
			}
		}
		out = append(out, text[i:i+n])
		i += n
	}
	return out
}

func TestParsePushAsEncodingJSON(t *testing.T) {
	for _, body := range realPushes {
		samePush(t, []byte(body))
		all := tokens(body)
		for i := range all {
			before, after := strings.Join(all[:i], ""), strings.Join(all[i+1:], "")
			samePush(t, []byte(before))               // cut off
			samePush(t, []byte(before+all[i]+before)) // begun again
			samePush(t, []byte(before+all[i]+all[i]+after))
			for _, odd := range oddTokens {
				samePush(t, []byte(before+odd+after))
			}
		}
	}
	for _, body := range []string{
		``, ` `, `[]`, `7`, `"x"`, `true`, `{}`, `{} {}`, `{}x`, `null null`, "{}\x00{}", `{"rxpk":[7,null,"x",[],{},true]}`,
		`{"rxpk":[` + strings.Repeat(`{},`, 63) + `{}]}`, `{"rxpk":[` + strings.Repeat(`{},`, 64) + `{}]}`,
		`{"rxpk":[` + strings.Repeat(`{},`, 64) + `{}],"rxpk":[]}`, `{"rxpk":[{"stat":-1},{}],"rxpk":null}`, `{"rxpk":7,"rxpk":[]}`, `{"rxpk":[{}],"RXPK":[7,7]}`,
		`{"stat":{"rxnb":1},"stat":{"rxok":2}}`, `{"stat":{"rxnb":1},"stat":null}`, `{"stat":7,"stat":{}}`, `{"stat":{"temp":5,"temp":null,"ackr":5,"ackr":null}}`,
		`{"stat":` + strings.Repeat(`[`, 9999) + strings.Repeat(`]`, 9999) + `}`, `{"stat":` + strings.Repeat(`[`, 10_000) + strings.Repeat(`]`, 10_000) + `}`,
		`{"rxpk":` + strings.Repeat(`[{"rxpk":`, 4999) + `7` + strings.Repeat(`}]`, 4999) + `}`, strings.Repeat(`{"rxpk":[`, 5001),
		strings.Repeat(`[`, 60_000), strings.Repeat(`{"a":`, 13_000), `{"` + strings.Repeat(`\u0041`, 10_000) + `":1}`,
	} {
		samePush(t, []byte(body))
	}
}

// Every name comes twice, with every pair of values.
func TestParsePushRepeatedNames(t *testing.T) {
	values := []string{`null`, `1`, `-1`, `2.5`, `300`, `"SF7BW125"`, `"LORA"`, `"AAAA"`, `[{"ant":1},{"ant":2}]`, `[{"chan":3}]`, `[]`, `{}`}
	for _, name := range []string{
		"time", "tmms", "tmst", "ftime", "freq", "chan", "ant", "stat", "modu", "size", "datr",
		"codr", "rssi", "lsnr", "foff", "data", "rsig", "aesk",
	} {
		for _, first := range values {
			for _, second := range values {
				const frame = `{"rxpk":[{"tmst":5,"freq":868.1,"modu":"LORA","datr":"SF9BW125","data":"AA==",%q:%s,%q:%s}]}`
				samePush(t, fmt.Appendf(nil, frame, name, first, name, second))
			}
		}
	}
}

// Several faults at once, the same ones in each run.
func TestParsePushMutated(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		all := tokens(realPushes[rng.IntN(len(realPushes))])
		for range 1 + rng.IntN(4) {
			i := rng.IntN(len(all))
			switch rng.IntN(4) {
			case 0:
				all[i] = oddTokens[rng.IntN(len(oddTokens))]
			case 1:
				all[i] = all[rng.IntN(len(all))]
			case 2:
				b := []byte(all[i])
				if len(b) > 0 {
					b[rng.IntN(len(b))] = byte(rng.Uint32())
				}
				all[i] = string(b)
			case 3:
				all[i] = strings.ToUpper(all[i])
			}
		}
		samePush(t, []byte(strings.Join(all, "")))
	}
}

func FuzzPush(f *testing.F) {
	for _, body := range realPushes {
		f.Add([]byte(body))
	}
	for _, odd := range oddTokens {
		f.Add([]byte(`{"rxpk":[{"tmst":5,"freq":868.1,"modu":"LORA","datr":"SF7BW125","data":"AAAA","x":` + odd + `}]}`))
	}
	f.Fuzz(fuzztest.Quick(func(t *testing.T, body []byte) {
		if len(body) <= MaxSize {
			samePush(t, body)
		}
	}))
}

// The longest datagram takes no longer than its length allows, whatever is in it.
func TestParsePushWorst(t *testing.T) {
	for name, repeated := range map[string]string{
		"lists":           `[`,
		"objects":         `{"a":`,
		"names":           `"a":1,`,
		"folded names":    `"\u0074MST":1,`,
		"escapes":         `\u0041`,
		"digits":          `9`,
		"frames":          `{},`,
		"faulty frames":   `{"freq":"x"},`,
		"white space":     ` `,
		"text":            `A`,
		"antennas":        `{"ant":0},`,
		"unfinished text": `"`,
	} {
		for _, before := range []string{``, `{`, `{"rxpk":[`, `{"rxpk":[{"data":"`, `{"rxpk":[{"tmst":`, `{"rxpk":[{"rsig":[`, `{"x":"`} {
			body := []byte(before + strings.Repeat(repeated, (MaxSize-len(before))/len(repeated)))
			began := time.Now()
			_, _ = ParsePush(body)
			if took := time.Since(began); took > time.Second {
				t.Errorf("%s after %q: %v", name, before, took)
			}
			samePush(t, body)
		}
	}
}

// Nothing is allocated but what is kept: the list of frames, and of each frame
// its PHYPayload and its receptions.
func TestParsePushAllocates(t *testing.T) {
	body := []byte(benchBody)
	const most = 3 + 1 // the race detector has one of its own
	if n := testing.AllocsPerRun(100, func() { _, _ = ParsePush(body) }); n > most {
		t.Errorf("%v allocations, want 3", n)
	}
}
