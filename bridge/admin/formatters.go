package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"lorawand/bridge/codec"
	"lorawand/bridge/formatter"
	"lorawand/bridge/session"
)

// formatterWarnings returns why the formatters of a device cannot be used; a reason
// that is true of both directions once.
func (a *Admin) formatterWarnings(d *session.Device) (out []string) {
	up, down := a.o.Resolver.Choose(d)
	for _, w := range []string{up.Warning(), down.Warning()} {
		if w != "" && !slices.Contains(out, w) {
			out = append(out, w)
		}
	}
	return out
}

// switchedOff returns a note on the default formatter of its application that a
// device no longer has, because it has one of its own for the other direction.
func (a *Admin) switchedOff(d *session.Device) (notes []string) {
	app, _ := a.o.Applications.Application(d.ID.Application)
	for _, direction := range []struct{ name, own, of string }{
		{"up", d.Formatters.Up, app.Up.Kind}, {"down", d.Formatters.Down, app.Down.Kind},
	} {
		if direction.own == "" && direction.of != "" && direction.of != codec.None {
			notes = append(notes, fmt.Sprintf("it has no %s formatter now: the application's hold only while a device has "+
				"none of its own, for both directions", direction.name))
		}
	}
	return notes
}

// tellFormatters answers with a SetNote for each reason why formatters of devices of
// an application, or of all if that is "", cannot be used.
func (a *Admin) tellFormatters(ctx context.Context, application string, r reply) error {
	type told struct {
		first session.ID
		n     int
	}
	all, order := map[string]*told{}, []string(nil)
	err := a.o.Bridge.Devices(ctx, application, func(d *session.Device) error {
		for _, w := range a.formatterWarnings(d) {
			if all[w] == nil {
				all[w] = &told{first: d.ID}
				order = append(order, w)
			}
			all[w].n++
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i, w := range order {
		if i == maxFaults {
			return r(SetNote{fmt.Sprintf("and %d warnings more", len(order)-maxFaults)})
		}
		note := fmt.Sprintf("%v: %s", all[w].first, w)
		if n := all[w].n - 1; n > 0 {
			note += fmt.Sprintf(" (and of %d devices more)", n)
		}
		if err := r(SetNote{note}); err != nil {
			return err
		}
	}
	return nil
}

// DeviceFormatters is a part of the answer of "formatter.list".
type DeviceFormatters struct {
	Application string    `json:"application_id"`
	Device      string    `json:"device_id"`
	Up          Formatter `json:"up"`
	Down        Formatter `json:"down"`
}

// Formatter is what formats payloads of one direction.
type Formatter struct {
	Kind    string `json:"formatter"`         // in The Things Stack's words
	Default bool   `json:"default,omitempty"` // it is that of the application
	Codec   string `json:"codec,omitempty"`   // of a maker, "brand/codec"
	Bytes   int    `json:"bytes,omitempty"`   // of its script
	Warning string `json:"warning,omitempty"` // why it cannot be used
}

func (a *Admin) formattersOf(d *session.Device) DeviceFormatters {
	up, down := a.o.Resolver.Choose(d)
	return DeviceFormatters{
		d.ID.Application, d.ID.Device,
		shownFormatter(&up, formatter.DecodeUplink), shownFormatter(&down, formatter.EncodeDownlink),
	}
}

func shownFormatter(c *codec.Choice, t formatter.Task) Formatter {
	f := Formatter{Kind: c.Kind, Default: c.Default, Bytes: len(c.Script)}
	if c.Codec != nil {
		f.Codec, f.Bytes = c.Codec.Key(), len(c.Codec.Script(t))
	}
	if c.Err != nil {
		f.Warning = c.Err.Error()
	}
	return f
}

// FormatterListArgs name a device, or an application, or "" for all.
type FormatterListArgs struct {
	Application string `json:"application_id,omitempty"`
	Device      string `json:"device_id,omitempty"`
}

// listFormatters answers with the DeviceFormatters of devices.
func (a *Admin) listFormatters(ctx context.Context, args FormatterListArgs, r reply) error {
	if args.Device == "" {
		return a.o.Bridge.Devices(ctx, args.Application, func(d *session.Device) error { return r(a.formattersOf(d)) })
	}
	d, err := a.o.Bridge.Device(ctx, session.ID{Application: args.Application, Device: args.Device})
	if err != nil {
		return err
	}
	return r(a.formattersOf(d))
}

// TestFormatterArgs are the arguments of "formatter.test".
type TestFormatterArgs struct {
	DeviceArgs
	Task  formatter.Task  `json:"task"`
	FPort uint8           `json:"f_port,omitempty"`
	Bytes []byte          `json:"frm_payload,omitempty"`
	Data  json.RawMessage `json:"decoded_payload,omitempty"`
}

// TestedFormatter is the answer of "formatter.test".
type TestedFormatter struct {
	Formatter
	// First and Again are what came of it the first time, when a script has to be
	// read, and the second time.
	First formatter.Result `json:"first"`
	Again formatter.Result `json:"again"`
}

// ErrNoFormatter is the reason for not trying a formatter that a device does not have.
var ErrNoFormatter = errors.New("no payload formatter for this direction")

// testFormatter runs the formatter of a device as its frames are formatted.
func (a *Admin) testFormatter(ctx context.Context, args TestFormatterArgs, r reply) error {
	if args.Task < formatter.DecodeUplink || args.Task > formatter.DecodeDownlink {
		return fmt.Errorf("task: %d, must be %d to %d", args.Task, formatter.DecodeUplink, formatter.DecodeDownlink)
	}
	d, err := a.o.Bridge.Device(ctx, args.id())
	if err != nil {
		return err
	}
	f, warning := a.o.Resolver.Formatter(d, args.Task)
	up, down := a.o.Resolver.Choose(d)
	if args.Task == formatter.DecodeUplink {
		down = up
	}
	out := TestedFormatter{Formatter: shownFormatter(&down, args.Task)}
	switch {
	case warning != "":
		return fmt.Errorf("%v: %s", d.ID, warning)
	case f.Kind() == formatter.None:
		return fmt.Errorf("%v: %w", d.ID, ErrNoFormatter)
	case a.o.Formatters == nil:
		return errors.New("nothing runs payload formatters here")
	}
	req := formatter.Request{
		Formatter: f, Task: args.Task, FPort: args.FPort, Bytes: args.Bytes, Data: args.Data,
		Received: time.Now(), Measure: true,
	}
	out.First = a.o.Formatters.Do(ctx, req)
	if out.Again = out.First; out.First.Fail == nil {
		out.Again = a.o.Formatters.Do(ctx, req)
	}
	return r(out)
}
