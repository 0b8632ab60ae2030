package gwmp

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"lorawand/radio"
)

// fskDeviation is the frequency deviation of LoRaWAN's FSK in Hz (RP002-1.0.4, 2.4.2).
const fskDeviation = 25_000

// AppendTx appends the body of a PULL_RESP; with GPS it says tmms and no tmst. Forwarders accept only whole dBm, so
// the power is rounded down. RF chain 0 is the one that sends.
func AppendTx(dst []byte, d *radio.Downlink) []byte {
	dst = append(dst, `{"txpk":{`...)
	switch {
	case d.Immediate:
		dst = append(dst, `"imme":true`...)
	case d.GPS != 0:
		dst = appendInt(dst, `"imme":false,"tmms":`, int64(d.GPS)/int64(time.Millisecond))
	default:
		dst = appendInt(dst, `"imme":false,"tmst":`, int64(d.Time.Counter()))
	}
	dst = d.Frequency.AppendMHz(append(dst, `,"freq":`...))
	dst = append(dst, `,"rfch":0`...)
	if d.Antenna > 0 {
		dst = appendInt(dst, `,"ant":`, int64(d.Antenna))
	}
	dst = appendInt(dst, `,"powe":`, wholeDecibel(d.Power))
	dst = append(dst, `,"modu":"`...)
	dst = append(dst, d.DataRate.Modulation.String()...)
	dst = d.DataRate.AppendDatr(append(dst, `","datr":`...))
	if d.DataRate.Modulation == radio.FSK {
		dst = appendInt(dst, `,"fdev":`, fskDeviation)
	} else {
		cr := d.CodingRate
		if cr == 0 {
			cr = radio.CodingRate45
		}
		dst = append(dst, `,"codr":"`...)
		dst = append(dst, cr.String()...)
		dst = append(dst, '"')
		dst = appendBool(dst, `,"ipol":`, !d.Uplink)
	}
	dst = appendInt(dst, `,"size":`, int64(len(d.PHYPayload)))
	if d.DataRate.Modulation == radio.LoRa {
		dst = appendBool(dst, `,"ncrc":`, !d.Uplink)
	}
	dst = base64.StdEncoding.AppendEncode(append(dst, `,"data":"`...), d.PHYPayload)
	return append(dst, `"}}`...)
}

func wholeDecibel(d radio.Decibel) int64 {
	v := int64(d)
	if v < 0 {
		v -= 99 // towards less power
	}
	return v / 100
}

func appendBool(dst []byte, name string, v bool) []byte {
	dst = append(dst, name...)
	if v {
		return append(dst, "true"...)
	}
	return append(dst, "false"...)
}

type txpkJSON struct {
	TXPK *txpk `json:"txpk"`
}

// txpk is a frame to be sent.
type txpk struct {
	Imme bool    `json:"imme"`
	Tmst *uint32 `json:"tmst"`
	Tmms *uint64 `json:"tmms"` // ms of GPS time
	Freq fixed6  `json:"freq"`
	Ant  uint8   `json:"ant"`
	Powe fixed2  `json:"powe"`
	Modu string  `json:"modu"`
	DatR datr    `json:"datr"`
	CodR string  `json:"codr"`
	IPol bool    `json:"ipol"`
	NCRC bool    `json:"ncrc"`
	Data string  `json:"data"`
}

// fixed6 and fixed2 are decimal fractions in millionths and in hundredths, see
// parseFixed.
type (
	fixed6 int64
	fixed2 int64
)

// UnmarshalJSON implements json.Unmarshaler.
func (f *fixed6) UnmarshalJSON(b []byte) error { return unmarshalFixed((*int64)(f), b, 6) }

// UnmarshalJSON implements json.Unmarshaler.
func (f *fixed2) UnmarshalJSON(b []byte) error { return unmarshalFixed((*int64)(f), b, 2) }

func unmarshalFixed(dst *int64, b []byte, digits int) error {
	if string(b) == "null" {
		return nil
	}
	v, ok := parseFixed(b, digits)
	if !ok {
		return errNumber
	}
	*dst = v
	return nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (d *datr) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	if len(b) == 0 || b[0] != '"' {
		n, err := strconv.ParseUint(string(b), 10, 32)
		if err != nil {
			return errNumber
		}
		*d = datr{radio.FSKDataRate(uint32(n)), known}
		return nil
	}
	rate, ok := parseLoRa(bytes.Trim(b, `"`))
	if !ok {
		return fmt.Errorf("no data rate: %.24s", b)
	}
	*d = datr{rate, known}
	return nil
}

// dataRate returns the data rate in the members of a txpk.
func dataRate(modu string, d datr, codr string) (radio.DataRate, radio.CodingRate, error) {
	if d.state != known || modu != d.rate.Modulation.String() || d.rate == radio.FSKDataRate(0) {
		return radio.DataRate{}, 0, fmt.Errorf("%w: txpk with modu %.16q and such a datr", ErrPacket, modu)
	}
	if d.rate.Modulation == radio.FSK {
		return d.rate, 0, nil
	}
	cr, ok := parseCodingRate([]byte(codr))
	if !ok {
		return radio.DataRate{}, 0, fmt.Errorf("%w: txpk with codr %.16q", ErrPacket, codr)
	}
	return d.rate, cr, nil
}

// errNumber is the reason for refusing JSON that is not a number of the wanted
// kind.
var errNumber = errors.New("not a number, or out of range")

