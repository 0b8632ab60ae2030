package sx1302test

import (
	"encoding/binary"
	"errors"
	"sync"
	"time"

	"periph.io/x/conn/v3"
	"periph.io/x/conn/v3/spi"

	"lorawand/concentrator/air"
)

// ErrFrame is the reason for failing a transfer that the chip would not understand.
var ErrFrame = errors.New("sx1302test: no frame of the SX1302")

// Options configures a Chip. The zero value is an SX1302 with SX1250 radios.
type Options struct {
	Model   byte // 0x02 is the SX1302, 0x03 the SX1303; default 0x02
	Version byte // default 0x10
	EUI     [8]byte
	Radio   RadioType
	Tick    uint32 // the 32 MHz counter at power-up

	// ResetTick returns the counter after a reset, in µs; nil: the counter runs on.
	ResetTick func() uint32

	// Now is the time since power-up. The default uses the clock of package
	// time, so that testing/synctest reaches it.
	Now func() time.Duration

	// Pulses returns the last pulse per second until a time since power-up, and the next one; a
	// negative time is none. nil: they come with each whole second, but at 0.
	Pulses func(now time.Duration) (last, next time.Duration)

	// MaxTxSize is the longest transfer that the port reports; 0: it reports none.
	MaxTxSize int

	// HalfDuplex simulates a controller that cannot send and receive at once, and
	// reports that only by an error, like those of the MT7621 and MT7628.
	HalfDuplex bool

	// OneFrame is a controller that refuses several frames in one message, and Selected
	// one that keeps the chip selected between them, so that they are one frame.
	OneFrame, Selected bool

	// Messages counts calls of the port: one for each message, whatever is in it.
	Messages *int

	// Faults: a radio that gives no clock, programs that answer nothing, and
	// what else. Fail makes a transfer fail; Read, if it returns true, replaces
	// what is read from an address.
	NoClock bool
	Hang    bool
	Fail    func(w []byte) error
	Read    func(addr uint16) (byte, bool)

	// Taken, if it is not nil, reports whether the channel of a packet is in use at
	// its time, for a board with an SX1261.
	Taken func(e *Emission) bool

	// Noise returns how the measurements of a spectral scan at a frequency in Hz are shared
	// out among the levels 0, -4, … -124 dBm and less, as weights; nil: a quiet channel.
	Noise func(frequency uint32) [SpectrumLevels]uint16

	// Calibrate returns the measurements for the calibration program; nil: those in
	// the recordings.
	Calibrate func(CalibrationRun) CalibrationResult

	// Observe is called for everything that reaches the chip.
	Observe func(Event)
}

// EventKind is the kind of an Event.
type EventKind uint8

// Kinds of Event.
const (
	Wrote       EventKind = iota + 1 // a byte of the register map
	RadioFrame                       // a frame to a radio that is not a read of its registers
	Loaded                           // bytes for the memory of a processor or the SX1261; consecutive bytes are one event
	SX1261Frame                      // a frame to the SX1261 that is not a word of its patch
)

// Event is a write or frame that reached the chip.
type Event struct {
	Kind     EventKind
	Addr     uint16
	Old, New byte
	Chain    int // with RadioFrame
	Frame    []byte
	Changed  bool // with RadioFrame: a register of an SX1255 or SX1257 has another value now
}

// Chip is the model. It implements spi.Conn.
type Chip struct {
	mu    sync.Mutex
	opts  Options
	begin time.Time

	mem       [mapSize]byte
	agc, arb  processor
	radios    [2]Radio
	sx1261    SX1261
	rx        []byte // the FIFO
	agcLog    [][4]byte
	arbLog    [][4]byte
	calRun    CalibrationRun
	calResult CalibrationResult
	tx        [2]transmitter
	emitted   []Emission
	resets    int
	fault     Fault
	frozen    uint32 // the value of the counter with Fault.Frozen
	readings  int    // of the counters
	latched   [countersSize]byte
	heard     int   // frames from the air that entered the FIFO
	lost      int   // frames of these that were in the FIFO at a reset
	put, got  int   // bytes that entered and left the FIFO since a reset
	ends      []int // value of put after each frame from the air that was not read completely
	shift     int64 // ticks by which resets have moved the counter

	antenna *air.Receiver // nil: no air
	onAir   OnAirOptions
}

var (
	_ spi.Conn    = (*Chip)(nil)
	_ conn.Limits = (*Chip)(nil)
)

