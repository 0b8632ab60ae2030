package main

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"

	"lorawand/bridge"
	"lorawand/bridge/admin/problems"
	"lorawand/concentrator"
	"lorawand/concentrator/gnss"
	"lorawand/concentrator/serial"
	"lorawand/concentrator/sx1302/board"
	"lorawand/radio"
)

// newReceiver returns the satellite receiver on a line of this host.
func newReceiver(device string, now func() radio.HostTime, log *slog.Logger) *gnss.Receiver {
	return gnss.New(gnss.Options{
		Device: device, Now: now, NotBefore: bridge.NotBefore, Calendar: bridge.Synchronised, Logger: log,
		Open: func(baud int) (io.ReadWriteCloser, error) { return openLine(device, baud) },
	})
}

// openLine opens a serial line of this host.
func openLine(device string, baud int) (io.ReadWriteCloser, error) {
	l, err := serial.OpenLine(device, baud, board.Linux{}.Lock)
	if err != nil {
		return nil, err // and no Line that is nil
	}
	return l, nil
}

// Run drives the chip, and reads what its satellite receiver says.
func (o *onboard) Run(ctx context.Context, sink concentrator.Sink) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if o.gnss != nil {
		wg.Go(func() { _ = o.gnss.Run(ctx) }) // it returns no error: it tries again
	}
	return o.Gateway.Run(ctx, sink)
}

// satellites returns the calendar by the first satellite receiver that knows it.
func (d *daemon) satellites(at radio.HostTime) (time.Time, bool) {
	for _, o := range d.boards.all() {
		if o.gnss == nil {
			continue
		}
		if t, ok := o.gnss.Calendar(at); ok {
			return t, true
		}
	}
	return time.Time{}, false
}

// receivers returns how the satellite receivers work.
func (d *daemon) receivers() map[radio.EUI64]problems.GNSS {
	var out map[radio.EUI64]problems.GNSS
	for _, o := range d.boards.all() {
		if o.gnss == nil {
			continue
		}
		if out == nil {
			out = map[radio.EUI64]problems.GNSS{}
		}
		state := o.gnss.State()
		says, todo := state.Fault(o.chip.GNSS, o.now())
		out[o.EUI()] = problems.GNSS{Says: says, Todo: todo}
	}
	return out
}

// faultyReceivers returns what keeps satellite receivers from telling the time.
func (d *daemon) faultyReceivers() map[radio.EUI64]string {
	out := map[radio.EUI64]string{}
	for eui, r := range d.receivers() {
		out[eui] = r.Says
	}
	return out
}
