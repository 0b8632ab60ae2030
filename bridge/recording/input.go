package recording

import (
	"errors"
	"fmt"
	"time"

	"lorawand/bridge/core"
	"lorawand/bridge/foreign"
	"lorawand/bridge/session"
	"lorawand/bridge/state"
	"lorawand/bridge/v3"
	"lorawand/radio"
)

// entry is an input and its time. One of the fields behind the time is set.
type entry struct {
	Host    radio.HostTime    `json:"host"` // ns
	Wall    time.Time         `json:"wall"`
	Quality radio.TimeQuality `json:"quality"`

	Heard        *radio.Uplink       `json:"heard,omitempty"`
	Gateway      *radio.GatewayEvent `json:"gateway,omitempty"`
	Acked        *radio.TxAck        `json:"acked,omitempty"`
	Pushed       *pushed             `json:"pushed,omitempty"`
	Stored       *stored             `json:"stored,omitempty"`
	Asked        *foreign.Request    `json:"asked,omitempty"`
	Provisioned  *provisioned        `json:"provisioned,omitempty"`
	Reconfigured *reconfigured       `json:"reconfigured,omitempty"`
	Located      *core.Located       `json:"located,omitempty"`
	Timer        bool                `json:"timer,omitempty"`
	Starting     bool                `json:"starting,omitempty"`
	Stopping     bool                `json:"stopping,omitempty"`

	End string `json:"end,omitempty"` // of the last line: why there is no input
}

type pushed struct {
	Ticket  uint64
	Device  session.ID
	Replace bool
	Items   []item
	Err     *v3.Error
}

// item is an item with what the store has not got of it.
type item struct {
	session.Item
	Decoded  []byte   `json:",omitempty"`
	Warnings []string `json:",omitempty"`
}

type stored struct {
	Ticket uint64
	Err    string // "": it is stored
}

type provisioned struct {
	Ticket uint64
	Put    []put
	Remove []session.ID
	Trial  bool
}

// put is a state.DevicePut.
type put struct {
	Device          *record // nil: there is none
	Made            bool    // the record of Device was not made in advance
	Replace         bool
	Must            bool
	OwnCounters     bool
	ForgetFCntUp    bool
	ForgetDevNonces bool
	ForceRejoin     *uint8
}

type reconfigured struct {
	Ticket   uint64
	Gateways []settings
}

// entryOf returns what is written of an input. It keeps what the input has, until it is written.
func entryOf(now core.Now, in core.Input) any {
	e := entry{Host: now.Host, Wall: now.Wall.Time, Quality: now.Wall.Quality}
	switch in := in.(type) {
	case core.Heard:
		e.Heard = &in.Uplink
	case core.GatewayChanged:
		e.Gateway = &in.Event
	case core.Acked:
		e.Acked = &in.Ack
	case core.Pushed:
		e.Pushed = pushedOf(&in)
	case core.Stored:
		e.Stored = &stored{Ticket: in.Ticket}
		if in.Err != nil {
			e.Stored.Err = in.Err.Error()
		}
	case core.Asked:
		e.Asked = (*foreign.Request)(&in)
	case core.Provisioned:
		e.Provisioned = provisionedOf(&in)
	case core.Reconfigured:
		e.Reconfigured = &reconfigured{in.Ticket, settingsOf(in.Gateways)}
	case core.Located:
		e.Located = &in
	case core.TimerFired:
		e.Timer = true
	case core.Starting:
		e.Starting = true
	case core.Stopping:
		e.Stopping = true
	default:
		return func() {} // which JSON refuses
	}
	return &e
}

func pushedOf(in *core.Pushed) *pushed {
	p := &pushed{Ticket: in.Ticket, Device: in.Device, Replace: in.Replace, Err: in.Err}
	for _, it := range in.Items {
		p.Items = append(p.Items, item{it, it.Decoded, it.DecodedWarnings})
	}
	return p
}

