package gwmp

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"lorawand/radio"
)

// referencePush is ParsePush by means of encoding/json.
func referencePush(body []byte) (Push, error) {
	var j pushJSON
	if err := json.Unmarshal(trim(body), &j); err != nil {
		return Push{}, fmt.Errorf("%w: %w", ErrPacket, err)
	}
	if len(j.RXPK) > maxFrames {
		return Push{}, fmt.Errorf("%w: %d frames, at most %d", ErrPacket, len(j.RXPK), maxFrames)
	}
	var p Push
	for _, raw := range j.RXPK {
		up, badCRC, lost, err := referenceRXPK(raw)
		switch {
		case err != nil:
			p.Faulty++
			p.Fault = err
		case badCRC:
			p.BadCRC++
		default:
			p.Uplinks = append(p.Uplinks, up)
			p.Lost += lost
		}
	}
	if isNull(j.Stat) {
		return p, nil
	}
	stat, lost, err := referenceStat(j.Stat)
	if err != nil {
		p.Faulty++
		p.Fault = err
		return p, nil
	}
	p.Stat = &stat
	p.Lost += lost
	return p, nil
}

// pushJSON keeps each frame apart, so that a faulty one does not take the
// others with it.
type pushJSON struct {
	RXPK []json.RawMessage `json:"rxpk"`
	Stat json.RawMessage   `json:"stat"`
}

// rxpkJSON keeps each field of a frame apart likewise.
type rxpkJSON struct {
	Time json.RawMessage `json:"time"`
	Tmms json.RawMessage `json:"tmms"`
	Tmst json.RawMessage `json:"tmst"`
	Freq json.RawMessage `json:"freq"`
	Stat json.RawMessage `json:"stat"`
	DatR json.RawMessage `json:"datr"`
	CodR json.RawMessage `json:"codr"`
	RSSI json.RawMessage `json:"rssi"`
	Data json.RawMessage `json:"data"`
	RSig json.RawMessage `json:"rsig"`
	AESK json.RawMessage `json:"aesk"`
	rsigJSON
}

// rsigJSON is how one antenna heard the frame.
type rsigJSON struct {
	Ant    json.RawMessage `json:"ant"`
	Chan   json.RawMessage `json:"chan"`
	RSSIC  json.RawMessage `json:"rssic"`
	RSSIS  json.RawMessage `json:"rssis"`
	RSSISD json.RawMessage `json:"rssisd"`
	LSNR   json.RawMessage `json:"lsnr"`
	ETime  json.RawMessage `json:"etime"`
	FTime  json.RawMessage `json:"ftime"`
	FOff   json.RawMessage `json:"foff"`
}

// losses counts fields that cannot be read.
type losses int

