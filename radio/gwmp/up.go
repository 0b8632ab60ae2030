package gwmp

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math"
	"strconv"
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
	BadCRC  int           // frames that were left out for their CRC
	Faulty  int           // frames and status that were left out for what stands in them
	Fault   error         // what was wrong with the last of these
}

// Limits of one datagram.
const (
	maxFrames   = 64 // Semtech's forwarder sends 8 at most
	maxAntennas = 8
)

// ParsePush reads the body of a PUSH_DATA. It returns ErrPacket if that is not
// JSON of the right shape; a single frame or a status that is faulty is left
// out and counted.
//
// It reads as encoding/json does into structs: case does not count in names,
// names that are not known are passed over, a value that is null is as one that
// is absent, and of a name that comes twice the last one counts. An "rsig" that
// comes twice does not keep anything of the first, though.
func ParsePush(body []byte) (Push, error) {
	var p Push
	err := p.Parse(body)
	return p, err
}

// Parse is ParsePush into p, of which it uses the room for Uplinks anew. After
// an error p is empty.
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
	*p = r.p
	return nil
}

// pushReader reads the body of a PUSH_DATA.
type pushReader struct {
	scanner
	p         Push
	frames    int // in rxpk
	statFault error
	rsig      [maxAntennas]rsig
}

