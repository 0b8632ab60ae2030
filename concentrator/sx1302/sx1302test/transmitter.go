package sx1302test

import (
	"encoding/binary"
	"time"

	"lorawand/radio"
)

// Emission is a packet that was sent or waits to be sent.
type Emission struct {
	Chain   int
	Block   [blockSize]byte // the registers of the transmitter; trigger and buffer control are zeroed
	Payload []byte          // as in the buffer: for FSK the length comes first
	Mailbox [3]byte         // bytes 2, 1 and 0: the deviation, for FSK and CW
	Trigger Trigger
	Tick    uint32 // the 32 MHz counter value to wait for, with TriggerTime

	Begin int64         // its start in µs of the counter without wraps
	Exact uint8         // ticks of 1/32 µs beyond Begin
	Air   time.Duration // its length
	Cut   bool          // it was aborted
}

// Trigger starts a packet.
type Trigger uint8

// Kinds of triggers.
const (
	TriggerNow Trigger = 1 << iota
	TriggerTime
	TriggerPPS
)

// States of a transmitter.
const (
	statusFree      = 0x80
	statusScheduled = 0x91
	statusEmitting  = 0x30
)

// transmitter is the state machine of a chain.
type transmitter struct {
	busy       bool
	begin, end time.Duration // since power-up
	emission   int           // index
	cut        func()        // ends it on the air, or nil
	undecided  bool          // it is open whether its channel is free
}

func (t *transmitter) status(now time.Duration) byte {
	switch {
	case !t.busy:
		return statusFree
	case now < t.begin:
		return statusScheduled
	}
	return statusEmitting
}

// advance frees transmitters whose packet has ended.
func (c *Chip) advance() {
	if !c.tx[0].busy && !c.tx[1].busy {
		return
	}
	now := c.now()
	c.decide()
	for i := range c.tx {
		if t := &c.tx[i]; t.busy && now >= t.end {
			t.busy = false
		}
	}
}

// never is the time of a pulse that does not come.
const never = 1000 * time.Hour

// counterRound is the number of ticks after which the counter repeats.
const counterRound = 1 << 32

// trigger handles the trigger bits of a chain: a rising bit starts the packet, and
// no set bit aborts it.
func (c *Chip) trigger(chain int, old, now byte) {
	t := &c.tx[chain]
	rising := now &^ old & 7
	if rising == 0 {
		if now&7 == 0 {
			c.cut(chain)
		}
		return
	}
	e := c.emission(chain)
	e.Trigger = Trigger(rising)
	at := c.now()
	switch {
	case rising&byte(TriggerTime) != 0:
		delay := uint32(0)
		if !e.fsk() && !e.continuousWave() {
			delay = uint32(binary.BigEndian.Uint16(e.Block[0x05:]))
		}
		ticks := c.ticks()
		wait := int64(e.Tick - uint32(ticks) + delay) // at the next match, up to 134 s later
		if c.fault.MissTrigger {
			wait += counterRound
		}
		e.Begin, e.Exact = (ticks+wait)/ticksPerMicrosecond, uint8((ticks+wait)%ticksPerMicrosecond)
		at += time.Duration(wait * 1000 / ticksPerMicrosecond)
	case rising&byte(TriggerPPS) != 0:
		if _, at = c.pulses(at); at < 0 {
			at = never
		}
		e.Begin = (int64(c.opts.Tick) + ticksOf(at) + c.shift) / ticksPerMicrosecond
	default:
		e.Begin = c.ticks() / ticksPerMicrosecond
	}
	*t = transmitter{busy: true, begin: at, end: at + e.Air, emission: len(c.emitted)}
	if c.usesLBT() {
		t.undecided = true
		e.Cut = !c.sx1261.scansFor(&e) || c.opts.Taken != nil && c.opts.Taken(&e)
	}
	if !e.Cut {
		t.cut = c.emit(&e)
	}
	c.emitted = append(c.emitted, e)
}

