package repository

import (
	"errors"
	"strings"
	"testing"

	"lorawand/bridge/formatter"
)

// examples reads the examples of a codec.
func examples(t *testing.T, text string) []Example {
	t.Helper()
	s, err := Read(files(map[string]string{"acme/meter-codec.yaml": text}), []Name{{"acme", "meter"}}, nil)
	if err != nil || len(s.Codecs) != 1 {
		t.Fatalf("%+v, %v", s, err)
	}
	return s.Examples
}

const (
	uplink   = "uplinkDecoder:\n  fileName: meter.js\n  examples:\n  - "
	downlink = "downlinkEncoder:\n  fileName: meter.js\n  examples:\n  - "
)

// says is an example, and good is what it says.
const says = "{input: {fPort: 2, bytes: [0, 255]}, " +
	"output: {data: {t: 21.5, deep: {a: [1, null, true]}, at: 2026-01-02}, warnings: [w]}, " +
	"normalizedOutput: {data: {air: {temperature: 21.5}}}}\n"

var good = formatter.Result{
	Data: []byte(`{"at":"2026-01-02","deep":{"a":[1,null,true]},"t":21.5}`), Warnings: []string{"w"},
	Normalized: [][]byte{[]byte(`{"air":{"temperature":21.5}}`)},
}

// differenceCase is an example, what comes, and the difference; "": none.
type differenceCase struct {
	name, yaml string
	result     formatter.Result
	want       string
}

