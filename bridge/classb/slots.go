package classb

import (
	"crypto/aes"
	"encoding/binary"
	"time"

	"lorawand/radio"
)

// How time is divided in Class B. Source: LoRaWAN L2 1.0.4, 9 to 12.
const (
	beaconPeriod   = 128 * time.Second
	beaconReserved = 2120 * time.Millisecond // from the beacon to the first slot
	slotLength     = 30 * time.Millisecond
	slots          = 4096 // in a beacon period
	// MaxPeriodicity is the highest that PingSlotInfoReq can tell: a ping slot in each beacon
	// period, 2^7 s.
	MaxPeriodicity = 7
)

// BeaconBefore returns the time of the last beacon at a time.
func BeaconBefore(t radio.GPSTime) radio.GPSTime { return t - t%radio.GPSTime(beaconPeriod) }

// offset returns the first ping slot of a device after a beacon, in slots. Ping slots follow
// each 2^(5+periodicity) slots.
//
// Source: LoRaWAN L2 1.0.4, 11.2: of AES-128 with the key 0 over the time of the beacon in s and
// DevAddr, both little-endian, the first two bytes.
func offset(beacon radio.GPSTime, a radio.DevAddr, periodicity uint8) int64 {
	var key, b [aes.BlockSize]byte
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // only for keys of another size than 16, 24 or 32 bytes
	}
	binary.LittleEndian.PutUint32(b[:], uint32(time.Duration(beacon)/time.Second))
	b[4], b[5], b[6], b[7] = a[3], a[2], a[1], a[0]
	block.Encrypt(b[:], b[:])
	return int64(binary.LittleEndian.Uint16(b[:])) % period(periodicity)
}

// period returns how many slots there are from one ping slot to the next.
func period(periodicity uint8) int64 { return 1 << (5 + min(periodicity, MaxPeriodicity)) }

// NextSlot returns the first ping slot of a device that does not begin before a time.
func NextSlot(t radio.GPSTime, a radio.DevAddr, periodicity uint8) radio.GPSTime {
	for beacon := BeaconBefore(t); ; beacon += radio.GPSTime(beaconPeriod) {
		n, every := offset(beacon, a, periodicity), period(periodicity)
		first := beacon + radio.GPSTime(beaconReserved)
		if late := t - first; late > 0 { // the first slot n + every×k that is not before t
			least := (int64(late) + int64(slotLength) - 1) / int64(slotLength)
			if k := least - n; k > 0 {
				n += (k + every - 1) / every * every
			}
		}
		if n < slots {
			return first + radio.GPSTime(n*int64(slotLength))
		}
	}
}
