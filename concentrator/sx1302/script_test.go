package sx1302

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"lorawand/concentrator/sx1302/sx1302test"
)

// traceScript returns a Script that works on a model as the emulator of a
// recording.
func traceScript(t *testing.T, meta record, o sx1302test.Options) (*Script, *sx1302test.Chip) {
	t.Helper()
	model, chip := traceChip(t, meta, o, nil)
	s := NewScript(func(Config) (*Chip, error) { return chip, nil }, func() (int32, error) { return meta.temperature(t), nil })
	s.chip = chip
	return s, model
}

// step runs a call and returns its answer without group number.
func step(t *testing.T, s *Script, fn string, args json.RawMessage) (out any, rc int) {
	t.Helper()
	line, err := json.Marshal(map[string]any{"k": "call", "fn": fn, "args": args})
	if err != nil {
		t.Fatal(err)
	}
	answer, _, err := s.Step(t.Context(), line)
	if err != nil {
		t.Fatal(err)
	}
	var a scriptAnswer
	if err := json.Unmarshal(answer, &a); err != nil || a.K != "ret" || a.Fn != fn {
		t.Fatalf("%s: %v", answer, err)
	}
	return a.Out, a.RC
}

// TestScriptSend compares the answers to send with those of the recordings.
func TestScriptSend(t *testing.T) {
	eachTrace(t, func(t *testing.T, all []record) {
		var now time.Duration
		s, _ := traceScript(t, all[0], sx1302test.Options{Now: func() time.Duration { return now }})
		step(t, s, "start", nil)
		for i, r := range all {
			if r.K != "call" || r.Fn != "send" {
				continue
			}
			now += 1000 * time.Second
			step(t, s, "abort", fmt.Appendf(nil, `{"rf_chain":%d}`, recordedSend(t, r).Chain))
			out, rc := step(t, s, "send", r.Args)
			ret := all[i+slices.IndexFunc(all[i:], func(r record) bool { return r.K == "ret" })]
			if rc != ret.RC || !sameJSON(out, ret.Out) {
				t.Errorf("%s: %v, rc %d; want %s, rc %d", r.Args, out, rc, ret.Out, ret.RC)
			}
		}
	}, sendTrace)
}

// sameJSON compares what was read from JSON; numbers may differ by 0.001.
func sameJSON(got any, raw json.RawMessage) bool {
	var want any
	if json.Unmarshal(raw, &want) != nil {
		return false
	}
	a, okA := got.([]any)
	b, okB := want.([]any)
	if !okA || !okB {
		return reflect.DeepEqual(got, want)
	}
	return slices.EqualFunc(a, b, func(x, y any) bool {
		p, q := x.(map[string]any), y.(map[string]any)
		for k, v := range q {
			n, number := v.(float64)
			if m, ok := p[k].(float64); number && (!ok || math.Abs(n-m) > 0.001) || !number && p[k] != v {
				return false
			}
		}
		return len(p) == len(q)
	})
}

// TestScriptReceive compares the answers to receive with those of the
// recordings.
func TestScriptReceive(t *testing.T) {
	eachTrace(t, func(t *testing.T, all []record) {
		var replay rxReplay
		s, model := traceScript(t, all[0], sx1302test.Options{Fail: replay.frame, Read: replay.read})
		step(t, s, "start", nil)
		step(t, s, "temperature", nil)
		for i, r := range all {
			switch {
			case r.K == "set" && r.Temp != nil:
				s.chip.SetTemperature(int32(*r.Temp * 256))
			case r.K == "fifo":
				model.Deliver(unhex(t, r.Bytes))
			case r.K == "call" && r.Fn == "receive":
				replay.counters = recordedCounters(t, all[i:])
				out, rc := step(t, s, r.Fn, r.Args)
				ret := all[i+slices.IndexFunc(all[i:], func(r record) bool { return r.K == "ret" })]
				if ret.RC < 0 {
					continue // the reference fails over a payload that its CRC does not fit
				}
				if rc != ret.RC || !sameJSON(out, ret.Out) {
					t.Errorf("%v, rc %d; want %s, rc %d", out, rc, ret.Out, ret.RC)
				}
			}
		}
	}, receiveTrace) // what the script hands on of the other kinds is seen by TestReceive
}

