package gnss

import (
	"encoding/binary"
	"time"

	"lorawand/radio"
)

// timeHeader begins a NAV-TIMEGPS: synchronisation, class, message, and length.
//
// Source: u-blox M8 receiver description, 32.17.26.1.
var timeHeader = [...]byte{0xB5, 0x62, 0x01, 0x20, timePayload, 0}

// timePayload is how many bytes of it are between header and checksum.
const timePayload = 16

// askForTime is a CFG-MSG by which a u-blox sends NAV-TIMEGPS each second on its first UART. Other
// receivers drop it.
//
// Source: u-blox M8 receiver description, 32.10.18.3; sx1302_hal 2.1.0 sends the same.
var askForTime = []byte{
	0xB5, 0x62, 0x06, 0x01, 8, 0, 0x01, 0x20, 0, 1, 1, 0, 0, 0, 0x32, 0x94,
}

// ubxChecksum continues a checksum over some bytes (32.4 of the same description).
func ubxChecksum(a, b byte, of []byte) (byte, byte) {
	for _, x := range of {
		a += x
		b += a
	}
	return a, b
}

const (
	// timeValid: time of week and week of a NAV-TIMEGPS are known.
	timeValid = 1<<0 | 1<<1
	leapValid = 1 << 2

	// maxAccuracy is how well the receiver must know the time. With satellites it is some ns;
	// without, its own clock drifts.
	maxAccuracy = 100_000 // ns
)

const week = 7 * 24 * time.Hour

// maxWeeks is the year 2171: more do not fit radio.GPSTime.
const maxWeeks = 10_000

// navTime is what a NAV-TIMEGPS tells.
type navTime struct {
	gps   radio.GPSTime // with a week that may be 1024 weeks too early, or twice that
	leap  int64         // leap seconds until now
	known bool          // leap is
}

// parseTime reads the payload of a NAV-TIMEGPS. ok is false while the receiver does not know the
// time.
func parseTime(p []byte) (t navTime, ok bool) {
	flags, accuracy := p[11], binary.LittleEndian.Uint32(p[12:])
	weeks := int16(binary.LittleEndian.Uint16(p[8:]))
	if flags&timeValid != timeValid || accuracy > maxAccuracy || weeks < 0 || weeks > maxWeeks {
		return t, false
	}
	at := time.Duration(weeks)*week + time.Duration(binary.LittleEndian.Uint32(p))*time.Millisecond +
		time.Duration(int32(binary.LittleEndian.Uint32(p[4:])))
	return navTime{radio.GPSTime(at), int64(int8(p[10])), flags&leapValid != 0}, true
}
