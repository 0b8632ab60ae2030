package gwmp

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
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

// pushJSON keeps each frame apart, so that a faulty one does not take the
// others with it.
type pushJSON struct {
	RXPK []json.RawMessage `json:"rxpk"`
	Stat json.RawMessage   `json:"stat"`
}

// rxpkJSON is one received frame. A field that is null is as one that is absent.
type rxpkJSON struct {
	Time  string     `json:"time"`
	Tmms  *int64     `json:"tmms"`
	Tmst  *uint32    `json:"tmst"`
	FTime *uint32    `json:"ftime"`
	Freq  fixed6     `json:"freq"`
	Chan  uint8      `json:"chan"`
	Stat  int8       `json:"stat"`
	Modu  string     `json:"modu"`
	DatR  datr       `json:"datr"`
	CodR  string     `json:"codr"`
	RSSI  fixed2     `json:"rssi"`
	LSNR  fixed2     `json:"lsnr"`
	FOff  int32      `json:"foff"`
	Data  string     `json:"data"`
	RSig  []rsigJSON `json:"rsig"`
	AESK  uint32     `json:"aesk"`
}

// rsigJSON is how one antenna heard the frame.
type rsigJSON struct {
	Ant    uint8   `json:"ant"`
	Chan   uint8   `json:"chan"`
	RSSIC  fixed2  `json:"rssic"`
	RSSIS  *fixed2 `json:"rssis"`
	RSSISD fixed2  `json:"rssisd"`
	LSNR   fixed2  `json:"lsnr"`
	ETime  string  `json:"etime"`
	FTime  *uint32 `json:"ftime"`
	FOff   int32   `json:"foff"`
}

// ParsePush reads the body of a PUSH_DATA. It returns ErrPacket if that is not
// JSON of the right shape; a single frame or a status that is faulty is left
// out and counted.
func ParsePush(body []byte) (Push, error) {
	var j pushJSON
	if err := json.Unmarshal(trim(body), &j); err != nil {
		return Push{}, fmt.Errorf("%w: %w", ErrPacket, err)
	}
	if len(j.RXPK) > maxFrames {
		return Push{}, fmt.Errorf("%w: %d frames, at most %d", ErrPacket, len(j.RXPK), maxFrames)
	}
	var p Push
	for _, raw := range j.RXPK {
		up, badCRC, err := parseRXPK(raw)
		switch {
		case err != nil:
			p.Faulty++
			p.Fault = err
		case badCRC:
			p.BadCRC++
		default:
			p.Uplinks = append(p.Uplinks, up)
		}
	}
	if len(j.Stat) > 0 && string(j.Stat) != "null" {
		stat, err := parseStat(j.Stat)
		if err != nil {
			p.Faulty++
			p.Fault = err
			return p, nil
		}
		p.Stat = &stat
	}
	return p, nil
}

func parseRXPK(raw []byte) (up radio.Uplink, badCRC bool, err error) {
	var j rxpkJSON
	if err := json.Unmarshal(raw, &j); err != nil {
		return up, false, fmt.Errorf("%w: rxpk: %w", ErrPacket, err)
	}
	if j.Stat < 0 {
		return up, true, nil
	}
	if j.Tmst == nil {
		return up, false, fmt.Errorf("%w: rxpk without tmst", ErrPacket)
	}
	if j.Freq <= 0 || j.Freq > math.MaxUint32 {
		return up, false, fmt.Errorf("%w: rxpk with freq of %d Hz", ErrPacket, int64(j.Freq))
	}
	if up.DataRate, up.CodingRate, err = j.dataRate(); err != nil {
		return up, false, err
	}
	if up.PHYPayload, err = decodeBase64(j.Data); err != nil {
		return up, false, fmt.Errorf("%w: rxpk data: %w", ErrPacket, err)
	}
	if n := len(up.PHYPayload); n == 0 || n > 255 {
		return up, false, fmt.Errorf("%w: rxpk with %d bytes of data, want 1 to 255", ErrPacket, n)
	}
	up.Frequency = radio.Frequency(j.Freq)
	up.Time = radio.ConcentratorTime(*j.Tmst)
	up.GatewayTime = parseTime(j.Time)
	if j.Tmms != nil && *j.Tmms > 0 && *j.Tmms < math.MaxInt64/int64(time.Millisecond) {
		up.GPS = radio.GPSTime(time.Duration(*j.Tmms) * time.Millisecond)
	}
	up.Receptions, err = j.receptions()
	return up, false, err
}

func (j *rxpkJSON) dataRate() (radio.DataRate, radio.CodingRate, error) {
	switch {
	case j.Modu == "LORA" && j.DatR.lora:
		cr, err := parseCodingRate(j.CodR)
		return j.DatR.rate, cr, err
	case j.Modu == "FSK" && !j.DatR.lora && j.DatR.rate.BitRate > 0:
		return j.DatR.rate, 0, nil
	}
	return radio.DataRate{}, 0, fmt.Errorf("%w: rxpk with modu %.16q and such a datr", ErrPacket, j.Modu)
}