// ParseTx reads the body of a PULL_RESP, as a forwarder does. Time is the 32-bit
// counter; GPS is there only without one. Uplink is true for a frame with plain polarity or a CRC, because end
// devices hear neither. It returns ErrPacket for a frame that no forwarder can
// send.
func ParseTx(body []byte) (radio.Downlink, error) {
	d, p, err := parseTx(body)
	if err == nil {
		d.Uplink = !p.IPol || !p.NCRC
	}
	return d, err
}

// ParseRelayedTx is ParseTx for a gateway that knows two ways to send, as end devices do and as
// gateways do: only the polarity tells them apart. Some servers leave out ncrc, which is harmless.
func ParseRelayedTx(body []byte) (radio.Downlink, error) {
	d, p, err := parseTx(body)
	if err == nil {
		d.Uplink = d.DataRate.Modulation == radio.LoRa && !p.IPol
	}
	return d, err
}

func parseTx(body []byte) (radio.Downlink, *txpk, error) {
	var j txpkJSON
	if err := json.Unmarshal(body, &j); err != nil {
		return radio.Downlink{}, nil, fmt.Errorf("%w: %w", ErrPacket, err)
	}
	p := j.TXPK
	if p == nil {
		return radio.Downlink{}, nil, fmt.Errorf("%w: no txpk", ErrPacket)
	}
	d, err := p.downlink()
	return d, p, err
}

// downlink returns the frame, but for Uplink.
func (p *txpk) downlink() (radio.Downlink, error) {
	if p.Tmst == nil && p.Tmms == nil && !p.Imme {
		return radio.Downlink{}, fmt.Errorf("%w: txpk with none of imme, tmst and tmms", ErrPacket)
	}
	if p.Tmms != nil && *p.Tmms > math.MaxInt64/uint64(time.Millisecond) {
		return radio.Downlink{}, fmt.Errorf("%w: txpk with tmms of %d ms", ErrPacket, *p.Tmms)
	}
	if p.Freq <= 0 || p.Freq > math.MaxUint32 {
		return radio.Downlink{}, fmt.Errorf("%w: txpk with freq of %d Hz", ErrPacket, int64(p.Freq))
	}
	dr, cr, err := dataRate(p.Modu, p.DatR, p.CodR)
	if err != nil {
		return radio.Downlink{}, err
	}
	phy, err := decodeBase64([]byte(p.Data))
	if err != nil {
		return radio.Downlink{}, fmt.Errorf("%w: txpk data: %w", ErrPacket, err)
	}
	if len(phy) == 0 || len(phy) > 255 {
		return radio.Downlink{}, fmt.Errorf("%w: txpk with %d bytes of data, want 1 to 255", ErrPacket, len(phy))
	}
	d := radio.Downlink{
		Antenna: p.Ant, PHYPayload: phy, Frequency: radio.Frequency(p.Freq), DataRate: dr, CodingRate: cr,
		Power: decibel(int64(p.Powe)), Immediate: p.Imme,
	}
	switch {
	case p.Tmst != nil:
		d.Time = radio.ConcentratorTime(*p.Tmst)
	case p.Tmms != nil && !p.Imme:
		d.GPS = radio.GPSTime(*p.Tmms) * radio.GPSTime(time.Millisecond)
	}
	return d, nil
}

// Ack is the body of a TX_ACK.
type Ack struct {
	Result radio.TxResult
	Word   string // as the gateway sent it
	// Warning is set if the frame is sent, but not as requested: "TX_POWER" with
	// another power.
	Warning string
}

type txAckJSON struct {
	Ack *struct {
		Error string `json:"error"`
		Warn  string `json:"warn"`
	} `json:"txpk_ack"`
}

// ParseAck reads the body of a TX_ACK. An empty body says that the frame is sent.
// It returns ErrPacket for JSON of another shape.
func ParseAck(body []byte) (Ack, error) {
	body = trim(body)
	if len(body) == 0 {
		return Ack{}, nil
	}
	var j txAckJSON
	if err := json.Unmarshal(body, &j); err != nil {
		return Ack{}, fmt.Errorf("%w: %w", ErrPacket, err)
	}
	if j.Ack == nil {
		return Ack{}, nil
	}
	return Ack{Result: radio.ParseTxResult(j.Ack.Error), Word: j.Ack.Error, Warning: j.Ack.Warn}, nil
}

// trim removes the zeros and white space that some forwarders append.
func trim(b []byte) []byte {
	for len(b) > 0 {
		switch b[len(b)-1] {
		case 0, ' ', '\t', '\r', '\n':
			b = b[:len(b)-1]
		default:
			return b
		}
	}
	return b
}

// AppendAck appends the body of a TX_ACK, as a forwarder writes it.
func AppendAck(dst []byte, result radio.TxResult) []byte {
	dst = append(dst, `{"txpk_ack":{"error":"`...)
	dst = append(dst, result.String()...)
	return append(dst, `"}}`...)
}

// AppendLoweredAck appends the body of a TX_ACK for a frame that is sent with less power than it
// was asked for, in whole dBm.
//
// Source: PROTOCOL.md of sx1302_hal 2.1.0, "warn" and "value".
func AppendLoweredAck(dst []byte, power radio.Decibel) []byte {
	dst = append(dst, `{"txpk_ack":{"error":"NONE","warn":"TX_POWER"`...)
	return append(appendInt(dst, `,"value":`, wholeDecibel(power)), `}}`...)
}
