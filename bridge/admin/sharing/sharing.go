// Package sharing has HTTP requests share a gateway with the uplinks: what an application asks for is done at
// a pace, what takes long one at a time and with rests, and so is what anybody may ask.
package sharing

import (
	"cmp"
	"context"
	"errors"
	"time"

	"lorawand/bridge/access"
	"lorawand/bridge/broker/pace"
)

// ErrBusy is the reason for refusing what takes long where too much of that waits already.
var ErrBusy = errors.New("too many such requests wait already; try again")

// patience is how long one waits for others of its application.
const patience = 5 * time.Second

// Sharing is what all applications share. The zero value is ready.
type Sharing struct {
	hurry pace.Hurry // slows down the calls of an application
	turns pace.Alone // of what takes long
}

// Pace waits where an application's calls come too fast: else as many as there are connections would be at
// work at once, and an uplink would wait for them all. A call that needs some rights and has so many bytes of
// arguments counts as some packets of MQTT, see pace.Hurry; it costs as much as these, at least.
func (s *Sharing) Pace(ctx context.Context, application string, needs access.Rights, bytes int) error {
	packets := 4 + bytes>>10
	switch {
	case needs.Has(access.DevicesWrite):
		packets = 16 + bytes>>10
	case needs.Has(access.TrafficDownWrite):
		packets = 4 + min(bytes>>6, 64) + bytes>>10 // there can be many downlinks
	}
	var row pace.Row // of this call alone
	if !s.hurry.Packet(application, packets, 0, &row, ctx.Done()) {
		return context.Cause(ctx)
	}
	return nil
}

// Turn waits for the turn of an application's call that takes long: one at a time is done, so that they fill neither
// the processor nor the memory. It lasts until the request of Begin ends, since the answer is in memory as long. The
// caller calls done when the call was carried out.
func (s *Sharing) Turn(ctx context.Context, application string) (done func(), err error) {
	r, _ := ctx.Value(key{}).(*request)
	if r != nil && r.leave != nil { // it has its turn since an earlier call
		return func() {}, nil
	}
	leave := s.turns.Enter(application, patience, ctx.Done())
	switch {
	case leave == nil:
		return nil, cmp.Or(context.Cause(ctx), ErrBusy)
	case r == nil:
		return leave, nil
	}
	r.leave = leave
	return func() {}, nil
}

// request is what a context has of Begin. It belongs to the goroutine that serves it.
type request struct {
	leave func() // nil: it has no turn
}

type key struct{}

// Begin returns a context for what one HTTP request asks for. The caller calls end when the answer was written.
func Begin(ctx context.Context) (_ context.Context, end func()) {
	r := &request{}
	return context.WithValue(ctx, key{}, r), func() {
		if r.leave != nil {
			r.leave()
		}
	}
}

// Resting has a call with many parts rest between them for as long as it has worked.
func Resting(ctx context.Context, reply func(v any) error) func(v any) error {
	var rest pace.Rest
	return func(v any) error {
		rest.Part(ctx.Done())
		return reply(v)
	}
}

// OneByOne has questions that anybody may ask be answered one after the other of a name, with rests between, so that
// half of a processor is left to others, however slow that is. The zero value is ready.
type OneByOne struct{ turns pace.Alone }

// Rests between two answers: as long as the one before has taken, and so long at least and at most.
const (
	leastRest = time.Millisecond
	mostRest  = time.Second
)

// Answer returns what answer does in its turn, for which it has so much time. It returns ErrBusy if its turn does not
// come for long, or the cause of ctx if that ends first.
func (o *OneByOne) Answer(
	ctx context.Context, name string, limit time.Duration, answer func(context.Context) (string, error),
) (string, error) {
	leave := o.turns.Enter(name, patience, ctx.Done())
	if leave == nil {
		return "", cmp.Or(context.Cause(ctx), ErrBusy)
	}
	began := time.Now()
	defer func() { time.AfterFunc(min(max(leastRest, time.Since(began)), mostRest), leave) }()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return answer(ctx)
}
