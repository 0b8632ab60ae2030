package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"lorawand/bridge/formatter"
	"lorawand/bridge/session"
	"lorawand/bridge/v3"
)

// PushArgs are the arguments of "downlink.push".
type PushArgs struct {
	DeviceArgs
	Replace bool            `json:"replace,omitempty"` // empty the queue first
	Body    json.RawMessage `json:"body"`              // as over MQTT: {"downlinks":[…]}
}

// Pushed is the answer of "downlink.push" for each item.
type Pushed struct {
	CorrelationIDs []string `json:"correlation_ids"`
}

// pushDownlinks does what a down/push or down/replace over MQTT does, and answers
// with the correlation ids of the messages that MQTT clients get.
func (a *Admin) pushDownlinks(ctx context.Context, args PushArgs, r reply) error {
	if err := checkID(args.id()); err != nil {
		return err
	}
	items, err := a.o.Bridge.TryPush(ctx, args.id(), args.Replace, args.Body)
	if err != nil {
		return err
	}
	for _, ids := range items {
		if err := r(Pushed{ids}); err != nil {
			return err
		}
	}
	return nil
}

// checkID returns an error for an id that is not valid in a topic.
func checkID(id session.ID) error {
	if err := session.CheckID(id.Application); err != nil {
		return fmt.Errorf("application: %w", err)
	}
	return session.CheckID(id.Device)
}

// Downlink is what "downlink.list" tells of an item.
type Downlink struct {
	State    string          `json:"state"` // awaiting_ack, sending or waiting
	Downlink json.RawMessage `json:"downlink"`
}

// listDownlinks answers with the queue of a device: what was sent and has no
// acknowledgement yet, what is on its way out, and what waits, first the next; with
// decoded_payload where the device's formatter decodes downlinks.
func (a *Admin) listDownlinks(ctx context.Context, args DeviceArgs, r reply) error {
	q, err := a.o.Bridge.Downlinks(ctx, args.id())
	if err != nil {
		return err
	}
	decode, err := a.downlinkDecoder(ctx, args.id())
	if err != nil {
		return err
	}
	var enc v3.Encoder
	tell := func(state string, it *session.Item) error {
		shown := *it
		decode(&shown)
		return r(Downlink{state, enc.AppendItem(nil, &shown)})
	}
	if q.Awaiting != nil {
		if err := tell("awaiting_ack", q.Awaiting); err != nil {
			return err
		}
	}
	if q.Sending != nil {
		if err := tell("sending", q.Sending); err != nil {
			return err
		}
	}
	for i := range q.Waiting {
		if err := tell("waiting", &q.Waiting[i]); err != nil {
			return err
		}
	}
	return nil
}

// decodingTime is how long the items of a queue may take to decode, together.
const decodingTime = 2 * time.Second

// downlinkDecoder returns what gives an item of a device its decoded_payload, if the
// device's formatter has one for it. Those for which no time is left stay as they are.
func (a *Admin) downlinkDecoder(ctx context.Context, id session.ID) (func(*session.Item), error) {
	d, err := a.o.Bridge.Device(ctx, id)
	if err != nil {
		return nil, err
	}
	f, _ := a.o.Resolver.Formatter(d, formatter.DecodeDownlink)
	if a.o.Formatters == nil || d.SkipCrypto || f.Kind() == formatter.None || !f.Names("decodeDownlink") {
		return func(*session.Item) {}, nil
	}
	end := time.Now().Add(decodingTime)
	return func(it *session.Item) {
		if !time.Now().Before(end) {
			return
		}
		ctx, cancel := context.WithDeadline(ctx, end)
		defer cancel()
		res := a.o.Formatters.Do(ctx, formatter.Request{
			Formatter: f, Task: formatter.DecodeDownlink, FPort: it.FPort, Bytes: it.FRMPayload,
		})
		if res.Fail == nil {
			it.Decoded, it.DecodedWarnings = res.Data, res.Warnings
		}
	}, nil
}
