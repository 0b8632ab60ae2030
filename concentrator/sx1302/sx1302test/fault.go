package sx1302test

// Fault is what is wrong with a chip. The zero value is nothing.
type Fault struct {
	Bus    error // of each transfer
	Dead   bool  // no chip answers: the version is 0xFF
	Frozen bool  // the counter stands still
	Torn   bool  // every fourth reading of the counter is torn
	Parity bool  // the memory of the ARB has an error
	Hang   bool  // programs that are started answer nothing

	Longest     int  // bytes of a transfer: what is behind them is spoilt, without a word; 0 is no limit
	MissTrigger bool // a packet with a time is not sent when that comes, but when the counter comes round

	DeadSX1261 bool // nothing answers on its chip select
	StuckReset bool // the reset line does nothing, and the version is that of a chip that never was reset
}

// parityError is the bit of regARBCtrl that tells of one.
const parityError = 1 << 0

// tornEvery is how many readings of the counter there are to one that is torn.
const tornEvery = 4

// Break breaks the chip, or mends what was broken.
func (c *Chip) Break(f Fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.frozen = uint32(c.ticks())
	c.fault = f
}

// Jump has the counter step by so many µs.
func (c *Chip) Jump(us int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shift += us * ticksPerMicrosecond
}
