//go:build !small

package formatter

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/dop251/goja"

	"lorawand/bridge/formatter/formattertest"
)

// scriptCase is a row of testdata/scripts.json: a script, what it is asked,
// and what The Things Stack 3.32.1 gave, but for what this package does
// better.
type scriptCase struct {
	Name     string
	Script   string
	Task     string // default "up"
	Hex      string
	Port     uint8
	Data     json.RawMessage // to encode
	Received string

	Want         string // decoded_payload
	Bytes        string // of a downlink, hex
	FPort        uint8
	Warnings     []string
	Normalized   []string
	NormWarnings []string `json:"normalized_warnings"`
	Fail         string   // name of the error
	Text         string   // of it
}

func readCases[T any](t *testing.T, name string) (cases []T) {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &cases); err != nil {
		t.Fatal(err)
	}
	return cases
}

func (c scriptCase) request(t *testing.T) Request {
	t.Helper()
	bytes, err := hex.DecodeString(c.Hex)
	if err != nil {
		t.Fatal(err)
	}
	r := Request{Formatter: javaScript(t, c.Script), FPort: c.Port, Bytes: bytes, Data: c.Data}
	r.Task = map[string]Task{"": DecodeUplink, "encode": EncodeDownlink, "decode-downlink": DecodeDownlink}[c.Task]
	if c.Received != "" {
		if r.Received, err = time.Parse(time.RFC3339, c.Received); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func TestScripts(t *testing.T) {
	p := newPool(t, Options{})
	cases := readCases[scriptCase](t, "scripts.json")
	if len(cases) < 60 {
		t.Fatalf("%d cases", len(cases))
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			got := p.Do(within(t, 2*time.Minute), c.request(t))
			var normalized []string
			for _, n := range got.Normalized {
				normalized = append(normalized, string(n))
			}
			for _, f := range []struct {
				what      string
				got, want any
			}{
				{"decoded_payload", string(got.Data), c.Want},
				{"bytes", hex.EncodeToString(got.Bytes), c.Bytes},
				{"f_port", got.FPort, c.FPort},
				{"warnings", strings.Join(got.Warnings, "|"), strings.Join(c.Warnings, "|")},
				{"normalized_payload", normalized, c.Normalized},
				{"normalized warnings", strings.Join(got.NormalizedWarnings, "|"), strings.Join(c.NormWarnings, "|")},
				{"failure", name(got.Fail), c.Fail},
			} {
				if !reflect.DeepEqual(f.got, f.want) {
					t.Errorf("%s: %v, not %v", f.what, f.got, f.want)
				}
			}
			if c.Text != "" && (got.Fail == nil || got.Fail.Error() != c.Text) {
				t.Errorf("failed with %v, not %q", got.Fail, c.Text)
			}
		})
	}
}

func name(e *Error) string {
	if e == nil {
		return ""
	}
	return e.Name
}

// The script that warms the engine up does all that it is to do.
func TestWarmUp(t *testing.T) {
	p, err := compile(warm)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range warmCalls() {
		r := newRun().execute(c, p)
		if r.Fail != nil || len(r.NormalizedWarnings) > 0 || c.task == DecodeUplink && (len(r.Normalized) != 1 ||
			len(r.Log) != 1) ||
			c.task == EncodeDownlink && string(r.Bytes) != "\x01\x02" {
			t.Errorf("task %d: %+v", c.task, r)
		}
	}
}

// What is read ahead for a script shows in nothing that it can look at.
func TestNewRunLooksUntouched(t *testing.T) {
	const look = `var all = {};
const inner = ["Function", "Date", "RegExp", "String", "Number", "Array", "Object"].map(k => k + ".prototype");
for (const name of Object.getOwnPropertyNames(globalThis).concat(inner)) {
  const v = name.split(".").reduce((o, k) => o[k], globalThis);
  const flags = k => { const d = Object.getOwnPropertyDescriptor(v, k);
    return k + typeof d.value + d.writable + d.enumerable + d.configurable; };
  if (v === Object(v)) all[name] = Object.getOwnPropertyNames(v).map(flags);
}
delete all.all; delete all.globalThis; delete all.console;
JSON.stringify(all)`
	read, fresh := newRun(), goja.New()
	for _, name := range foreign {
		_ = fresh.GlobalObject().Delete(name)
	}
	got, err := read.vm.RunString(look)
	if err != nil {
		t.Fatal(err)
	}
	want, err := fresh.RunString(look)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != want.String() || len(want.String()) < 10_000 {
		t.Errorf("%s\n%s", got, want)
	}
}

// The deadline holds too while a function of the script is looked up.
func TestFunctionAtDeadline(t *testing.T) {
	for _, name := range []string{"decodeUplink", "Decoder", "Encoder"} {
		r := &run{vm: goja.New()}
		if _, err := r.vm.RunString("function decodeUplink() {}"); err != nil {
			t.Fatal(err)
		}
		r.vm.Interrupt(errDeadline)
		if f, err := r.function(name); f != nil || !err.isTimeout() {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The time that a child needs to start does not count for its first script.
func TestStartIsNotCounted(t *testing.T) {
	o := Options{Command: formattertest.Command(t)}
	o.setDefaults()
	c, err := start(within(t, 30*time.Second), o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.end()
	u, known := usageOf(c.stat)
	if !known || c.used <= 0 || u.cpu > c.used+2*tick {
		t.Errorf("%v used, counted from %v", u.cpu, c.used)
	}
}
