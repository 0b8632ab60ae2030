package main

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"

	"lorawand/concentrator/gnss"
	"lorawand/radio"
)

// A satellite receiver says each second what it knows, at a speed that may have to be found.
const (
	listenFor = 16 // s
	fixWithin = 4  // s
)

// receiver listens to a satellite receiver. What its pulse does the chip tells.
func (d *doctor) receiver(ctx context.Context, device string) {
	if device == "" {
		return
	}
	begun := time.Now()
	now := func() radio.HostTime { return radio.HostTime(time.Since(begun)) + 1 }
	r := gnss.New(gnss.Options{
		Device: device, Now: now, Logger: slog.New(slog.DiscardHandler),
		Open: func(baud int) (io.ReadWriteCloser, error) { return d.line(device, baud) },
	})
	listening, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { _ = r.Run(listening) }) // it returns no error
	state := r.State()
	for n := 0; n < listenFor && state.Time == 0 && state.Err == nil && (state.Heard == 0 || n < fixWithin); n++ {
		d.wait(ctx, time.Second)
		state = r.State()
	}
	stop()
	wg.Wait()
	if state.Time != 0 {
		d.say("GNSS", true, "", "the receiver on %s has a fix, with %d satellites", device, state.Satellites)
		return
	}
	says, todo := state.Fault(device, now())
	d.say("GNSS", false, todo, "%s", says)
}
