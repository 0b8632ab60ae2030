package gwmp

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"time"

	"lorawand/radio"
)

// Push is the body of a PUSH_DATA.
type Push struct {
	// Uplinks are the frames with a good CRC or none. Gateway, Received,
	// Receptions[].Token and the upper bits of Time are not set: Time is the
	// 32-bit counter.
	Uplinks []radio.Uplink
	Stat    *radio.Status // nil: none
	BadCRC  int           // frames dropped because their CRC is wrong
	Faulty  int           // frames and statuses dropped because of their content
	Fault   error         // the fault of the last of these

	Lost      int    // unreadable fields in frames and statuses that are kept
	LostField string // the name of the last one
}

// Limits of one datagram.
const (
	maxFrames   = 64 // Semtech's forwarder sends 8 at most
	maxAntennas = 8
)

// ParsePush reads the body of a PUSH_DATA. It returns ErrPacket if the body is not
// JSON of the right shape; a faulty frame is dropped and counted.
//
// A frame needs data, freq, datr and tmst, and no stat of -1. The other fields only
// describe it: an unreadable one is lost and counted, and the frame is kept.
//
// It reads as encoding/json does into structs: names are compared without case, and
// unknown names are skipped. A null counts as missing, and of several members with
// one name the last one counts.
func ParsePush(body []byte) (Push, error) {
	var p Push
	err := p.Parse(body)
	return p, err
}

// Parse is ParsePush into p, and reuses the memory of Uplinks. After an error p is
// empty.
func (p *Push) Parse(body []byte) error {
	r := pushReader{scanner: scanner{b: trim(body)}, p: Push{Uplinks: p.Uplinks[:0]}}
	*p = Push{}
	if !r.null() {
		r.push()
	}
	r.end()
	switch {
	case r.broken != nil:
		return fmt.Errorf("%w: %w", ErrPacket, r.broken)
	case r.frames > maxFrames:
		return fmt.Errorf("%w: %d frames, at most %d", ErrPacket, r.frames, maxFrames)
	case r.statFault != nil:
		r.p.Faulty++
		r.p.Fault = r.statFault
	}
	r.p.Lost = r.lost + r.statLost
	*p = r.p
	return nil
}

// pushReader reads the body of a PUSH_DATA.
type pushReader struct {
	scanner
	p         Push
	frames    int // in rxpk
	lost      int // fields of frames
	statFault error
	statLost  int // fields of the status
	rsig      [maxAntennas]rsig
}

func (r *pushReader) push() {
	if r.object() != known {
		r.stop(errShape)
		return
	}
	for r.more('}') {
		switch string(r.name()) {
		case "rxpk":
			r.rxpks()
		case "stat":
			r.status()
		default:
			r.skip()
		}
	}
}

// errShape is the reason for refusing JSON that is not built as the protocol says.
var errShape = errors.New("JSON of another structure")

// rxpks reads the frames. A faulty frame does not affect the others.
func (r *pushReader) rxpks() {
	r.p.Uplinks, r.p.BadCRC, r.p.Faulty, r.p.Fault, r.frames, r.lost = r.p.Uplinks[:0], 0, 0, nil, 0, 0
	switch r.list() {
	case absent:
		return
	case unreadable:
		r.stop(errShape)
		return
	}
	for r.more(']') {
		if r.frames++; r.frames > maxFrames {
			r.skip()
			continue
		}
		up, badCRC, err := r.uplink()
		switch {
		case r.broken != nil:
			return
		case err != nil:
			r.p.Faulty++
			r.p.Fault = err
		case badCRC:
			r.p.BadCRC++
		default:
			r.p.Uplinks = append(r.p.Uplinks, up)
		}
	}
}

// uplink reads a frame.
func (r *pushReader) uplink() (up radio.Uplink, badCRC bool, err error) {
	j, shape := r.rxpk()
	switch {
	case r.broken != nil:
		return up, false, nil
	case shape != known:
		return up, false, fmt.Errorf("%w: rxpk is not an object", ErrPacket)
	case j.stat.state == unreadable:
		return up, false, fmt.Errorf("%w: rxpk with a stat that is no whole number", ErrPacket)
	case j.stat.v < 0:
		return up, true, nil
	case j.tmst.state != known:
		return up, false, fmt.Errorf("%w: rxpk without tmst, or with one that is no 32-bit counter", ErrPacket)
	case j.freq.v <= 0 || j.freq.v > math.MaxUint32:
		return up, false, fmt.Errorf("%w: rxpk with freq of %d Hz", ErrPacket, j.freq.v)
	case j.datr.state != known:
		return up, false, fmt.Errorf("%w: rxpk without datr, or with one that is no data rate", ErrPacket)
	case j.data.state != known:
		return up, false, fmt.Errorf("%w: rxpk without data", ErrPacket)
	}
	if up.PHYPayload, err = decodeBase64(unescaped(j.data.raw)); err != nil {
		return up, false, fmt.Errorf("%w: rxpk data: %w", ErrPacket, err)
	}
	if n := len(up.PHYPayload); n == 0 || n > 255 {
		return up, false, fmt.Errorf("%w: rxpk with %d bytes of data, want 1 to 255", ErrPacket, n)
	}
	up.Frequency, up.DataRate = radio.Frequency(j.freq.v), j.datr.rate
	up.Time = radio.ConcentratorTime(j.tmst.v)
	r.metadata(&up, &j)
	return up, false, nil
}

