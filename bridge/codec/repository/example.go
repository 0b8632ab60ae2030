package repository

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"lorawand/bridge/codec"
	"lorawand/bridge/formatter"
)

// Example is a payload and what its maker says that comes of it.
type Example struct {
	Codec       *codec.Codec
	Task        formatter.Task
	Description string

	input  inputYAML
	output outputYAML
	normal *outputYAML // nil: nothing is said
	err    error       // it cannot be read
}

type exampleYAML struct {
	Description string      `yaml:"description"`
	Input       inputYAML   `yaml:"input"`
	Output      outputYAML  `yaml:"output"`
	Normalized  *outputYAML `yaml:"normalizedOutput"`
}

type inputYAML struct {
	FPort    *int   `yaml:"fPort"`
	Bytes    []int  `yaml:"bytes"`
	Data     value  `yaml:"data"`
	Received string `yaml:"recvTime"`
}

type outputYAML struct {
	Data     value    `yaml:"data"`
	Bytes    []int    `yaml:"bytes"`
	FPort    *int     `yaml:"fPort"`
	Warnings []string `yaml:"warnings"`
	Errors   []string `yaml:"errors"`
}

// value is a value as JSON has it: numbers are float64.
type value struct {
	v   any
	set bool
}

// Limits of a value: of its items, those of aliases counted each time.
const (
	maxItems = 20_000
	maxDepth = 64
)

// UnmarshalYAML implements yaml.Unmarshaler.
func (v *value) UnmarshalYAML(n *yaml.Node) (err error) {
	items := maxItems
	v.v, err = valueOf(n, &items, maxDepth)
	v.set = true
	return err
}

var errValue = errors.New("more than an example needs")

func valueOf(n *yaml.Node, items *int, depth int) (any, error) {
	if *items--; *items < 0 || depth < 0 {
		return nil, fmt.Errorf("line %d: %w: at most %d items, %d deep", n.Line, errValue, maxItems, maxDepth)
	}
	switch n.Kind {
	case yaml.AliasNode:
		return valueOf(n.Alias, items, depth-1)
	case yaml.SequenceNode:
		list := []any{}
		for _, c := range n.Content {
			v, err := valueOf(c, items, depth-1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, nil
	case yaml.MappingNode:
		object := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			v, err := valueOf(n.Content[i+1], items, depth-1)
			if err != nil {
				return nil, err
			}
			object[n.Content[i].Value] = v
		}
		return object, nil
	}
	return scalarOf(n)
}

// scalarOf returns what stands in JSON for a value that is neither list nor object. A
// date stands there as its text, as a script gives it.
func scalarOf(n *yaml.Node) (any, error) {
	if n.Tag == "!!timestamp" || n.Tag == "!!str" {
		return n.Value, nil
	}
	var v any
	if err := n.Decode(&v); err != nil {
		return nil, err
	}
	number := reflect.ValueOf(v)
	switch {
	case !number.IsValid():
		return nil, nil
	case number.CanInt():
		return float64(number.Int()), nil
	case number.CanUint():
		return float64(number.Uint()), nil
	case number.CanFloat() && (math.IsNaN(number.Float()) || math.IsInf(number.Float(), 0)):
		return nil, fmt.Errorf("line %d: %s is no number that JSON has", n.Line, n.Value)
	}
	return v, nil
}

// exampleOf reads an example, the i-th of its codec for a task.
func exampleOf(n *yaml.Node, c *codec.Codec, t formatter.Task, i int) Example {
	var y exampleYAML
	err := n.Decode(&y)
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrFile, oneLine(err))
	}
	e := Example{
		Codec: c, Task: t, Description: y.Description, input: y.Input, output: y.Output, normal: y.Normalized, err: err,
	}
	if e.Description == "" {
		e.Description = fmt.Sprintf("example %d", i+1)
	}
	return e
}

