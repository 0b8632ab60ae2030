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
		up, badCRC, err := referenceRXPK(raw)
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
		stat, err := referenceStat(j.Stat)
		if err != nil {
			p.Faulty++
			p.Fault = err
			return p, nil
		}
		p.Stat = &stat
	}
	return p, nil
}

// pushJSON keeps each frame apart, so that a faulty one does not take the
// others with it.
type pushJSON struct {
	RXPK []json.RawMessage `json:"rxpk"`
	Stat json.RawMessage   `json:"stat"`
}

// rxpkJSON is one received frame. A field that is null is as one that is absent.
type rxpkJSON struct {
	Time  string   `json:"time"`
	Tmms  *int64   `json:"tmms"`
	Tmst  *uint32  `json:"tmst"`
	FTime *uint32  `json:"ftime"`
	Freq  fixed6   `json:"freq"`
	Chan  uint8    `json:"chan"`
	Stat  int8     `json:"stat"`
	Modu  string   `json:"modu"`
	DatR  datrJSON `json:"datr"`
	CodR  string   `json:"codr"`
	RSSI  fixed2   `json:"rssi"`
	LSNR  fixed2   `json:"lsnr"`
	FOff  int32    `json:"foff"`
	Data  string   `json:"data"`
	RSig  rsigList `json:"rsig"`
	AESK  uint32   `json:"aesk"`
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

// rsigList begins anew where encoding/json would write into what it has read
// before under the same name.
type rsigList []rsigJSON

// UnmarshalJSON implements json.Unmarshaler.
func (l *rsigList) UnmarshalJSON(b []byte) error {
	var fresh []rsigJSON
	err := json.Unmarshal(b, &fresh)
	*l = fresh
	return err
}

func referenceRXPK(raw []byte) (up radio.Uplink, badCRC bool, err error) {
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
	if up.PHYPayload, err = referenceBase64(j.Data); err != nil {
		return up, false, fmt.Errorf("%w: rxpk data: %w", ErrPacket, err)
	}
	if n := len(up.PHYPayload); n == 0 || n > 255 {
		return up, false, fmt.Errorf("%w: rxpk with %d bytes of data, want 1 to 255", ErrPacket, n)
	}
	up.Frequency = radio.Frequency(j.Freq)
	up.Time = radio.ConcentratorTime(*j.Tmst)
	up.GatewayTime = referenceTime(j.Time)
	if j.Tmms != nil && *j.Tmms > 0 && *j.Tmms < math.MaxInt64/int64(time.Millisecond) {
		up.GPS = radio.GPSTime(time.Duration(*j.Tmms) * time.Millisecond)
	}
	up.Receptions, err = j.receptions()
	return up, false, err
}

func (j *rxpkJSON) dataRate() (radio.DataRate, radio.CodingRate, error) {
	switch {
	case j.Modu == "LORA" && j.DatR.lora:
		cr, err := parseCodingRate([]byte(j.CodR))
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
			Channel: j.Chan, RSSI: decibel(int64(j.RSSI)), SNR: decibel(int64(j.LSNR)), FrequencyOffset: j.FOff,
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
			Antenna: s.Ant, Channel: s.Chan, RSSI: decibel(int64(s.RSSIC)), SNR: decibel(int64(s.LSNR)),
			RSSIStandardDeviation: decibel(int64(s.RSSISD)), FrequencyOffset: s.FOff, NoDownlink: s.Ant > 0,
		}
		if s.RSSIS != nil {
			r.HasSignalRSSI, r.SignalRSSI = true, decibel(int64(*s.RSSIS))
		}
		if s.FTime != nil {
			r.HasFineTimestamp, r.FineTimestamp = true, *s.FTime
		}
		if b, err := referenceBase64(s.ETime); err == nil && len(b) > 0 && len(b) <= 32 {
			r.EncryptedFineTimestamp = b
			r.FineTimestampKey = strconv.FormatUint(uint64(j.AESK), 10)
		}
		out[i] = r
	}
	return out, nil
}

// datrJSON is a data rate: "SF7BW125" or a bit rate.
type datrJSON struct {
	lora bool
	rate radio.DataRate
}

// UnmarshalJSON implements json.Unmarshaler.
func (d *datrJSON) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	if len(b) == 0 || b[0] != '"' {
		n, err := strconv.ParseUint(string(b), 10, 32)
		if err != nil {
			return errNumber
		}
		*d = datrJSON{rate: radio.FSKDataRate(uint32(n))}
		return nil
	}
	rate, ok := referenceLoRa(strings.Trim(string(b), `"`))
	if !ok {
		return fmt.Errorf("no data rate: %.24s", b)
	}
	*d = datrJSON{lora: true, rate: rate}
	return nil
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

func referenceTime(s string) time.Time {
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

func referenceStat(raw []byte) (radio.Status, error) {
	var j statJSON
	if err := json.Unmarshal(raw, &j); err != nil {
		return radio.Status{}, fmt.Errorf("%w: stat: %w", ErrPacket, err)
	}
	s := radio.Status{
		Received: j.RXNb, ReceivedOK: j.RXOk, Forwarded: j.RXFW, Downlinks: j.DWNb, Transmitted: j.TXNb,
		Acknowledged: uint32(min(max(j.ACKR, 0), 100_00) / 10),
	}
	if j.Temp != nil {
		s.HasTemperature, s.Temperature = true, int32(decibel(int64(*j.Temp))/10)
	}
	return s, nil
}
