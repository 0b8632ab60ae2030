package recording

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"lorawand/bridge/core"
	"lorawand/bridge/session"
	"lorawand/bridge/state"
	"lorawand/radio"
)

// entry is an input and its time, or the end.
type entry struct {
	Host    radio.HostTime    `json:"host"` // ns
	Wall    time.Time         `json:"wall"`
	Quality radio.TimeQuality `json:"quality"`
	On      string            `json:"on"` // the type of the input
	Input   any               `json:"input"`
	End     string            `json:"end,omitempty"` // why there is no input
}

// inputs are the types of all inputs.
var inputs = []core.Input{
	core.Heard{},
	core.GatewayChanged{},
	core.Acked{},
	core.Pushed{},
	core.Withdrawn{},
	core.Stored{},
	core.TimerFired{},
	core.Starting{},
	core.Stopping{},
	core.Asked{},
	core.Provisioned{},
	core.Reconfigured{},
	core.Located{},
	core.Leased{},
}

// Inputs returns an input of each type that can be recorded.
func Inputs() []core.Input { return slices.Clone(inputs) }

// What follows is written in place of inputs that are not the same when JSON has been read again. A
// field hides that of the same name in the input.
type (
	pushed struct {
		core.Pushed
		Items []item
	}
	// item is an item with what the store has not got of it.
	item struct {
		session.Item
		Decoded         []byte
		DecodedWarnings []string
	}
	stored struct {
		Ticket uint64
		Err    string // "": it is stored
	}
	provisioned struct {
		core.Provisioned
		Put []put
	}
	put struct {
		state.DevicePut
		Device []byte // its record, unless that is in Record; nil: there is no device
	}
	reconfigured struct {
		core.Reconfigured
		Gateways []configured
	}
)

// entryOf returns what is written of an input. It keeps what the input has, until it is written.
func entryOf(now core.Now, in core.Input) *entry {
	e := &entry{Host: now.Host, Wall: now.Wall.Time, Quality: now.Wall.Quality, On: nameOf(in), Input: in}
	switch in := in.(type) {
	case core.Pushed:
		p := pushed{Pushed: in}
		for _, it := range in.Items {
			p.Items = append(p.Items, item{it, it.Decoded, it.DecodedWarnings})
		}
		e.Input = p
	case core.Stored:
		s := stored{Ticket: in.Ticket}
		if in.Err != nil {
			s.Err = in.Err.Error()
		}
		e.Input = s
	case core.Provisioned:
		p := provisioned{Provisioned: in}
		for _, d := range in.Put {
			one := put{DevicePut: d}
			if d.Device != nil && d.Record.Data == nil {
				made, _ := state.DeviceRecord(d.Device) // where that fails it does so again in the replay
				one.Device = made.Data
			}
			p.Put = append(p.Put, one)
		}
		e.Input = p
	case core.Reconfigured:
		e.Input = reconfigured{in, configurations(in.Gateways)}
	}
	return e
}

// nameOf returns the name of a type of core.
func nameOf(v any) string { return reflect.Indirect(reflect.ValueOf(v)).Type().Name() }

// read reads an input. text is the JSON of it.
func (e *entry) read(text []byte) (core.Input, error) {
	switch e.On {
	case "Pushed":
		var p pushed
		err := unmarshal(text, &p)
		p.Pushed.Items = nil
		for _, it := range p.Items {
			it.Item.Decoded, it.Item.DecodedWarnings = it.Decoded, it.DecodedWarnings
			p.Pushed.Items = append(p.Pushed.Items, it.Item)
		}
		return p.Pushed, err
	case "Stored":
		var s stored
		err := unmarshal(text, &s)
		in := core.Stored{Ticket: s.Ticket}
		if s.Err != "" {
			in.Err = errors.New(s.Err)
		}
		return in, err
	case "Provisioned":
		var p provisioned
		err := unmarshal(text, &p)
		p.Provisioned.Put = nil
		for i := range p.Put {
			one := &p.Put[i]
			if one.Record.Data != nil {
				one.Device = one.Record.Data
			}
			if one.Device != nil && err == nil {
				one.DevicePut.Device, err = session.UnmarshalDevice(one.Device)
			}
			p.Provisioned.Put = append(p.Provisioned.Put, one.DevicePut)
		}
		return p.Provisioned, err
	case "Reconfigured":
		var r reconfigured
		err := unmarshal(text, &r)
		if err == nil {
			r.Reconfigured.Gateways, err = gatewaysOf(r.Gateways)
		}
		return r.Reconfigured, err
	}
	for _, in := range inputs {
		if nameOf(in) == e.On {
			v := reflect.New(reflect.TypeOf(in))
			err := unmarshal(text, v.Interface())
			in, _ = v.Elem().Interface().(core.Input)
			if h, ok := in.(core.Heard); ok && err == nil && len(h.Uplink.Receptions) == 0 {
				err = errors.New("a frame that no antenna has heard")
			}
			return in, err
		}
	}
	return nil, fmt.Errorf("%.40q is no input", e.On)
}

// input reads the input of an entry that was read.
func (e *entry) input() (core.Input, error) {
	raw, ok := e.Input.(*json.RawMessage)
	if !ok { // it is null
		return nil, fmt.Errorf("%.40q without an input", e.On)
	}
	return e.read(*raw)
}
