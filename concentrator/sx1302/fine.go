package sx1302

import (
	"encoding/binary"
	"math/bits"

	"lorawand/radio"
)

// pulsesKept is the number of pulses that a fine timestamp needs.
const pulsesKept = 16

// pulseHistory has the counter values, in ticks, of the last pulses per second.
type pulseHistory struct {
	at   [pulsesKept]uint32
	last uint32
	n    int // number of pulses seen
}

// see takes the last latched pulse and the running counter. It forgets all pulses
// when one is missing, because two minutes later the last one would look new again.
func (h *pulseHistory) see(ticks, now uint32) {
	if now-ticks > 2*nominalSecond {
		*h = pulseHistory{last: ticks}
		return
	}
	if ticks == h.last {
		return
	}
	h.last = ticks
	h.at[h.n%pulsesKept] = ticks
	h.n++
}

// back returns the i-th pulse from the end; 0 is the last one.
func (h *pulseHistory) back(i int) uint32 { return h.at[(h.n-1-i)%pulsesKept] }

// second returns the pulse before t and the length of a second in ticks.
func (h *pulseHistory) second(t uint32) (pulse, length uint32, ok bool) {
	if h.n < pulsesKept {
		return 0, 0, false
	}
	if t-h.back(0) <= nominalSecond {
		return h.back(0), h.back(0) - h.back(1), true
	}
	for i := 1; i < pulsesKept; i++ {
		if t-h.back(i) < nominalSecond {
			return h.back(i), h.back(i-1) - h.back(i), true
		}
	}
	return 0, 0, false
}

// nominalSecond is a second in ticks. Seconds that differ from it by more than a
// fifth are not used.
const nominalSecond = crystal

// fixed is the number of binary digits behind the point in fractions of ticks.
const fixed = 20

// notchDelay returns the delay of the DC notch filter for a channel at an offset
// from the centre, in 2^-20 ticks. It is called for the configuration only.
//
// Source: sx1302_hal 2.1.0, loragw_sx1302_timestamp.c.
func notchDelay(offset int32) int64 {
	if offset < -75_000 || offset > 75_000 {
		return 0
	}
	x := float64(offset) / 1000 // kHz
	return int64((1.7e-6*x*x*x*x + 2.4e-6*x*x*x - 0.0101*x*x - 0.01275*x + 10.2922) * (1 << fixed))
}

// fineTimestamp sets the fine timestamp of a frame that has one. If the bus fails,
// the frame has none.
func (c *Chip) fineTimestamp(raw *rawRecord, p *Packet) {
	r := &c.receiver
	if r.config.FineTimestamps == NoFineTimestamps || len(raw.metrics) == 0 || !raw.timingSet || p.CRC != GoodCRC ||
		r.pulses.n < pulsesKept {
		return
	}
	var b [4]byte
	if err := c.read(counters.addr, b[:]); err != nil {
		return
	}
	latched := binary.BigEndian.Uint32(b[:])
	r.pulses.see(latched, latched)
	t := raw.ticks - headerTicks(raw.sf, p.Frequency, p.FrequencyError) + 2138
	pulse, length, ok := r.pulses.second(t)
	if !ok {
		return
	}
	fraction := meanMetric(raw.sf, raw.metrics) + r.channels[raw.channel].notch
	p.FineTimestamp, p.HasFineTimestamp = nanoseconds(t-pulse, fraction, length)
}

// headerTicks returns the time from the start of a frame to the end of its header,
// stretched by its frequency error.
func headerTicks(sf uint8, f radio.Frequency, hz int32) uint32 {
	symbol, symbols := int64(1)<<sf, int64(12)
	if sf <= 6 {
		symbols = 14
	}
	off := 256*symbol*symbols + 256*(symbol/4-1)
	stretch := off * int64(hz)
	return uint32(off + (stretch+int64(f)/2)/int64(f))
}

// meanMetric returns the mean of the running sums of the metrics, 2^-20 ticks.
func meanMetric(sf uint8, metrics []byte) int64 {
	k := min(len(metrics)/2, [...]int{32, 16, 8, 4}[max(int(sf), 9)-9])
	var sum, total int64
	for _, m := range metrics[:2*k] {
		sum += int64(int8(m))
		total += sum
	}
	return total << fixed / int64(2*k)
}

// nanoseconds converts ticks since a pulse, and a fraction of a tick, to ns of a
// second of length ticks.
func nanoseconds(ticks uint32, fraction int64, length uint32) (uint32, bool) {
	if length < nominalSecond/6*5 || length > nominalSecond/4*5 {
		return 0, false
	}
	at := int64(ticks)<<fixed + fraction
	if at < 0 {
		return 0, false
	}
	high, low := bits.Mul64(uint64(at), 1_000_000_000)
	divisor := uint64(length) << fixed
	if high >= divisor {
		return 0, false
	}
	ns, _ := bits.Div64(high, low, divisor)
	return uint32(min(ns, 1_000_000_001)), ns <= 1_000_000_000
}
