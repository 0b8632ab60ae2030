package formatter

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"lorawand/radio/fuzztest"
)

// lppCase is a row of testdata/cayennelpp.json: measured on The Things Stack
// 3.32.1, or by the published list of types where that one gives nothing.
type lppCase struct {
	Name     string
	Task     string // default "up"
	Strict   bool
	Hex      string
	Data     json.RawMessage // to encode
	Want     string          // decoded_payload, or bytes in hex
	Warnings []string
	Fail     bool
}

func TestCayenneLPP(t *testing.T) {
	b, err := os.ReadFile("testdata/cayennelpp.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []lppCase
	if err := json.Unmarshal(b, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) < 60 {
		t.Fatalf("%d cases", len(cases))
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			bytes, err := hex.DecodeString(c.Hex)
			if err != nil {
				t.Fatal(err)
			}
			task := map[string]Task{"": DecodeUplink, "encode": EncodeDownlink, "decode-downlink": DecodeDownlink}[c.Task]
			got, ok := direct(Request{Formatter: NewCayenneLPP(c.Strict), Task: task, FPort: 7, Bytes: bytes, Data: c.Data})
			if !ok {
				t.Fatal("not carried out")
			}
			have := string(got.Data)
			if task == EncodeDownlink {
				have = hex.EncodeToString(got.Bytes)
			}
			if have != c.Want {
				t.Errorf("%s, not %s", have, c.Want)
			}
			if w := strings.Join(got.Warnings, "|"); w != strings.Join(c.Warnings, "|") {
				t.Errorf("warnings %q, not %q", w, c.Warnings)
			}
			if (got.Fail != nil) != c.Fail {
				t.Errorf("failed: %v", got.Fail)
			}
			if task == EncodeDownlink && !c.Fail && got.FPort != 7 {
				t.Errorf("FPort %d", got.FPort)
			}
		})
	}
}

// Any payload decodes to JSON that can be published, in a time that grows with its length.
func FuzzCayenneLPP(f *testing.F) {
	f.Add([]byte{3, 0x67, 1, 0x10, 1, 0x88, 6, 0x76, 0x5f, 0xf2, 0x96, 0x0a, 0, 3, 0xe8}, false)
	f.Add([]byte{1, 0xaa, 1}, true)
	f.Fuzz(fuzztest.Quick(func(t *testing.T, b []byte, strict bool) {
		for _, task := range []Task{DecodeUplink, DecodeDownlink, EncodeDownlink} {
			r, _ := direct(Request{Formatter: NewCayenneLPP(strict), Task: task, Bytes: b, Data: b})
			if r.Data != nil && !json.Valid(r.Data) {
				t.Errorf("task %d of % x: %s", task, b, r.Data)
			}
			if r.Data == nil && task != EncodeDownlink && r.Fail == nil {
				t.Errorf("task %d of % x: nothing, and no reason", task, b)
			}
		}
	}))
}
