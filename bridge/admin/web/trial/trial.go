//go:build !small

// Package trial tries payload formatters for the web page before they are set.
//
// A trial takes a child process and as long as a script may run, so their number is
// bounded: of one browser, and of all together.
package trial

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"sync"
	"time"

	"lorawand/bridge"
	"lorawand/bridge/access"
	"lorawand/bridge/admin"
	"lorawand/bridge/codec"
	"lorawand/bridge/formatter"
	"lorawand/bridge/session"
)

// Operation is the one that tries a payload formatter before it is set.
const Operation = "formatter.try"

// Limits of trials.
const (
	MaxTried   = 20        // frames at once
	maxPayload = 255       // bytes of FRMPayload: that of PHYPayload is a byte
	maxData    = 128 << 10 // bytes of decoded_payload
	maxRunning = 2         // trials at a time; others wait
	maxOfOne   = 2         // of one browser, waiting or running
	limit      = 2 * time.Minute
)

// Options says what trials work with.
type Options struct {
	Bridge     *bridge.Bridge
	Resolver   *codec.Resolver
	Formatters *formatter.Pool // nil: nothing can be tried
}

// Trials are those that are under way.
type Trials struct {
	o       Options
	running chan struct{}

	mu sync.Mutex
	of map[any]int // of each browser
}

// New adds the operation to the table of an Admin.
func New(a *admin.Admin, o Options) *Trials {
	t := &Trials{o: o, running: make(chan struct{}, maxRunning), of: map[any]int{}}
	a.Add(Operation, admin.Operation{
		Run: admin.Decoding(t.try), Right: admin.Right{Rights: access.DevicesRead, Application: true}, Limit: limit,
	})
	return t
}

// Begin counts a trial of a browser. ok is false where it has as many as it may; else the
// caller calls end.
func (t *Trials) Begin(browser any) (end func(), ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.of[browser] >= maxOfOne {
		return nil, false
	}
	t.of[browser]++
	return sync.OnceFunc(func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.of[browser]--; t.of[browser] == 0 {
			delete(t.of, browser)
		}
	}), true
}

// args are the arguments of "formatter.try".
type args struct {
	Application string           `json:"application_id"`
	Device      string           `json:"device_id"` // whose codec FORMATTER_REPOSITORY means; "": none
	Formatter   access.Formatter `json:"formatter"`
	Frames      []struct {
		FPort   uint8  `json:"f_port"`
		Payload []byte `json:"frm_payload"`
	} `json:"frames"`
	Encode *struct {
		FPort uint8           `json:"f_port"`
		Data  json.RawMessage `json:"decoded_payload"`
	} `json:"encode"` // a downlink
}

// tried is what came of a frame.
type tried struct {
	OK         bool              `json:"ok"`
	Data       json.RawMessage   `json:"data,omitempty"`
	Normalized []json.RawMessage `json:"normalized,omitempty"`
	Warnings   []string          `json:"warnings"`
	Error      string            `json:"error,omitempty"`
	Line       int               `json:"line,omitempty"` // of the script that the error names
	Log        []string          `json:"log,omitempty"`
	MS         float64           `json:"ms"`
	KB         int64             `json:"kB"`
	FPort      uint8             `json:"f_port,omitempty"`
	Payload    []byte            `json:"frm_payload,omitempty"`
}

var (
	errBusy    = errors.New("other payload formatters are tried just now; try again")
	errNoTry   = errors.New("nothing runs payload formatters here")
	errPayload = fmt.Errorf("a payload has at most %d bytes, and decoded_payload %d", maxPayload, maxData)
	errTooMany = fmt.Errorf("too many frames at once: at most %d", MaxTried)
)

// try runs a formatter that is not set yet, in the guarded child process.
func (t *Trials) try(ctx context.Context, a args, reply func(any) error) error {
	if t.o.Formatters == nil {
		return errNoTry
	}
	if len(a.Frames) > MaxTried {
		return errTooMany
	}
	select {
	case t.running <- struct{}{}:
		defer func() { <-t.running }()
	case <-ctx.Done():
		return errBusy
	}
	d := &session.Device{ID: session.ID{Application: a.Application, Device: a.Device}}
	if a.Device != "" {
		var err error
		if d, err = t.o.Bridge.Device(ctx, d.ID); err != nil {
			return err
		}
	}
	d.Formatters = session.Formatters{Set: true, Up: a.Formatter.Kind, UpParameter: a.Formatter.Parameter}
	choice, _ := t.o.Resolver.Choose(d)
	run := func(r formatter.Request) error {
		if len(r.Bytes) > maxPayload || len(r.Data) > maxData {
			return errPayload
		}
		f, err := formatterFor(&choice, r.Task)
		if err != nil {
			return err
		}
		r.Formatter, r.Received, r.Measure = f, time.Now(), true
		return reply(triedOf(t.o.Formatters.Do(ctx, r)))
	}
	for _, f := range a.Frames {
		if err := run(formatter.Request{Task: formatter.DecodeUplink, FPort: f.FPort, Bytes: f.Payload}); err != nil {
			return err
		}
	}
	if e := a.Encode; e != nil {
		return run(formatter.Request{Task: formatter.EncodeDownlink, FPort: e.FPort, Data: e.Data})
	}
	return nil
}

// formatterFor makes the formatter of a choice for a task.
func formatterFor(c *codec.Choice, t formatter.Task) (formatter.Formatter, error) {
	switch {
	case c.Err != nil:
		return formatter.Formatter{}, c.Err
	case c.Kind == codec.CayenneLPP:
		return formatter.NewCayenneLPP(false), nil
	case c.Kind == codec.Repository:
		return formatter.NewCodec(c.Codec.Script(t))
	case c.Kind == codec.JavaScript:
		return formatter.NewJavaScript(c.Script)
	}
	return formatter.Formatter{}, admin.ErrNoFormatter
}

// linePattern is where an error names the line of the script.
var linePattern = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)(?:\bline |:)(\d+)(?::\d+)?\b`)
})

func triedOf(r formatter.Result) tried {
	out := tried{
		OK: r.Fail == nil, Data: r.Data, Warnings: append([]string{}, r.Warnings...), Log: r.Log, FPort: r.FPort,
		Payload: r.Bytes, MS: math.Round(r.Cost.Wall.Seconds()*1e4) / 10, KB: r.Cost.Allocated >> 10,
	}
	for _, n := range r.Normalized {
		out.Normalized = append(out.Normalized, n)
	}
	if r.Fail != nil {
		out.Error, out.Warnings = r.Fail.Error(), []string{}
		if m := linePattern().FindStringSubmatch(out.Error); m != nil {
			out.Line, _ = strconv.Atoi(m[1])
		}
	}
	return out
}