func isNull(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

// whole reads a whole number from low to high. ok is false without one.
func (l *losses) whole(raw json.RawMessage, low, high int64) (v int64, ok bool) {
	if isNull(raw) {
		return 0, false
	}
	var n json.Number
	if raw[0] == '"' || json.Unmarshal(raw, &n) != nil {
		*l++
		return 0, false
	}
	v, err := strconv.ParseInt(n.String(), 10, 64)
	if err != nil {
		f, err := n.Float64()
		if err != nil || f != math.Floor(f) || f < -(1<<53) || f > 1<<53 || !bytes.ContainsAny(raw, ".eE") {
			*l++
			return 0, false
		}
		v = int64(f)
	}
	if v < low || v > high {
		*l++
		return 0, false
	}
	return v, true
}

// hundredths reads a number.
func (l *losses) hundredths(raw json.RawMessage) (radio.Decibel, bool) {
	v, ok := l.fixed(raw, 2)
	return decibel(v), ok
}

func (l *losses) fixed(raw json.RawMessage, digits int) (int64, bool) {
	if isNull(raw) {
		return 0, false
	}
	v, ok := parseFixed(raw, digits)
	if !ok {
		*l++
		return 0, false
	}
	return v, true
}

func (l *losses) text(raw json.RawMessage) (s string, ok bool) {
	if isNull(raw) {
		return "", false
	}
	if json.Unmarshal(raw, &s) != nil {
		*l++
		return "", false
	}
	return s, true
}

// need is an error unless there is a value and it can be read.
func need(what string, ok bool) error {
	if !ok {
		return fmt.Errorf("%w: rxpk: %s", ErrPacket, what)
	}
	return nil
}

func referenceRXPK(raw []byte) (up radio.Uplink, badCRC bool, lost int, err error) {
	var j rxpkJSON
	if err := json.Unmarshal(raw, &j); err != nil || isNull(raw) {
		return up, false, 0, need("an object", false)
	}
	var l losses
	stat, _ := l.whole(j.Stat, math.MinInt64, math.MaxInt64)
	if l > 0 {
		return up, false, 0, need("stat", false)
	}
	if stat < 0 {
		return up, true, 0, nil
	}
	tmst, ok := l.whole(j.Tmst, 0, math.MaxUint32)
	if err := need("tmst", ok); err != nil {
		return up, false, 0, err
	}
	freq, ok := l.fixed(j.Freq, 6)
	if err := need("freq", ok && freq > 0 && freq <= math.MaxUint32); err != nil {
		return up, false, 0, err
	}
	up.DataRate, ok = l.datr(j.DatR)
	if err := need("datr", ok); err != nil {
		return up, false, 0, err
	}
	data, _ := l.text(j.Data)
	up.PHYPayload, err = referenceBase64(data)
	if err := need("data", err == nil && len(up.PHYPayload) > 0 && len(up.PHYPayload) <= 255); err != nil {
		return up, false, 0, err
	}
	up.Frequency, up.Time = radio.Frequency(freq), radio.ConcentratorTime(tmst)
	l.metadata(&up, &j)
	return up, false, int(l), nil
}

func (l *losses) metadata(up *radio.Uplink, j *rxpkJSON) {
	if codr, ok := l.text(j.CodR); ok && up.DataRate.Modulation == radio.LoRa {
		if up.CodingRate, ok = parseCodingRate([]byte(codr)); !ok {
			*l++
		}
	}
	if text, ok := l.text(j.Time); ok && text != "" {
		t, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			*l++
		} else {
			up.GatewayTime = t.UTC()
		}
	}
	tmms, _ := l.whole(j.Tmms, 0, math.MaxInt64/1_000_000)
	up.GPS = radio.GPSTime(tmms * 1_000_000)
	var list []json.RawMessage
	if !isNull(j.RSig) && json.Unmarshal(j.RSig, &list) != nil {
		*l++
	}
	if len(list) > maxAntennas {
		*l++
		list = list[:maxAntennas]
	}
	for _, raw := range list {
		var s rsigJSON
		if isNull(raw) {
			continue
		}
		if json.Unmarshal(raw, &s) != nil {
			*l++
			continue
		}
		up.Receptions = append(up.Receptions, l.antenna(&s, j.AESK))
	}
	referenceAnswerable(up.Receptions)
	if up.Receptions == nil {
		one := j.rsigJSON
		one.RSSIC, one.RSSIS, one.RSSISD, one.ETime = j.RSSI, nil, nil, nil
		up.Receptions = []radio.Reception{l.antenna(&one, nil)}
	}
}

// referenceAnswerable leaves antenna 0, or else the first of the best, open for an
// answer.
func referenceAnswerable(rs []radio.Reception) {
	zero := func(r radio.Reception) bool { return r.Antenna == 0 }
	open := slices.IndexFunc(rs, zero)
	for i := range rs {
		rs[i].NoDownlink = !zero(rs[i])
	}
	if open >= 0 || len(rs) == 0 {
		return
	}
	best := slices.MaxFunc(rs, func(a, b radio.Reception) int { return cmp.Compare(a.Signal(), b.Signal()) })
	rs[slices.IndexFunc(rs, func(r radio.Reception) bool { return r.Signal() == best.Signal() })].NoDownlink = false
}

