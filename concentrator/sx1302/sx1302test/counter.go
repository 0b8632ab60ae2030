package sx1302test

import (
	"encoding/binary"
	"time"
)

// now returns the time since power-up.
func (c *Chip) now() time.Duration {
	if c.opts.Now != nil {
		return c.opts.Now()
	}
	return time.Since(c.begin)
}

// Ticks of the counter in a unit of time.
const (
	ticksPerMicrosecond = 32
	ticksPerSecond      = 32_000_000
)

// ticks returns the counter without wraps.
func (c *Chip) ticks() int64 { return c.ticksAt(c.now()) }

func (c *Chip) ticksAt(now time.Duration) int64 { return int64(c.opts.Tick) + ticksOf(now) + c.shift }

// ticksOf converts exactly for more than a year.
func ticksOf(d time.Duration) int64 {
	return int64(d/time.Second)*ticksPerSecond + int64(d%time.Second)*ticksPerMicrosecond/1000
}

// latchCounters takes the counters as a transfer shows them: the counter at the
// last pulse, then the running counter.
func (c *Chip) latchCounters() {
	now := c.now()
	running, pulse := uint32(c.ticksAt(now)), uint32(0)
	if c.fault.Frozen {
		running = c.frozen
	}
	if c.fault.Torn && c.readings%tornEvery == 0 {
		running ^= 1 << 24
	}
	if last, _ := c.pulses(now); c.mem[regPPSEnable]&1 != 0 && last > 0 {
		pulse = uint32(c.ticksAt(last))
	}
	binary.BigEndian.PutUint32(c.latched[:], pulse)
	binary.BigEndian.PutUint32(c.latched[4:], running)
}

// pulses returns the pulses beside a time.
func (c *Chip) pulses(now time.Duration) (last, next time.Duration) {
	if c.opts.Pulses != nil {
		return c.opts.Pulses(now)
	}
	last = now.Truncate(time.Second)
	return last, last + time.Second
}

// Counter returns the running counter in µs, without wraps.
func (c *Chip) Counter() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ticks() / ticksPerMicrosecond
}
