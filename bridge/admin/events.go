package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"lorawand/bridge/activity"
	"lorawand/bridge/admin/eventlines"
	"lorawand/bridge/event"
	"lorawand/bridge/v3"
)

// EventsArgs are the arguments of "events".
type EventsArgs = eventlines.Args

// errStops ends the following of events when the daemon stops.
var errStops = errors.New("the daemon stops")

// events answers with the remembered events, oldest first, as JSON or as texts.
func (a *Admin) events(ctx context.Context, args EventsArgs, r reply) error {
	t := eventlines.Teller{Args: &args, Reply: r}
	events, news, stop, err := a.o.Bridge.Events().Watch()
	if err != nil {
		return err
	}
	defer stop()
	var uplinks []activity.Message
	var items <-chan activity.Item // nil: nothing comes
	if args.Uplinks {
		var stop func()
		if uplinks, items, stop, err = a.o.Bridge.Activity().Uplinks(); err != nil {
			return err
		}
		defer stop()
	}
	if err := t.All(events, uplinks); err != nil || !args.Follow {
		return err
	}
	for {
		var err error
		select {
		case <-ctx.Done():
			return errStops
		case e := <-news:
			err = t.Event(e)
		case i := <-items:
			if i.Event == nil && i.Message.Suffix == v3.Up {
				err = t.Uplink(&activity.Message{Device: i.Device, At: i.At, Payload: i.Message.Payload})
			}
		}
		if err != nil {
			return err
		}
	}
}

// WhyArgs are the arguments of "why".
type WhyArgs struct {
	Application   string `json:"application_id,omitempty"` // whose device it is about; "": any
	CorrelationID string `json:"correlation_id"`
}

// Why is the answer of "why".
type Why struct {
	Text   string        `json:"text"`
	Events []event.Event `json:"events"`
}

// ErrNotRemembered says that the event log has nothing about a correlation id.
var ErrNotRemembered = errors.New("no event about it is remembered; the daemon keeps the latest events since its start")

func (a *Admin) why(_ context.Context, args WhyArgs, r reply) error {
	id := strings.TrimSpace(args.CorrelationID)
	events := a.o.Bridge.Events().About(id)
	if args.Application != "" { // applications choose their correlation ids: two may have one
		events = slices.DeleteFunc(events, func(e event.Event) bool { return e.Device.Application != args.Application })
	}
	if id == "" || len(events) == 0 {
		return fmt.Errorf("%.100q: %w", id, ErrNotRemembered)
	}
	return r(Why{event.Why(events), events})
}