func (r *pushReader) push() {
	if !r.object() {
		r.stop(r.takeFault())
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

// rxpks reads the frames. One that is faulty does not take the others with it.
func (r *pushReader) rxpks() {
	r.p.Uplinks, r.p.BadCRC, r.p.Faulty, r.p.Fault, r.frames = r.p.Uplinks[:0], 0, 0, nil, 0
	if !r.list() {
		if err := r.takeFault(); err != nil {
			r.stop(err)
		}
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
	j := r.rxpk()
	if err := r.takeFault(); err != nil {
		return up, false, fmt.Errorf("%w: rxpk: %w", ErrPacket, err)
	}
	switch {
	case r.broken != nil:
		return up, false, nil
	case j.stat < 0:
		return up, true, nil
	case !j.hasTMST:
		return up, false, fmt.Errorf("%w: rxpk without tmst", ErrPacket)
	case j.freq <= 0 || j.freq > math.MaxUint32:
		return up, false, fmt.Errorf("%w: rxpk with freq of %d Hz", ErrPacket, j.freq)
	}
	if up.DataRate, up.CodingRate, err = dataRate(unescaped(j.modu), j.datr, unescaped(j.codr)); err != nil {
		return up, false, err
	}
	if up.PHYPayload, err = decodeBase64(unescaped(j.data)); err != nil {
		return up, false, fmt.Errorf("%w: rxpk data: %w", ErrPacket, err)
	}
	if n := len(up.PHYPayload); n == 0 || n > 255 {
		return up, false, fmt.Errorf("%w: rxpk with %d bytes of data, want 1 to 255", ErrPacket, n)
	}
	up.Frequency = radio.Frequency(j.freq)
	up.Time = radio.ConcentratorTime(j.tmst)
	up.GatewayTime = parseTime(unescaped(j.time))
	if j.hasTMMS && j.tmms > 0 && j.tmms < math.MaxInt64/int64(time.Millisecond) {
		up.GPS = radio.GPSTime(time.Duration(j.tmms) * time.Millisecond)
	}
	up.Receptions, err = r.receptions(&j)
	return up, false, err
}

// rxpk is one received frame. Text is what stands between the quotes.
type rxpk struct {
	time, modu, codr, data []byte
	tmms                   int64
	freq                   int64 // Hz
	rssi, lsnr             int64 // hundredths
	datr                   datr
	tmst, ftime, aesk      uint32
	foff                   int32
	antennas               int // in rsig
	chanIF                 uint8
	stat                   int8
	hasTMMS, hasTMST       bool
	hasFTime               bool
}

// rxpk reads the members of a frame.
func (r *pushReader) rxpk() (j rxpk) {
	if !r.object() {
		return j
	}
	for r.more('}') {
		switch string(r.name()) {
		case "time":
			r.text(&j.time)
		case "tmms":
			j.hasTMMS = readInteger(&r.scanner, &j.tmms)
		case "tmst":
			j.hasTMST = readInteger(&r.scanner, &j.tmst)
		case "ftime":
			j.hasFTime = readInteger(&r.scanner, &j.ftime)
		case "freq":
			r.fixed(&j.freq, 6)
		case "chan":
			readInteger(&r.scanner, &j.chanIF)
		case "stat":
			readInteger(&r.scanner, &j.stat)
		case "modu":
			r.text(&j.modu)
		case "datr":
			r.datr(&j.datr)
		case "codr":
			r.text(&j.codr)
		case "rssi":
			r.fixed(&j.rssi, 2)
		case "lsnr":
			r.fixed(&j.lsnr, 2)
		case "foff":
			readInteger(&r.scanner, &j.foff)
		case "data":
			r.text(&j.data)
		case "rsig":
			j.antennas = r.antennas()
		case "aesk":
			readInteger(&r.scanner, &j.aesk)
		default:
			r.skip()
		}
	}
	return j
}

// rsig is how one antenna heard the frame.
type rsig struct {
	etime                      []byte
	rssic, rssis, rssisd, lsnr int64 // hundredths
	ftime                      uint32
	foff                       int32
	ant, chanIF                uint8
	hasRSSIS, hasFTime         bool
}

// antennas reads rsig and returns how many there are. The first maxAntennas of
// them are kept.
func (r *pushReader) antennas() (n int) {
	if !r.list() {
		return 0
	}
	for r.more(']') {
		var s rsig
		r.antenna(&s)
		if n < maxAntennas {
			r.rsig[n] = s
		}
		n++
	}
	return n
}

func (r *pushReader) antenna(s *rsig) {
	if !r.object() {
		return
	}
	for r.more('}') {
		switch string(r.name()) {
		case "ant":
			readInteger(&r.scanner, &s.ant)
		case "chan":
			readInteger(&r.scanner, &s.chanIF)
		case "rssic":
			r.fixed(&s.rssic, 2)
		case "rssis":
			s.hasRSSIS = r.fixed(&s.rssis, 2)
		case "rssisd":
			r.fixed(&s.rssisd, 2)
		case "lsnr":
			r.fixed(&s.lsnr, 2)
		case "etime":
			r.text(&s.etime)
		case "ftime":
			s.hasFTime = readInteger(&r.scanner, &s.ftime)
		case "foff":
			readInteger(&r.scanner, &s.foff)
		default:
			r.skip()
		}
	}
}

// receptions lists the antennas: those of rsig, or the one of the frame itself.
func (r *pushReader) receptions(j *rxpk) ([]radio.Reception, error) {
	if j.antennas == 0 {
		return []radio.Reception{{
			Channel: j.chanIF, RSSI: decibel(j.rssi), SNR: decibel(j.lsnr), FrequencyOffset: j.foff,
			HasFineTimestamp: j.hasFTime, FineTimestamp: fineTimestamp(j.hasFTime, j.ftime),
		}}, nil
	}
	if j.antennas > maxAntennas {
		return nil, fmt.Errorf("%w: rxpk with %d antennas, at most %d", ErrPacket, j.antennas, maxAntennas)
	}
	out := make([]radio.Reception, j.antennas)
	for i := range out {
		s := &r.rsig[i]
		out[i] = radio.Reception{
			Antenna: s.ant, Channel: s.chanIF, RSSI: decibel(s.rssic), SNR: decibel(s.lsnr),
			RSSIStandardDeviation: decibel(s.rssisd), FrequencyOffset: s.foff, NoDownlink: s.ant > 0,
			HasFineTimestamp: s.hasFTime, FineTimestamp: fineTimestamp(s.hasFTime, s.ftime),
		}
		if s.hasRSSIS {
			out[i].HasSignalRSSI, out[i].SignalRSSI = true, decibel(s.rssis)
		}
		if b, err := decodeBase64(unescaped(s.etime)); err == nil && len(b) > 0 && len(b) <= 32 {
			out[i].EncryptedFineTimestamp = b
			out[i].FineTimestampKey = strconv.FormatUint(uint64(j.aesk), 10)
		}
	}
	return out, nil
}

// fineTimestamp is 0 where there is none: a null has taken it back.
func fineTimestamp(has bool, ns uint32) uint32 {
	if !has {
		return 0
	}
	return ns
}

// decibel keeps what is far beyond physics within its 32 bits. v is in
// hundredths.
func decibel(v int64) radio.Decibel {
	const limit = 1_000_00
	return radio.Decibel(min(max(v, -limit), limit))
}

// datr is a data rate: "SF7BW125" or a bit rate.
type datr struct {
	lora bool
	rate radio.DataRate
}

func (r *pushReader) datr(dst *datr) {
	if r.peek() != '"' {
		var bitRate uint32
		if readInteger(&r.scanner, &bitRate) {
			*dst = datr{rate: radio.FSKDataRate(bitRate)}
		}
		return
	}
	rate, ok := parseLoRa(r.quoted())
	if !ok {
		r.wrong("a data rate")
		return
	}
	*dst = datr{lora: true, rate: rate}
}

// dataRate returns the data rate that the members of a frame make together.
func dataRate(modu []byte, d datr, codr []byte) (radio.DataRate, radio.CodingRate, error) {
	switch m := string(modu); {
	case m == "LORA" && d.lora:
		cr, err := parseCodingRate(codr)
		return d.rate, cr, err
	case m == "FSK" && !d.lora && d.rate.BitRate > 0:
		return d.rate, 0, nil
	}
	return radio.DataRate{}, 0, fmt.Errorf("%w: rxpk with modu %.16q and such a datr", ErrPacket, modu)
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

// parseCodingRate reads "4/5". "4/6" and "4/8" are also written as the
// fractions that they are; a coding rate that is not told is 0.
func parseCodingRate(b []byte) (radio.CodingRate, error) {
	switch string(b) {
	case "4/5":
		return radio.CodingRate45, nil
	case "4/6", "2/3":
		return radio.CodingRate46, nil
	case "4/7":
		return radio.CodingRate47, nil
	case "4/8", "2/4", "1/2":
		return radio.CodingRate48, nil
	case "", "OFF":
		return 0, nil
	}
	return 0, fmt.Errorf("%w: rxpk with codr %.16q", ErrPacket, b)
}

// decodeBase64 takes standard base64 with and without padding.
func decodeBase64(b []byte) ([]byte, error) {
	return base64.RawStdEncoding.AppendDecode(nil, bytes.TrimRight(b, "="))
}

// parseTime reads ISO 8601 of up to ns, "2026-11-22T08:09:06.544000Z", or
// returns the zero time. Forwarders without a clock write all kinds of things.
func parseTime(b []byte) time.Time {
	if len(b) == 0 {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339Nano, string(b))
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// status reads what a forwarder tells of itself.
func (r *pushReader) status() {
	r.p.Stat, r.statFault = nil, nil
	if r.null() {
		return
	}
	s := r.stat()
	if err := r.takeFault(); err != nil {
		r.statFault = fmt.Errorf("%w: stat: %w", ErrPacket, err)
		return
	}
	r.p.Stat = &s
}

// stat reads the members of a status.
func (r *pushReader) stat() (s radio.Status) {
	if !r.object() {
		return s
	}
	var ackr, temp int64 // hundredths
	for r.more('}') {
		switch string(r.name()) {
		case "rxnb":
			readInteger(&r.scanner, &s.Received)
		case "rxok":
			readInteger(&r.scanner, &s.ReceivedOK)
		case "rxfw":
			readInteger(&r.scanner, &s.Forwarded)
		case "ackr":
			r.fixed(&ackr, 2)
		case "dwnb":
			readInteger(&r.scanner, &s.Downlinks)
		case "txnb":
			readInteger(&r.scanner, &s.Transmitted)
		case "temp":
			s.HasTemperature = r.fixed(&temp, 2)
		default:
			r.skip()
		}
	}
	s.Acknowledged = uint32(min(max(ackr, 0), 100_00) / 10)
	if s.HasTemperature {
		s.Temperature = int32(decibel(temp) / 10)
	}
	return s
}
