//go:build !small

package formatter

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/dop251/goja"
	"github.com/dop251/goja/parser"

	"lorawand/bridge/jsontext"
)

// The engine runs in the child only.

// maxCalls is how deep functions may call each other. Native functions
// between them take the stack of the process, so this is less than elsewhere.
const maxCalls = 1000

// foreign are globals of the engine that a script does not find in The Things
// Stack.
var foreign = []string{"BigInt", "BigInt64Array", "BigUint64Array", "GoError"}

// errDeadline is what a script at its deadline is interrupted with.
var errDeadline = errors.New("deadline")

// entries find functions whose names may stand in the global scope without
// being members of the global object (const decodeUplink = …).
var entries = sync.OnceValue(func() map[string]*goja.Program {
	all := map[string]*goja.Program{}
	for _, name := range []string{
		"decodeUplink", "normalizeUplink", "Decoder", "Decode", "encodeDownlink", "Encoder", "decodeDownlink",
	} {
		all[name] = goja.MustCompile("", fmt.Sprintf("typeof %s === 'function' ? %s : undefined", name, name), false)
	}
	return all
})

// compile reads a script. Source maps would be read from files that the script
// names.
func compile(source string) (*goja.Program, *Error) {
	tree, err := goja.Parse("", source, parser.WithDisableSourceMaps)
	if err != nil {
		return nil, scriptError(clip(err.Error()))
	}
	p, err := goja.CompileAST(tree, false)
	if err != nil {
		return nil, scriptError(clip(err.Error()))
	}
	return p, nil
}

// run is one call of a script, in a JavaScript world of its own: no script
// finds anything that another has left.
type run struct {
	vm   *goja.Runtime
	call *call
	log  []string
	res  Result
}

// newRun makes the world of one call.
func newRun() *run {
	r := &run{vm: goja.New()}
	r.vm.SetMaxCallStackSize(maxCalls)
	r.vm.SetParserOptions(parser.WithDisableSourceMaps)
	for _, name := range foreign {
		_ = r.vm.GlobalObject().Delete(name)
	}
	r.console()
	_, _ = r.vm.RunProgram(usual())
	return r
}

// usual reads what most scripts use of the language, which the engine makes when it
// is first read in a world. It changes nothing that a script can see.
var usual = sync.OnceValue(func() *goja.Program {
	return goja.MustCompile("", `[
  Math.round, Math.floor, Math.pow, Math.abs, Object.keys, JSON.stringify, String.fromCharCode, Number.prototype,
  "".slice, "".charCodeAt, "".toString, (0).toFixed, (0).toString, [].push, [].map, [].slice, [].join, [].length,
  /x/.test, /x/.exec, new Date(0).toISOString, parseInt, parseFloat, isNaN, (function () {}).call
]; undefined`, false)
})

// execute runs a script in a world that is new until it returns or until its CPU time
// is over.
func (r *run) execute(c *call, p *goja.Program) Result {
	r.call = c
	w := watch(r.vm, c.limit, c.slack)
	defer w.stop()
	if err := r.protect(func() *Error { return r.do(p) }); err != nil {
		data := r.res.Data
		warnings := r.res.Warnings
		r.res = failed(c.task, err)
		if err == errNoDownlinkDecoder {
			r.res.Warnings = nil
		}
		// Decoded data stays when its normalization fails.
		r.res.Data, r.res.Warnings = data, append(warnings, r.res.Warnings...)
	}
	r.res.Log = r.log
	return r.res
}

// do runs the script and the function in it that is asked for.
func (r *run) do(p *goja.Program) *Error {
	input, err := r.input()
	if err != nil {
		return err
	}
	if _, err := r.vm.RunProgram(p); err != nil {
		return r.thrown(err)
	}
	switch r.call.task {
	case DecodeUplink:
		return r.decodeUplink(input)
	case DecodeDownlink:
		return r.decodeDownlink(input)
	default:
		return r.encodeDownlink(input)
	}
}

// protect calls f. Whatever panics in it, a script that throws or a fault of
// the engine, ends there.
func (r *run) protect(f func() *Error) (err *Error) {
	defer func() {
		if x := recover(); x != nil {
			if e, isError := x.(error); isError {
				err = r.thrown(e)
			} else {
				err = scriptError("internal error of the engine")
			}
		}
	}()
	var inner *Error
	if thrown := r.vm.Try(func() { inner = f() }); thrown != nil {
		return r.thrown(thrown)
	}
	return inner
}