func checkDifferences(t *testing.T, tests []differenceCase) {
	t.Helper()
	for _, tt := range tests {
		all := examples(t, tt.yaml)
		if len(all) != 1 {
			t.Fatalf("%s: %d examples", tt.name, len(all))
		}
		if _, err := all[0].Request(); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if got := strings.Join(all[0].Differences(tt.result), "; "); !strings.Contains(got, tt.want) ||
			(got == "") != (tt.want == "") {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// What an example says is told apart from what comes, and nothing else is.
func TestDifferences(t *testing.T) {
	with := func(change func(*formatter.Result)) formatter.Result { r := good; change(&r); return r }
	checkDifferences(t, []differenceCase{
		{"as it says", uplink + says, good, ""},
		{"a list of measurements", uplink +
			strings.Replace(says, "{air: {temperature: 21.5}}", "[{air: {temperature: 21.5}}]", 1), good, ""},
		{"whole numbers are numbers", uplink + "{input: {bytes: [1]}, output: {data: {a: 1, b: 1.0, c: 0x10, d: -1e3}}}\n", formatter.Result{Data: []byte(`{"a":1,"b":1,"c":16,"d":-1000}`)}, ""},
		{"texts stay texts", uplink + "{input: {bytes: [1]}, output: {data: {a: '1', b: \"true\", c: 2026-01-02T03:04:05Z}}}\n", formatter.Result{Data: []byte(`{"a":"1","b":"true","c":"2026-01-02T03:04:05Z"}`)}, ""},
		{"an alias", uplink + "{input: {bytes: [1]}, output: {data: {a: &x [1], b: *x}}}\n", formatter.Result{Data: []byte(`{"a":[1],"b":[1]}`)}, ""},
		{"other data", uplink + says, with(func(r *formatter.Result) { r.Data = []byte(`{"t":21}`) }), `data is {"t":21}, not {"at":"2026-01-02"`},
		{"no warning", uplink + says, with(func(r *formatter.Result) { r.Warnings = nil }), `warnings is null, not ["w"]`},
		{
			"a warning", uplink + "{input: {bytes: [1]}, output: {data: {}}}\n",
			formatter.Result{Data: []byte(`{}`), Warnings: []string{"w"}},
			`warnings is ["w"], not null`,
		},
		{
			"no measurement", uplink + says, with(func(r *formatter.Result) { r.Normalized = nil }),
			`normalized data is [], not [{"air"`,
		},
	})
	long := formatter.Result{Data: []byte(`{"t":"` + strings.Repeat("ü", 5000) + `"}`)}
	if got := examples(t, uplink+says)[0].Differences(long); len(got) == 0 || len(got[0]) > 3*maxShown {
		t.Errorf("%d bytes of difference", len(strings.Join(got, "")))
	}
}

// The same of errors and of downlinks.
func TestOtherDifferences(t *testing.T) {
	fail := &formatter.Error{MessageFormat: "no bytes"}
	checkDifferences(t, []differenceCase{
		{
			"an error", uplink + says,
			formatter.Result{Fail: fail, Warnings: []string{"no bytes"}},
			`error is "no bytes", not ""`,
		},
		{
			"the error that it says", uplink + "{input: {bytes: [1]}, output: {errors: [no bytes]}}\n",
			formatter.Result{Fail: fail},
			"",
		},
		{
			"another error", uplink + "{input: {bytes: [1]}, output: {errors: [a, b]}}\n",
			formatter.Result{Fail: fail},
			`error is "no bytes", not "a, b"`,
		},
		{"no error", uplink + "{input: {bytes: [1]}, output: {errors: [a]}}\n", good, `error is "", not "a"`},
		{
			"a downlink", downlink + "{input: {data: {on: true}}, output: {bytes: [1, 2], fPort: 9}}\n",
			formatter.Result{Bytes: []byte{1, 2}, FPort: 9},
			"",
		},
		{
			"another downlink", downlink + "{input: {data: {on: true}}, output: {bytes: [1, 2], fPort: 9}}\n",
			formatter.Result{Bytes: []byte{1}, FPort: 8},
			"bytes is [1], not [1,2]; fPort is 8, not 9",
		},
		{
			"a downlink without port", downlink + "{input: {data: {}}, output: {bytes: []}}\n",
			formatter.Result{FPort: 1},
			"",
		},
	})
}

// An example that cannot be used says so, and leaves the codec usable.
func TestBadExamples(t *testing.T) {
	for _, tt := range []struct{ name, yaml, want string }{
		{"text", "hello\n", "cannot be used: yaml"},
		{"bytes as text", "{input: {bytes: '0102'}, output: {}}\n", "cannot be used: yaml"},
		{"too much for a byte", "{input: {bytes: [256]}, output: {}}\n", "256 is not a byte"},
		{"too little for a byte", "{input: {bytes: [-1]}, output: {}}\n", "-1 is not a byte"},
		{"an FPort that is none", "{input: {fPort: 300, bytes: []}, output: {}}\n", "fPort 300"},
		{"a time that is none", "{input: {recvTime: soon, bytes: []}, output: {}}\n", `recvTime "soon"`},
		{"not a number", "{input: {bytes: []}, output: {data: {a: .nan}}}\n", "no number that JSON has"},
		{"a bomb", "{input: {bytes: []}, output: {data: *a8}}\n", "more than an example needs"},
		{"a bomb of bytes", "{input: {bytes: *a8}, output: {}}\n", "cannot be used"},
		{"an alias of itself", "{input: {bytes: []}, output: {data: &me {a: *me}}}\n", "more than an example needs"},
		{
			"deep", "{input: {bytes: []}, output: {data: " + strings.Repeat("[", 200) + strings.Repeat("]", 200) + "}}\n",
			"more than an example needs",
		},
	} {
		all := examples(t, bomb()+uplink+tt.yaml)
		if len(all) != 1 {
			t.Errorf("%s: %d examples", tt.name, len(all))
			continue
		}
		if _, err := all[0].Request(); !errors.Is(err, ErrFile) && !strings.Contains(err.Error(), tt.want) ||
			!strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	for _, text := range []string{"hello", "{a: 1}", "null"} {
		if all := examples(t, "uplinkDecoder: {fileName: meter.js, examples: "+text+"}\n"); len(all) > 2 {
			t.Errorf("%s: %d examples", text, len(all))
		}
	}
	down := examples(t, downlink+"{input: {bytes: [1]}, output: {}}\n")
	if _, err := down[0].Request(); !errors.Is(err, ErrFile) || down[0].Description != "example 1" {
		t.Errorf("a downlink without data: %v", err)
	}
}
