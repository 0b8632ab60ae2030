package enddevice

import (
	"math"

	"lorawand/bridge/session"
)

// recentDownlink is one of the downlinks that The Things Stack has sent in the
// session. A join-accept has no MACPayload.
type recentDownlink struct {
	Payload struct {
		MHDR struct {
			MType string `json:"m_type,omitempty"` // only written
		} `json:"m_hdr,omitzero"`
		MACPayload *sentJSON `json:"mac_payload,omitempty"`
	} `json:"payload"`
}

// sentJSON is what is kept of a downlink. Without an FPort above 0 it has
// counted as NFCntDown with LoRaWAN 1.1.
type sentJSON struct {
	FPort    number `json:"f_port,omitzero"`
	FullFCnt number `json:"full_f_cnt,omitzero"`
}

func downlink(fPort uint8, fCnt uint32) (d recentDownlink) {
	d.Payload.MHDR.MType = "UNCONFIRMED_DOWN"
	d.Payload.MACPayload = &sentJSON{FPort: some(fPort), FullFCnt: some(fCnt)}
	return d
}

// withLastSent adds to the MAC state which downlinks were sent last, if that is
// less than the counters of the session say: whoever takes the session over has
// to know how far these have skipped ahead already.
func withLastSent(m *macStateJSON, d *session.Device) *macStateJSON {
	s := d.Session
	sent, marks := s.LastSent(), s.Marks()
	if sent.N >= max(s.NFCntDown, marks.N) && sent.A >= max(s.AFCntDown, marks.A) {
		return m
	}
	if m == nil {
		m = &macStateJSON{LoRaWANVersion: enum[macVersionNames](versionName(d))}
	}
	m.RecentDownlinks = append(m.RecentDownlinks, downlink(0, sent.N))
	if d.Version >= session.V1_1 {
		m.RecentDownlinks = append(m.RecentDownlinks, downlink(1, sent.A))
	}
	return m
}

// setLastSent notes which downlinks were sent last. Without any, all that have
// a counter count as sent.
func (m *macStateJSON) setLastSent(r *reader, d *session.Device) {
	if m == nil {
		return
	}
	var sent session.Marks
	var n, a bool
	for i := range m.RecentDownlinks {
		p := m.RecentDownlinks[i].Payload.MACPayload
		if p == nil {
			continue
		}
		fCnt := uint32(r.number("mac_state.recent_downlinks.full_f_cnt", p.FullFCnt, math.MaxUint32))
		if app := p.FPort.v > 0; d.Version < session.V1_1 || !app {
			sent.N, n = max(sent.N, fCnt), true
		} else {
			sent.A, a = max(sent.A, fCnt), true
		}
	}
	if d.Version < session.V1_1 {
		sent.A, a = sent.N, n
	}
	if !n {
		sent.N = d.Session.NFCntDown
	}
	if !a {
		sent.A = d.Session.AFCntDown
	}
	d.Session.SetLastSent(sent)
}
