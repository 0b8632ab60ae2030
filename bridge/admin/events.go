package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"lorawand/bridge/activity"
	"lorawand/bridge/event"
	"lorawand/bridge/v3"
	"lorawand/radio"
)

// EventsArgs are the arguments of "events".
type EventsArgs struct {
	Application string `json:"application_id,omitempty"` // only of its devices; "": all
	Follow      bool   `json:"follow,omitempty"`         // go on with new ones
	Device      string `json:"device,omitempty"`         // an id, application/id, or a DevEUI; "": all
	Gateway     string `json:"gateway,omitempty"`        // an id; "": all
	Text        bool   `json:"text,omitempty"`           // lines for people
	Uplinks     bool   `json:"uplinks,omitempty"`        // what devices send, too
	Terse       bool   `json:"terse,omitempty"`          // without what is repeated
}

// matches reports whether the arguments select an event.
func (a *EventsArgs) matches(e *event.Event) bool {
	if a.Terse && e.Kind == event.UplinkRepeated {
		return false
	}
	if a.Application != "" && a.Application != e.Device.Application {
		return false
	}
	if a.Gateway != "" && e.Gateway != a.Gateway {
		return false
	}
	if a.Device == "" || a.Device == e.Device.Device || a.Device == e.Device.String() {
		return true
	}
	var eui radio.EUI64
	return e.HasEUIs && eui.UnmarshalText([]byte(a.Device)) == nil && eui == e.DevEUI
}

// errStops ends the following of events when the daemon stops.
var errStops = errors.New("the daemon stops")

// events answers with the remembered events, oldest first, as JSON or as texts.
func (a *Admin) events(ctx context.Context, args EventsArgs, r reply) error {
	t := teller{args: &args, reply: r}
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
	if err := t.all(events, uplinks); err != nil || !args.Follow {
		return err
	}
	for {
		var err error
		select {
		case <-ctx.Done():
			return errStops
		case e := <-news:
			err = t.event(e)
		case i := <-items:
			if i.Event == nil && i.Message.Suffix == v3.Up {
				err = t.uplink(&activity.Message{Device: i.Device, At: i.At, Payload: i.Message.Payload})
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
	of := func(e event.Event) bool { return e.Device.Application == args.Application }
	if id == "" || len(events) == 0 || args.Application != "" && !slices.ContainsFunc(events, of) {
		return fmt.Errorf("%.100q: %w", id, ErrNotRemembered)
	}
	return r(Why{event.Why(events), events})
}
