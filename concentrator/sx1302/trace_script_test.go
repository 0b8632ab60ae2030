package sx1302_test

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"testing"
	"time"

	"lorawand/concentrator/sx1302"
	"lorawand/concentrator/sx1302/script"
	"lorawand/concentrator/sx1302/sx1302test"
)

// traceScript returns a Script that works on a model as the emulator of a
// recording.
func traceScript(t *testing.T, meta record, o sx1302test.Options) (*script.Script, *sx1302test.Chip, *sx1302.Chip) {
	t.Helper()
	model, chip := traceChip(t, meta, o, nil)
	return scriptOn(t, meta, chip), model, chip
}

// scriptOn returns a Script that works with a chip.
func scriptOn(t *testing.T, meta record, chip *sx1302.Chip) *script.Script {
	t.Helper()
	s := script.New(func(sx1302.Config) (*sx1302.Chip, error) { return chip, nil },
		func() (int32, error) { return meta.temperature(t), nil })
	const anything = `{"config":[{"set":"board","public":true,"clksrc":0},{"set":"rxrf","rf_chain":0,` +
		`"freq_hz":867500000,"type":"sx1250"}]}`
	if _, _, err := s.Step(t.Context(), []byte(anything)); err != nil {
		t.Fatal(err)
	}
	return s
}

// step runs a call and returns its answer without group number.
func step(t *testing.T, s *script.Script, fn string, args json.RawMessage) (out any, rc int) {
	t.Helper()
	line, err := json.Marshal(map[string]any{"k": "call", "fn": fn, "args": args})
	if err != nil {
		t.Fatal(err)
	}
	answer, _, err := s.Step(t.Context(), line)
	if err != nil {
		t.Fatal(err)
	}
	var a struct {
		K   string `json:"k"`
		Fn  string `json:"fn"`
		Out any    `json:"out"`
		RC  int    `json:"rc"`
	}
	if err := json.Unmarshal(answer, &a); err != nil || a.K != "ret" || a.Fn != fn {
		t.Fatalf("%s: %v", answer, err)
	}
	return a.Out, a.RC
}

// TestScriptSend compares the answers to send with those of the recordings.
func TestScriptSend(t *testing.T) {
	eachTrace(t, func(t *testing.T, all []record) {
		var now time.Duration
		s, _, _ := traceScript(t, all[0], sx1302test.Options{Now: func() time.Duration { return now }})
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
		var replay sx1302.RxReplay
		s, model, chip := traceScript(t, all[0], sx1302test.Options{Fail: replay.Frame, Read: replay.Read})
		step(t, s, "start", nil)
		step(t, s, "temperature", nil)
		for i, r := range all {
			switch {
			case r.K == "set" && r.Temp != nil:
				chip.SetTemperature(int32(*r.Temp * 256))
			case r.K == "fifo":
				model.Deliver(sx1302.Unhex(t, r.Bytes))
			case r.K == "call" && r.Fn == "receive":
				replay.Counters = recordedCounters(t, all[i:])
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