// Request returns what the example asks of the formatter of its codec.
func (e *Example) Request() (formatter.Request, error) {
	if e.err != nil {
		return formatter.Request{}, e.err
	}
	f, err := formatter.NewCodec(e.Codec.Script(e.Task))
	if err != nil {
		return formatter.Request{}, err
	}
	r := formatter.Request{Formatter: f, Task: e.Task}
	if e.Task != formatter.EncodeDownlink {
		r.FPort = 1
	}
	if p := e.input.FPort; p != nil {
		if *p < 0 || *p > math.MaxUint8 {
			return r, fmt.Errorf("%w: fPort %d", ErrFile, *p)
		}
		r.FPort = uint8(*p)
	}
	if r.Bytes, err = bytesOf(e.input.Bytes); err != nil {
		return r, err
	}
	if e.input.Received != "" {
		if r.Received, err = time.Parse(time.RFC3339Nano, e.input.Received); err != nil {
			return r, fmt.Errorf("%w: recvTime %.40q", ErrFile, e.input.Received)
		}
	}
	if e.Task == formatter.EncodeDownlink {
		if _, ok := e.input.Data.v.(map[string]any); !ok {
			return r, fmt.Errorf("%w: its data are not an object", ErrFile)
		}
		r.Data, err = json.Marshal(e.input.Data.v)
	}
	return r, err
}

func bytesOf(list []int) ([]byte, error) {
	out := make([]byte, len(list))
	for i, n := range list {
		if n < 0 || n > math.MaxUint8 {
			return nil, fmt.Errorf("%w: %d is not a byte", ErrFile, n)
		}
		out[i] = byte(n)
	}
	return out, nil
}

// Differences returns what of a result is not as the maker says.
func (e *Example) Differences(r formatter.Result) (out []string) {
	differ := func(what string, got, want any) {
		out = append(out, fmt.Sprintf("%s is %s, not %s", what, shown(got), shown(want)))
	}
	want := &e.output
	if len(want.Errors) > 0 || r.Fail != nil && r.Data == nil {
		got := ""
		if r.Fail != nil {
			got = r.Fail.Error()
		}
		if text := strings.Join(want.Errors, ", "); got != text {
			differ("error", got, text)
		}
		return out
	}
	if e.Task == formatter.EncodeDownlink {
		bytes := make([]int, len(r.Bytes))
		for i, b := range r.Bytes {
			bytes[i] = int(b)
		}
		if len(bytes)+len(want.Bytes) > 0 && !reflect.DeepEqual(bytes, want.Bytes) {
			differ("bytes", bytes, want.Bytes)
		}
		if want.FPort != nil && *want.FPort != int(r.FPort) {
			differ("fPort", r.FPort, *want.FPort)
		}
	} else if got := parsed(r.Data); want.Data.set && !reflect.DeepEqual(got, want.Data.v) {
		differ("data", got, want.Data.v)
	}
	if len(r.Warnings)+len(want.Warnings) > 0 && !reflect.DeepEqual(r.Warnings, want.Warnings) {
		differ("warnings", r.Warnings, want.Warnings)
	}
	if n := e.normal; n != nil && len(n.Errors) == 0 {
		got := []any{}
		for _, m := range r.Normalized {
			got = append(got, parsed(m))
		}
		if list := listOf(n.Data.v); !reflect.DeepEqual(got, list) {
			differ("normalized data", got, list)
		}
	}
	return out
}

// listOf returns a list: normalized data may be one object.
func listOf(v any) []any {
	switch v := v.(type) {
	case nil:
		return []any{}
	case []any:
		return v
	}
	return []any{v}
}

func parsed(b []byte) (v any) {
	if json.Unmarshal(b, &v) != nil {
		return nil
	}
	return v
}

// maxShown is how much of a value a difference shows.
const maxShown = 300

func shown(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "?"
	}
	if len(b) > maxShown {
		return strings.ToValidUTF8(string(b[:maxShown]), "") + "…"
	}
	return string(b)
}
