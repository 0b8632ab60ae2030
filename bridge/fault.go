package bridge

import (
	"encoding/hex"
	"errors"
	"log/slog"
	"reflect"
	"runtime/debug"
	"sync/atomic"
	"time"

	"lorawand/bridge/core"
	"lorawand/radio"
)

// errFault ends what a client waits for when this program fails at it.
var errFault = errors.New("bridge: internal fault of the daemon; see its log")

// faults are panics of this program. One costs the input that brings it out, and nothing else: a
// frame that somebody sends again and again must not end the daemon.
type faults struct {
	log    *slog.Logger
	clock  *Clock
	count  atomic.Uint64
	told   radio.HostTime // when the last one was logged
	untold int            // since
}

// tellFaults is how often a fault is logged, with its stack; the others are counted.
const tellFaults = 10 * time.Second

// caught notes a panic. It is called by the goroutine of the core.
func (f *faults) caught(in core.Input, fault any) {
	first := f.count.Add(1) == 1
	now := f.clock.Host()
	if !first && now.Sub(f.told) < tellFaults {
		f.untold++
		return
	}
	args := append([]any{"fault", fault}, inputArgs(in)...)
	f.log.Error("internal fault: one input is lost, all else goes on",
		append(args, "not_logged_before", f.untold, "stack", string(debug.Stack()))...)
	f.told, f.untold = now, 0
}

// inputArgs describes an input for the log.
func inputArgs(in core.Input) []any {
	switch in := in.(type) {
	case nil:
		return []any{"input", "a question about the state"}
	case core.Heard:
		up := &in.Uplink
		return []any{
			"input", "a frame", "gateway_eui", up.Gateway, "frequency", up.Frequency, "data_rate", up.DataRate,
			"frame", hex.EncodeToString(up.PHYPayload),
		}
	case core.Pushed:
		return []any{"input", "a push", "device", in.Device}
	}
	return []any{"input", reflect.TypeOf(in).String()} // fmt would have every input allocated
}

// stepped steps the core. After a fault it returns what was decided before it, and what is left.
func (b *Bridge) stepped(now core.Now, in core.Input) (effects []core.Effect) {
	if b.recorder != nil {
		b.record(now, in)
	}
	defer func() {
		if fault := recover(); fault != nil {
			b.faults.caught(in, fault)
			b.waiters.answer(core.Answer{Ticket: ticketOf(in), Err: errFault})
			effects = b.resumed(now, in)
		}
	}()
	return b.core.Step(now, in)
}

// record writes an input down before its step, which could be the last one. A fault of the Recorder
// costs no input: the core would never again be told the time after a TimerFired that is lost.
func (b *Bridge) record(now core.Now, in core.Input) {
	defer func() {
		if fault := recover(); fault != nil {
			b.faults.caught(in, fault)
		}
	}()
	b.recorder.Input(now, copied(in))
}

// copied returns an input in memory of its own. Given as it is to a Recorder, of which the compiler
// knows nothing, each frame would be allocated once more, with and without one.
func copied(in core.Input) core.Input {
	switch in := in.(type) {
	case core.Heard:
		return in
	case core.GatewayChanged:
		return in
	case core.Acked:
		return in
	case core.Pushed:
		return in
	case core.Withdrawn:
		return in
	case core.Leased:
		return in
	case core.Stored:
		return in
	case core.TimerFired:
		return in
	case core.Stopping:
		return in
	case core.Starting:
		return in
	case core.Asked:
		return in
	case core.Reconfigured:
		return in
	case core.Provisioned:
		return in
	case core.Located:
		return in
	}
	panic("bridge: an input of another kind: " + reflect.TypeOf(in).String())
}

// faultPause is how long the core's timer rests when what is due fails again.
const faultPause = time.Second

// resumed returns what is left of a step that has failed.
func (b *Bridge) resumed(now core.Now, in core.Input) (effects []core.Effect) {
	defer func() {
		if fault := recover(); fault != nil {
			b.faults.caught(in, fault)
			b.timer.Reset(faultPause)
		}
	}()
	return b.core.Resume()
}

// ticketOf returns the ticket of an input that gets an Answer, or 0.
func ticketOf(in core.Input) uint64 {
	switch in := in.(type) {
	case core.Pushed:
		return in.Ticket
	case core.Provisioned:
		return in.Ticket
	case core.Reconfigured:
		return in.Ticket
	}
	return 0
}
