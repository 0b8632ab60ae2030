//go:build !small

package web

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"sync"
	"time"

	"lorawand/bridge/access"
	"lorawand/bridge/admin"
	"lorawand/bridge/codec"
	"lorawand/bridge/formatter"
	"lorawand/bridge/session"
)

// tryFormatter is the operation that tries a payload formatter before it is set.
const tryFormatter = "formatter.try"

const (
	maxTried   = 20  // frames at once
	maxPayload = 255 // bytes of FRMPayload: that of PHYPayload is a byte
)

// chosen is a formatter as the page shows it.
type chosen struct {
	Kind      string `json:"formatter"` // in The Things Stack's words
	Parameter string `json:"formatter_parameter,omitempty"`
	Default   bool   `json:"default"` // it is that of the application
	Codec     string `json:"codec,omitempty"`
	Warning   string `json:"warning,omitempty"` // why it cannot be used
}

func chosenOf(c *codec.Choice) chosen {
	out := chosen{Kind: c.Kind, Parameter: c.Script, Default: c.Default, Warning: c.Warning()}
	if c.Codec != nil {
		out.Codec = c.Codec.Key()
	}
	return out
}

// formatterOf says whose formatter decodes the uplinks of a device.
func (c *call) formatterOf(d *session.Device) string {
	up, _ := c.site.o.Resolver.Choose(d)
	switch {
	case up.Kind == codec.None:
		return "none"
	case up.Default:
		return "application"
	}
	return "device"
}

// formatter answers with the formatters of a device, or of an application.
func (c *call) formatter(string) error {
	query := c.r.URL.Query()
	id := session.ID{Application: cmp.Or(query.Get("application_id"), c.scope()), Device: query.Get("device_id")}
	if scope := c.scope(); scope != "" && id.Application != scope {
		return refused(403, "The API key is one of another application.")
	}
	d := &session.Device{ID: id}
	if id.Device != "" {
		var err error
		if d, err = c.site.o.Bridge.Device(c.r.Context(), id); err != nil {
			return refused(404, err.Error())
		}
	}
	up, down := c.site.o.Resolver.Choose(d)
	return c.answer(struct {
		moment
		Up   chosen `json:"up"`
		Down chosen `json:"down"`
	}{c.moment(), chosenOf(&up), chosenOf(&down)})
}

// deviceFormatter is which formatter a device has.
type deviceFormatter struct {
	Application string `json:"app"`
	Device      string `json:"id"`
	Kind        string `json:"kind"`
	Default     bool   `json:"default"`
	Codec       string `json:"codec,omitempty"`
	Bytes       int    `json:"bytes,omitempty"`
	Warning     string `json:"warning,omitempty"`
}

// formatters answers with which formatter each device has for its uplinks.
func (c *call) formatters(string) error {
	parts, err := collect[admin.DeviceFormatters](c, "formatter.list", admin.FormatterListArgs{Application: c.scope()})
	if err != nil {
		return err
	}
	all := []deviceFormatter{}
	for _, p := range parts {
		up := &p.Up
		all = append(all, deviceFormatter{p.Application, p.Device, up.Kind, up.Default, up.Codec, up.Bytes, up.Warning})
	}
	return c.answer(struct {
		moment
		Formatters []deviceFormatter `json:"formatters"`
	}{c.moment(), all})
}

// tryArgs are the arguments of "formatter.try".
type tryArgs struct {
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
	errNoTry   = errors.New("nothing runs payload formatters here")
	errPayload = fmt.Errorf("a payload has at most %d bytes, and decoded_payload %d", maxPayload, maxBody)
	errTooMany = fmt.Errorf("too many frames at once: at most %d", maxTried)
)

// try runs a formatter that is not set yet, in the guarded child process.
func (s *Site) try(ctx context.Context, args tryArgs, reply func(any) error) error {
	if s.o.Formatters == nil {
		return errNoTry
	}
	if len(args.Frames) > maxTried {
		return errTooMany
	}
	d := &session.Device{ID: session.ID{Application: args.Application, Device: args.Device}}
	if args.Device != "" {
		var err error
		if d, err = s.o.Bridge.Device(ctx, d.ID); err != nil {
			return err
		}
	}
	d.Formatters = session.Formatters{Set: true, Up: args.Formatter.Kind, UpParameter: args.Formatter.Parameter}
	choice, _ := s.o.Resolver.Choose(d)
	run := func(r formatter.Request) error {
		if len(r.Bytes) > maxPayload || len(r.Data) > maxBody {
			return errPayload
		}
		f, err := formatterFor(&choice, r.Task)
		if err != nil {
			return err
		}
		r.Formatter, r.Received, r.Measure = f, time.Now(), true
		return reply(triedOf(s.o.Formatters.Do(ctx, r)))
	}
	for _, f := range args.Frames {
		if err := run(formatter.Request{Task: formatter.DecodeUplink, FPort: f.FPort, Bytes: f.Payload}); err != nil {
			return err
		}
	}
	if e := args.Encode; e != nil {
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
		Payload: r.Bytes, MS: round(r.Cost.Wall.Seconds()*1e3, 1), KB: r.Cost.Allocated >> 10,
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