// rxpk is one received frame.
type rxpk struct {
	time, codr, data text
	tmms, tmst       number
	freq             number // Hz
	rssi, lsnr       number // hundredths
	chanIF, stat     number
	ant              number
	foff             number
	ftime, aesk      number
	datr             datr
	rsig             state
	antennas         int // in rsig
}

// maxMilliseconds is the longest time in a time.Duration.
const maxMilliseconds = math.MaxInt64 / int64(time.Millisecond)

// rxpk reads the members of a frame. modu and size are ignored, because they only
// repeat what datr and data say.
func (r *pushReader) rxpk() (j rxpk, shape state) {
	if shape = r.object(); shape != known {
		return j, shape
	}
	for r.more('}') {
		switch string(r.name()) {
		case "time":
			j.time = r.text()
		case "tmms":
			j.tmms = r.integer(0, maxMilliseconds)
		case "tmst":
			j.tmst = r.integer(0, math.MaxUint32)
		case "ftime":
			j.ftime = r.integer(0, math.MaxUint32)
		case "freq":
			j.freq = r.fixed(6)
		case "ant":
			j.ant = r.integer(0, math.MaxUint8)
		case "chan":
			j.chanIF = r.integer(0, math.MaxUint8)
		case "stat":
			j.stat = r.integer(math.MinInt64, math.MaxInt64)
		case "datr":
			j.datr = r.datr()
		case "codr":
			j.codr = r.text()
		case "rssi":
			j.rssi = r.fixed(2)
		case "lsnr":
			j.lsnr = r.fixed(2)
		case "foff":
			j.foff = r.integer(math.MinInt32, math.MaxInt32)
		case "data":
			j.data = r.text()
		case "rsig":
			j.antennas, j.rsig = r.antennas()
		case "aesk":
			j.aesk = r.integer(0, math.MaxUint32)
		default:
			r.skip()
		}
	}
	return j, known
}

// rsig is the reception of a frame by one antenna.
type rsig struct {
	shape                      state
	etime                      text
	rssic, rssis, rssisd, lsnr number // hundredths
	ant, chanIF, foff, ftime   number
}

// antennas reads rsig and returns the number of antennas. It keeps the first
// maxAntennas.
func (r *pushReader) antennas() (n int, shape state) {
	if shape = r.list(); shape != known {
		return 0, shape
	}
	for r.more(']') {
		s := r.antenna()
		if n < maxAntennas {
			r.rsig[n] = s
		}
		n++
	}
	return n, known
}

func (r *pushReader) antenna() (s rsig) {
	if s.shape = r.object(); s.shape != known {
		return s
	}
	for r.more('}') {
		switch string(r.name()) {
		case "ant":
			s.ant = r.integer(0, math.MaxUint8)
		case "chan":
			s.chanIF = r.integer(0, math.MaxUint8)
		case "rssic":
			s.rssic = r.fixed(2)
		case "rssis":
			s.rssis = r.fixed(2)
		case "rssisd":
			s.rssisd = r.fixed(2)
		case "lsnr":
			s.lsnr = r.fixed(2)
		case "etime":
			s.etime = r.text()
		case "ftime":
			s.ftime = r.integer(0, math.MaxUint32)
		case "foff":
			s.foff = r.integer(math.MinInt32, math.MaxInt32)
		default:
			r.skip()
		}
	}
	return s
}

// datr is a data rate: "SF7BW125" or a bit rate.
type datr struct {
	rate radio.DataRate
	state
}

func (r *pushReader) datr() datr {
	if r.peek() != '"' {
		bitRate := r.integer(1, math.MaxUint32)
		return datr{radio.FSKDataRate(uint32(bitRate.v)), bitRate.state}
	}
	if rate, ok := parseLoRa(r.quoted()); ok {
		return datr{rate, known}
	}
	return datr{state: unreadable}
}

// parseLoRa reads "SF7BW125".
func parseLoRa(b []byte) (radio.DataRate, bool) {
	rest, ok := bytes.CutPrefix(b, []byte("SF"))
	if !ok {
		return radio.DataRate{}, false
	}
	sfText, bwText, ok := bytes.Cut(rest, []byte("BW"))
	sf, ok1 := parseDigits(sfText)
	bw, ok2 := parseDigits(bwText)
	if !ok || !ok1 || !ok2 || sf < 5 || sf > 12 || bw == 0 || bw > math.MaxUint16 {
		return radio.DataRate{}, false
	}
	return radio.LoRaDataRate(uint8(sf), uint32(bw)*1000), true
}

// decodeBase64 decodes standard base64 with and without padding.
func decodeBase64(b []byte) ([]byte, error) {
	return base64.RawStdEncoding.AppendDecode(nil, bytes.TrimRight(b, "="))
}
