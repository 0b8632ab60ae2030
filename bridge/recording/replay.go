package recording

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"

	"lorawand/bridge/core"
	"lorawand/bridge/gateway"
	"lorawand/bridge/state"
	"lorawand/radio"
	"lorawand/radio/region"
)

// Replay runs inputs through a core.
type Replay struct {
	Version string // of the program that has made the recording
	End     string // why the recording ends, when Run has returned; "": it does not say

	lines *lines
	core  *core.Core
	n     int // inputs so far
	last  radio.HostTime
}

// NewReplay reads the begin of a recording, up to its first input.
func NewReplay(r io.Reader) (*Replay, error) {
	p := &Replay{lines: newLines(r, maxLine)}
	var h header
	if err := p.lines.read(&h); err != nil {
		return nil, p.lines.cutOff(err)
	}
	if h.Lorawand != magic {
		return nil, p.lines.fault(errNoRecording)
	}
	if h.Format != format {
		return nil, p.lines.fault(fmt.Errorf("format %d, this version knows %d", h.Format, format))
	}
	o, err := h.options()
	if err != nil {
		return nil, p.lines.fault(err)
	}
	read := records{}
	for range h.Records {
		var one state.Record
		if err := p.lines.read(&one); err != nil {
			return nil, p.lines.cutOff(err)
		}
		read[one.Kind] = append(read[one.Kind], one)
	}
	st, err := state.Load(read, h.WrongMICs, "")
	if err != nil {
		return nil, fmt.Errorf("%w: its state: %w", ErrRecording, err)
	}
	o.Devices, o.Ledgers, o.Hours, o.Tombstones = st.Devices, st.Ledgers, st.Hours, st.Tombstones
	p.Version = h.Version
	p.core, err = core.New(o)
	return p, err
}

// records are those of a recording, by kind.
type records map[string][]state.Record

// Records returns those of a kind.
func (r records) Records(kind string) []state.Record { return r[kind] }

// options returns what the header has of those of a core.
func (h *header) options() (core.Options, error) {
	o := core.Options{
		Gateways: gateway.NewRegistry(), Encoder: h.Encoder, Entropy: rand.NewChaCha8(h.Seed),
		Deduplication: h.Deduplication, RX1Delay: h.RX1Delay, NotBefore: h.NotBefore, Forwards: h.Forwards, Relays: h.Relays,
		Leases: h.Leases,
	}
	for _, p := range h.DevAddrs {
		o.DevAddrs = append(o.DevAddrs, radio.DevAddrPrefix(p))
	}
	var err error
	if o.DefaultPlan, err = region.Lookup(h.DefaultPlan); err != nil {
		return o, err
	}
	all, err := gatewaysOf(h.Gateways)
	for _, g := range all {
		if err == nil {
			err = o.Gateways.Add(g)
		}
	}
	return o, err
}

// Run calls do for each effect, in order, until it returns an error, which it returns. After the
// effects of what can be read it returns ErrRecording if the rest cannot be.
func (p *Replay) Run(do func(*Effect) error) error {
	for {
		e := entry{Input: new(json.RawMessage)}
		err := p.lines.read(&e)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case p.End != "":
			return p.lines.fault(errors.New("text after the end"))
		case e.End != "":
			p.End = e.End
			continue
		case e.Host < p.last || e.Host > maxHost:
			return p.lines.fault(fmt.Errorf("host time %d is out of order", e.Host))
		}
		in, err := e.input()
		if err != nil {
			return p.lines.fault(err)
		}
		p.n++
		p.last = e.Host
		faults, effects := stepped(p.core, core.Now{Host: e.Host, Wall: radio.WallTime{Time: e.Wall, Quality: e.Quality}}, in)
		if err := p.tell(e.On, faults, effects, do); err != nil {
			return err
		}
	}
}

// tell calls do for what has come of an input: faults first.
func (p *Replay) tell(on string, faults []string, effects []core.Effect, do func(*Effect) error) error {
	told := Effect{Input: p.n, Host: p.last, On: on, Effect: "Fault"}
	for _, f := range faults {
		told.Detail = f
		if err := do(&told); err != nil {
			return err
		}
	}
	for _, e := range effects {
		told.Effect, told.Detail = nameOf(e), detailOf(e)
		if err := do(&told); err != nil {
			return err
		}
	}
	return nil
}

// maxHost bounds the host's clock: 100 years.
const maxHost = radio.HostTime(100 * 365 * 24 * 3600 * 1e9)

// stepped steps a core as the daemon does. One that panics goes on behind that.
func stepped(c *core.Core, now core.Now, in core.Input) (faults []string, effects []core.Effect) {
	for _, step := range []func() []core.Effect{func() []core.Effect { return c.Step(now, in) }, c.Resume} {
		fault := any(nil)
		if effects, fault = caught(step); fault == nil {
			break
		}
		faults = append(faults, fmt.Sprint(fault))
	}
	return faults, effects
}

// caught returns what f returns, or what it has panicked with.
func caught(f func() []core.Effect) (effects []core.Effect, fault any) {
	defer func() { fault = recover() }()
	return f(), nil
}