// New returns a chip that was powered up and reset.
func New(o Options) *Chip {
	if o.Model == 0 {
		o.Model = 0x02
	}
	if o.Version == 0 {
		o.Version = 0x10
	}
	if o.Calibrate == nil {
		o.Calibrate = recordedRun
	}
	c := &Chip{opts: o, begin: time.Now()}
	c.sx1261.chip = c
	c.reset()
	return c
}

// Reset is a pulse on the reset line. A packet on the air is cut off, and unread
// frames are lost.
func (c *Chip) Reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fault.StuckReset {
		return
	}
	c.advance()
	for i := range c.tx {
		c.cut(i)
	}
	c.lost += len(c.ends)
	c.reset()
	c.resets++
	if c.opts.ResetTick != nil {
		c.shift += int64(c.opts.ResetTick())*ticksPerMicrosecond - c.ticks()/ticksPerMicrosecond*ticksPerMicrosecond
	}
}

// neverReset is the version that a chip reports if its reset line is connected
// wrongly.
const neverReset = 0x05

// Lost returns how many frames from the air were in the FIFO, completely or in
// part, when the chip was reset.
func (c *Chip) Lost() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lost
}

// Resets returns the number of pulses on the reset line.
func (c *Chip) Resets() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.resets
}

func (c *Chip) reset() {
	c.mem = theMap().reset
	c.mem[regVersion] = c.opts.Version
	c.agc, c.arb = processor{}, processor{}
	for i := range c.radios {
		c.radios[i] = Radio{kind: c.opts.Radio}
		c.radios[i].reset()
	}
	c.sx1261.reset()
	c.rx, c.ends, c.put, c.got = nil, nil, 0, 0
	c.tx = [2]transmitter{}
}

// String implements conn.Conn.
func (*Chip) String() string { return "sx1302test" }

// Duplex implements conn.Conn.
func (*Chip) Duplex() conn.Duplex { return conn.Full }

// MaxTxSize implements conn.Limits.
func (c *Chip) MaxTxSize() int { return c.opts.MaxTxSize }

func (c *Chip) transfer(w, r []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fault.Panic != nil {
		panic(c.fault.Panic)
	}
	if c.fault.Bus != nil {
		return c.fault.Bus
	}
	if c.opts.Fail != nil {
		if err := c.opts.Fail(w); err != nil {
			return err
		}
	}
	if n := c.fault.Longest; n > 0 && len(w) > n {
		w = append([]byte(nil), w...)
		clear(w[n:])
		defer func() { clear(r[n:]) }()
	}
	if len(w) != len(r) || len(w) < 2 || w[0] > 2 || c.opts.MaxTxSize > 0 && len(w) > c.opts.MaxTxSize {
		return ErrFrame
	}
	if w[0] != 0 {
		c.radioFrame(int(w[0])-1, w[1:], r[1:])
		return nil
	}
	if len(w) < 4 {
		return ErrFrame
	}
	c.advance()
	addr := binary.BigEndian.Uint16(w[1:])
	if addr == regCounters {
		c.readings++
	}
	if addr&0x8000 != 0 {
		for i, b := range w[3:] {
			c.store(addr&0x7FFF+uint16(i), b)
		}
		return nil
	}
	clear(r)
	if addr >= regCounters && addr < regCounters+countersSize {
		c.latchCounters()
	}
	for i := range r[4:] {
		a := addr
		if a < fifo || a >= fifo+fifoSize {
			a += uint16(i)
		}
		r[4+i] = c.load(a)
	}
	return nil
}

func (c *Chip) radioFrame(chain int, w, r []byte) {
	radio := &c.radios[chain]
	clear(r)
	if c.mem[regCtrl0]&hostRadioCtrl == 0 {
		return
	}
	before, commands := radio.Raw, len(radio.Commands)
	radio.transfer(w, r)
	changed := before != radio.Raw
	if c.opts.Observe != nil && (changed || len(radio.Commands) > commands) {
		c.opts.Observe(Event{Kind: RadioFrame, Chain: chain, Frame: append([]byte(nil), w...), Changed: changed})
	}
}

// store is a write of one byte.
func (c *Chip) store(addr uint16, b byte) {
	switch {
	case int(addr) < 2*imageSize:
		c.storeFirmware(addr, b)
		return
	case int(addr) >= mapSize:
		return
	case isBuffer(addr):
		c.mem[addr] = b
		return
	}
	old, writable := c.mem[addr], theMap().writable[addr]
	now := old&^writable | b&writable
	c.mem[addr] = now
	if c.opts.Observe != nil {
		c.opts.Observe(Event{Kind: Wrote, Addr: addr, Old: old, New: now})
	}
	c.act(addr, old, now)
}

