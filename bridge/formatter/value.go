//go:build !small

package formatter

import (
	"fmt"
	"maps"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dop251/goja"

	"lorawand/bridge/jsontext"
)

// What a script gives may be anything: objects that run code when they are
// read, that have themselves as members, or no end. What is read of it is
// bounded in depth and size; the time is bounded by the watcher.
const (
	maxDepth = 64
	maxTexts = 64   // warnings or errors
	maxText  = 1024 // bytes of each, and of a message
	maxBytes = 4096 // of a downlink; what is longer than a frame fails later
)

// clip shortens a text to what may be published, and makes it UTF-8.
func clip(s string) string {
	if len(s) > maxText {
		s = s[:maxText] + "…"
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// converter makes values of Go of what a script returns.
type converter struct{ left int }

// spend counts the bytes of JSON.
func (c *converter) spend(n int) *Error {
	if c.left -= n; c.left < 0 {
		return tooLarge()
	}
	return nil
}

// toObject returns what must be an object, or a list, whose keys are then its
// indexes. Nothing is an empty object.
func toObject(v goja.Value, path string) (jsontext.Object, *Error) {
	if v == nil || goja.IsUndefined(v) || goja.IsNull(v) {
		return jsontext.Object{}, nil
	}
	o, isObject := v.(*goja.Object)
	if !isObject {
		return nil, output(runtimeError("could not convert " + clip(v.String()) + " to an object"))
	}
	c := &converter{left: maxOutput}
	got, err := c.object(o, path, 0)
	if err != nil {
		return nil, err
	}
	switch got := got.(type) {
	case jsontext.Object:
		return got, nil
	case jsontext.List:
		all := make(jsontext.Object, len(got))
		for i, e := range got {
			all[strconv.Itoa(i)] = e
		}
		return all, nil
	default:
		return nil, output(runtimeError(fmt.Sprintf("could not convert %v to an object", got)))
	}
}

func (c *converter) value(v goja.Value, path string, depth int) (any, *Error) {
	if v == nil {
		return nil, c.spend(4)
	}
	switch v := v.(type) {
	case *goja.Object:
		return c.object(v, path, depth)
	case *goja.Symbol:
		return nil, output(runtimeError(path + " is a symbol"))
	default:
		return c.plain(v.Export(), path)
	}
}

// plain takes a value that is no object.
func (c *converter) plain(v any, path string) (any, *Error) {
	switch v := v.(type) {
	case nil:
		return nil, c.spend(4)
	case bool:
		return v, c.spend(4)
	case int64:
		return float64(v), c.spend(1)
	case float64:
		switch {
		case math.IsNaN(v):
			return nil, outputEncoding(path, "NaN")
		case math.IsInf(v, 1):
			return nil, outputEncoding(path, "Infinity")
		case math.IsInf(v, -1):
			return nil, outputEncoding(path, "-Infinity")
		}
		return v, c.spend(1)
	case string:
		return v, c.spend(len(v) + 2)
	case *big.Int:
		return nil, outputEncoding(path, "BigInt")
	default:
		return nil, output(runtimeError(path + " has no form in JSON"))
	}
}

var timeType = reflect.TypeFor[time.Time]()

// object takes an array, a typed array, a date, a boxed value or anything
// else with members.
func (c *converter) object(o *goja.Object, path string, depth int) (any, *Error) {
	if depth > maxDepth {
		return nil, output(runtimeError("nested more than " + strconv.Itoa(maxDepth) + " deep"))
	}
	if _, isFunction := goja.AssertFunction(o); isFunction {
		return nil, output(runtimeError(path + " is a function"))
	}
	typ := o.ExportType()
	switch class := o.ClassName(); {
	case typ == timeType:
		t, isSet := o.Export().(time.Time)
		if !isSet {
			return nil, c.spend(4)
		}
		return isoDate(t), c.spend(26)
	case class == "Array" || typ != nil && typ.Kind() == reflect.Slice:
		return c.list(o, path, depth)
	case class == "String":
		return c.plain(o.String(), path)
	case class == "Number" || class == "Boolean":
		return c.plain(o.Export(), path)
	}
	all := jsontext.Object{}
	for _, key := range o.Keys() {
		if err := c.spend(len(key) + 4); err != nil {
			return nil, err
		}
		v, err := c.value(o.Get(key), path+"."+key, depth+1)
		if err != nil {
			return nil, err
		}
		all[strings.ToValidUTF8(key, "\uFFFD")] = v
	}
	return all, nil
}

func (c *converter) list(o *goja.Object, path string, depth int) (any, *Error) {
	n := length(o)
	all := jsontext.List{}
	for i := range n {
		if err := c.spend(1); err != nil {
			return nil, err
		}
		key := strconv.FormatInt(i, 10)
		v, err := c.value(o.Get(key), path+"."+key, depth+1)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

func length(o *goja.Object) int64 {
	if n := o.Get("length"); n != nil {
		return n.ToInteger()
	}
	return 0
}

// isoDate is what toISOString of JavaScript gives.
func isoDate(t time.Time) string {
	t = t.UTC()
	if y := t.Year(); y < 0 || y > 9999 {
		return fmt.Sprintf("%+07d", y) + t.Format("-01-02T15:04:05.000Z")
	}
	return t.Format("2006-01-02T15:04:05.000Z")
}

// toTexts returns a list of warnings or errors. What is too much is cut.
func toTexts(v goja.Value) ([]string, *Error) {
	if v == nil || goja.IsUndefined(v) || goja.IsNull(v) {
		return nil, nil
	}
	o, isObject := v.(*goja.Object)
	if !isObject || o.ClassName() != "Array" {
		return nil, output(runtimeError("could not convert " + clip(v.String()) + " to a list of texts"))
	}
	n := length(o)
	texts := make([]string, 0, min(n, maxTexts))
	for i := range min(n, maxTexts) {
		s := ""
		if e := o.Get(strconv.FormatInt(i, 10)); e != nil {
			s = e.String()
		}
		texts = append(texts, clip(s))
	}
	if n > maxTexts {
		texts[maxTexts-1] = fmt.Sprintf("and %d more", n-maxTexts+1)
	}
	return texts, nil
}

// toBytes returns the payload of a downlink: of an array, whose numbers wrap,
// of a typed array or buffer, or of a text.
func toBytes(v goja.Value) ([]byte, *Error) {
	if v == nil || goja.IsUndefined(v) || goja.IsNull(v) {
		return nil, nil
	}
	o, isObject := v.(*goja.Object)
	if !isObject {
		if s, isText := v.Export().(string); isText {
			return toFrame([]byte(s), int64(len(s)))
		}
		return nil, output(runtimeError("could not convert " + clip(v.String()) + " to bytes"))
	}
	switch b := o.Export().(type) {
	case goja.ArrayBuffer:
		return toFrame(b.Bytes(), int64(len(b.Bytes())))
	case []byte:
		return toFrame(b, int64(len(b)))
	}
	if typ := o.ExportType(); o.ClassName() != "Array" && (typ == nil || typ.Kind() != reflect.Slice) {
		return nil, output(runtimeError("could not convert " + clip(v.String()) + " to bytes"))
	}
	n := length(o)
	if n > maxBytes {
		return toFrame(nil, n)
	}
	b := make([]byte, 0, max(n, 0))
	for i := range n {
		var c byte
		if e := o.Get(strconv.FormatInt(i, 10)); e != nil {
			c = byte(e.ToInteger())
		}
		b = append(b, c)
	}
	return b, nil
}

func toFrame(b []byte, n int64) ([]byte, *Error) {
	if n > maxBytes {
		return nil, output(runtimeError(fmt.Sprintf("%d bytes", n)))
	}
	return b, nil
}

// toMeasurements returns what normalizeUplink gave as data: an object, or a
// list of them.
func toMeasurements(v goja.Value) ([]jsontext.Object, *Error) {
	if v == nil || goja.IsUndefined(v) || goja.IsNull(v) {
		return nil, nil
	}
	c := &converter{left: maxOutput}
	got, err := c.value(v, "", 0)
	if err != nil {
		return nil, err
	}
	switch got := got.(type) {
	case jsontext.Object:
		return []jsontext.Object{got}, nil
	case jsontext.List:
		all := make([]jsontext.Object, len(got))
		for i, e := range got {
			m, isObject := e.(jsontext.Object)
			if !isObject {
				return nil, output(nil)
			}
			all[i] = m
		}
		return all, nil
	default:
		return nil, output(nil)
	}
}

// toScript makes a value of JavaScript of parsed JSON.
func toScript(vm *goja.Runtime, v any, depth int) (goja.Value, *Error) {
	if depth > maxDepth {
		return nil, inputError()
	}
	switch v := v.(type) {
	case map[string]any:
		o := vm.NewObject()
		for _, k := range slices.Sorted(maps.Keys(v)) {
			e, err := toScript(vm, v[k], depth+1)
			if err != nil {
				return nil, err
			}
			// __proto__ is a member like others here.
			_ = o.DefineDataProperty(k, e, goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_TRUE)
		}
		return o, nil
	case []any:
		all := make([]any, len(v))
		for i := range v {
			e, err := toScript(vm, v[i], depth+1)
			if err != nil {
				return nil, err
			}
			all[i] = e
		}
		return vm.NewArray(all...), nil
	case nil:
		return goja.Null(), nil
	default:
		return vm.ToValue(v), nil
	}
}

// Limits of what console.log leaves behind.
const (
	maxLog     = 32 // lines
	maxLogLine = 256
)

// console gives the script console.log and its like.
func (r *run) console() {
	write := func(c goja.FunctionCall) goja.Value {
		if len(r.log) >= maxLog {
			return goja.Undefined()
		}
		var line strings.Builder
		for i, a := range c.Arguments {
			if i > 0 {
				line.WriteByte(' ')
			}
			if line.WriteString(logText(a)); line.Len() > maxLogLine {
				break
			}
		}
		s := line.String()
		if len(s) > maxLogLine {
			s = s[:maxLogLine] + "…"
		}
		// A getter may have written lines of its own.
		if len(r.log) < maxLog {
			r.log = append(r.log, strings.ToValidUTF8(s, "\uFFFD"))
		}
		return goja.Undefined()
	}
	console := r.vm.NewObject()
	for _, name := range []string{"log", "info", "warn", "error", "debug"} {
		_ = console.Set(name, write)
	}
	_ = r.vm.Set("console", console)
}

// logText is a text as it is, and anything else as JSON where that is
// possible.
func logText(v goja.Value) string {
	if o, isObject := v.(*goja.Object); isObject && o.ClassName() != "Error" {
		c := &converter{left: 4 * maxLogLine}
		got, err := c.object(o, "", 0)
		if s, isText := got.(string); isText && err == nil {
			return s
		} else if err == nil {
			return string(jsontext.Append(nil, got))
		}
	}
	return v.String()
}