func TestScriptSteps(t *testing.T) {
	model := sx1302test.New(sx1302test.Options{EUI: testEUI, Tick: 32 * 5_000_000})
	s := NewScript(func(c Config) (*Chip, error) {
		return New(model, c, Options{Firmware: testFirmware(), Sleep: noWait})
	}, nil)
	const config = `{"k":"meta","config":[{"set":"board","public":true,"clksrc":0},{"set":"rxrf","rf_chain":0,"freq_hz":867500000,"type":"sx1250","rssi_offset":-215.4},` +
		`{"set":"rxif","if_chain":0,"rf_chain":0,"if_hz":0,"bw_khz":125}]}`
	for _, tt := range []struct{ line, want, err string }{
		{`{"k":"call","fn":"start"}`, "", `start before a line with "config"`},
		{`nonsense`, "", "invalid character"},
		{strings.Replace(config, "sx1250", "sx1276", 1), "", `no such radio: "sx1276"`},
		{strings.Replace(config, `"rf_chain":0`, `"rf_chain":2`, 1), "", "rf_chain 2"},
		{strings.Replace(config, `"if_chain":0`, `"if_chain":10`, 1), "", "if_chain 10"},
		{strings.Replace(config, `"board"`, `"bored"`, 1), "", `"bored": no such setting`},
		{strings.Replace(config, `"if_hz"`, `"if_khz"`, 1), "", `rxif: unknown key "if_khz"; there are set, if_chain`},
		{strings.Replace(config, `"clksrc":0`, `"if_hz":0`, 1), "", `board: unknown key "if_hz"`},
		{strings.Replace(config, `"k":"meta"`, `"kind":"meta"`, 1), "", `unknown key "kind"`},
		{strings.Replace(config, `]}`, `,{"set":"txgain","rf_chain":0,"lut":[{"rf_power":14,"power":3}]}]}`, 1), "", `unknown field "power"`},
		{strings.Replace(config, `]}`, `,{"set":"ftime","mode":"some_sf"}]}`, 1), "", `"some_sf", must be one of`},
		{`{"k":"cal","fn":"start"}`, "", `neither "config" nor a call`},
		{`{}`, "", `neither "config" nor a call`},
		{config, "", ""},
		{`{"k":"w","g":1,"a":"5600","d":"00"}`, "", ""},
		{`{"k":"call","g":7,"fn":"instcnt","args":{}}`, `{"k":"ret","g":7,"fn":"instcnt","out":{"count_us":0},"rc":-1,"error":"sx1302: not started"}`, ""},
		{`{"k":"call","fn":"start"}`, `{"k":"ret","fn":"start","rc":0}`, ""},
		{`{"k":"call","fn":"eui","args":{}}`, `{"k":"ret","fn":"eui","out":{"eui":"0016c001f1234567"},"rc":0}`, ""},
		{`{"k":"call","fn":"trigcnt"}`, `{"k":"ret","fn":"trigcnt","out":{"count_us":0},"rc":0}`, ""},
		{`{"k":"call","fn":"temperature"}`, `{"k":"ret","fn":"temperature","rc":-1,"error":"sx1302: no STTS751 temperature sensor"}`, ""},
		{`{"k":"call","fn":"receive","args":{"max":4}}`, `{"k":"ret","fn":"receive","out":[],"rc":0}`, ""},
		{`{"k":"call","fn":"status","args":{"rf_chain":0}}`, `{"k":"ret","fn":"status","out":{"tx_status":"FREE"},"rc":0}`, ""},
		{`{"k":"call","fn":"status","args":{"rf_chain":2}}`, "", "rf_chain 2"},
		{`{"k":"call","fn":"send","args":{"modulation":"LORA","mode":"soon"}}`, "", `mode "soon"`},
		{`{"k":"call","fn":"send","args":{"modulation":"OOK","mode":"gps"}}`, "", `modulation "OOK"`},
		{`{"k":"call","fn":"send","args":{"payload":"0"}}`, "", "payload"},
		{`{"k":"call","fn":"receive","args":{"most":4}}`, "", `receive: unknown key "most"; there are max`},
		{`{"k":"call","fn":"stop","args":{"rf_chain":0}}`, "", `stop: unknown key "rf_chain"; there are none`},
		{`{"k":"call","fn":"start","arg":{}}`, "", `unknown key "arg"`},
		{`{"k":"call","fn":"send","args":{"modulation":"LORA","powr":14}}`, "", `send: json: unknown field "powr"`},
		{`{"k":"call","fn":"dance"}`, "", `there is no call "dance"`},
		{`{"k":"call","fn":"stop"}`, `{"k":"ret","fn":"stop","rc":0}`, ""},
	} {
		answer, failed, err := s.Step(t.Context(), []byte(tt.line))
		if string(answer) != tt.want || failed != strings.Contains(tt.want, `"rc":-1`) || (err == nil) != (tt.err == "") ||
			err != nil && (!errors.Is(err, ErrScript) || !strings.Contains(err.Error(), tt.err)) {
			t.Errorf("%s\n%s, %v\nwant %s, %q", tt.line, answer, err, tt.want, tt.err)
		}
	}
}

