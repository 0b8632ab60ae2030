package air

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"lorawand/radio"
)

// The rules of the reference forwarder's queue, in µs of the counter. Source:
// Lora-net/sx1302_hal 2.1.0, packet_forwarder/src/jitqueue.c and inc/jitqueue.h:
// TX_START_DELAY, TX_JIT_DELAY, TX_MARGIN_DELAY, TX_MAX_ADVANCE_DELAY,
// JIT_QUEUE_MAX.
const (
	txStartDelay  = 1_500
	txJITDelay    = 40_000
	txMargin      = 1_000
	txMaxAdvance  = 512_000_000
	queueSize     = 32
	txPreDelay    = txStartDelay + txJITDelay
	txLeastLead   = txPreDelay + txMargin
	immediateLead = 2 * txJITDelay
)

// Transmission is a frame that a gateway has sent.
type Transmission struct {
	radio.Downlink                        // Gateway is the sender, Time the requested time
	Counter        radio.ConcentratorTime // its start by the gateway's counter without wraps
	Begin, End     time.Time

	TakenBy string // name of the device that has accepted it, "" if none has
	Untaken string // why no device has accepted it
}

// transmission is a frame that is queued or on the air.
type transmission struct {
	Transmission
	receiver   *Receiver
	run        int // of the receiver's counter
	airtime    radio.ConcentratorTime
	cut        bool // it was ended early
	receptions []*reception
}

// Transmit adds a frame to the gateway's queue, or refuses it by the rules of the
// reference forwarder: with TxTooLate if it begins within 42.5 ms or in the past,
// with TxTooEarly if it begins in more than 512 s, with TxCollisionPacket if it or
// its preparation of 41.5 ms overlaps a queued frame, or if 32 frames are queued,
// and with TxFreq outside of the plan's sub-bands. A frame that cannot be modulated
// gets TxUnknownError, and a closed gateway answers TxNoPath. An accepted frame is
// sent at its time.
//
// Only the low 32 bits of Time count, so it may be the counter or the extended
// time; a frame with GPS and without Time begins then, or gets TxGPSUnlocked where the gateway does
// not know GPS time. An immediate frame goes into the first gap that begins at least 80 ms
// ahead.
//
// The reference forwarder answers TOO_EARLY for a time in the past, because it
// compares without sign. TOO_LATE tells servers more.
func (r *Receiver) Transmit(d radio.Downlink) radio.TxResult {
	onAir, err := timeOnAir(&d)
	if err != nil {
		return radio.TxUnknownError
	}
	if r.opts.Plan != nil {
		if _, err := r.opts.Plan.SubBand(d.Frequency); err != nil {
			return radio.TxFreq
		}
	}
	a := r.air
	a.mu.Lock()
	defer a.mu.Unlock()
	if r.closed {
		return radio.TxNoPath
	}
	now := time.Now()
	counter := r.counter(now)
	if d.GPS != 0 && d.Time == 0 {
		if !r.opts.GPS {
			return radio.TxGPSUnlocked
		}
		d.Time = counter.Add(time.Duration(d.GPS - radio.GPSTimeOf(now)))
	}
	t := r.transmission(&d, onAir, counter)
	r.queue = slices.DeleteFunc(r.queue, func(q *transmission) bool { return q.Counter+q.airtime < counter })
	if d.Immediate {
		t.Counter = r.gap(t, counter)
	}
	if result := r.refuses(t, counter); result != radio.TxOK {
		return result
	}
	i, _ := slices.BinarySearchFunc(r.queue, t, func(q, t *transmission) int { return cmp.Compare(q.Counter, t.Counter) })
	r.queue = slices.Insert(r.queue, i, t)
	a.emit(t, now, counter, onAir)
	return radio.TxOK
}

// Emit sends a frame at its time, without the rules of a forwarder's queue: its
// caller, such as a chip, has a queue of its own. A frame with a time in the past
// begins at once. cut ends the frame early, or cancels it before it begins. Emit
// returns an error for a frame that cannot be modulated.
func (r *Receiver) Emit(d radio.Downlink) (cut func(), err error) {
	onAir, err := timeOnAir(&d)
	if err != nil {
		return nil, err
	}
	a := r.air
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	counter := r.counter(now)
	t := r.transmission(&d, onAir, counter)
	a.emit(t, now, counter, onAir)
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		t.cut = true
	}, nil
}

// errEmpty is the reason for refusing a frame without bytes.
var errEmpty = errors.New("air: an empty frame")

func timeOnAir(d *radio.Downlink) (time.Duration, error) {
	if len(d.PHYPayload) == 0 {
		return 0, errEmpty
	}
	return radio.TimeOnAir(d.Packet())
}

// transmission makes a transmission of a downlink at a counter value. The caller
// holds the lock.
func (r *Receiver) transmission(d *radio.Downlink, onAir time.Duration, counter radio.ConcentratorTime) *transmission {
	t := &transmission{receiver: r, run: r.runs, airtime: radio.ConcentratorTime(onAir.Microseconds())}
	t.Downlink = *d
	t.Gateway, t.PHYPayload = r.opts.EUI, slices.Clone(d.PHYPayload)
	t.Counter = counter + radio.ConcentratorTime(int32(d.Time.Counter()-counter.Counter()))
	return t
}

// emit makes a transmission begin at its time. The caller holds the lock.
func (a *Air) emit(t *transmission, now time.Time, counter radio.ConcentratorTime, onAir time.Duration) {
	t.Begin = now.Add(t.receiver.after(t.Counter.Sub(counter)))
	t.End = t.Begin.Add(onAir)
	a.at(t.Begin, 0, func() { a.begin(t) })
}

// refuses applies the rules of the queue at a counter value. The caller holds the
// lock.
func (r *Receiver) refuses(t *transmission, now radio.ConcentratorTime) radio.TxResult {
	switch lead := t.Counter - now; {
	case len(r.queue) >= queueSize:
		return radio.TxCollisionPacket
	case lead <= txLeastLead:
		return radio.TxTooLate
	case lead > txMaxAdvance && !t.Immediate:
		return radio.TxTooEarly
	case slices.ContainsFunc(r.queue, t.collides):
		return radio.TxCollisionPacket
	}
	return radio.TxOK
}

// collides reports whether two frames overlap. The preparation of the later one
// counts.
func (t *transmission) collides(q *transmission) bool {
	first, second := t, q
	if q.Counter < t.Counter {
		first, second = q, t
	}
	return second.Counter-first.Counter <= first.airtime+txPreDelay+txMargin
}

// gap returns the first free place for an immediate frame: as soon as possible, or
// behind one of the queued frames. The caller holds the lock.
func (r *Receiver) gap(t *transmission, now radio.ConcentratorTime) radio.ConcentratorTime {
	t.Counter = now + immediateLead
	for _, q := range r.queue {
		if !slices.ContainsFunc(r.queue, t.collides) {
			break
		}
		t.Counter = max(now+immediateLead, q.Counter+q.airtime+txPreDelay+txJITDelay+txMargin)
	}
	return t.Counter
}
