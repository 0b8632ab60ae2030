package sx1302

import "lorawand/radio"

// txFrequency returns a frequency as the transmitter has it, in steps of
// crystal / 2^18; of the SX1255 it is the double.
func txFrequency(t RadioType, f radio.Frequency) uint32 {
	hz := uint64(f)
	if t == SX1255 {
		hz *= 2
	}
	return uint32(hz << 18 / crystal)
}
