package radio

import (
	"fmt"
	"strconv"
)

// Frequency is a radio frequency in Hz. 32 bits reach to 4.29 GHz.
type Frequency uint32

// String returns MHz without needless digits: "868.1 MHz".
func (f Frequency) String() string {
	return string(append(f.AppendMHz(nil), " MHz"...))
}

// AppendMHz appends the frequency in MHz as a decimal fraction of at least one
// and at most six digits, as the Semtech protocol writes it: "868.1", "869.525".
func (f Frequency) AppendMHz(dst []byte) []byte {
	dst = strconv.AppendUint(dst, uint64(f/1_000_000), 10)
	return appendFraction(append(dst, '.'), uint32(f%1_000_000), 6, 1)
}

// Decibel is a level (dBm) or a ratio (dB) in hundredths, so that the frame
// path needs no floating point: -6050 is -60.5.
type Decibel int32

// String returns the value without needless digits: "-60.5".
func (d Decibel) String() string { return string(d.AppendText(nil)) }

// AppendText appends the value as a decimal number without needless digits.
func (d Decibel) AppendText(dst []byte) []byte {
	v := int64(d)
	if v < 0 {
		dst = append(dst, '-')
		v = -v
	}
	dst = strconv.AppendInt(dst, v/100, 10)
	if frac := uint32(v % 100); frac != 0 {
		dst = appendFraction(append(dst, '.'), frac, 2, 1)
	}
	return dst
}

// appendFraction appends the digits behind a decimal point: v with width digits,
// without the zeros at the end, but with at least least digits.
func appendFraction(dst []byte, v uint32, width, least int) []byte {
	var buf [10]byte
	for i := width - 1; i >= 0; i-- {
		buf[i] = byte('0' + v%10)
		v /= 10
	}
	n := width
	for n > least && buf[n-1] == '0' {
		n--
	}
	return append(dst, buf[:n]...)
}

// Modulation is how a frame is modulated.
type Modulation uint8

// Modulations of LoRaWAN. LR-FHSS is included only for its name.
const (
	LoRa Modulation = iota + 1
	FSK
	LRFHSS
)

// String returns the word of the Semtech protocol.
func (m Modulation) String() string {
	switch m {
	case LoRa:
		return "LORA"
	case FSK:
		return "FSK"
	case LRFHSS:
		return "LR-FHSS"
	}
	return "modulation " + strconv.Itoa(int(m))
}

// DataRate is a modulation with its parameters. It can be compared.
type DataRate struct {
	Modulation      Modulation
	SpreadingFactor uint8  // LoRa: 5 to 12
	Bandwidth       uint32 // LoRa: Hz; 125 000, 250 000 or 500 000
	BitRate         uint32 // FSK: bit/s
}

// LoRaDataRate returns the LoRa data rate of a spreading factor and a
// bandwidth in Hz.
func LoRaDataRate(sf uint8, bandwidth uint32) DataRate {
	return DataRate{Modulation: LoRa, SpreadingFactor: sf, Bandwidth: bandwidth}
}

// FSKDataRate returns the FSK data rate of a bit rate in bit/s.
func FSKDataRate(bitRate uint32) DataRate {
	return DataRate{Modulation: FSK, BitRate: bitRate}
}

// String returns "SF7BW125" for LoRa, as in the Semtech protocol, and
// "FSK 50000" for FSK.
func (d DataRate) String() string {
	switch d.Modulation {
	case LoRa:
		return string(d.appendLoRa(nil))
	case FSK:
		return fmt.Sprintf("FSK %d", d.BitRate)
	}
	return d.Modulation.String()
}

// AppendDatr appends the value of "datr" of the Semtech protocol as JSON: a
// string for LoRa, a number for FSK.
func (d DataRate) AppendDatr(dst []byte) []byte {
	if d.Modulation == FSK {
		return strconv.AppendUint(dst, uint64(d.BitRate), 10)
	}
	dst = d.appendLoRa(append(dst, '"'))
	return append(dst, '"')
}

func (d DataRate) appendLoRa(dst []byte) []byte {
	dst = strconv.AppendUint(append(dst, "SF"...), uint64(d.SpreadingFactor), 10)
	return strconv.AppendUint(append(dst, "BW"...), uint64(d.Bandwidth/1000), 10)
}

// CodingRate is the forward error correction of LoRa: 4 data bits in 5 to 8. Zero
// stands for no coding rate, as with FSK.
type CodingRate uint8

// Coding rates of LoRa.
const (
	CodingRate45 CodingRate = iota + 1
	CodingRate46
	CodingRate47
	CodingRate48
)

// String returns "4/5" to "4/8", or "" for none.
func (c CodingRate) String() string {
	switch c {
	case CodingRate45:
		return "4/5"
	case CodingRate46:
		return "4/6"
	case CodingRate47:
		return "4/7"
	case CodingRate48:
		return "4/8"
	}
	return ""
}
