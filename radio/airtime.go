package radio

import (
	"errors"
	"fmt"
	"time"
)

// ErrModulation is the reason for refusing a modulation that no region uses.
var ErrModulation = errors.New("no such modulation")

// Packet has the properties that the time on air depends on.
type Packet struct {
	DataRate   DataRate
	CodingRate CodingRate // LoRa only; zero is 4/5
	Size       int        // PHYPayload, bytes, 0 to 255

	// Preamble is in symbols for LoRa and in bytes for FSK. Zero is the preamble of
	// LoRaWAN: 8 symbols (12 for SF5 and SF6), or 5 bytes.
	Preamble       int
	ImplicitHeader bool // LoRa without its header
	NoCRC          bool // without the CRC of the physical layer, like LoRa downlinks
}

// TimeOnAir returns how long a packet occupies its channel.
//
// It counts in int64, because 2^12 * 10^6 does not fit the int of our 32-bit
// targets. Low data rate optimisation is on if a symbol is longer than 16 ms, as in
// the chips and in LoRaWAN: for SF11 and SF12 at 125 kHz, and SF12 at 250 kHz. It
// returns ErrModulation for parameters outside of the ranges of DataRate and
// CodingRate, for a Size outside of 0 to 255 and a Preamble outside of 0 to 65535.
//
// Source: Semtech SX1261/2 datasheet 6.1.4 (LoRa), 6.2.3 (FSK packet format).
func TimeOnAir(p Packet) (time.Duration, error) {
	if p.Size < 0 || p.Size > 255 || p.Preamble < 0 || p.Preamble > 65535 {
		return 0, fmt.Errorf("%w: %d bytes behind a preamble of %d", ErrModulation, p.Size, p.Preamble)
	}
	switch p.DataRate.Modulation {
	case LoRa:
		return loraTimeOnAir(p)
	case FSK:
		return fskTimeOnAir(p)
	}
	return 0, fmt.Errorf("%w: %v", ErrModulation, p.DataRate)
}

// SymbolTime returns the length of one LoRa symbol, 2^SF / bandwidth: exact in
// nanoseconds at 125, 250 and 500 kHz.
//
// Source: Semtech AN1200.13, LoRa Modem Designer's Guide.
func (d DataRate) SymbolTime() (time.Duration, error) {
	if d.Modulation != LoRa || d.SpreadingFactor < 5 || d.SpreadingFactor > 12 {
		return 0, fmt.Errorf("%w: %v", ErrModulation, d)
	}
	switch d.Bandwidth {
	case 125_000, 250_000, 500_000:
	default:
		return 0, fmt.Errorf("%w: %v", ErrModulation, d)
	}
	return time.Second << d.SpreadingFactor / time.Duration(d.Bandwidth), nil
}

// lowDataRateLimit is the symbol length above which the optimisation is on.
const lowDataRateLimit = 16 * time.Millisecond

func loraTimeOnAir(p Packet) (time.Duration, error) {
	symbol, err := p.DataRate.SymbolTime()
	if err != nil {
		return 0, err
	}
	cr := p.CodingRate
	if cr == 0 {
		cr = CodingRate45
	}
	if cr > CodingRate48 {
		return 0, fmt.Errorf("%w: coding rate %d", ErrModulation, cr)
	}
	sf := int64(p.DataRate.SpreadingFactor)
	fast := sf < 7 // SF5 and SF6 have another sync, and no room in the symbols of the header

	preamble := int64(p.Preamble)
	if preamble == 0 {
		preamble = 8
		if fast {
			preamble = 12
		}
	}
	bits := 8*int64(p.Size) - 4*sf
	if !p.NoCRC {
		bits += 16
	}
	if !p.ImplicitHeader {
		bits += 20
	}
	perBlock := 4 * sf
	if !fast {
		bits += 8
		if symbol > lowDataRateLimit {
			perBlock = 4 * (sf - 2)
		}
	}
	blocks := int64(0)
	if bits > 0 {
		blocks = (bits + perBlock - 1) / perBlock
	}
	payload := 8 + blocks*(4+int64(cr))

	quarters := 4*preamble + 17 // 4.25 symbols of sync
	if fast {
		quarters = 4*preamble + 25 // 6.25
	}
	quarters += 4 * payload
	return time.Duration(quarters) * symbol / 4, nil
}

// fskTimeOnAir counts the bytes of a LoRaWAN frame: preamble, 3 of sync word, 1 of
// length, the payload, 2 of CRC (RP002-1.0.4, 2.4.2: 5 bytes of preamble, sync word
// C194C1).
func fskTimeOnAir(p Packet) (time.Duration, error) {
	if p.DataRate.BitRate == 0 {
		return 0, fmt.Errorf("%w: %v", ErrModulation, p.DataRate)
	}
	bytes := int64(p.Preamble)
	if bytes == 0 {
		bytes = 5
	}
	bytes += 3 + 1 + int64(p.Size)
	if !p.NoCRC {
		bytes += 2
	}
	return time.Duration(bytes * 8 * int64(time.Second) / int64(p.DataRate.BitRate)), nil
}
