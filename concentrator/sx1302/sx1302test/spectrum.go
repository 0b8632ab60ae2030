package sx1302test

import (
	"encoding/binary"
	"time"
)

// SpectrumLevels is the number of levels of a spectral scan.
const SpectrumLevels = 33

// Places in the SX1261 for spectral scans.
const (
	sx1261ScanResults = 0x0401
	sx1261ScanStatus  = 0x07CD
)

// Values of sx1261ScanStatus.
const (
	scanNone    = 0x00
	scanRuns    = 0x0F
	scanAborted = 0xF0
	scanDone    = 0xFF
)

// scanMeasurement is the time from one measurement to the next, with the interval that the
// driver asks for.
//
// Source: loragw_sx1261.c of sx1302_hal, interval 11.
const scanMeasurement = 8200 * time.Nanosecond

// spectrum is a spectral scan.
type spectrum struct {
	begun, aborted bool
	count          int
	end            time.Duration // of the time since power-up
	frequency      uint32        // as the radio was set
}

// scan begins a spectral scan, if the radio receives and has its patch.
func (x *SX1261) scan(w []byte) {
	if x.mode != sx1261Rx || !x.patched || len(w) < 4 {
		return
	}
	x.scans++
	n := int(binary.BigEndian.Uint16(w[1:]))
	x.spectrum = spectrum{
		begun: true, count: n, end: x.chip.now() + time.Duration(n)*scanMeasurement, frequency: x.frequency,
	}
}

// Scans returns how many spectral scans were begun since the last reset.
func (x *SX1261) Scans() int {
	x.chip.mu.Lock()
	defer x.chip.mu.Unlock()
	return x.scans
}

// abort ends a spectral scan that is not done.
func (x *SX1261) abort() {
	if x.scanStatus() == scanRuns {
		x.spectrum.aborted = true
	}
}

func (x *SX1261) scanStatus() byte {
	switch s := &x.spectrum; {
	case !s.begun:
		return scanNone
	case s.aborted:
		return scanAborted
	case x.chip.now() < s.end:
		return scanRuns
	}
	return scanDone
}

// quiet is a free channel: around -112 dBm.
func quiet(uint32) (w [SpectrumLevels]uint16) {
	w[27], w[28], w[29] = 1, 8, 1
	return w
}

// scanResults returns the counts of a scan that is done.
func (x *SX1261) scanResults() []byte {
	out := make([]byte, 2*SpectrumLevels)
	if x.scanStatus() != scanDone {
		return out
	}
	noise := x.chip.opts.Noise
	if noise == nil {
		noise = quiet
	}
	hz := uint32((int64(x.spectrum.frequency)*ticksPerSecond + 1<<24) >> 25)
	weights := noise(hz)
	total, most := 0, 0
	for i, w := range weights {
		total += int(w)
		if w > weights[most] {
			most = i
		}
	}
	left := x.spectrum.count
	for i, w := range weights {
		n := int(int64(x.spectrum.count) * int64(w) / int64(max(total, 1)))
		binary.BigEndian.PutUint16(out[2*i:], uint16(n))
		left -= n
	}
	binary.BigEndian.PutUint16(out[2*most:], binary.BigEndian.Uint16(out[2*most:])+uint16(left))
	return out
}