// input makes the object that the function is given, before the script can
// change what objects are.
func (r *run) input() (*goja.Object, *Error) {
	in := r.vm.NewObject()
	set := func(name string, v any) { _ = in.Set(name, v) }
	if r.call.task == EncodeDownlink {
		var data map[string]any
		if json.Unmarshal(r.call.data, &data) != nil {
			return nil, inputError()
		}
		set("data", goja.Undefined())
		// The Things Stack gives an empty object as undefined.
		if len(data) > 0 {
			v, err := toScript(r.vm, data, 0)
			if err != nil {
				return nil, err
			}
			set("data", v)
		}
		set("fPort", int64(r.call.fPort))
		return in, nil
	}
	bytes := make([]any, len(r.call.bytes))
	for i, b := range r.call.bytes {
		bytes[i] = int64(b)
	}
	set("bytes", r.vm.NewArray(bytes...))
	set("fPort", int64(r.call.fPort))
	if r.call.task == DecodeUplink && !r.call.received.IsZero() {
		if t, err := r.vm.New(r.vm.Get("Date"), r.vm.ToValue(r.call.received.UnixMilli())); err == nil {
			set("recvTime", t)
		}
	}
	return in, nil
}

// function returns a function of the script; nil: it has none of that name.
func (r *run) function(name string) (goja.Callable, *Error) {
	v, err := r.vm.RunProgram(entries()[name])
	var interrupted *goja.InterruptedError
	if errors.As(err, &interrupted) {
		return nil, scriptTimeout()
	}
	f, _ := goja.AssertFunction(v)
	return f, nil
}

func (r *run) invoke(f goja.Callable, args ...goja.Value) (goja.Value, *Error) {
	v, err := f(goja.Undefined(), args...)
	if err != nil {
		return nil, r.thrown(err)
	}
	return v, nil
}

// decodeUplink calls the newest form of a decoder that the script has.
func (r *run) decodeUplink(in *goja.Object) *Error {
	f, err := r.function("decodeUplink")
	if err != nil {
		return err
	}
	if f == nil {
		return r.oldDecoder(in)
	}
	out, err := r.invoke(f, in)
	if err != nil {
		return err
	}
	data, err := r.decoded(out)
	if err != nil {
		return err
	}
	n, err := r.function("normalizeUplink")
	if err != nil {
		return err
	}
	if value := out.ToObject(r.vm).Get("data"); n != nil && value != nil && value.ToBoolean() {
		return r.normalizeUplink(n, value, data)
	}
	r.fitsSchema(data)
	return nil
}

// oldDecoder calls Decoder(bytes, port) as The Things Network had it, or
// Decode(fPort, bytes, variables) as ChirpStack had it.
func (r *run) oldDecoder(in *goja.Object) *Error {
	bytes, port := in.Get("bytes"), in.Get("fPort")
	args := []goja.Value{bytes, port}
	f, err := r.function("Decoder")
	if err == nil && f == nil {
		args = []goja.Value{port, bytes, r.vm.NewObject()}
		f, err = r.function("Decode")
	}
	if err != nil {
		return err
	}
	if f == nil {
		return notDefined("Decoder")
	}
	out, err := r.invoke(f, args...)
	if err != nil {
		return err
	}
	data, err := toObject(out, "")
	if err != nil {
		return err
	}
	r.fitsSchema(data)
	return r.setData(data)
}

// decoded takes what a decoder returned.
func (r *run) decoded(v goja.Value) (jsontext.Object, *Error) {
	o, warnings, err := r.returned(v)
	if err != nil {
		return nil, err
	}
	data, err := toObject(o.Get("data"), "")
	if err != nil {
		return nil, err
	}
	r.res.Warnings = warnings
	return data, r.setData(data)
}

func (r *run) setData(data jsontext.Object) *Error {
	b := jsontext.Append(nil, data)
	if len(b) > maxOutput {
		return tooLarge()
	}
	r.res.Data = b
	return nil
}

// returned takes the object that a function must return, and the warnings in
// it. The errors in it are the error.
func (r *run) returned(v goja.Value) (o *goja.Object, warnings []string, err *Error) {
	if v == nil || goja.IsUndefined(v) || goja.IsNull(v) {
		return nil, nil, scriptError("TypeError: Value is not object coercible")
	}
	o, isObject := v.(*goja.Object)
	if !isObject {
		return nil, nil, output(runtimeError("could not convert " + clip(v.String()) + " to an object"))
	}
	errs, err := toTexts(o.Get("errors"))
	if err != nil {
		return nil, nil, err
	}
	if len(errs) > 0 {
		return nil, nil, outputErrors(errs)
	}
	warnings, err = toTexts(o.Get("warnings"))
	return o, warnings, err
}

