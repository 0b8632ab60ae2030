package air

import (
	"slices"
	"time"

	"lorawand/radio"
	"lorawand/radio/region"
)

// ReceiverOptions configures a Receiver. The zero value hears every frame and
// transmits on any frequency.
type ReceiverOptions struct {
	EUI     radio.EUI64
	Counter uint32 // µs, at the beginning
	Drift   int    // ppm by which the counter is faster than the host's clock

	// Plan limits the gateway if it is set: the gateway hears only the plan's
	// channels, and refuses to transmit outside of its sub-bands.
	Plan        *region.Plan
	AntennaGain radio.Decibel // dBi

	// GPS: the gateway knows GPS time. It tells the ends of uplinks by it, and transmits by it what
	// has no counter time.
	GPS bool

	// Run calls these functions. They may be nil.
	Hear   func(radio.Uplink)                         // for each frame; Time is the 32-bit counter
	Loss   func(dev string) bool                      // reports whether an uplink is lost on the air
	Deaf   func(dev string) bool                      // reports whether a device fails to hear a transmission
	Signal func(dev string) (rssi, snr radio.Decibel) // signal of a device, dBm and dB; nil: the values of the device
}

// Receiver is a gateway on the air. Any goroutine may call its methods.
type Receiver struct {
	opts ReceiverOptions
	air  *Air

	// The lock of the air guards the fields below.
	begin time.Time // when the counter started at base
	base  uint32
	runs  int // how often the counter has started
	queue []*transmission

	closed bool
}

// Listen puts a gateway on the air.
func (a *Air) Listen(o ReceiverOptions) *Receiver {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := &Receiver{opts: o, air: a, begin: time.Now(), base: o.Counter}
	a.receivers = append(a.receivers, r)
	return r
}

// Counter returns the gateway's counter at a time, without wraps since its start.
func (r *Receiver) Counter(t time.Time) radio.ConcentratorTime {
	r.air.mu.Lock()
	defer r.air.mu.Unlock()
	return r.counter(t)
}

// Reset makes the counter start again from a value, as a restart of the forwarder
// does. Queued frames are lost, and a frame on the air is cut off.
func (r *Receiver) Reset(counter uint32) {
	r.air.mu.Lock()
	defer r.air.mu.Unlock()
	r.reset(counter)
}

func (r *Receiver) reset(counter uint32) {
	r.begin, r.base = time.Now(), counter
	r.runs++
	r.queue = nil
}

// Close takes the gateway off the air. Queued frames are lost.
func (r *Receiver) Close() {
	r.air.mu.Lock()
	defer r.air.mu.Unlock()
	r.reset(r.base)
	r.closed = true
	r.air.receivers = slices.DeleteFunc(r.air.receivers, func(o *Receiver) bool { return o == r })
}

const million = 1_000_000

// counter is Counter for callers that hold the lock.
func (r *Receiver) counter(t time.Time) radio.ConcentratorTime {
	us := t.Sub(r.begin).Microseconds()
	return radio.ConcentratorTime(int64(r.base) + us + us*int64(r.opts.Drift)/million)
}

// after returns how long the counter needs for a duration.
func (r *Receiver) after(d time.Duration) time.Duration {
	us := d.Microseconds() * million / int64(million+r.opts.Drift)
	return time.Duration(us) * time.Microsecond
}

// deliver makes the receivers hear an uplink that has ended.
func (a *Air) deliver(v *Device, u *uplink) {
	a.mu.Lock()
	receivers := slices.Clone(a.receivers)
	a.mu.Unlock()
	for _, r := range receivers {
		r.hear(v, u)
	}
}

func (r *Receiver) hear(v *Device, u *uplink) {
	name := v.opts.Name
	if r.opts.Hear == nil || r.opts.Loss != nil && r.opts.Loss(name) {
		return
	}
	channel, ok := r.channel(v, u)
	if !ok {
		return
	}
	rssi, snr := v.opts.RSSI, v.opts.SNR
	if r.opts.Signal != nil {
		rssi, snr = r.opts.Signal(name)
	}
	up := radio.Uplink{
		Gateway: r.opts.EUI, PHYPayload: slices.Clone(u.PHYPayload),
		Frequency: u.Frequency, DataRate: u.DataRate, CodingRate: codingRate(u.DataRate),
		Time:       radio.ConcentratorTime(r.Counter(u.End).Counter()),
		Receptions: []radio.Reception{{Channel: uint8(channel), RSSI: rssi, SNR: snr}},
	}
	if r.opts.GPS {
		up.GPS = radio.GPSTimeOf(u.End)
	}
	r.opts.Hear(up)
}

// channel returns the IF channel that hears an uplink, if there is one. A gateway
// without a plan uses that of the device, and hears everything.
func (r *Receiver) channel(v *Device, u *uplink) (n int, ok bool) {
	plan := r.opts.Plan
	if plan == nil {
		plan = v.opts.Plan
	}
	if dr, err := plan.UplinkDataRate(u.DataRate); err == nil {
		for i, c := range plan.Channels() {
			if c.Frequency == u.Frequency && c.MinDR <= dr && dr <= c.MaxDR {
				return i, true
			}
		}
	}
	return 0, r.opts.Plan == nil
}

func codingRate(d radio.DataRate) radio.CodingRate {
	if d.Modulation == radio.LoRa {
		return radio.CodingRate45
	}
	return 0
}
