package sx1302test

import (
	"encoding/binary"
	"maps"

	"periph.io/x/conn/v3"
	"periph.io/x/conn/v3/spi"
)

// SX1261 is the radio that scans. It implements spi.Conn on a chip select
// of its own.
type SX1261 struct {
	chip *Chip

	Commands  [][]byte          // all commands but reads and words of the patch
	Registers map[uint16][]byte // written registers without the patch

	mode      byte // as in the status
	unlocked  bool // the memory of the program
	patch     map[uint16]uint32
	patched   bool
	frequency uint32
	scanning  bool // for LBT
	spectrum  spectrum
	scans     int // spectral
}

var _ spi.Conn = (*SX1261)(nil)

// Modes in the status of the SX1261.
const (
	sx1261StandbyRC = 0x22
	sx1261FS        = 0x42
	sx1261Rx        = 0x52
)

// Places in the SX1261.
const (
	sx1261Version  = 0x0320
	sx1261Unlock   = 0x0610
	sx1261Patch    = 0x8000
	sx1261Frontend = 0x089B
	patchWords     = 386
)

// Patch returns a synthetic patch of the SX1261, which the model recognises: words
// of 32 bits, big-endian.
func Patch() []byte {
	var b []byte
	for i := range uint32(patchWords) {
		b = binary.BigEndian.AppendUint32(b, 0x5A000000+i*i)
	}
	return b
}

// SX1261 returns the radio that scans for LBT.
func (c *Chip) SX1261() *SX1261 { return &c.sx1261 }

func (x *SX1261) reset() {
	*x = SX1261{chip: x.chip, Registers: map[uint16][]byte{}, mode: sx1261StandbyRC, patch: map[uint16]uint32{}}
}

// String implements conn.Conn.
func (*SX1261) String() string { return "sx1302test SX1261" }

// Duplex implements conn.Conn.
func (*SX1261) Duplex() conn.Duplex { return conn.Full }

// TxPackets implements spi.Conn.
func (x *SX1261) TxPackets(p []spi.Packet) error {
	return x.chip.frames(p, x.transfer)
}

// Tx implements conn.Conn: a command, and the radio's bytes at the same time.
func (x *SX1261) Tx(w, r []byte) error {
	switch {
	case len(r) == 0:
		r = make([]byte, len(w))
	case x.chip.opts.HalfDuplex:
		return ErrBothWays
	}
	return x.transfer(w, r)
}

func (x *SX1261) transfer(w, r []byte) error {
	c := x.chip
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fault.Bus != nil {
		return c.fault.Bus
	}
	if len(w) == 0 || len(r) != len(w) {
		return ErrFrame
	}
	clear(r)
	if c.fault.Dead || c.fault.DeadSX1261 {
		return nil
	}
	for i := range r[1:] {
		r[1+i] = x.mode
	}
	x.observe(w)
	x.command(w, r)
	return nil
}

// observe reports a frame. All words of the patch are one load.
func (x *SX1261) observe(w []byte) {
	e := Event{Kind: SX1261Frame, Frame: append([]byte(nil), w...)}
	if w[0] == 0x0D && len(w) > 3 {
		switch addr := binary.BigEndian.Uint16(w[1:]); {
		case addr == sx1261Patch:
			e = Event{Kind: Loaded, Addr: addr}
		case addr > sx1261Patch:
			return
		}
	}
	if x.chip.opts.Observe != nil {
		x.chip.opts.Observe(e)
	}
}

func (x *SX1261) command(w, r []byte) {
	switch w[0] {
	case 0xC0:
		return
	case 0x17:
		clear(r[min(2, len(r)):])
		return
	case 0x1D:
		x.read(w, r)
		return
	case 0x0D:
		if len(w) > 3 && binary.BigEndian.Uint16(w[1:]) >= sx1261Patch {
			x.writePatch(w)
			return
		}
		x.write(w)
	case 0x80:
		x.mode, x.scanning = sx1261StandbyRC, false
		x.abort()
	case 0x82:
		x.mode = sx1261Rx
	case 0x86:
		if len(w) >= 5 {
			x.frequency = binary.BigEndian.Uint32(w[1:])
		}
	case 0x9A:
		x.scanning = x.mode == sx1261Rx && x.patched && len(w) >= 6
	case 0x9B:
		x.scan(w)
	case 0xC1:
		x.mode, x.scanning = sx1261FS, false
		x.abort()
	case 0xD9:
		x.patched = x.complete()
	}
	x.Commands = append(x.Commands, append([]byte(nil), w...))
}

func (x *SX1261) read(w, r []byte) {
	if len(w) < 4 {
		return
	}
	switch binary.BigEndian.Uint16(w[1:]) {
	case sx1261Version:
		version := "SX1261 V2D 2D02"
		if x.patched {
			version = "SX1261 V2D 2D06"
		}
		copy(r[4:], version)
	case sx1261ScanStatus:
		copy(r[4:], []byte{x.scanStatus()})
	case sx1261ScanResults:
		copy(r[4:], x.scanResults())
	}
}

func (x *SX1261) write(w []byte) {
	if len(w) < 4 {
		return
	}
	addr := binary.BigEndian.Uint16(w[1:])
	x.Registers[addr] = append([]byte(nil), w[3:]...)
	switch addr {
	case sx1261Unlock:
		x.unlocked = w[3] == 0x10
	case sx1261Frontend:
		x.scanning = x.scanning && w[3] != 0
		if w[3] == 0 {
			x.abort()
		}
	}
}

func (x *SX1261) writePatch(w []byte) {
	if x.unlocked && len(w) == 7 {
		x.patch[binary.BigEndian.Uint16(w[1:])] = binary.BigEndian.Uint32(w[3:])
	}
}

// complete reports whether the patch is the one of Patch.
func (x *SX1261) complete() bool {
	want := map[uint16]uint32{}
	patch := Patch()
	for i := 0; i < len(patch); i += 4 {
		want[sx1261Patch+uint16(i)] = binary.BigEndian.Uint32(patch[i:])
	}
	return maps.Equal(x.patch, want)
}

// scansFor reports whether the radio scans the channel of a packet.
func (x *SX1261) scansFor(e *Emission) bool {
	off := int64(x.frequency)*ticksPerSecond>>25 - int64(e.frequency())
	return x.scanning && off > -channelWidth && off < channelWidth
}