// normalizeUplink calls the script's own normalization and checks what it
// gives. Nothing returned means that the decoded data may be normalized itself.
func (r *run) normalizeUplink(f goja.Callable, value goja.Value, data jsontext.Object) *Error {
	in := r.vm.NewObject()
	_ = in.Set("data", value)
	out, err := r.invoke(f, in)
	if err != nil {
		return err
	}
	if goja.IsUndefined(out) || goja.IsNull(out) {
		r.fitsSchema(data)
		return nil
	}
	o, warnings, err := r.returned(out)
	if err != nil {
		return err
	}
	measurements, err := toMeasurements(o.Get("data"))
	if err != nil {
		return err
	}
	valid, bad, err := normalize(measurements)
	if err != nil {
		return output(err)
	}
	r.res.Normalized, r.res.NormalizedWarnings = valid, append(warnings, bad...)
	return nil
}

// fitsSchema takes decoded data as normalized data if it has that form.
func (r *run) fitsSchema(data jsontext.Object) {
	if valid, bad, err := normalize([]jsontext.Object{data}); err == nil {
		r.res.Normalized, r.res.NormalizedWarnings = valid, bad
	}
}

func (r *run) decodeDownlink(in *goja.Object) *Error {
	f, err := r.function("decodeDownlink")
	if err != nil {
		return err
	}
	if f == nil {
		return errNoDownlinkDecoder
	}
	out, err := r.invoke(f, in)
	if err != nil {
		return err
	}
	_, err = r.decoded(out)
	return err
}

func (r *run) encodeDownlink(in *goja.Object) *Error {
	f, err := r.function("encodeDownlink")
	if err != nil {
		return err
	}
	if f == nil {
		return r.oldEncoder(in)
	}
	out, err := r.invoke(f, in)
	if err != nil {
		return err
	}
	o, warnings, err := r.returned(out)
	if err != nil {
		return err
	}
	bytes, err := toBytes(o.Get("bytes"))
	if err != nil {
		return err
	}
	r.res = Result{Bytes: bytes, FPort: max(r.call.fPort, 1), Warnings: warnings}
	if p := o.Get("fPort"); p != nil && !goja.IsUndefined(p) && !goja.IsNull(p) {
		r.res.FPort = uint8(p.ToInteger())
	}
	return nil
}

// oldEncoder calls Encoder(object, port). It has no say about the port.
func (r *run) oldEncoder(in *goja.Object) *Error {
	f, err := r.function("Encoder")
	if err != nil {
		return err
	}
	if f == nil {
		return notDefined("Encoder")
	}
	out, err := r.invoke(f, in.Get("data"), in.Get("fPort"))
	if err != nil {
		return err
	}
	bytes, err := toBytes(out)
	r.res = Result{Bytes: bytes, FPort: r.call.fPort}
	return err
}

// thrown says what a script was ended by.
func (r *run) thrown(err error) (e *Error) {
	defer func() {
		// The text of a thrown object is made by the script.
		switch recover().(type) {
		case nil:
		case *goja.InterruptedError:
			e = scriptTimeout()
		default:
			e = scriptError("exception without a text")
		}
	}()
	var interrupted *goja.InterruptedError
	var overflow *goja.StackOverflowError
	switch {
	case errors.As(err, &interrupted):
		return scriptTimeout()
	case errors.As(err, &overflow):
		return scriptError("RangeError: Maximum call stack size exceeded")
	default:
		return scriptError(clip(err.Error()))
	}
}

// errNoDownlinkDecoder is no fault of a script that encodes only: it stands in
// no warning of its downlinks.
var errNoDownlinkDecoder = notDefined("decodeDownlink")

func notDefined(name string) *Error {
	return scriptError("ReferenceError: " + name + " is not defined")
}

func inputError() *Error {
	return &Error{Namespace: inJavaScript, Name: "input", Code: codeInvalidArgument, MessageFormat: "invalid input"}
}

// watcher interrupts a script when its time is over.
type watcher struct {
	vm    *goja.Runtime
	limit time.Duration // of CPU time
	slack time.Duration
	cpu   time.Duration // of the process when the script began
	wall  time.Time

	mu    sync.Mutex
	timer *time.Timer
	ended bool
}

func watch(vm *goja.Runtime, limit, slack time.Duration) *watcher {
	w := &watcher{vm: vm, limit: limit, slack: slack, cpu: cpuTime(), wall: time.Now()}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer = time.AfterFunc(limit, w.look)
	return w
}

func (w *watcher) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return
	}
	left := w.left(cpuTime()-w.cpu, time.Since(w.wall))
	if left <= 0 {
		w.vm.Interrupt(errDeadline)
		return
	}
	w.timer.Reset(max(left, time.Millisecond))
}

// left returns how long a script may go on that has had so much CPU time, and so much time in all.
func (w *watcher) left(cpu, wall time.Duration) time.Duration {
	return min(w.limit-cpu, w.limit+w.slack-wall)
}

func (w *watcher) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	w.timer.Stop()
}
