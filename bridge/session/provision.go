package session

import (
	"bytes"
	"reflect"
	"slices"

	"lorawand/bridge/session/macstate"
)

// MaxDevNonces is how many used DevNonces of a device are remembered below
// LoRaWAN 1.0.4, where they are random.
const MaxDevNonces = 128

// Clone returns a copy of what is registered of a device and of its sessions,
// which nothing changes any more. It has no history and an empty queue.
func (d *Device) Clone() *Device {
	c := *d
	c.registry, c.change = nil, Unchanged
	c.Session, c.Pending, c.Earlier = d.Session.clone(), d.Pending.clone(), d.Earlier.clone()
	c.UsedDevNonces = slices.Clone(d.UsedDevNonces)
	c.History, c.Queue = macstate.History{}, Queue{}
	return &c
}

func (s *Session) clone() *Session {
	if s == nil {
		return nil
	}
	c := *s
	c.KeyID, c.cipher, c.device = bytes.Clone(s.KeyID), nil, nil
	if p := s.Parameters; p != nil {
		q := *p
		q.Channels = slices.Clone(p.Channels)
		c.Parameters = &q
	}
	return &c
}

// IsSame reports whether two sessions, which may be nil, are one: then their
// counters go on from each other.
func (s *Session) IsSame(o *Session) bool {
	return s != nil && o != nil && s.DevAddr == o.DevAddr && s.Keys == o.Keys
}

// Succeed makes d, as its owner registers it anew, the successor of the device
// that was registered: what waits for it stays in its queue, nonces that were
// used remain used, and a session goes on where the new registration has the
// same one, or none and the device is still the one that joined.
func (d *Device) Succeed(old *Device) {
	d.History, d.Queue = old.History, old.Queue
	if !reflect.DeepEqual(d.Settings.MAC.ADR, old.Settings.MAC.ADR) {
		d.History.DecideAnew()
	}
	d.followSettings(old)
	d.Queue.total = nil // until it is added
	sameKeys := (d.Version < V1_1) == (old.Version < V1_1)
	if !sameKeys && old.Session != nil {
		old.Session.cipher = nil
	}
	offered := old.Pending
	if d.Session.IsSame(old.Earlier) {
		offered = old.Earlier
	}
	switch {
	case d.Session.IsSame(old.Session):
		old.Session.goOn(d.Session)
		d.Session, d.Pending, d.Earlier = old.Session, old.Pending, old.Earlier
	case d.Session.IsSame(offered):
		offered.goOn(d.Session)
		d.Session, d.Pending, d.Earlier = offered, nil, nil
	case d.Session == nil && d.SupportsJoin && d.DevEUI == old.DevEUI && sameKeys:
		d.Session, d.Pending, d.Earlier = old.Session, old.Pending, old.Earlier
	}
	if d.DevEUI == old.DevEUI {
		d.AddNonces(old.Nonces())
	}
}

// goOn takes over what another copy of the session has got to. No counter goes
// back.
func (s *Session) goOn(from *Session) {
	if from.Heard {
		s.Heard, s.FCntUp = true, max(s.FCntUp, from.FCntUp)
	}
	sent, other := s.LastSent(), from.LastSent()
	s.NFCntDown, s.AFCntDown = max(s.NFCntDown, from.NFCntDown), max(s.AFCntDown, from.AFCntDown)
	s.NStored, s.AStored = max(s.NStored, s.NFCntDown), max(s.AStored, s.AFCntDown)
	s.SetLastSent(Marks{max(sent.N, other.N), max(sent.A, other.A)})
	s.ConfFCntDown = max(s.ConfFCntDown, from.ConfFCntDown)
	if len(from.KeyID) > 0 {
		s.KeyID = from.KeyID
	}
	if from.Parameters != nil {
		s.Parameters = from.Parameters
	}
	if from.MAC != nil && from.MAC.Wish != nil {
		s.MAC = s.MAC.With(func(m *macstate.State) { m.Wish = from.MAC.Wish })
	}
	if from.Parameters != nil && from.MAC != nil && from.MAC.Mask != nil { // the channels that it uses
		s.MAC = s.MAC.With(func(m *macstate.State) { m.Masked, m.Mask = true, from.MAC.Mask })
	}
	s.MAC = s.MAC.WithRJCount0(from.MAC.RJCount0())
	s.changed(RecordChanged)
}

// ForgetFCntUp lets the device begin its frame counter anew. Frames that were
// sent before can then be replayed. Counters of downlinks go on.
func (s *Session) ForgetFCntUp() {
	s.Heard, s.FCntUp = false, 0
	s.changed(RecordChanged)
}

// ForgetDevNonces lets the device begin its DevNonces anew. Join-requests that
// it has sent before can then be replayed. So with RJcount1. JoinNonces go on.
func (d *Device) ForgetDevNonces() {
	d.UsedDevNonces, d.LastDevNonce, d.NextRJCount1, d.DevNoncesForgotten = nil, 0, 0, true
	d.changed(RecordChanged)
}

// SkipAhead is for a device of which only an older state is known, such as that
// of a backup: its counters of downlinks and its JoinNonces go on above what can
// have been used since. Its DevNonces cannot: which it has used is only known to
// the device. A join-request of that time can be replayed, which brings about
// an offer that the device does not take up.
func (d *Device) SkipAhead() {
	for _, s := range d.Sessions() {
		s.SkipAhead()
	}
	if d.SupportsJoin {
		d.SkipNonces()
	}
}

// SkipNonces is SkipAhead for the nonces alone.
func (d *Device) SkipNonces() {
	d.DevNoncesForgotten = d.DevNoncesForgotten || !d.Nonces().Used()
	last := max(d.LastJoinNonce, FirstJoinNonce-1)
	d.LastJoinNonce = min(last+skippedJoinNonces, 1<<24-1)
}

// Replace gives a device of the Registry a new registration. It returns what
// Add does, and then changes nothing. The device stays the same one; next is
// used up.
func (r *Registry) Replace(d, next *Device) error {
	was := *d
	was.Queue.total = nil
	r.Remove(d.ID)
	*d = *next
	if err := r.Add(d); err != nil {
		*d = was
		if again := r.Add(d); again != nil {
			return again // not reached: it was there before
		}
		return err
	}
	d.changed(RecordChanged)
	return nil
}
