package gwmp

import (
	"strconv"
	"time"

	"lorawand/radio"
)

// metadata sets the fields of a frame that only describe it.
func (r *pushReader) metadata(up *radio.Uplink, j *rxpk) {
	ok := true
	if up.DataRate.Modulation == radio.LoRa {
		up.CodingRate, ok = parseCodingRate(unescaped(j.codr.raw))
	}
	r.note("codr", j.codr.with(ok))
	up.GatewayTime, ok = parseTime(unescaped(j.time.raw))
	r.note("time", j.time.with(ok))
	up.GPS = radio.GPSTime(time.Duration(j.tmms.v) * time.Millisecond)
	r.note("tmms", j.tmms.state)
	if up.Receptions = r.receptions(j); up.Receptions == nil {
		up.Receptions = []radio.Reception{r.reception(j)}
	}
}

// note counts a lost field.
func (r *pushReader) note(field string, s state) {
	if s == unreadable {
		r.lost++
		r.p.LostField = field
	}
}

// with returns the state of a text after further parsing.
func (t text) with(ok bool) state {
	if t.state == known && !ok {
		return unreadable
	}
	return t.state
}

// reception returns the reception in the fields of the frame itself, for a frame
// without a list of antennas.
func (r *pushReader) reception(j *rxpk) radio.Reception {
	out := radio.Reception{
		Antenna: uint8(j.ant.v), Channel: uint8(j.chanIF.v), RSSI: decibel(j.rssi.v), SNR: decibel(j.lsnr.v),
		FrequencyOffset:  int32(j.foff.v),
		HasFineTimestamp: j.ftime.state == known, FineTimestamp: uint32(j.ftime.v),
		Unknown: unknown(j.rssi.state, j.lsnr.state, j.chanIF.state, j.foff.state),
	}
	r.note("ant", j.ant.state)
	r.note("chan", j.chanIF.state)
	r.note("rssi", j.rssi.state)
	r.note("lsnr", j.lsnr.state)
	r.note("foff", j.foff.state)
	r.note("ftime", j.ftime.state)
	return out
}

// unknown returns the fields that a reception does not have.
func unknown(rssi, snr, channel, offset state) (f radio.Fields) {
	for i, s := range [...]state{rssi, snr, channel, offset} {
		if s != known {
			f |= [...]radio.Fields{radio.FieldRSSI, radio.FieldSNR, radio.FieldChannel, radio.FieldFrequencyOffset}[i]
		}
	}
	return f
}

// receptions returns the antennas in rsig. It returns nil if there are none.
func (r *pushReader) receptions(j *rxpk) []radio.Reception {
	r.note("rsig", j.rsig)
	if j.antennas == 0 {
		return nil
	}
	if j.antennas > maxAntennas {
		r.note("rsig", unreadable)
	}
	list := r.rsig[:min(j.antennas, maxAntennas)]
	out := make([]radio.Reception, 0, len(list))
	for i := range list {
		if s := &list[i]; s.shape == known {
			out = append(out, r.antennaReception(s, j.aesk))
		} else {
			r.note("rsig", s.shape)
		}
	}
	if len(out) == 0 {
		return nil
	}
	answerable(out)
	return out
}

// answerable marks the antenna that an answer may use: antenna 0 if it has heard
// the frame, as in The Things Stack, else the one with the best reception.
func answerable(rs []radio.Reception) {
	best := 0
	for i := range rs {
		rs[i].NoDownlink = rs[i].Antenna > 0
		if rs[best].NoDownlink && (!rs[i].NoDownlink || rs[i].Signal() > rs[best].Signal()) {
			best = i
		}
	}
	rs[best].NoDownlink = false
}

func (r *pushReader) antennaReception(s *rsig, aesk number) radio.Reception {
	out := radio.Reception{
		Antenna: uint8(s.ant.v), Channel: uint8(s.chanIF.v), RSSI: decibel(s.rssic.v), SNR: decibel(s.lsnr.v),
		RSSIStandardDeviation: decibel(s.rssisd.v), FrequencyOffset: int32(s.foff.v),
		HasFineTimestamp: s.ftime.state == known, FineTimestamp: uint32(s.ftime.v),
		HasSignalRSSI: s.rssis.state == known, SignalRSSI: decibel(s.rssis.v),
		Unknown: unknown(s.rssic.state, s.lsnr.state, s.chanIF.state, s.foff.state),
	}
	b, err := decodeBase64(unescaped(s.etime.raw))
	readable := err == nil && len(b) <= 32
	if readable && len(b) > 0 {
		out.EncryptedFineTimestamp = b
		if aesk.state != unreadable {
			out.FineTimestampKey = strconv.FormatInt(aesk.v, 10)
		}
		r.note("aesk", aesk.state)
	}
	r.note("etime", s.etime.with(readable))
	r.note("ant", s.ant.state)
	r.note("chan", s.chanIF.state)
	r.note("rssic", s.rssic.state)
	r.note("rssis", s.rssis.state)
	r.note("rssisd", s.rssisd.state)
	r.note("lsnr", s.lsnr.state)
	r.note("foff", s.foff.state)
	r.note("ftime", s.ftime.state)
	return out
}

// decibel limits impossible values to 32 bits. v is in hundredths.
func decibel(v int64) radio.Decibel {
	const limit = 1_000_00
	return radio.Decibel(min(max(v, -limit), limit))
}

// parseCodingRate reads "4/5". "4/6" and "4/8" may also be reduced fractions. A
// missing coding rate is 0.
func parseCodingRate(b []byte) (cr radio.CodingRate, ok bool) {
	switch string(b) {
	case "4/5":
		return radio.CodingRate45, true
	case "4/6", "2/3":
		return radio.CodingRate46, true
	case "4/7":
		return radio.CodingRate47, true
	case "4/8", "2/4", "1/2":
		return radio.CodingRate48, true
	}
	return 0, len(b) == 0 || string(b) == "OFF"
}

// parseTime reads ISO 8601 with up to ns, "2026-11-22T08:09:06.544000Z". No text is
// the zero time. ok is false for any other text, such as forwarders without a clock
// write.
func parseTime(b []byte) (t time.Time, ok bool) {
	if len(b) == 0 {
		return time.Time{}, true
	}
	t, err := time.Parse(time.RFC3339Nano, string(b))
	if t = t.UTC(); err != nil || t.Year() < 1 || t.Year() > 9999 { // another zone may have others, and JSON has not
		return time.Time{}, false
	}
	return t, true
}
