package sx1302test

// Fault has the faults of a chip. The zero value is a chip without faults.
type Fault struct {
	Bus    error // of each transfer
	Panic  any   // each transfer panics with that, as a fault of the driver would; nil: none does
	Dead   bool  // no chip answers: the version is 0xFF
	Frozen bool  // the counter stands still
	Torn   bool  // every fourth reading of the counter mixes two values
	Parity bool  // the memory of the ARB has an error
	Hang   bool  // started programs do not answer

	Longest     int  // bytes of a transfer: the bytes behind them are corrupted silently; 0 is no limit
	MissTrigger bool // a packet with a time is not sent at that time, but when the counter comes round

	DeadSX1261 bool // the SX1261 does not answer
	StuckReset bool // the reset line has no effect, and the version is that of a chip that was never reset
}

// parityError is the bit of regARBCtrl for a parity error.
const parityError = 1 << 0

// With Fault.Torn one of tornEvery readings of the counter is torn.
const tornEvery = 4

// Break gives the chip these faults, and takes away all others.
func (c *Chip) Break(f Fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.frozen = uint32(c.ticks())
	c.fault = f
}

// Jump moves the counter by so many µs.
func (c *Chip) Jump(us int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shift += us * ticksPerMicrosecond
}
