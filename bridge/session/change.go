package session

import "lorawand/bridge/session/macstate"

// Change says which part of a device's record in the store is out of date.
type Change uint8

// Changes, the smallest first.
const (
	Unchanged       Change = iota
	CountersChanged        // FCntUp: the store may lag, see AppendCounters
	LocationChanged        // it is in the record, but the store may lag
	RecordChanged          // anything else: a crash must not lose it
)

// Every function of this package and of mac that changes a device of a Registry,
// or one of its sessions, leaves a mark there. Whoever owns the Registry asks
// NextChanged after each thing that it does, and stores what that returns. So no
// caller has to know what must be stored.
//
// FCntDown leaves no mark: a counter is reserved in the store before it is used.

// changed notes that something has changed. A device outside of a Registry is
// stored as a whole by whoever has it.
func (d *Device) changed(what Change) {
	if d.registry == nil {
		return
	}
	if d.change == Unchanged {
		d.registry.changed = append(d.registry.changed, d)
	}
	d.change = max(d.change, what)
}

// changed marks the session's device. Only the session in use has its counters
// stored apart; a change of a pending session is a change of the record.
func (s *Session) changed(what Change) {
	switch d := s.device; {
	case d == nil:
	case s == d.Session:
		d.changed(what)
	default:
		d.changed(RecordChanged)
	}
}

// NextChanged returns a device with a mark, or nil if there is none. TakeChange
// takes the mark.
func (r *Registry) NextChanged() *Device {
	for n := len(r.changed); n > 0; n = len(r.changed) {
		d := r.changed[n-1]
		if d.registry == r && d.change != Unchanged {
			return d
		}
		r.changed[n-1] = nil
		r.changed = r.changed[:n-1]
	}
	return nil
}

// TakeChange returns what has changed since the last call.
func (d *Device) TakeChange() Change {
	what := d.change
	d.change = Unchanged
	d.moved = d.moved && what <= CountersChanged
	return what
}

// Changed marks a device whose record in the store is not known.
func (d *Device) Changed() { d.changed(RecordChanged) }

// SetParameters replaces the parameters that the device is known to use. What p
// points to must not change any more.
func (s *Session) SetParameters(p *Parameters) {
	if p == nil && s.Parameters == nil {
		return
	}
	s.Parameters = p
	s.changed(RecordChanged)
}

// SetMAC replaces what was asked of the device. What m points to must not change
// any more.
func (s *Session) SetMAC(m *macstate.State) {
	s.MAC = m
	s.changed(RecordChanged)
}

// UseNonces notes that the nonces of a join are used.
func (d *Device) UseNonces(joinNonce uint32, devNonce uint16) {
	d.LastJoinNonce, d.DevNoncesForgotten = joinNonce, false
	d.changed(RecordChanged)
	if d.Version >= V1_0_4 {
		d.LastDevNonce = devNonce
		return
	}
	used := d.UsedDevNonces
	d.UsedDevNonces = append(used[max(len(used)+1-MaxDevNonces, 0):len(used):len(used)], devNonce)
}

// UseRejoin notes that the JoinNonce of the answer to a rejoin-request is used, and its
// RJcount: with types 0 and 2 that of a session, with type 1 that of the device, and in is nil.
func (d *Device) UseRejoin(in *Session, joinNonce uint32, count uint16) {
	d.LastJoinNonce = joinNonce
	d.changed(RecordChanged)
	if in == nil {
		d.NextRJCount1 = max(d.NextRJCount1, uint32(count)+1)
		return
	}
	in.SetMAC(in.MAC.WithRJCount0(uint32(count) + 1))
}

// Confirmed notes the counter of a confirmed downlink.
func (s *Session) Confirmed(v Version, fCnt uint32) {
	if v < V1_1 {
		return // no MIC covers it
	}
	s.ConfFCntDown = fCnt
	s.changed(RecordChanged)
}
