package gwmp

import (
	"encoding/base64"
	"strconv"
	"time"

	"lorawand/radio"
)

// AppendPush appends the body of a PUSH_DATA, as a forwarder writes it. It writes
// the counter of an Uplink's Time; stat may be nil.
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

// statTime is the form of a time in a status.
const statTime = "2006-01-02 15:04:05 GMT"

// AppendStat appends the body of a PUSH_DATA with a status only, as a gateway writes it that may
// know the time and where it is: the zero time and nil stand for not known.
func AppendStat(dst []byte, s *radio.Status, at time.Time, place *radio.Place) []byte {
	dst = append(dst, `{"stat":{`...)
	if !at.IsZero() {
		dst = at.UTC().AppendFormat(append(dst, `"time":"`...), statTime)
		dst = append(dst, `",`...)
	}
	if place != nil {
		dst = strconv.AppendFloat(append(dst, `"lati":`...), place.Latitude, 'f', 5, 64)
		dst = strconv.AppendFloat(append(dst, `,"long":`...), place.Longitude, 'f', 5, 64)
		dst = append(appendInt(dst, `,"alti":`, int64(place.Altitude)), ',')
	}
	return append(appendStatus(dst, s), `}}`...)
}

// appendReceptions writes one antenna as fields of the frame, several as rsig.
func appendReceptions(dst []byte, rs []radio.Reception) []byte {
	if len(rs) == 1 {
		r := &rs[0]
		if r.Antenna > 0 {
			dst = appendInt(dst, `,"ant":`, int64(r.Antenna))
		}
		dst = appendReception(dst, r, `,"rssi":`)
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
		dst = appendReception(dst, r, `,"rssic":`)
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

// appendReception writes the fields that a frame and an entry of rsig have in
// common. Only the name of the RSSI differs.
func appendReception(dst []byte, r *radio.Reception, rssi string) []byte {
	if r.Knows(radio.FieldChannel) {
		dst = appendInt(dst, `,"chan":`, int64(r.Channel))
	}
	if r.Knows(radio.FieldRSSI) {
		dst = r.RSSI.AppendText(append(dst, rssi...))
	}
	if r.Knows(radio.FieldSNR) {
		dst = r.SNR.AppendText(append(dst, `,"lsnr":`...))
	}
	if r.Knows(radio.FieldFrequencyOffset) {
		dst = appendInt(dst, `,"foff":`, int64(r.FrequencyOffset))
	}
	return dst
}

func appendStat(dst []byte, s *radio.Status) []byte {
	return append(appendStatus(append(dst, `"stat":{`...), s), '}')
}

// appendStatus writes the members of a status.
func appendStatus(dst []byte, s *radio.Status) []byte {
	dst = appendInt(dst, `"rxnb":`, int64(s.Received))
	dst = appendInt(dst, `,"rxok":`, int64(s.ReceivedOK))
	dst = appendInt(dst, `,"rxfw":`, int64(s.Forwarded))
	dst = radio.Decibel(s.Acknowledged * 10).AppendText(append(dst, `,"ackr":`...))
	dst = appendInt(dst, `,"dwnb":`, int64(s.Downlinks))
	dst = appendInt(dst, `,"txnb":`, int64(s.Transmitted))
	if s.HasTemperature {
		dst = radio.Decibel(s.Temperature * 10).AppendText(append(dst, `,"temp":`...))
	}
	return dst
}

func appendInt(dst []byte, name string, v int64) []byte {
	return strconv.AppendInt(append(dst, name...), v, 10)
}
