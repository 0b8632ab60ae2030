package state

import (
	"slices"
	"time"

	"lorawand/bridge/schedule"
	"lorawand/bridge/store"
	"lorawand/radio"
)

// Airtime keeps in the store what gateways have sent, of which a Scheduler knows: marks,
// which lead, and hours, which lag.
type Airtime struct {
	schedule *schedule.Scheduler
	marks    *AirtimeMarks
	hours    *AirtimeHours
	euis     []radio.EUI64 // that have sent since the start
}

// NewAirtime returns an Airtime, and has the Scheduler know what a store has.
func NewAirtime(s *schedule.Scheduler, spent map[radio.EUI64]Spent, hours map[radio.EUI64][]AirtimeHour) *Airtime {
	for eui, spent := range spent {
		s.Restore(eui, spent)
	}
	return &Airtime{schedule: s, marks: NewAirtimeMarks(spent), hours: NewAirtimeHours(hours)}
}

// Planned notes that a gateway is to send something that ends at a time. ok says that r
// has to be stored before it does; enforced says that its duty cycle is kept.
func (a *Airtime) Planned(eui radio.EUI64, enforced bool, now, end radio.HostTime) (r store.Record, ok bool) {
	if !slices.Contains(a.euis, eui) {
		a.euis = append(a.euis, eui)
	}
	a.hours.Expect(end)
	if !enforced {
		return r, false
	}
	return a.marks.Raise(eui, a.schedule.Spent(eui, now))
}

// Next returns when Due has something to do, or 0.
func (a *Airtime) Next() radio.HostTime {
	marks, hours := a.marks.NextLower(), a.hours.Next()
	if marks == 0 || hours != 0 && hours < marks {
		return hours
	}
	return marks
}

// Due returns what is to be stored by now, which may lag: marks that are too high, and
// the hours in which gateways have sent. at says which time of the calendar one of the
// host's clock is.
func (a *Airtime) Due(now radio.HostTime, at func(radio.HostTime) time.Time) []store.Record {
	out := a.marks.Lower(now, a.spent(now))
	if a.hours.Due(now) {
		out = append(out, a.changedHours(now, at)...)
	}
	return out
}

// Settle returns what a clean stop stores: exactly what is spent.
func (a *Airtime) Settle(now radio.HostTime, at func(radio.HostTime) time.Time) []store.Record {
	return append(a.marks.Settle(a.spent(now)), a.changedHours(now, at)...)
}

func (a *Airtime) spent(now radio.HostTime) func(radio.EUI64) Spent {
	return func(eui radio.EUI64) Spent { return a.schedule.Spent(eui, now) }
}

func (a *Airtime) changedHours(now radio.HostTime, at func(radio.HostTime) time.Time) (out []store.Record) {
	for _, eui := range a.euis {
		out = append(out, a.hours.Note(eui, a.schedule.TakeHours(eui, now), at)...)
	}
	return out
}

// Hours returns the hours in which a gateway has sent, oldest first.
func (a *Airtime) Hours(eui radio.EUI64, now radio.HostTime, at func(radio.HostTime) time.Time) []AirtimeHour {
	return a.hours.With(eui, a.schedule.Hours(eui, now), at)
}
