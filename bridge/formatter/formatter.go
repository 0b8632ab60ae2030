// Package formatter turns payloads into values and back: CayenneLPP in this
// process, JavaScript in a child process that limits itself, so that no script
// can take the memory, the time or the files of the daemon. It does so beside
// the way of a frame: nothing here is waited for before RX1.
//
// A Pool carries requests out one after another and calls back with the
// result. Who wants the results of one device in order sends the next request
// of that device when the last one is answered.
//
// Names, numbers and errors are those of The Things Stack 3.32.1, measured.
package formatter

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	// MaxScript is the longest script in bytes that a device or an application
	// can be given, as in The Things Stack.
	MaxScript = 40960
	// MaxCodec is the longest script of a codec of the device repository. There
	// The Things Stack has no limit; the longest in 2026 has 321 269 bytes
	// (abeeway).
	MaxCodec = 384 << 10
)

// maxOutput is the most bytes of JSON that a formatter may give: what an MQTT
// message can carry beside the rest of an uplink.
const maxOutput = 64 << 10

// Kind says how a payload is read and written.
type Kind uint8

// Kinds of formatters.
const (
	None Kind = iota
	JavaScript
	CayenneLPP
)

// Formatter is what a device has for one direction. The zero value formats
// nothing. Copies are cheap and share the script.
type Formatter struct {
	kind   Kind
	strict bool
	script *script
}

// script is a source and the name under which the child knows it.
type script struct {
	source string
	sum    [sha256.Size]byte
}

// ErrScript is the reason for a script that cannot be taken.
var ErrScript = errors.New("formatter: script not accepted")

// NewJavaScript returns a formatter of a script. The script is not read here:
// what is wrong with it shows when it is run.
func NewJavaScript(source string) (Formatter, error) { return newScript(source, MaxScript) }

// NewCodec returns a formatter of the script of a codec, which may be longer.
func NewCodec(source string) (Formatter, error) { return newScript(source, MaxCodec) }

func newScript(source string, longest int) (Formatter, error) {
	if len(source) > longest {
		return Formatter{}, fmt.Errorf("%w: %d bytes, more than %d", ErrScript, len(source), longest)
	}
	return Formatter{kind: JavaScript, script: &script{source, sha256.Sum256([]byte(source))}}, nil
}

// NewCayenneLPP returns a formatter of CayenneLPP. A strict one knows the
// twelve types of The Things Stack only.
func NewCayenneLPP(strict bool) Formatter { return Formatter{kind: CayenneLPP, strict: strict} }

// Kind returns the kind of the formatter.
func (f Formatter) Kind() Kind { return f.kind }

// Names reports whether the script, if there is one, has a word in it. A function
// that it does not name it does not define.
func (f Formatter) Names(word string) bool {
	return f.script == nil || strings.Contains(f.script.source, word)
}

// Task is what a formatter is asked to do.
type Task uint8

// Tasks.
const (
	DecodeUplink Task = iota + 1
	EncodeDownlink
	DecodeDownlink
)

// Request asks a formatter for something.
type Request struct {
	Formatter Formatter
	Task      Task
	FPort     uint8     // 0: the application gave none (EncodeDownlink)
	Bytes     []byte    // FRMPayload to decode
	Data      []byte    // decoded_payload to encode: a JSON object
	Received  time.Time // of an uplink; zero: the time is not known
	Since     time.Time // when it began to wait, for Submit; zero: now
	Measure   bool      // fill in Cost.Allocated and Cost.RSS
}

// Result is what came of a request.
type Result struct {
	// Data is decoded_payload, a JSON object with sorted keys; nil: none.
	Data []byte
	// Warnings are decoded_payload_warnings. Why a decoder failed is among them,
	// but where a script has none for downlinks.
	Warnings []string
	// Normalized are the measurements of normalized_payload, JSON objects.
	Normalized [][]byte
	// NormalizedWarnings are normalized_payload_warnings.
	NormalizedWarnings []string

	// Bytes and FPort are an encoded downlink. An FPort of 0 means that there
	// is none.
	Bytes []byte
	FPort uint8

	// Fail says why there is no result; with Data, why there is no normalized
	// payload.
	Fail *Error
	// Log is what the script wrote with console.log, cut to what is bearable.
	Log  []string
	Cost Cost
}

// Cost is what a request has taken.
type Cost struct {
	CPU       time.Duration // of the child
	Wall      time.Duration // from the request to the child until its answer
	Allocated int64         // bytes on the heap
	RSS       int64         // most bytes that the child has ever had
}

// failed returns the result of a request that came to nothing. The reason
// stands in the warnings of a decoder: an application sees nothing else.
func failed(t Task, e *Error) Result {
	r := Result{Fail: e}
	if t != EncodeDownlink {
		r.Warnings = []string{e.Error()}
	}
	return r
}

// Refused returns the result of a request that Submit has refused.
func Refused(r Request, err error) Result {
	var e *Error
	if !errors.As(err, &e) {
		e = ours("unavailable", codeUnavailable, err.Error())
	}
	return failed(r.Task, e)
}

// direct carries out what needs no child.
func direct(r Request) (Result, bool) {
	switch r.Formatter.kind {
	case CayenneLPP:
		return runCayenneLPP(r), true
	case None:
		return Result{}, true
	default:
		return Result{}, false
	}
}
