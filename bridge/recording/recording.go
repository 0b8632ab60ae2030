// Package recording writes the inputs of the core to a file, and runs such a file through a core
// again: Recorder and Replay. The same inputs have the same effects, byte for byte, on amd64 as on
// mips, so what a gateway did can be looked at elsewhere.
//
// A recording begins with the start of a core, because only then all of its state is in the
// store. A Recorder stops when the file has reached its limit: a later part alone could not be
// replayed.
//
// A recording holds the keys of all devices: whoever can read it can read and forge what they
// send.
//
// The file has a JSON object in each line, behind a check sum: the CRC-32C, in hexadecimal, of
// the JSON of this line and of all lines before it.
//
//	61f5e0b4 {"lorawand":"recording","format":1,…}                     what the core was made with
//	0a6d1c55 {"Kind":"device","Key":"app1/dev1","Version":2,"Data":…}  the state, a record a line
//	93bb20d1 {"host":61000000000,"wall":"2026-…","on":"Heard",…}       the inputs
//	d05e37aa {…,"end":"the daemon stopped"}
package recording

import (
	"context"
	crypto "crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"

	"lorawand/bridge/core"
	"lorawand/bridge/state"
)

// Store has the records of the state.
type Store interface {
	Records(kind string) []state.Record
}

// kinds are the records that a core is made of.
var kinds = [...]string{
	state.KindDevice, state.KindCounters, state.KindDownlink, state.KindTombstone, state.KindLedger, state.KindAirtime,
}

// Options configures a Recorder.
type Options struct {
	Out     io.WriteCloser
	Limit   int64 // size of the file, bytes
	Store   Store // what the state was loaded from
	State   state.State
	Version string // of this program
	Logger  *slog.Logger
	Random  io.Reader // for the seed; default that of the system
}

// maxPending bounds what waits for the disk, bytes. One input may be longer.
const maxPending = 1 << 20

// Recorder writes the inputs of one core down. Begin and Input are called by the owner of the
// core, and never wait for the disk; Run writes.
type Recorder struct {
	o    Options
	wake chan struct{}

	mu      sync.Mutex
	sum     uint32
	size    int64
	pending []byte
	ended   string // why nothing more is taken; "": it goes on
}

// New returns a Recorder.
func New(o Options) *Recorder {
	if o.Random == nil {
		o.Random = crypto.Reader
	}
	return &Recorder{o: o, wake: make(chan struct{}, 1)}
}

// Begin writes down what a core is about to be made with. From then on its random values follow
// from a seed, which is in the recording: ChaCha8, as good as those of the system to whoever does
// not have it.
func (r *Recorder) Begin(o *core.Options) error {
	h := headerOf(o)
	h.Version, h.WrongMICs = r.o.Version, r.o.State.WrongMICs
	if _, err := io.ReadFull(r.o.Random, h.Seed[:]); err != nil {
		return fmt.Errorf("recording: seed: %w", err)
	}
	o.Entropy = rand.NewChaCha8(h.Seed)
	for _, kind := range kinds {
		h.Records += len(r.o.Store.Records(kind))
	}
	text, err := appendLine(nil, &r.sum, h)
	for _, kind := range kinds {
		for _, one := range r.o.Store.Records(kind) {
			if err == nil {
				text, err = appendLine(text, &r.sum, one)
			}
		}
	}
	if err == nil {
		_, err = r.o.Out.Write(text)
	}
	if err != nil {
		return fmt.Errorf("recording: %w", err)
	}
	r.size = int64(len(text))
	return nil
}

// Input writes an input down.
func (r *Recorder) Input(now core.Now, in core.Input) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended != "" {
		return
	}
	sum := r.sum
	line, err := appendLine(nil, &sum, entryOf(now, in))
	switch {
	case err != nil:
		r.end(endUnwritable)
		r.o.Logger.Error("the recording ends: an input cannot be written", "error", err)
	case r.size+int64(len(line)) > r.o.Limit:
		r.end(endFull)
		r.o.Logger.Warn("the recording ends: it has reached its limit", "bytes", r.size)
	case len(r.pending) > 0 && len(r.pending)+len(line) > maxPending:
		r.end(endSlow)
		r.o.Logger.Error("the recording ends: the disk does not keep up", "bytes", r.size)
	default:
		r.sum, r.size, r.pending = sum, r.size+int64(len(line)), append(r.pending, line...)
	}
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Reasons for the end of a recording.
const (
	endStopped    = "the daemon stopped"
	endFull       = "the recording has reached its limit"
	endSlow       = "the disk did not keep up"
	endUnwritable = "an input could not be written"
)

// end makes a line the last one. The caller holds mu.
func (r *Recorder) end(why string) {
	r.ended = why
	if text, err := appendLine(r.pending, &r.sum, &entry{End: why}); err == nil {
		r.pending = text
	}
}

// Run writes until ctx ends: then what is left, and the end. A fault of the disk ends the
// recording, and nothing else.
func (r *Recorder) Run(ctx context.Context) error {
	var err error
	for done := false; !done; {
		select {
		case <-ctx.Done():
			done = true
		case <-r.wake:
		}
		if err == nil {
			err = r.flush(done)
		}
	}
	return r.o.Out.Close()
}

// flush writes what waits.
func (r *Recorder) flush(stopped bool) error {
	r.mu.Lock()
	if stopped && r.ended == "" {
		r.end(endStopped)
	}
	text := r.pending
	r.pending = nil
	r.mu.Unlock()
	_, err := r.o.Out.Write(text)
	if err != nil {
		r.o.Logger.Error("the recording ends", "error", err)
		r.mu.Lock()
		r.ended, r.pending = errWrite.Error(), nil
		r.mu.Unlock()
	}
	return err
}

var errWrite = errors.New("it could not be written")

// Close closes the file of a Recorder that does not Run.
func (r *Recorder) Close() error { return r.o.Out.Close() }