func provisionedOf(in *core.Provisioned) *provisioned {
	p := &provisioned{Ticket: in.Ticket, Remove: in.Remove, Trial: in.Trial}
	for i := range in.Put {
		d := &in.Put[i]
		one := put{
			Replace: d.Replace, Must: d.Must, OwnCounters: d.OwnCounters, ForgetFCntUp: d.ForgetFCntUp,
			ForgetDevNonces: d.ForgetDevNonces, ForceRejoin: d.ForceRejoin,
		}
		made := d.Record
		if one.Made = made.Data == nil && d.Device != nil; one.Made {
			made, _ = state.DeviceRecord(d.Device) // without one the replay refuses it, as the core does
		}
		if d.Device != nil {
			one.Device = (*record)(&made)
		}
		p.Put = append(p.Put, one)
	}
	return p
}

// errTwo is the reason for refusing a line.
var errTwo = errors.New("it has no input, or more than one")

// input returns the input of an entry, and its name.
func (e *entry) input() (name string, in core.Input, err error) {
	n := 0
	take := func(has bool, as string, make func() core.Input) {
		if has {
			n++
			name, in = as, make()
		}
	}
	take(e.Heard != nil, "heard", func() core.Input { return core.Heard{Uplink: *e.Heard} })
	take(e.Gateway != nil, "gateway", func() core.Input { return core.GatewayChanged{Event: *e.Gateway} })
	take(e.Acked != nil, "acked", func() core.Input { return core.Acked{Ack: *e.Acked} })
	take(e.Pushed != nil, "pushed", func() core.Input { return e.Pushed.input() })
	take(e.Stored != nil, "stored", func() core.Input { return e.Stored.input() })
	take(e.Asked != nil, "asked", func() core.Input { return core.Asked(*e.Asked) })
	take(e.Provisioned != nil, "provisioned", func() (in core.Input) {
		in, err = e.Provisioned.input()
		return in
	})
	take(e.Reconfigured != nil, "reconfigured", func() core.Input {
		r := core.Reconfigured{Ticket: e.Reconfigured.Ticket}
		r.Gateways, err = gatewaysOf(e.Reconfigured.Gateways)
		return r
	})
	take(e.Located != nil, "located", func() core.Input { return *e.Located })
	take(e.Timer, "timer", func() core.Input { return core.TimerFired{} })
	take(e.Starting, "starting", func() core.Input { return core.Starting{} })
	take(e.Stopping, "stopping", func() core.Input { return core.Stopping{} })
	switch {
	case n != 1:
		return "", nil, errTwo
	case e.Heard != nil && len(e.Heard.Receptions) == 0:
		return "", nil, errors.New("a frame that no antenna has heard")
	}
	return name, in, err
}

func (p *pushed) input() core.Input {
	in := core.Pushed{Ticket: p.Ticket, Device: p.Device, Replace: p.Replace, Err: p.Err}
	for _, it := range p.Items {
		it.Item.Decoded, it.DecodedWarnings = it.Decoded, it.Warnings
		in.Items = append(in.Items, it.Item)
	}
	return in
}

func (s *stored) input() core.Input {
	in := core.Stored{Ticket: s.Ticket}
	if s.Err != "" {
		in.Err = errors.New(s.Err)
	}
	return in
}

func (p *provisioned) input() (core.Input, error) {
	in := core.Provisioned{Ticket: p.Ticket, Remove: p.Remove, Trial: p.Trial}
	for i := range p.Put {
		one := &p.Put[i]
		d := state.DevicePut{
			Replace: one.Replace, Must: one.Must, OwnCounters: one.OwnCounters, ForgetFCntUp: one.ForgetFCntUp,
			ForgetDevNonces: one.ForgetDevNonces, ForceRejoin: one.ForceRejoin,
		}
		if one.Device != nil {
			var err error
			if d.Device, err = session.UnmarshalDevice(one.Device.Data); err != nil {
				return nil, fmt.Errorf("device %s: %w", one.Device.Key, err)
			}
			if !one.Made {
				d.Record = state.Record(*one.Device)
			}
		}
		in.Put = append(in.Put, d)
	}
	return in, nil
}
