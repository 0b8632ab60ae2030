package sx1302

import (
	"time"

	"lorawand/radio"
)

// ticksPerMicrosecond is the rate of the chip's counter.
const ticksPerMicrosecond = 32

// counterBits is the width of the counter in µs: of 32 bits of ticks 27 are left,
// which wrap every 134 s.
const counterBits = 27

// wrapCounter extends a counter of 27 bits to the 32 bits that LoRaWAN gateways
// use. It must be read more often than the counter wraps.
type wrapCounter struct {
	last  uint32
	wraps uint32
}

// next returns the wrapCounter for a new value in ticks.
func (w wrapCounter) next(ticks uint32) wrapCounter {
	us := ticks / ticksPerMicrosecond
	if us < w.last {
		w.wraps++
	}
	w.last = us
	return w
}

// value returns the extended counter, µs.
func (w wrapCounter) value() uint32 { return w.wraps<<counterBits | w.last }

// past extends a value in ticks from before the last one seen.
func (w *wrapCounter) past(ticks uint32) uint32 {
	us, wraps := ticks/ticksPerMicrosecond, w.wraps
	if w.last < us {
		wraps--
	}
	return wraps<<counterBits | us
}

// frameShape has the properties that the delay of a timestamp depends on.
type frameShape struct {
	sf         uint8
	bandwidth  uint32 // Hz
	codingRate int64  // 1 to 4
	size       int64  // payload, bytes
	crc        bool
}

// crcBytes returns the length of the CRC.
func (f *frameShape) crcBytes() int64 {
	if f.crc {
		return 2
	}
	return 0
}

// width returns the bandwidth in units of 125 kHz.
func (f *frameShape) width() int64 { return max(int64(f.bandwidth)/125_000, 1) }

// filterDelay returns the delay of a frame in the filters, in 1e-6 µs.
func (f *frameShape) filterDelay() int64 { return 16_000_000/f.width() + 2_031_250 }

// legacyCorrection returns the correction of a timestamp to the end of the frame,
// µs. The chip takes the timestamp when the frame leaves the decoder.
//
// Source: sx1302_hal 2.1.0, loragw_sx1302_timestamp.c.
func (f *frameShape) legacyCorrection() int32 {
	sf, clk := int64(f.sf), 250_000/f.width()
	ppm := int64(bit(lowDataRate(f.sf, f.bandwidth)))
	symbol := int64(1) << sf
	data := 2 * (f.size + f.crcBytes()) // nibbles
	header, perBlock, cr := sf-2, sf-2*ppm, f.codingRate
	if sf <= 6 {
		header = sf
	}
	last := (data + 5 - header) % perBlock
	if last <= 0 {
		last += perBlock
	}
	fft := (5-2*ppm)*(symbol*clk+7*clk) + 2*clk
	demap := clk + symbol*clk + 3*clk + perBlock*clk
	if data-(sf-7) <= 0 || data == 0 { // all of it is in the first block
		cr, last = 4, header
		fft = 2*symbol*clk + 3*clk
		demap = clk + symbol*clk*3/4 + 3*clk + (sf-2)*clk
	}
	fft3 := clk*((symbol-6)+2*(symbol*((sf+1)/2-1)+6)) + 4*clk
	decode := 5*clk + (9+cr)*clk*last + 3*clk
	return -int32((f.filterDelay() + fft3 + fft + demap + decode + 500_000) / 1_000_000)
}

// Latch returns how long after the end of a frame with a CRC the chip takes its
// timestamp, without fine timestamps. Simulations of the chip use it.
func Latch(d radio.DataRate, c radio.CodingRate, size int) time.Duration {
	if d.Modulation == radio.FSK {
		return -time.Duration(fskCorrection(d.BitRate)) * time.Microsecond
	}
	f := frameShape{d.SpreadingFactor, d.Bandwidth, int64(c), int64(size), true}
	return -time.Duration(f.legacyCorrection()) * time.Microsecond
}

// precisionCorrection is the correction with fine timestamps: the chip then takes
// the timestamp at the end of the header.
func (f *frameShape) precisionCorrection() int32 {
	optimised, sf := int64(bit(f.sf >= 11)), int64(f.sf) // for any bandwidth
	bits := 8*f.size + 8*f.crcBytes() - 4*sf + 20
	if sf >= 7 {
		bits += 8
	}
	perBlock := 4 * (sf - 2*optimised)
	symbols := (max(bits, 0) + perBlock - 1) / perBlock * (f.codingRate + 4)
	symbolTime := 8 << sf / f.width()
	return int32((symbols*symbolTime*1_000_000 - (f.filterDelay() + 500_000)) / 1_000_000)
}

// fskCorrection returns the correction of the timestamp of an FSK frame, µs.
func fskCorrection(bitRate uint32) int32 { return int32(680_000/max(bitRate, 1)) - 20 }

// loraCodingRate returns the coding rate of a record, or 0 if there is no such rate.
func loraCodingRate(raw byte) radio.CodingRate {
	if raw > byte(radio.CodingRate48) {
		return 0
	}
	return radio.CodingRate(raw)
}
