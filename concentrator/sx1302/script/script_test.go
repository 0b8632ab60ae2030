package script

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"lorawand/concentrator/sx1302"
	"lorawand/concentrator/sx1302/sx1302test"
	"lorawand/radio/fuzztest"
)

const stepsConfig = `{"k":"meta","config":[{"set":"board","public":true,"clksrc":0},{"set":"rxrf","rf_chain":0,` +
	`"freq_hz":867500000,"type":"sx1250","rssi_offset":-215.4},` +
	`{"set":"rxif","if_chain":0,"rf_chain":0,"if_hz":0,"bw_khz":125}]}`

func TestScriptSteps(t *testing.T) {
	model := sx1302test.New(sx1302test.Options{
		EUI:  [8]byte{0x00, 0x16, 0xC0, 0x01, 0xF1, 0x23, 0x45, 0x67},
		Tick: 32 * 5_000_000,
	})
	s := New(func(c sx1302.Config) (*sx1302.Chip, error) {
		return sx1302.New(model, c, sx1302.Options{Firmware: testFirmware(), Sleep: noSleep})
	}, nil)
	for _, tt := range []struct{ line, want, err string }{
		{`{"k":"call","fn":"start"}`, "", `start before a line with "config"`},
		{`nonsense`, "", "invalid character"},
		{strings.Replace(stepsConfig, "sx1250", "sx1276", 1), "", `no such radio: "sx1276"`},
		{strings.Replace(stepsConfig, `"rf_chain":0`, `"rf_chain":2`, 1), "", "rf_chain 2"},
		{strings.Replace(stepsConfig, `"if_chain":0`, `"if_chain":10`, 1), "", "if_chain 10"},
		{strings.Replace(stepsConfig, `"board"`, `"bored"`, 1), "", `"bored": no such setting`},
		{strings.Replace(stepsConfig, `"if_hz"`, `"if_khz"`, 1), "", `rxif: unknown key "if_khz"; there are set, if_chain`},
		{strings.Replace(stepsConfig, `"clksrc":0`, `"if_hz":0`, 1), "", `board: unknown key "if_hz"`},
		{strings.Replace(stepsConfig, `"k":"meta"`, `"kind":"meta"`, 1), "", `unknown key "kind"`},
		{
			strings.Replace(stepsConfig, `]}`, `,{"set":"txgain","rf_chain":0,"lut":[{"rf_power":14,"power":3}]}]}`, 1), "",
			`unknown field "power"`,
		},
		{strings.Replace(stepsConfig, `]}`, `,{"set":"ftime","mode":"some_sf"}]}`, 1), "", `"some_sf", must be one of`},
		{`{"k":"cal","fn":"start"}`, "", `neither "config" nor a call`},
		{`{}`, "", `neither "config" nor a call`},
		{stepsConfig, "", ""},
		{`{"k":"w","g":1,"a":"5600","d":"00"}`, "", ""},
		{
			`{"k":"call","g":7,"fn":"instcnt","args":{}}`,
			`{"k":"ret","g":7,"fn":"instcnt","out":{"count_us":0},"rc":-1,"error":"sx1302: not started"}`, "",
		},
		{`{"k":"call","fn":"start"}`, `{"k":"ret","fn":"start","rc":0}`, ""},
		{`{"k":"call","fn":"eui","args":{}}`, `{"k":"ret","fn":"eui","out":{"eui":"0016c001f1234567"},"rc":0}`, ""},
		{`{"k":"call","fn":"trigcnt"}`, `{"k":"ret","fn":"trigcnt","out":{"count_us":0},"rc":0}`, ""},
		{`{"k":"call","fn":"temperature"}`, `{"k":"ret","fn":"temperature","rc":-1,"error":"sx1302: no STTS751 ` +
			`temperature sensor"}`, ""},
		{`{"k":"call","fn":"receive","args":{"max":4}}`, `{"k":"ret","fn":"receive","out":[],"rc":0}`, ""},
		{
			`{"k":"call","fn":"status","args":{"rf_chain":0}}`,
			`{"k":"ret","fn":"status","out":{"tx_status":"FREE"},"rc":0}`, "",
		},
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
	const radio = `{"set":"board","public":true,"clksrc":0,"com":"SPI","path":"/dev/spidev0.0"},{"set":"rxrf",` +
		`"rf_chain":0,"freq_hz":867500000,"type":"sx1250","tx_enable":true}`
	tests := []struct {
		name, set string
		holds     func(c *sx1302.Config) bool
	}{
		{"gain of the reference", ``, func(c *sx1302.Config) bool {
			return slices.Equal(c.Radios[0].Gains, []sx1302.Gain{{Power: 14, PAGain: 2, DACGain: 3, MixGain: 10}})
		}},
		{
			"gains", `,{"set":"txgain","rf_chain":0,"lut":[{"rf_power":12,"pa_gain":1,"pwr_idx":4}]}`,
			func(c *sx1302.Config) bool {
				return slices.Equal(c.Radios[0].Gains, []sx1302.Gain{{Power: 12, PAGain: 1, PowerIndex: 4}})
			},
		},
		{
			"no header", `,{"set":"rxif","if_chain":8,"rf_chain":0,"if_hz":0,"bw_khz":250,"datarate":7,"implicit_hdr":true,` +
				`"implicit_payload_length":17,"implicit_crc_en":true,"implicit_coderate":3}`,
			func(c *sx1302.Config) bool {
				s := &c.Service
				return s.Enabled && s.Implicit && s.ImplicitLength == 17 && s.ImplicitCRC && s.ImplicitCodingRate == 3
			},
		},
		{
			"a header", `,{"set":"rxif","if_chain":8,"rf_chain":0,"if_hz":0,"bw_khz":250,"datarate":7}`,
			func(c *sx1302.Config) bool { return c.Service.Enabled && !c.Service.Implicit },
		},
		{
			"fine timestamps", `,{"set":"ftime","enable":true,"mode":"high_capacity"}`,
			func(c *sx1302.Config) bool { return c.FineTimestamps == sx1302.FineTimestampsSF10 },
		},
		{
			"fine timestamps of all", `,{"set":"ftime"}`,
			func(c *sx1302.Config) bool { return c.FineTimestamps == sx1302.FineTimestampsAll },
		},
		{
			"no fine timestamps", `,{"set":"ftime","enable":false,"mode":"all_sf"}`,
			func(c *sx1302.Config) bool { return c.FineTimestamps == sx1302.NoFineTimestamps },
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got sx1302.Config
			s := New(func(c sx1302.Config) (*sx1302.Chip, error) { got = c; return nil, nil }, nil)
			if _, _, err := s.Step(t.Context(), []byte(`{"config":[`+radio+tt.set+`]}`)); err != nil || !tt.holds(&got) {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

func FuzzScript(f *testing.F) {
	f.Add([]byte(`{"k":"meta","config":[{"set":"board","public":true,"clksrc":0},{"set":"rxrf","rf_chain":0,` +
		`"freq_hz":867500000,"type":"sx1250"}]}`))
	f.Add([]byte(`{"k":"call","fn":"send","args":{"bw_khz":125,"coderate":1,"datarate":7,"freq_hz":868300000,` +
		`"mode":"immediate","modulation":"LORA","payload":"d4db"}}`))
	f.Fuzz(fuzztest.Quick(func(t *testing.T, line []byte) {
		model := sx1302test.New(sx1302test.Options{})
		s := New(func(c sx1302.Config) (*sx1302.Chip, error) {
			return sx1302.New(model, c, sx1302.Options{Firmware: testFirmware(), Sleep: noSleep})
		}, nil)
		for range 2 {
			_, _, _ = s.Step(t.Context(), fmt.Appendf(nil, "%s", line))
		}
	}))
}

func testFirmware() sx1302.Firmware {
	return sx1302.Firmware{AGC: sx1302test.Image(sx1302test.AGCSX1250), ARB: sx1302test.Image(sx1302test.ARB)}
}

// noSleep lets waits take no time.
func noSleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }
