package frame

import (
	"encoding/binary"
	"math"
	"time"

	"lorawand/radio"
)

// Beacon is the frame by which a gateway tells devices of Class B the time.
//
//	RFU and Param | Time | CRC | InfoDesc | Lat    | Lng        | RFU | CRC
//	              |  4   |  2  |  1       | 3      | 3          |     |  2
//	                                   or | NetID  | Gateway ID |
//
// Source: LoRaWAN L2 1.0.4, 13.1 to 13.3.
type Beacon struct {
	Time  radio.GPSTime // whole seconds
	Place *radio.Place  // of the gateway's antenna; nil: the frame says who sends it

	NetID   radio.NetID
	Gateway radio.EUI64 // its last three bytes are the id
}

// What InfoDesc says of the six bytes behind it.
const (
	infoPlace   = 0 // of the first antenna
	infoGateway = 3
)

// Append appends the frame. Its two reserved parts are as long as the data rate asks for; Param, the
// last byte of the first one, says that the time is right within a µs.
func (b *Beacon) Append(dst []byte, before, behind int) []byte {
	begin := len(dst)
	dst = append(dst, make([]byte, before)...)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(int64(b.Time)/int64(time.Second)))
	dst = binary.LittleEndian.AppendUint16(dst, beaconCRC(dst[begin:]))
	begin = len(dst)
	if b.Place != nil {
		dst = append(dst, infoPlace)
		dst = appendAngle(dst, b.Place.Latitude, 90)
		dst = appendAngle(dst, b.Place.Longitude, 180)
	} else {
		dst = append(dst, infoGateway, b.NetID[2], b.NetID[1], b.NetID[0], b.Gateway[7], b.Gateway[6], b.Gateway[5])
	}
	dst = append(dst, make([]byte, behind)...)
	return binary.LittleEndian.AppendUint16(dst, beaconCRC(dst[begin:]))
}

// appendAngle appends degrees in 24 bits: -2^23 are the most to the south or west, 2^23-1 to the
// north or east.
func appendAngle(dst []byte, degrees, most float64) []byte {
	const full = 1 << 23
	v := int32(max(-full, min(full-1, math.Round(degrees/most*full))))
	return append(dst, byte(v), byte(v>>8), byte(v>>16))
}

// beaconCRC is CRC-16 with x^16 + x^12 + x^5 + 1, which begins with 0 (IEEE 802.15.4-2003, 7.2.1.8).
func beaconCRC(b []byte) (crc uint16) {
	for _, x := range b {
		crc ^= uint16(x) << 8
		for range 8 {
			carry := crc&0x8000 != 0
			if crc <<= 1; carry {
				crc ^= 0x1021
			}
		}
	}
	return crc
}
