package codec

import (
	"fmt"
	"sync"

	"lorawand/bridge/access"
	"lorawand/bridge/formatter"
	"lorawand/bridge/session"
)

// Resolver says which formatters a device has. It may be used by several
// goroutines; but a device must not change while it is asked about.
type Resolver struct {
	applications *access.Applications
	library      *Library

	mu      sync.Mutex
	answer  map[session.ID]*answer
	scripts map[string]formatter.Formatter // by their source: devices often have the same
}

// answer is what the last question about a device came to, and what it rests on.
type answer struct {
	own     session.Formatters
	ids     session.VersionIDs
	app     access.Application
	changes uint64 // of the Library

	up, encode, decode chosen
}

// chosen is the formatter for a task.
type chosen struct {
	formatter formatter.Formatter
	warning   string
}

// Bounds of what is remembered: when there are more all are forgotten.
const (
	maxAnswers = 8192
	maxScripts = 256
)

// NewResolver returns a Resolver.
func NewResolver(applications *access.Applications, library *Library) *Resolver {
	return &Resolver{
		applications: applications, library: library,
		answer: map[session.ID]*answer{}, scripts: map[string]formatter.Formatter{},
	}
}

// Uplink returns the formatter for uplinks of a device. Where it has one that
// cannot be used, such as a codec that is not imported, that is none, and the
// warning says why.
func (r *Resolver) Uplink(d *session.Device) (f formatter.Formatter, warning string) {
	return r.Formatter(d, formatter.DecodeUplink)
}

// Downlink is Uplink for downlinks.
func (r *Resolver) Downlink(d *session.Device) (f formatter.Formatter, warning string) {
	return r.Formatter(d, formatter.EncodeDownlink)
}

// Formatter is Uplink for any task. Only a codec of a maker can have another
// formatter to decode downlinks than to encode them.
func (r *Resolver) Formatter(d *session.Device, t formatter.Task) (f formatter.Formatter, warning string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.answerOn(d)
	c := &a.up
	switch t {
	case formatter.EncodeDownlink:
		c = &a.encode
	case formatter.DecodeDownlink:
		c = &a.decode
	}
	return c.formatter, c.warning
}

// Forget drops what is remembered of devices that are no more.
func (r *Resolver) Forget(ids ...session.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range ids {
		delete(r.answer, id)
	}
}

// answerOn returns the last answer if it still holds, else a new one. So a script is
// hashed once, and not with each frame.
func (r *Resolver) answerOn(d *session.Device) *answer {
	app, _ := r.applications.Application(d.ID.Application)
	changes := r.library.changes()
	a := r.answer[d.ID]
	if a != nil && a.own == d.Formatters && a.ids == d.VersionIDs && a.app == app && a.changes == changes {
		return a
	}
	if len(r.answer) >= maxAnswers {
		clear(r.answer)
	}
	a = &answer{own: d.Formatters, ids: d.VersionIDs, app: app, changes: changes}
	up, down := r.Choose(d)
	a.up = r.chosen(&up, formatter.DecodeUplink)
	a.encode = r.chosen(&down, formatter.EncodeDownlink)
	a.decode = r.chosen(&down, formatter.DecodeDownlink)
	r.answer[d.ID] = a
	return a
}

// Choice is which formatter a device has for a direction, and why.
type Choice struct {
	Kind    string // FORMATTER_NONE if none
	Default bool   // it is that of the application
	Script  string // of FORMATTER_JAVASCRIPT
	Codec   *Codec // of FORMATTER_REPOSITORY
	Err     error  // why it cannot be used: ErrMissing or ErrUnserved
}

// ErrUnserved is the reason for a formatter that is not served.
var ErrUnserved = fmt.Errorf("%s is not served: payloads are not handed to a server outside", GRPCService)

// Choose returns which formatters a device has.
func (r *Resolver) Choose(d *session.Device) (up, down Choice) {
	if d.Formatters.Set {
		up = Choice{Kind: d.Formatters.Up, Script: d.Formatters.UpParameter}
		down = Choice{Kind: d.Formatters.Down, Script: d.Formatters.DownParameter}
	} else {
		app, _ := r.applications.Application(d.ID.Application)
		up = Choice{Kind: app.Up.Kind, Script: app.Up.Parameter, Default: true}
		down = Choice{Kind: app.Down.Kind, Script: app.Down.Parameter, Default: true}
	}
	for _, c := range []*Choice{&up, &down} {
		switch c.Kind {
		case JavaScript:
			continue
		case "":
			c.Kind = None
		case Repository:
			c.Codec, c.Err = r.library.Find(d.VersionIDs)
		case None, CayenneLPP:
		case GRPCService:
			c.Err = ErrUnserved
		default:
			c.Err = fmt.Errorf("formatter %.40q is not known", c.Kind)
		}
		c.Script = ""
	}
	return up, down
}

// Warning returns why the formatter cannot be used, or "".
func (c *Choice) Warning() string {
	if c.Err == nil {
		return ""
	}
	return "payload formatter: " + c.Err.Error()
}

// chosen makes the formatter for a task.
func (r *Resolver) chosen(c *Choice, t formatter.Task) chosen {
	if c.Err != nil {
		return chosen{warning: c.Warning()}
	}
	source, read := c.Script, formatter.NewJavaScript
	switch c.Kind {
	case CayenneLPP:
		return chosen{formatter: formatter.NewCayenneLPP(false)}
	case Repository:
		source, read = c.Codec.Script(t), formatter.NewCodec
	case JavaScript:
	default:
		return chosen{}
	}
	f, ok := r.scripts[source]
	if ok {
		return chosen{formatter: f}
	}
	f, err := read(source)
	if err != nil {
		return chosen{warning: "payload formatter: " + err.Error()}
	}
	if len(r.scripts) >= maxScripts {
		clear(r.scripts)
	}
	r.scripts[source] = f
	return chosen{formatter: f}
}
