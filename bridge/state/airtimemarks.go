package state

import (
	"bytes"
	"maps"
	"slices"
	"time"

	"lorawand/bridge/order"
	"lorawand/bridge/store"
	"lorawand/radio"
)

// AirtimeMarks are the airtimes of the gateways as the store has them.
//
// A crash must not make a gateway forget its airtime, or it could exceed its duty
// cycle within an hour. So the store has a mark for each sub-band that is never
// below the airtime spent. A mark is raised by more than is needed, so that one
// write covers several downlinks, and it is lowered some time later. After a
// restart all of it counts as spent just now, because its age is unknown.
type AirtimeMarks struct {
	gateways map[radio.EUI64]Spent
	lowerAt  radio.HostTime // when Lower next looks for marks that are too high; 0: not planned
}

const (
	// airtimeStep is by how much a mark is raised above the airtime spent. Each
	// crash costs as much airtime, so it is short: a gateway that restarts often
	// must still be able to send.
	airtimeStep = 500 * time.Millisecond
	// lowerEvery is the interval between two calls of Lower with work to do: a few
	// writes for each busy hour.
	lowerEvery = 10 * time.Minute
)

// NewAirtimeMarks returns the marks of a store.
func NewAirtimeMarks(stored map[radio.EUI64]Spent) *AirtimeMarks {
	m := &AirtimeMarks{gateways: map[radio.EUI64]Spent{}}
	maps.Copy(m.gateways, stored)
	return m
}

// Raise raises the marks of a gateway if it has spent more than they say. It
// returns the record that must be stored before the gateway sends; ok is false if
// there is none. The marks keep the map spent.
func (m *AirtimeMarks) Raise(eui radio.EUI64, spent Spent) (r store.Record, ok bool) {
	marks := m.gateways[eui]
	for band, airtime := range spent {
		ok = ok || airtime > marks[band]
	}
	if !ok {
		return r, false
	}
	for band := range spent {
		spent[band] += airtimeStep
	}
	m.gateways[eui] = spent
	return ledgerRecord(eui, spent), true
}

// NextLower returns when Lower next has work to do, or 0.
func (m *AirtimeMarks) NextLower() radio.HostTime { return m.lowerAt }

// Lower lowers marks that are too high, when it is time, and returns their records,
// which may lag. Without it one busy hour would count as spent at every later
// start. The function spent returns the airtime of a gateway.
func (m *AirtimeMarks) Lower(now radio.HostTime, spent func(radio.EUI64) Spent) (out []store.Record) {
	if m.lowerAt == 0 && len(m.gateways) > 0 {
		m.lowerAt = now.Add(lowerEvery)
	}
	if m.lowerAt == 0 || m.lowerAt > now {
		return nil
	}
	for _, eui := range m.euis() {
		if is := spent(eui); m.tooHigh(eui, is) {
			for band, airtime := range is {
				if is[band] += airtimeStep; airtime == 0 {
					delete(is, band)
				}
			}
			out = append(out, m.set(eui, is))
		}
	}
	m.lowerAt = 0
	if len(m.gateways) > 0 {
		m.lowerAt = now.Add(lowerEvery)
	}
	return out
}

// tooHigh reports whether a mark of a gateway is high enough above its airtime to
// be worth a write.
func (m *AirtimeMarks) tooHigh(eui radio.EUI64, spent Spent) bool {
	for band, mark := range m.gateways[eui] {
		if mark > spent[band]+2*airtimeStep || spent[band] == 0 {
			return true
		}
	}
	return false
}

// Settle sets all marks to exactly the airtime spent, and returns their records. A
// clean stop calls it.
func (m *AirtimeMarks) Settle(spent func(radio.EUI64) Spent) (out []store.Record) {
	for _, eui := range m.euis() {
		is := spent(eui)
		maps.DeleteFunc(is, func(_ radio.Frequency, airtime time.Duration) bool { return airtime == 0 })
		out = append(out, m.set(eui, is))
	}
	return out
}

// euis returns the EUIs of the gateways with marks, sorted.
func (m *AirtimeMarks) euis() []radio.EUI64 {
	out := slices.Collect(maps.Keys(m.gateways))
	order.By(out, func(a, b radio.EUI64) int { return bytes.Compare(a[:], b[:]) })
	return out
}

// set sets marks that are not above those in the store. A gateway without marks
// loses its record.
func (m *AirtimeMarks) set(eui radio.EUI64, marks Spent) store.Record {
	r := ledgerRecord(eui, marks)
	m.gateways[eui] = marks
	if len(marks) == 0 {
		r.Data = nil
		delete(m.gateways, eui)
	}
	return r
}
