package sx1302

import (
	"encoding/binary"
	"errors"

	"lorawand/radio"
)

// CRCStatus is the result of the check of a frame's CRC.
type CRCStatus uint8

// CRC states.
const (
	NoCRC CRCStatus = iota // the frame has none
	GoodCRC
	BadCRC
)

// String returns the state as a word.
func (s CRCStatus) String() string {
	switch s {
	case GoodCRC:
		return "good"
	case BadCRC:
		return "bad"
	}
	return "none"
}

// Packet is a received frame.
type Packet struct {
	Payload    []byte // valid until the next Receive
	Time       uint32 // µs of the counter at the end of the frame
	Channel    uint8  // 0 to 9
	Chain      uint8  // radio
	Modem      uint8  // 0 to 15 multi-SF, 16 service, 17 FSK
	Frequency  radio.Frequency
	DataRate   radio.DataRate
	CodingRate radio.CodingRate // 0 if the header had an unknown one
	CRC        CRCStatus
	PayloadCRC uint16 // as it was received

	RSSI          int32 // of the channel, thousandths of a dBm
	SignalRSSI    int32 // of the signal alone, thousandths of a dBm; LoRa only
	HasSignalRSSI bool
	SNR           radio.Decibel // LoRa only

	FrequencyError int32 // Hz, of the frame from the channel; LoRa only

	HasFineTimestamp bool
	FineTimestamp    uint32 // ns since the last pulse per second
}

// Bytes of a record in the FIFO, and the bits in them.
//
// Source: sx1302_hal 2.1.0, loragw_sx1302_rx.h.
const (
	recordMagic0 = 0xA5
	recordMagic1 = 0xC0
	recordHead   = 9  // before the payload
	recordTail   = 14 // behind it, without metrics
	recordMin    = recordHead + recordTail

	maxModem     = 17
	fskModem     = 17
	serviceModem = 16
)

// Reasons for refusing a record.
var (
	errNoRecord  = errors.New("no record begins here")
	errTruncated = errors.New("the record is longer than what was read")
	errChecksum  = errors.New("the checksum of the record is wrong")
)

// rawRecord is a record as the FIFO holds it.
type rawRecord struct {
	payload     []byte
	channel     byte
	hasCRC      bool
	codingRate  byte
	sf          byte
	modem       byte
	freqError   int32 // 20 bits, signed
	crcError    bool
	timingSet   bool
	snr         int8 // 0.25 dB
	rssi        byte
	signalRSSI  byte
	ticks       uint32
	payloadCRC  uint16
	metrics     []byte // signed
	totalLength int
}

// parseRecord reads the record that begins at b[0].
func parseRecord(b []byte) (rawRecord, error) {
	if len(b) < 2 || b[0] != recordMagic0 || b[1] != recordMagic1 {
		return rawRecord{}, errNoRecord
	}
	if len(b) < recordMin {
		return rawRecord{}, errTruncated
	}
	n := int(b[2])
	if len(b) < recordMin+n {
		return rawRecord{}, errTruncated
	}
	tail := b[recordHead+n:]
	m := int(tail[12])
	total := recordMin + n + 2*m
	if len(b) < total {
		return rawRecord{}, errTruncated
	}
	var sum byte
	for _, v := range b[:total-1] {
		sum += v
	}
	if sum != b[total-1] {
		return rawRecord{}, errChecksum
	}
	return rawRecord{
		payload: b[recordHead : recordHead+n : recordHead+n], channel: b[3],
		hasCRC: b[4]&1 != 0, codingRate: b[4] >> 1 & 7, sf: b[4] >> 4, modem: b[5],
		freqError: int32(uint32(b[6])|uint32(b[7])<<8|uint32(b[8]&0x0F)<<16) << 12 >> 12,
		crcError:  tail[0]&1 != 0, timingSet: tail[0]&(1<<4) != 0,
		snr: int8(tail[1]), rssi: tail[2], signalRSSI: tail[3],
		ticks:      binary.LittleEndian.Uint32(tail[6:]),
		payloadCRC: binary.LittleEndian.Uint16(tail[10:]),
		metrics:    tail[13 : 13+2*m], totalLength: total,
	}, nil
}

// possible reports whether the chip can produce such a record.
func (r *rawRecord) possible() bool {
	switch {
	case r.modem > maxModem || r.channel > FSKChannel:
		return false
	case r.modem == fskModem || r.channel == FSKChannel:
		return r.modem == fskModem && r.channel == FSKChannel
	}
	return r.sf >= 5 && r.sf <= 12
}

// loraCRC returns the CRC of the payload of a LoRa frame: polynomial 0x1021 from 0
// over all but the last two bytes, which are added.
func loraCRC(payload []byte) uint16 {
	var crc uint16
	n := len(payload)
	for _, b := range payload[:max(n-2, 0)] {
		crc ^= uint16(b) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	switch {
	case n == 1:
		return uint16(payload[0])
	case n > 1:
		return crc ^ binary.BigEndian.Uint16(payload[n-2:])
	}
	return 0
}
