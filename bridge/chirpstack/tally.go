package chirpstack

import (
	"math/rand/v2"
	"time"

	"lorawand/bridge/foreign/links"
	"lorawand/radio"
)

// tally counts what a status tells: what has happened since the one before.
type tally struct {
	received, downlinks, transmitted uint32

	receivedOn, transmittedOn map[uint32]uint32 // by frequency in Hz
	statuses                  map[string]uint32
}

// maxFrequencies bounds the frequencies that are counted apart.
const maxFrequencies = 96

func newTally() *tally {
	return &tally{
		receivedOn: map[uint32]uint32{}, transmittedOn: map[uint32]uint32{}, statuses: map[string]uint32{},
	}
}

func (t *tally) heard(up *radio.Uplink) {
	t.received++
	countOn(t.receivedOn, up.Frequency)
}

func countOn(m map[uint32]uint32, f radio.Frequency) {
	if _, known := m[uint32(f)]; known || len(m) < maxFrequencies {
		m[uint32(f)]++
	}
}

// answered counts a downlink that is acknowledged.
func (t *tally) answered(a *asked) {
	t.downlinks++
	for i, s := range a.statuses {
		if s == ignored {
			continue
		}
		t.statuses[s.String()]++
		if s == accepted {
			t.transmitted++
			countOn(t.transmittedOn, a.items[i].frame.Frequency)
		}
	}
}

// report is what a status tells.
type report struct {
	*tally
	gateway radio.EUI64
	place   *radio.Place
	at      time.Time // zero: not known
	id      [16]byte  // random, of version 4
}

// report ends the counting of a status, and begins that of the next.
func (l *link) report() *report {
	r := &report{gateway: l.EUI, place: l.Place, id: newUUID()}
	l.Count(func(*links.Counts) { r.tally, l.tally = l.tally, newTally() })
	if w := l.opts.Calendar(); w.Known() {
		r.at = w.Time
	}
	return r
}

// newUUID returns a UUID of version 4 (RFC 9562, 5.4). Nothing depends on that nobody guesses it.
func newUUID() (id [16]byte) {
	for i := range id {
		id[i] = byte(rand.Uint32())
	}
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return id
}
