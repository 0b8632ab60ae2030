package sx1302test

import "encoding/binary"

// RadioType is a kind of radio chip.
type RadioType uint8

// Radio chips.
const (
	SX1250 RadioType = iota
	SX125x           // SX1255 or SX1257
)

// Modes of the SX1250 in its status.
const (
	modeStandbyRC   = 2
	modeStandbyXOSC = 3
	modeRx          = 5
)

// Registers of the SX1255 and SX1257.
const (
	sx125xRegisters  = 0x30
	sx125xVersion    = 0x07
	sx125xModeStatus = 0x11
)

// Radio is the state of a radio.
type Radio struct {
	Commands  [][]byte        // all commands but reads of its status; SX1250
	Registers map[uint16]byte // written registers; SX1250
	Frequency uint32          // the word; SX1250
	Mode      byte            // as in the status; SX1250
	Raw       [sx125xRegisters]byte

	kind  RadioType
	ready bool // enabled and out of reset
}

func (r *Radio) reset() {
	r.Registers, r.Frequency, r.Mode = map[uint16]byte{}, 0, modeStandbyRC
	r.Raw = [sx125xRegisters]byte{sx125xVersion: 0x21}
}

// lines handles the enable and reset lines. The reset line of an SX1250 is active
// low, that of the others active high.
func (r *Radio) lines(v byte) {
	inReset := v&radioReset == 0
	if r.kind != SX1250 {
		inReset = !inReset
	}
	was := r.ready
	r.ready = v&radioEnable != 0 && !inReset
	if !r.ready || !was {
		r.reset()
	}
}

// transfer is a frame through the pass-through of the chip. w begins with the
// operation.
func (r *Radio) transfer(w, out []byte) {
	clear(out)
	if !r.ready || len(w) == 0 {
		return
	}
	if r.kind == SX1250 {
		r.command(w, out)
		return
	}
	addr := w[0] & 0x7F
	if int(addr) >= len(r.Raw) || len(w) < 2 {
		return
	}
	if w[0]&0x80 != 0 {
		if addr != sx125xVersion && addr != sx125xModeStatus {
			r.Raw[addr] = w[1]
		}
		return
	}
	out[1] = r.Raw[addr]
	if addr == sx125xModeStatus {
		out[1] = r.Raw[0]&2 | r.Raw[0]>>3&1 // PLLs lock at once
	}
}

func (r *Radio) command(w, out []byte) {
	for i := range out {
		out[i] = r.Mode << 4
	}
	switch w[0] {
	case 0xC0:
		return
	case 0x17:
		if len(out) > 2 {
			clear(out[2:])
		}
		return
	case 0x80:
		r.Mode = modeStandbyRC
		if len(w) > 1 && w[1] == 1 {
			r.Mode = modeStandbyXOSC
		}
	case 0x82:
		r.Mode = modeRx
	case 0x86:
		if len(w) >= 5 {
			r.Frequency = binary.BigEndian.Uint32(w[1:])
		}
	case 0x0D:
		for i := 3; i < len(w); i++ {
			r.Registers[binary.BigEndian.Uint16(w[1:])+uint16(i-3)] = w[i]
		}
	}
	r.Commands = append(r.Commands, append([]byte(nil), w...))
}

// clocked reports whether a radio provides the chip's clock.
func (c *Chip) clocked() bool {
	if c.opts.NoClock {
		return false
	}
	for i := range c.radios {
		if r := &c.radios[i]; r.ready && (r.kind != SX1250 || r.Mode == modeRx) {
			return true
		}
	}
	return false
}
