package enddevice

import (
	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
	"lorawand/radio"
)

// pingJSON is what a device listens on in Class B, in mac_settings and in
// mac_state.current_parameters; the name of the data rate is not the same there.
type pingJSON struct {
	Frequency bigNumber `json:"ping_slot_frequency,omitzero"`
	Beacon    bigNumber `json:"beacon_frequency,omitzero"`
}

// ping reads it.
func (j *pingJSON) ping(r *reader, in string, rate number) macstate.Ping {
	return macstate.Ping{
		Frequency: r.frequency(in+"ping_slot_frequency", j.Frequency),
		DataRate:  r.small(in+"ping_slot_data_rate_index", rate, 15),
		Beacon:    r.frequency(in+"beacon_frequency", j.Beacon),
	}
}

func pingOf(p macstate.Ping) pingJSON { return pingJSON{frequency(p.Frequency), frequency(p.Beacon)} }

// every reads how often there are ping slots.
func every(p *macstate.Ping, word enum[pingNames]) {
	if n := word.exponent(); n != nil {
		p.Periodicity, p.Known = *n, true
	}
}

func everyOf(p macstate.Ping) enum[pingNames] {
	if !p.Known {
		return ""
	}
	return wordOf[pingNames](&p.Periodicity)
}

// classes reads what a device has told of its class, and of its ping slots.
func (m *macStateJSON) classes(r *reader, s *macstate.State) {
	s.ClassB, s.ClassC = m.Class == "CLASS_B", m.Class == "CLASS_C"
	var p macstate.Ping
	if c := m.Current; c != nil {
		p = c.ping(r, "mac_state.current_parameters.", c.PingRate)
	}
	if every(&p, m.PingEvery); p != (macstate.Ping{}) {
		s.Ping = &p
	}
}

// tellClasses is the way back.
func (m *macStateJSON) tellClasses(d *session.Device, s *session.Session) {
	if d.ClassC && d.Listens() {
		m.Class = "CLASS_C"
	} else if s.MAC != nil && s.MAC.ClassB {
		m.Class = "CLASS_B"
	}
	p := s.MAC.Pings()
	if m.PingEvery = everyOf(p); m.Current != nil {
		m.Current.pingJSON, m.Current.PingRate = pingOf(p), optional(p.DataRate)
	}
}

// wishPing reads what is wanted of ping slots and beacons where the device has not got it, or its
// settings say otherwise, and reports whether that is anything.
func (j *parametersJSON) wishPing(r *reader, was *parametersJSON, w *macstate.Wish, set *macstate.Settings) (any bool) {
	p := j.ping(r, "mac_state.desired_parameters.", j.PingRate)
	wished := func(to **radio.Frequency, is, was bigNumber, f radio.Frequency, set *radio.Frequency) {
		if is.set && (is != was || set != nil && *set != f) {
			*to, any = &f, true
		}
	}
	wished(&w.PingFrequency, j.Frequency, was.Frequency, p.Frequency, set.PingFrequency)
	wished(&w.Beacon, j.Beacon, was.Beacon, p.Beacon, set.Beacon)
	if j.PingRate.set && (j.PingRate != was.PingRate || set.PingDataRate != nil && *set.PingDataRate != *p.DataRate) {
		w.PingDataRate, any = p.DataRate, true
	}
	return any
}

// tellWish is the way back.
func (j *parametersJSON) tellWish(w *macstate.Wish) {
	for _, f := range []struct {
		to   *bigNumber
		wish *radio.Frequency
	}{{&j.Frequency, w.PingFrequency}, {&j.Beacon, w.Beacon}} {
		if f.wish != nil {
			*f.to = bigNumber{number{uint64(*f.wish), true}}
		}
	}
	if w.PingDataRate != nil {
		j.PingRate = optional(w.PingDataRate)
	}
}