// isBuffer reports whether an address is in the buffer of a transmitter.
func isBuffer(addr uint16) bool {
	return addr >= txBlock && addr < txBlock+2*txStride && (addr-txBlock)%txStride >= txBuffer
}

func (c *Chip) storeFirmware(addr uint16, b byte) {
	p, ctrl := &c.agc, uint16(regAGCCtrl)
	if addr >= arbMemory {
		p, ctrl = &c.arb, regARBCtrl
	}
	if c.mem[ctrl]&hostProg == 0 || c.mem[ctrl]&mcuClear == 0 {
		return
	}
	p.memory[addr%imageSize] = b
	if addr%imageSize == 0 && c.opts.Observe != nil {
		c.opts.Observe(Event{Kind: Loaded, Addr: addr})
	}
}

// act does what a write causes.
func (c *Chip) act(addr uint16, old, now byte) {
	switch addr {
	case regAGCCtrl:
		if c.agc.control(old, now) {
			c.startAGC()
		}
	case regARBCtrl:
		if c.arb.control(old, now) {
			c.startARB()
		}
	case regRFEnable, regRFEnable + 1:
		c.radios[addr-regRFEnable].lines(now)
	case regMailWrite:
		c.mail()
	case regMailWrite + 3:
		c.clearVerdict(now)
	case regARBConfig + 1:
		c.arbResume()
	case txBlock + txTrigger, txBlock + txStride + txTrigger:
		c.trigger(int(addr-txBlock)/txStride, old, now)
	}
}

// load is a read of one byte.
func (c *Chip) load(addr uint16) byte {
	if c.opts.Read != nil {
		if b, ok := c.opts.Read(addr); ok {
			return b
		}
	}
	switch {
	case addr == regVersion && c.fault.StuckReset:
		return neverReset
	case addr == regVersion && c.fault.Dead:
		return 0xFF
	case addr == regARBCtrl && c.fault.Parity:
		return c.mem[addr] | parityError
	case addr < imageSize:
		return c.agc.memory[addr]
	case addr < arbMemory+imageSize:
		return c.arb.memory[addr-arbMemory]
	case addr >= fifo && addr < fifo+fifoSize:
		return c.pop()
	case addr >= regRxBytes && addr < regRxBytes+2:
		return byte(len(c.rx) >> (8 * (regRxBytes + 1 - addr)))
	case addr >= regCounters && addr < regCounters+countersSize:
		return c.latched[addr-regCounters]
	case addr == regOTPData:
		return c.otp(c.mem[regOTPAddr])
	case addr == txBlock+txStatus || addr == txBlock+txStride+txStatus:
		return c.tx[int(addr-txBlock)/txStride].status(c.now())
	case int(addr) < mapSize:
		return c.mem[addr]
	}
	return 0
}

func (c *Chip) pop() byte {
	if len(c.rx) == 0 {
		return 0
	}
	b := c.rx[0]
	c.rx = c.rx[1:]
	c.got++
	if len(c.ends) > 0 && c.ends[0] == c.got {
		c.ends = c.ends[1:]
	}
	return b
}

func (c *Chip) otp(addr byte) byte {
	switch {
	case int(addr) < len(c.opts.EUI):
		return c.opts.EUI[addr]
	case addr == 0xD0:
		return c.opts.Model
	}
	return 0
}

// Deliver puts bytes into the FIFO as if they had been received. Bytes that do not
// fit are lost.
func (c *Chip) Deliver(record []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.push(record[:min(len(record), fifoSize-len(c.rx))])
}

func (c *Chip) push(record []byte) {
	c.rx = append(c.rx, record...)
	c.put += len(record)
}

// Changed returns the bytes of the register map whose writable bits differ from
// their reset value.
func (c *Chip) Changed() map[uint16]byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	changed := map[uint16]byte{}
	m := theMap()
	for addr := range c.mem {
		if isBuffer(uint16(addr)) {
			continue
		}
		if v := c.mem[addr] & m.writable[addr]; v != m.reset[addr]&m.writable[addr] {
			changed[uint16(addr)] = v
		}
	}
	return changed
}

// Preset writes to the register map without any effect of the write.
func (c *Chip) Preset(addr uint16, b byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mem[addr] = b
}

// Logs returns the mailbox bytes 3, 2, 1, 0 of the AGC at each write of byte 3, and
// the debug configuration 0 to 3 of the ARB at each resume.
func (c *Chip) Logs() (agc, arb [][4]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([][4]byte(nil), c.agcLog...), append([][4]byte(nil), c.arbLog...)
}

// Radio returns the state of a radio. Its maps and slices belong to the model.
func (c *Chip) Radio(chain int) Radio {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.radios[chain]
}