// receptions lists the antennas: those of rsig, or the one of the frame itself.
func (j *rxpkJSON) receptions() ([]radio.Reception, error) {
	if len(j.RSig) == 0 {
		r := radio.Reception{
			Channel: j.Chan, RSSI: decibel(j.RSSI), SNR: decibel(j.LSNR), FrequencyOffset: j.FOff,
		}
		if j.FTime != nil {
			r.HasFineTimestamp, r.FineTimestamp = true, *j.FTime
		}
		return []radio.Reception{r}, nil
	}
	if len(j.RSig) > maxAntennas {
		return nil, fmt.Errorf("%w: rxpk with %d antennas, at most %d", ErrPacket, len(j.RSig), maxAntennas)
	}
	out := make([]radio.Reception, len(j.RSig))
	for i, s := range j.RSig {
		r := radio.Reception{
			Antenna: s.Ant, Channel: s.Chan, RSSI: decibel(s.RSSIC), SNR: decibel(s.LSNR),
			RSSIStandardDeviation: decibel(s.RSSISD), FrequencyOffset: s.FOff, NoDownlink: s.Ant > 0,
		}
		if s.RSSIS != nil {
			r.HasSignalRSSI, r.SignalRSSI = true, decibel(*s.RSSIS)
		}
		if s.FTime != nil {
			r.HasFineTimestamp, r.FineTimestamp = true, *s.FTime
		}
		if b, err := decodeBase64(s.ETime); err == nil && len(b) > 0 && len(b) <= 32 {
			r.EncryptedFineTimestamp = b
			r.FineTimestampKey = strconv.FormatUint(uint64(j.AESK), 10)
		}
		out[i] = r
	}
	return out, nil
}

// decibel keeps what is far beyond physics within its 32 bits.
func decibel(v fixed2) radio.Decibel {
	const limit = 1_000_00
	return radio.Decibel(min(max(v, -limit), limit))
}

// datr is a data rate: "SF7BW125" or a bit rate.
type datr struct {
	lora bool
	rate radio.DataRate
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
		*d = datr{rate: radio.FSKDataRate(uint32(n))}
		return nil
	}
	rate, ok := parseLoRa(strings.Trim(string(b), `"`))
	if !ok {
		return fmt.Errorf("no data rate: %.24s", b)
	}
	*d = datr{lora: true, rate: rate}
	return nil
}

// parseLoRa reads "SF7BW125".
func parseLoRa(s string) (radio.DataRate, bool) {
	rest, ok := strings.CutPrefix(s, "SF")
	if !ok {
		return radio.DataRate{}, false
	}
	sfText, bwText, ok := strings.Cut(rest, "BW")
	if !ok {
		return radio.DataRate{}, false
	}
	sf, err1 := strconv.ParseUint(sfText, 10, 8)
	bw, err2 := strconv.ParseUint(bwText, 10, 16)
	if err1 != nil || err2 != nil || sf < 5 || sf > 12 || bw == 0 {
		return radio.DataRate{}, false
	}
	return radio.LoRaDataRate(uint8(sf), uint32(bw)*1000), true
}

