package frame

import (
	"encoding/binary"
	"fmt"

	"lorawand/radio"
)

// Limits of a CFList.
const (
	cfListSize     = 16 // bytes
	cfListChannels = 5
	cfListMasks    = 6
)

// Types of a CFList, its last byte. Source: LoRaWAN RP002-1.0.3, 2.4.4 (EU868)
// and 2.5.4 (US915).
const (
	cfListOfFrequencies = 0
	cfListOfMasks       = 1
)

// cfListStep is the unit of a frequency in Hz.
const cfListStep = 100

// CFListFrequencies returns the CFList (type 0) of a band with dynamic channels: up
// to five channels that follow those of the band, in multiples of 100 Hz. A
// frequency of 0, or one that three bytes cannot hold (1.678 GHz), leaves out the
// channel. Without frequencies it returns nil.
func CFListFrequencies(f []radio.Frequency) []byte {
	if len(f) == 0 {
		return nil
	}
	b := make([]byte, cfListSize)
	for i, hz := range f[:min(len(f), cfListChannels)] {
		if n := uint32(hz / cfListStep); n < 1<<24 {
			put24(b[3*i:], n)
		}
	}
	b[cfListSize-1] = cfListOfFrequencies
	return b
}

// CFListMasks returns the CFList (type 1) of a band with fixed channels: up to
// six masks of sixteen channels each, the lowest channel in the lowest bit.
// Without masks it returns nil.
func CFListMasks(masks []uint16) []byte {
	if len(masks) == 0 {
		return nil
	}
	b := make([]byte, cfListSize)
	for i, m := range masks[:min(len(masks), cfListMasks)] {
		binary.LittleEndian.PutUint16(b[2*i:], m)
	}
	b[cfListSize-1] = cfListOfMasks
	return b
}

// ParseCFList reads a CFList, as an end device does: either five frequencies, of
// which a 0 leaves out the channel, or six masks. It returns ErrFrame for another
// size or type.
func ParseCFList(b []byte) (frequencies []radio.Frequency, masks []uint16, err error) {
	if len(b) != cfListSize {
		return nil, nil, fmt.Errorf("%w: CFList of %d bytes, want %d", ErrFrame, len(b), cfListSize)
	}
	switch b[cfListSize-1] {
	case cfListOfFrequencies:
		for i := range cfListChannels {
			frequencies = append(frequencies, radio.Frequency(get24(b[3*i:]))*cfListStep)
		}
		return frequencies, nil, nil
	case cfListOfMasks:
		for i := range cfListMasks {
			masks = append(masks, binary.LittleEndian.Uint16(b[2*i:]))
		}
		return nil, masks, nil
	}
	return nil, nil, fmt.Errorf("%w: CFList of type %d", ErrFrame, b[cfListSize-1])
}

// put24 writes the low 24 bits of v with the lowest byte first, as LoRaWAN does.
func put24(b []byte, v uint32) { b[0], b[1], b[2] = byte(v), byte(v>>8), byte(v>>16) }

// get24 reads what put24 writes.
func get24(b []byte) uint32 { return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 }
