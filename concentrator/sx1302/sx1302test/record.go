package sx1302test

import "encoding/binary"

// Frame is a frame as a modem receives it.
type Frame struct {
	Payload    []byte // up to 255 bytes
	Channel    uint8  // 0 to 9
	Modem      uint8  // 0 to 15 multi-SF, 16 service, 17 FSK
	SF         uint8
	CodingRate uint8
	NoCRC      bool
	CRCError   bool
	FreqError  int32 // 20 bits
	SNR        int8  // 0.25 dB
	RSSI       uint8 // of the channel, raw
	SignalRSSI uint8
	Ticks      uint32 // 32 MHz counter
	Metrics    []int8 // pairs, for a fine timestamp
}

// Record returns the record of the frame in the FIFO.
func (f *Frame) Record() []byte {
	flags := f.CodingRate<<1 | f.SF<<4
	if !f.NoCRC {
		flags |= 1
	}
	b := []byte{
		0xA5, 0xC0, byte(len(f.Payload)), f.Channel, flags, f.Modem,
		byte(f.FreqError), byte(f.FreqError >> 8), byte(f.FreqError>>16) & 0x0F,
	}
	b = append(b, f.Payload...)
	status := byte(0)
	if f.CRCError {
		status |= 1
	}
	if len(f.Metrics) > 0 {
		status |= 1 << 4
	}
	b = append(b, status, byte(f.SNR), f.RSSI, f.SignalRSSI, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, f.Ticks)
	b = binary.LittleEndian.AppendUint16(b, payloadCRC(f.Payload))
	b = append(b, byte(len(f.Metrics)/2))
	for _, m := range f.Metrics {
		b = append(b, byte(m))
	}
	var sum byte
	for _, v := range b {
		sum += v
	}
	return append(b, sum)
}

// payloadCRC shifts the bits through the register, without the zeros that CRC-16
// appends.
func payloadCRC(payload []byte) uint16 {
	var crc uint16
	for _, b := range payload {
		for i := 7; i >= 0; i-- {
			out := crc >> 15
			crc = crc<<1 | uint16(b>>i&1)
			if out != 0 {
				crc ^= 0x1021
			}
		}
	}
	return crc
}
