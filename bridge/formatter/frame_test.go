//go:build !small

package formatter

import (
	"bytes"
	"encoding/binary"
	"io"
	"reflect"
	"testing"
	"time"

	"lorawand/radio/fuzztest"
)

func TestFramesThereAndBack(t *testing.T) {
	for _, c := range []*call{
		{number: 1, task: DecodeUplink, fPort: 255, bytes: []byte{0, 255}, limit: time.Second, slack: 5},
		{number: 2, sum: [32]byte{1, 31: 2}, source: "x", hasSource: true, task: EncodeDownlink, data: []byte(`{"a":1}`), measure: true},
		{number: 3, task: DecodeDownlink, received: time.UnixMilli(-5)},
	} {
		got, err := parseCall(c.append(newFrame(nil))[4:])
		if err != nil || got.received.UnixMilli() != c.received.UnixMilli() && !c.received.IsZero() {
			t.Fatalf("%+v: %+v, %v", c, got, err)
		}
		got.received = c.received
		if !reflect.DeepEqual(got, c) {
			t.Errorf("%+v became %+v", c, got)
		}
	}
	for _, a := range []*answer{
		{number: 1, unknown: true},
		{number: 2, used: 5, result: Result{
			Data: []byte("{}"), Warnings: []string{"", "ü"}, Normalized: [][]byte{[]byte("{}")},
			NormalizedWarnings: []string{"n"},
			Bytes:              []byte{1}, FPort: 9, Log: []string{"l"}, Fail: scriptTimeout(), Cost: Cost{CPU: 3, Allocated: 4},
		}},
		{number: 3, result: Result{Fail: output(runtimeError("x"))}},
	} {
		got, err := parseAnswer(a.append(newFrame(nil))[4:])
		if err != nil || !reflect.DeepEqual(got, a) {
			t.Errorf("%+v became %+v, %v", a, got, err)
		}
	}
}

// Neither end of the pipe comes to harm by what it hears, nor does it keep
// more than a frame may have.
func FuzzFrames(f *testing.F) {
	c := &call{
		number: 7, source: "function decodeUplink(i) { return { data: { a: i.bytes } }; }", hasSource: true,
		task: DecodeUplink, bytes: []byte{1}, limit: 20 * time.Millisecond,
	}
	f.Add([]byte(c.append(newFrame(nil))[4:]))
	f.Add([]byte((&answer{number: 1, result: Result{
		Fail: scriptTimeout(),
		Log:  []string{"x"},
	}}).append(newFrame(nil))[4:]))
	f.Add([]byte(hello{speed: time.Second, used: time.Second}.append(newFrame(nil))[4:]))
	f.Fuzz(fuzztest.Quick(func(t *testing.T, b []byte) {
		_, _ = parseHello(b)
		if a, err := parseAnswer(b); err == nil && a.result.Fail != nil {
			_ = a.result.Fail.Error()
		}
		if c, err := parseCall(b); err == nil {
			again, err := parseCall(c.append(newFrame(nil))[4:])
			if err == nil && again.received.Equal(c.received) {
				again.received = c.received
			}
			if err != nil || !reflect.DeepEqual(again, c) {
				t.Errorf("%+v became %+v, %v", c, again, err)
			}
		}
		if got, err := readFrame(bytes.NewReader(b), nil); err == nil && len(got) > maxFrame || cap(got) > maxFrame {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	}))
}

// A child that hears nonsense ends, and says nothing more.
func TestChildHearsNonsense(t *testing.T) {
	long := binary.BigEndian.AppendUint32(nil, maxFrame+1)
	for name, in := range map[string][]byte{
		"text":      []byte("GET / HTTP/1.1\r\n\r\n"),
		"too long":  long,
		"cut":       {0, 0, 0, 9, 1},
		"no call":   {0, 0, 0, 1, 1},
		"bad task":  (&call{task: 9}).append(newFrame(nil)),
		"no length": {0, 0},
	} {
		b := packer(bytes.Clone(in))
		if name == "bad task" {
			binary.BigEndian.PutUint32(b, uint32(len(b)-4))
		}
		var out bytes.Buffer
		if err := serve(bytes.NewReader(b), &out, 1); err == nil {
			t.Errorf("%s: no error", name)
		}
		if _, err := readFrame(&out, nil); err != nil || out.Len() > 0 {
			t.Errorf("%s: %v, and %d bytes after the hello", name, err, out.Len())
		}
	}
	if err := serve(bytes.NewReader(nil), io.Discard, 1); err != nil {
		t.Errorf("end of the pipe: %v", err)
	}
}