// usesLBT reports whether the AGC uses LBT.
func (c *Chip) usesLBT() bool {
	for _, w := range c.agcLog {
		if w[0] == 0x0B {
			return w[3] == 1
		}
	}
	return false
}

// decide makes the AGC report whether the channels of packets are free when their
// time comes. A packet on a busy channel leaves its transmitter at once.
func (c *Chip) decide() {
	for i := range c.tx {
		t := &c.tx[i]
		if !t.undecided || c.now() < t.begin {
			continue
		}
		t.undecided = false
		c.mem[regAGCStatus] = 1 << i
		if c.emitted[t.emission].Cut {
			c.mem[regAGCStatus] |= 1 << (6 + i)
			t.busy = false
		}
	}
}

// clearVerdict handles a write to byte 0 of the mailbox, which makes the AGC forget
// the result for the last packet.
func (c *Chip) clearVerdict(b byte) {
	if b == 0xFF && c.agc.running != 0 && c.usesLBT() && c.mem[regAGCStatus]&(1<<0|1<<1) != 0 &&
		c.mem[regMailWrite] == 0x0F {
		c.mem[regAGCStatus] = 0
	}
}

// cut ends the packet of a chain, sent or waiting.
func (c *Chip) cut(chain int) {
	t := &c.tx[chain]
	if !t.busy {
		return
	}
	t.busy, t.undecided = false, false
	c.emitted[t.emission].Cut = true
	if t.cut != nil {
		t.cut()
	}
}

// emission returns the packet that the registers of a chain describe.
func (c *Chip) emission(chain int) Emission {
	base := txBlock + chain*txStride
	e := Emission{Chain: chain}
	m := theMap()
	for i := range e.Block {
		e.Block[i] = c.mem[base+i] & m.writable[base+i]
	}
	e.Block[txTrigger], e.Block[txWrite] = 0, 0
	e.Tick = binary.BigEndian.Uint32(e.Block[1:])
	size := int(e.Block[0x63])
	if e.fsk() {
		size = int(e.Block[0x40]) + 1
	}
	e.Payload = append([]byte(nil), c.mem[base+txBuffer:base+txBuffer+min(size, 256)]...)
	copy(e.Mailbox[:], c.mem[regMailWrite+1:regMailWrite+4])
	e.Air = e.airtime()
	return e
}

func (e *Emission) fsk() bool { return e.Block[0x09]&1 != 0 }

// continuousWave reports whether the packet is a bare carrier, which lasts until it
// is aborted.
func (e *Emission) continuousWave() bool { return !e.fsk() && e.Block[0x20]&3 == 0 }

// packet returns the properties that the time on air depends on.
func (e *Emission) packet() radio.Packet {
	if e.fsk() {
		rate := max(uint32(binary.BigEndian.Uint16(e.Block[0x44:])), 1)
		return radio.Packet{
			DataRate: radio.FSKDataRate(ticksPerSecond / rate), Size: int(e.Block[0x40]),
			Preamble: int(binary.BigEndian.Uint16(e.Block[0x42:])), NoCRC: e.Block[0x41]&2 == 0,
		}
	}
	return radio.Packet{
		DataRate:       radio.LoRaDataRate(e.Block[0x60]&0x0F, 125_000<<max(int(e.Block[0x60]>>4)-4, 0)),
		CodingRate:     radio.CodingRate(e.Block[0x61] & 7),
		Size:           int(e.Block[0x63]),
		Preamble:       int(e.Block[0x67])<<8 | int(e.Block[0x66]),
		ImplicitHeader: e.Block[0x62]&2 != 0, NoCRC: e.Block[0x62]&1 == 0,
	}
}

func (e *Emission) airtime() time.Duration {
	if e.continuousWave() {
		return 1000 * time.Hour
	}
	d, err := radio.TimeOnAir(e.packet())
	if err != nil {
		return time.Millisecond // no receiver would take this for a frame
	}
	return d
}

// Emissions returns the packets that were sent or wait, in their order.
func (c *Chip) Emissions() []Emission {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Emission(nil), c.emitted...)
}
