package sx1302test

import (
	"bytes"
	"math/bits"
)

// Program is a program of one of the chip's processors.
type Program uint8

// Programs.
const (
	AGCSX1250 Program = iota + 1
	AGCSX125x
	ARB
	Calibration
)

// Image returns a synthetic firmware image: 4096 words with valid check bits, by
// which the model knows the program. It holds no code.
func Image(p Program) []byte {
	image := make([]byte, 0, imageSize)
	state := uint32(p)
	for range imageSize / 2 {
		state = state*1664525 + 1013904223
		w := uint16(state>>16) & 0x3FFF
		w |= uint16(bits.OnesCount16(w)%4) << 14
		image = append(image, byte(w), byte(w>>8))
	}
	return image
}

// programOf returns the program of an image, or 0.
func programOf(image []byte) Program {
	for p := AGCSX1250; p <= Calibration; p++ {
		if bytes.Equal(image, Image(p)) {
			return p
		}
	}
	return 0
}

// processor is one of the two processors in the chip.
type processor struct {
	memory  [imageSize]byte
	running Program
}

// control handles a write to the control register of a processor.
func (p *processor) control(old, now byte) (started bool) {
	if old&mcuClear != 0 && now&mcuClear == 0 {
		p.running = programOf(p.memory[:])
		return true
	}
	if now&mcuClear != 0 {
		p.running = 0
	}
	return false
}

// startAGC does what the program in the AGC does first.
func (c *Chip) startAGC() {
	versions := map[Program]byte{AGCSX1250: 10, AGCSX125x: 6, Calibration: 1}
	if v, ok := versions[c.agc.running]; ok && c.clocked() {
		c.mem[regAGCStatus], c.mem[regMailRead+3] = 1, v
	}
}

func (c *Chip) startARB() {
	if c.arb.running == ARB && c.clocked() {
		c.mem[regARBStatus], c.mem[regARBDebug] = 1, 2
	}
}

// mail handles a write to byte 3 of the mailbox.
func (c *Chip) mail() {
	w := c.mem[regMailWrite : regMailWrite+4]
	if c.agc.running == 0 || c.opts.Hang || c.fault.Hang {
		return
	}
	c.agcLog = append(c.agcLog, [4]byte(w))
	if c.agc.running == Calibration {
		c.calibrate(w)
		return
	}
	next, ok := map[byte]byte{
		0x80: 0x02, 0x20: 0x03, 0x03: 0x04, 0x04: 0x05, 0x05: 0x06, 0x06: 0x07, 0x07: 0x08,
		0x08: 0x09, 0x09: 0x0A, 0x0A: 0x0B, 0x0B: 0x0F, 0x0F: 0x10,
	}[w[0]]
	if !ok {
		return
	}
	c.mem[regAGCStatus] = next
	copy(c.mem[regMailRead+1:regMailRead+4], w[1:])
}

// CalibrationRun is a run of the calibration program, with the state of the radios
// during it.
type CalibrationRun struct {
	Test   byte                     // image of a receiver (0 and 1, by chain) or DC offset of a transmitter (2 and 3)
	Radios [2][sx125xRegisters]byte // registers
	Known  [2]byte                  // the amplitude and phase of the image that the host has told the program
}

// CalibrationResult has the measurements of a run. Levels are amplitudes.
type CalibrationResult struct {
	Signal uint16
	Left   uint16  // of the image, or of DC
	Noise  uint16  // of the image test
	Found  [2]int8 // amplitude and phase, or the offsets of I and Q
}

// recordedRun returns the results in the recordings.
func recordedRun(r CalibrationRun) CalibrationResult {
	if r.Test < 2 {
		return CalibrationResult{Signal: 0x4000, Left: 10, Noise: 8, Found: [2]int8{-3, 2}}
	}
	return CalibrationResult{Signal: 0x4000, Left: 16, Found: [2]int8{5, -7}}
}

// calibrate makes one step of the calibration program.
func (c *Chip) calibrate(w []byte) {
	step := w[0]
	switch step {
	case 0x00:
		c.calRun = CalibrationRun{Test: w[1]}
	case 0x02:
		c.calRun.Known = [2]byte(w[1:])
	case 0x04:
		for i := range c.radios {
			c.calRun.Radios[i] = c.radios[i].Raw
		}
		c.calResult = c.opts.Calibrate(c.calRun)
	}
	var result [4]byte
	next := c.mem[regAGCStatus]
	switch found := c.calResult.Found; {
	case step == 0xFF:
		next = 0
	case step >= 0x01 && step <= 0x03:
		next = step
	case step == 0x04:
		next, result = 0x06, [4]byte{0x08, 0x0A, byte(c.calResult.Signal >> 8), byte(c.calResult.Signal)}
	case c.calRun.Test < 2:
		next, result = c.calibrateImage(step, next)
	case step == 0x06:
		left := c.calResult.Left
		next, result = 0x07, [4]byte{byte(left >> 8), byte(left), byte(found[0]), byte(found[1])}
	case step == 0x0A:
		next = 0x0C
	case step >= 0x07 && step < 0x20:
		next = step + 1
	case step == 0x20:
		next = [2]byte{0x33, 0x44}[c.calRun.Test&1]
	}
	c.mem[regAGCStatus] = next
	copy(c.mem[regMailRead:], result[:])
}

func (c *Chip) calibrateImage(step, status byte) (next byte, result [4]byte) {
	switch r := &c.calResult; step {
	case 0x06:
		return 0x07, [4]byte{0x04, 0x00, byte(r.Found[0]), byte(r.Found[1])}
	case 0x07:
		return 0x08, [4]byte{byte(r.Left >> 8), byte(r.Left), byte(r.Noise >> 8), byte(r.Noise)}
	case 0x08:
		return [2]byte{0x11, 0x22}[c.calRun.Test&1], result
	}
	return status, result
}

// arbResume handles a write of 1 to ARB debug configuration 1.
func (c *Chip) arbResume() {
	if c.arb.running != ARB || c.opts.Hang || c.fault.Hang {
		return
	}
	c.arbLog = append(c.arbLog, [4]byte(c.mem[regARBConfig:regARBConfig+4]))
	c.mem[regARBStatus] = 0
}
