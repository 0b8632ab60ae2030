package bridge

import (
	"context"
	"crypto/rand"
	"slices"
	"time"

	"lorawand/bridge/core"
	"lorawand/bridge/decode"
	"lorawand/bridge/event"
	"lorawand/bridge/formatter"
	"lorawand/bridge/session"
	"lorawand/bridge/v3"
)

const (
	// lastDecoding is how long Run waits at its end for payloads that are with their
	// formatters.
	lastDecoding = 500 * time.Millisecond
	// encodingTime bounds how long the items of one push may take to be encoded: the
	// client gets its PUBACK within 2 s, and they are to be stored too.
	encodingTime = 1500 * time.Millisecond
)

// newDecoder returns what stands between the core and the broker.
func (b *Bridge) newDecoder(o Options) *decode.Decoder {
	if o.Pool == nil {
		o.Pool = formatter.New(formatter.Options{NoJavaScript: true, Logger: o.Logger})
	}
	return decode.New(decode.Options{
		Device: b.core.Devices().Device, Pool: o.Pool, Formatters: b.formatters, Encoder: o.Encoder, Publish: b.publish,
		Located: func(id session.ID, service string, l session.Location) {
			b.inbox.add(core.Located{Device: id, Service: service, Location: l})
		},
		Report: func(e event.Event) {
			now := b.clock.Now()
			if e.Host = now.Host; now.Wall.Known() {
				e.At = now.Wall.Time
			}
			b.tell(&e)
		},
	})
}

// publish hands a complete message to the broker, and remembers it.
func (b *Bridge) publish(m v3.Message) {
	b.activity.Message(m, b.clock.Host())
	b.outbox.Publish(m)
}

// Simulate publishes a message that an application has made up as if it were of a
// device: with "simulated", and with what the payload formatter of the device makes of
// it. The error is a *v3.Error where that cannot be done.
func (b *Bridge) Simulate(ctx context.Context, id session.ID, body []byte) error {
	s, err := v3.ParseSimulation(body)
	if err != nil {
		return err
	}
	known := false
	err = b.inspect(ctx, func(c *core.Core) {
		d := c.Devices().Device(id)
		if known = d != nil; !known {
			return
		}
		ids := v3.IDs(d)
		ids.HasDevAddr = false
		names, calendar := v3.Names{Entropy: rand.Reader}, b.clock.Calendar()
		correlation := []string{names.CorrelationID(v3.ApplicationUp, calendar)}
		text, places := b.encoder.AppendSimulation(nil, s, &ids, correlation, calendar, d.Locations)
		b.decoder.Publish(
			v3.Message{Application: id.Application, Device: id.Device, Suffix: s.Suffix, Payload: text},
			v3.Undecoded{FPort: s.FPort, FRMPayload: s.FRMPayload, Received: calendar, Places: places, Simulated: true},
		)
	})
	if err == nil && !known {
		err = v3.DeviceNotFound(id)
	}
	return err
}

// encode gives the items of a push that have decoded_payload only their frm_payload.
// The error is a *v3.Error where the push is to be refused.
func (b *Bridge) encode(ctx context.Context, id session.ID, items []session.Item) error {
	if !slices.ContainsFunc(items, func(it session.Item) bool { return decode.NeedsEncoding(&it) }) {
		return nil
	}
	var f formatter.Formatter
	var warning string
	known := false
	err := b.inspect(ctx, func(c *core.Core) {
		if d := c.Devices().Device(id); d != nil {
			known = true
			f, warning = b.formatters.Formatter(d, formatter.EncodeDownlink)
		}
	})
	if err != nil {
		return err
	}
	if !known {
		return v3.DeviceNotFound(id)
	}
	ctx, cancel := context.WithTimeout(ctx, encodingTime)
	defer cancel()
	if refused := b.decoder.Encode(ctx, id, items, f, warning); refused != nil {
		return refused
	}
	return nil
}