func (l *losses) antenna(s *rsigJSON, aesk json.RawMessage) (r radio.Reception) {
	unknown := func(ok bool, f radio.Fields) {
		if !ok {
			r.Unknown |= f
		}
	}
	ant, _ := l.whole(s.Ant, 0, 255)
	channel, ok := l.whole(s.Chan, 0, 255)
	unknown(ok, radio.FieldChannel)
	r.RSSI, ok = l.hundredths(s.RSSIC)
	unknown(ok, radio.FieldRSSI)
	r.SNR, ok = l.hundredths(s.LSNR)
	unknown(ok, radio.FieldSNR)
	offset, ok := l.whole(s.FOff, math.MinInt32, math.MaxInt32)
	unknown(ok, radio.FieldFrequencyOffset)
	r.Antenna, r.Channel, r.FrequencyOffset, r.NoDownlink = uint8(ant), uint8(channel), int32(offset), false
	r.RSSIStandardDeviation, _ = l.hundredths(s.RSSISD)
	r.SignalRSSI, r.HasSignalRSSI = l.hundredths(s.RSSIS)
	fine, ok := l.whole(s.FTime, 0, math.MaxUint32)
	r.FineTimestamp, r.HasFineTimestamp = uint32(fine), ok
	if text, ok := l.text(s.ETime); ok {
		b, err := referenceBase64(text)
		switch {
		case err != nil || len(b) > 32:
			*l++
		case len(b) > 0:
			before := *l
			key, _ := l.whole(aesk, 0, math.MaxUint32)
			r.EncryptedFineTimestamp = b
			if *l == before {
				r.FineTimestampKey = strconv.FormatInt(key, 10)
			}
		}
	}
	return r
}

// datr reads a data rate: "SF7BW125" or a bit rate.
func (l *losses) datr(raw json.RawMessage) (radio.DataRate, bool) {
	if isNull(raw) || raw[0] != '"' {
		n, ok := l.whole(raw, 1, math.MaxUint32)
		return radio.FSKDataRate(uint32(n)), ok
	}
	return referenceLoRa(strings.Trim(string(raw), `"`))
}

// referenceLoRa reads "SF7BW125".
func referenceLoRa(s string) (radio.DataRate, bool) {
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

func referenceBase64(s string) ([]byte, error) {
	return base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
}

// statJSON is what a forwarder tells of itself.
type statJSON struct {
	RXNb json.RawMessage `json:"rxnb"`
	RXOk json.RawMessage `json:"rxok"`
	RXFW json.RawMessage `json:"rxfw"`
	ACKR json.RawMessage `json:"ackr"`
	DWNb json.RawMessage `json:"dwnb"`
	TXNb json.RawMessage `json:"txnb"`
	Temp json.RawMessage `json:"temp"`
}

func referenceStat(raw []byte) (s radio.Status, lost int, err error) {
	var j statJSON
	if err := json.Unmarshal(raw, &j); err != nil {
		return s, 0, fmt.Errorf("%w: stat: %w", ErrPacket, err)
	}
	var l losses
	count := func(raw json.RawMessage) uint32 {
		v, _ := l.whole(raw, 0, math.MaxUint32)
		return uint32(v)
	}
	s = radio.Status{
		Received: count(j.RXNb), ReceivedOK: count(j.RXOk), Forwarded: count(j.RXFW), Downlinks: count(j.DWNb),
		Transmitted: count(j.TXNb),
	}
	ackr, _ := l.fixed(j.ACKR, 2)
	s.Acknowledged = uint32(min(max(ackr, 0), 100_00) / 10)
	temp, ok := l.hundredths(j.Temp)
	s.HasTemperature, s.Temperature = ok, int32(temp/10)
	return s, int(l), nil
}