// TestScriptConfig: what the settings of sx1302_hal are turned into.
func TestScriptConfig(t *testing.T) {
	const radio = `{"set":"board","public":true,"clksrc":0,"com":"SPI","path":"/dev/spidev0.0"},{"set":"rxrf","rf_chain":0,"freq_hz":867500000,"type":"sx1250","tx_enable":true}`
	tests := []struct {
		name, set string
		holds     func(c *Config) bool
	}{
		{"gain of the reference", ``, func(c *Config) bool {
			return slices.Equal(c.Radios[0].Gains, []Gain{{Power: 14, PAGain: 2, DACGain: 3, MixGain: 10}})
		}},
		{"gains", `,{"set":"txgain","rf_chain":0,"lut":[{"rf_power":12,"pa_gain":1,"pwr_idx":4}]}`, func(c *Config) bool {
			return slices.Equal(c.Radios[0].Gains, []Gain{{Power: 12, PAGain: 1, PowerIndex: 4}})
		}},
		{"no header", `,{"set":"rxif","if_chain":8,"rf_chain":0,"if_hz":0,"bw_khz":250,"datarate":7,"implicit_hdr":true,"implicit_payload_length":17,"implicit_crc_en":true,"implicit_coderate":3}`,
			func(c *Config) bool {
				s := &c.Service
				return s.Enabled && s.Implicit && s.ImplicitLength == 17 && s.ImplicitCRC && s.ImplicitCodingRate == 3
			}},
		{"a header", `,{"set":"rxif","if_chain":8,"rf_chain":0,"if_hz":0,"bw_khz":250,"datarate":7}`, func(c *Config) bool { return c.Service.Enabled && !c.Service.Implicit }},
		{"fine timestamps", `,{"set":"ftime","enable":true,"mode":"high_capacity"}`, func(c *Config) bool { return c.FineTimestamps == FineTimestampsSF10 }},
		{"fine timestamps of all", `,{"set":"ftime"}`, func(c *Config) bool { return c.FineTimestamps == FineTimestampsAll }},
		{"no fine timestamps", `,{"set":"ftime","enable":false,"mode":"all_sf"}`, func(c *Config) bool { return c.FineTimestamps == NoFineTimestamps }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got Config
			s := NewScript(func(c Config) (*Chip, error) { got = c; return nil, nil }, nil)
			if _, _, err := s.Step(t.Context(), []byte(`{"config":[`+radio+tt.set+`]}`)); err != nil || !tt.holds(&got) {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

func FuzzScript(f *testing.F) {
	f.Add([]byte(`{"k":"meta","config":[{"set":"board","public":true,"clksrc":0},{"set":"rxrf","rf_chain":0,"freq_hz":867500000,"type":"sx1250"}]}`))
	f.Add([]byte(`{"k":"call","fn":"send","args":{"bw_khz":125,"coderate":1,"datarate":7,"freq_hz":868300000,"mode":"immediate","modulation":"LORA","payload":"d4db"}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		model := sx1302test.New(sx1302test.Options{})
		s := NewScript(func(c Config) (*Chip, error) {
			return New(model, c, Options{Firmware: testFirmware(), Sleep: noWait})
		}, nil)
		for range 2 {
			_, _, _ = s.Step(t.Context(), fmt.Appendf(nil, "%s", line))
		}
	})
}