// parseCodingRate reads "4/5". "4/6" and "4/8" are also written as the
// fractions that they are; a coding rate that is not told is 0.
func parseCodingRate(s string) (radio.CodingRate, error) {
	switch s {
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
	return 0, fmt.Errorf("%w: rxpk with codr %.16q", ErrPacket, s)
}

// decodeBase64 takes standard base64 with and without padding.
func decodeBase64(s string) ([]byte, error) {
	return base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
}

// parseTime reads ISO 8601 of up to ns, "2026-11-22T08:09:06.544000Z", or
// returns the zero time. Forwarders without a clock write all kinds of things.
func parseTime(s string) time.Time {
	if s == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// statJSON is what a forwarder tells of itself.
type statJSON struct {
	RXNb uint32  `json:"rxnb"`
	RXOk uint32  `json:"rxok"`
	RXFW uint32  `json:"rxfw"`
	ACKR fixed2  `json:"ackr"`
	DWNb uint32  `json:"dwnb"`
	TXNb uint32  `json:"txnb"`
	Temp *fixed2 `json:"temp"`
}

func parseStat(raw []byte) (radio.Status, error) {
	var j statJSON
	if err := json.Unmarshal(raw, &j); err != nil {
		return radio.Status{}, fmt.Errorf("%w: stat: %w", ErrPacket, err)
	}
	s := radio.Status{
		Received: j.RXNb, ReceivedOK: j.RXOk, Forwarded: j.RXFW, Downlinks: j.DWNb, Transmitted: j.TXNb,
		Acknowledged: uint32(min(max(j.ACKR, 0), 100_00) / 10),
	}
	if j.Temp != nil {
		s.HasTemperature, s.Temperature = true, int32(decibel(*j.Temp)/10)
	}
	return s, nil
}

// AppendPush appends the body of a PUSH_DATA, as a forwarder writes it. Of an
// Uplink's Time the counter is written; stat may be nil.
func AppendPush(dst []byte, ups []radio.Uplink, stat *radio.Status) []byte {
	dst = append(dst, '{')
	if len(ups) > 0 {
		dst = append(dst, `"rxpk":[`...)
		for i := range ups {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendRXPK(dst, &ups[i])
		}
		dst = append(dst, ']')
	}
	if stat != nil {
		if len(ups) > 0 {
			dst = append(dst, ',')
		}
		dst = appendStat(dst, stat)
	}
	return append(dst, '}')
}

func appendRXPK(dst []byte, up *radio.Uplink) []byte {
	dst = append(dst, '{')
	if !up.GatewayTime.IsZero() {
		dst = up.GatewayTime.UTC().AppendFormat(append(dst, `"time":"`...), "2006-01-02T15:04:05.000000Z")
		dst = append(dst, `",`...)
	}
	if up.GPS > 0 {
		dst = appendInt(dst, `"tmms":`, int64(up.GPS/radio.GPSTime(time.Millisecond)))
		dst = append(dst, ',')
	}
	dst = appendInt(dst, `"tmst":`, int64(up.Time.Counter()))
	dst = up.Frequency.AppendMHz(append(dst, `,"freq":`...))
	dst = append(dst, `,"rfch":0,"stat":1,"modu":"`...)
	dst = append(dst, up.DataRate.Modulation.String()...)
	dst = up.DataRate.AppendDatr(append(dst, `","datr":`...))
	if up.DataRate.Modulation == radio.LoRa {
		dst = append(dst, `,"codr":"`...)
		dst = append(dst, up.CodingRate.String()...)
		dst = append(dst, '"')
	}
	dst = appendInt(dst, `,"size":`, int64(len(up.PHYPayload)))
	dst = appendReceptions(dst, up.Receptions)
	dst = base64.StdEncoding.AppendEncode(append(dst, `,"data":"`...), up.PHYPayload)
	return append(dst, `"}`...)
}

// appendReceptions writes one antenna into the frame itself, several as rsig.
func appendReceptions(dst []byte, rs []radio.Reception) []byte {
	if len(rs) == 1 {
		r := &rs[0]
		dst = appendInt(dst, `,"chan":`, int64(r.Channel))
		dst = r.RSSI.AppendText(append(dst, `,"rssi":`...))
		dst = r.SNR.AppendText(append(dst, `,"lsnr":`...))
		dst = appendInt(dst, `,"foff":`, int64(r.FrequencyOffset))
		if r.HasFineTimestamp {
			dst = appendInt(dst, `,"ftime":`, int64(r.FineTimestamp))
		}
		return dst
	}
	dst = append(dst, `,"rsig":[`...)
	for i := range rs {
		if i > 0 {
			dst = append(dst, ',')
		}
		r := &rs[i]
		dst = appendInt(dst, `{"ant":`, int64(r.Antenna))
		dst = appendInt(dst, `,"chan":`, int64(r.Channel))
		dst = r.RSSI.AppendText(append(dst, `,"rssic":`...))
		dst = r.SNR.AppendText(append(dst, `,"lsnr":`...))
		dst = appendInt(dst, `,"foff":`, int64(r.FrequencyOffset))
		if r.HasSignalRSSI {
			dst = r.SignalRSSI.AppendText(append(dst, `,"rssis":`...))
		}
		if r.HasFineTimestamp {
			dst = appendInt(dst, `,"ftime":`, int64(r.FineTimestamp))
		}
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

func appendStat(dst []byte, s *radio.Status) []byte {
	dst = appendInt(dst, `"stat":{"rxnb":`, int64(s.Received))
	dst = appendInt(dst, `,"rxok":`, int64(s.ReceivedOK))
	dst = appendInt(dst, `,"rxfw":`, int64(s.Forwarded))
	dst = radio.Decibel(s.Acknowledged * 10).AppendText(append(dst, `,"ackr":`...))
	dst = appendInt(dst, `,"dwnb":`, int64(s.Downlinks))
	dst = appendInt(dst, `,"txnb":`, int64(s.Transmitted))
	if s.HasTemperature {
		dst = radio.Decibel(s.Temperature * 10).AppendText(append(dst, `,"temp":`...))
	}
	return append(dst, '}')
}

func appendInt(dst []byte, name string, v int64) []byte {
	return strconv.AppendInt(append(dst, name...), v, 10)
}
