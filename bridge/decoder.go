package bridge

import (
	"context"
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
		Device: b.core.Devices().Device, Pool: o.Pool, Formatters: &b.formats, Encoder: o.Encoder, Publish: o.Outbox.Publish,
		Located: func(id session.ID, service string, l session.Location) {
			b.inbox.add(core.Located{Device: id, Service: service, Location: l})
		},
		Report: func(e event.Event) {
			now := b.clock.Now()
			if e.Host = now.Host; now.Wall.Known() {
				e.At = now.Wall.Time
			}
			b.events.Write(&e)
		},
	})
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
			f, warning = b.formats.Downlink(d)
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
