package session

import (
	"cmp"
	"slices"

	"lorawand/radio"
)

// Past is what was used of nonces and counters, by devices that there are and
// by those that are no more. It has no bound but theirs.
type Past struct {
	sessions map[radio.DevAddr][]lostSession
	nonces   map[radio.EUI64]Nonces
}

// NewPast returns what was used of devices, of their sessions, and of what they have left.
func NewPast(devices []*Device, t *Tombstones) *Past {
	p := &Past{sessions: map[radio.DevAddr][]lostSession{}, nonces: map[radio.EUI64]Nonces{}}
	for key := range t.all {
		if l, ok := t.session(key); ok {
			p.sessions[l.addr] = append(p.sessions[l.addr], l)
		} else if n, e, ok := t.noncesOf(key); ok {
			p.nonces[e] = n
		}
	}
	for _, d := range devices {
		for _, s := range []*Session{d.Session, d.Pending} {
			if s != nil {
				p.sessions[s.DevAddr] = append(p.sessions[s.DevAddr], s.lost())
			}
		}
		if d.SupportsJoin {
			both := d.Nonces().of(d.DevEUI)
			if before, ok := p.nonces[d.DevEUI]; ok {
				both.setNonces(before)
			}
			p.nonces[d.DevEUI] = both.Nonces()
		}
	}
	return p
}

// GoOn has a device of an older state, such as that of a backup, go on behind what was used since.
// What the past does not tell of skips ahead, as SkipAhead says; it does not where it knows less
// than the device: then it is the past of another one. whole says that the past is known to its
// end. GoOn reports whether nothing had to skip.
func (p *Past) GoOn(d *Device, whole bool) (known bool) {
	known = whole
	if d.SupportsJoin {
		joined := d.LastJoinNonce
		if !(p.noncesOf(d) && whole) {
			d.skipNonces()
			known = false
		} else if d.Pending != nil && d.LastJoinNonce > joined && !p.session(d.Pending, d.Version) {
			d.Pending = nil // the device has joined again, and never sent in it
		}
	}
	for _, s := range []*Session{d.Session, d.Pending} {
		if s != nil && !(p.session(s, d.Version) && whole) {
			s.skipAhead()
			known = false
		}
	}
	return known
}

// session has a session go on, and reports whether its past is known.
func (p *Past) session(s *Session, v Version) (known bool) {
	own, was := s.hashes(), s.lost()
	for i := range p.sessions[s.DevAddr] {
		l := &p.sessions[s.DevAddr][i]
		s.after(l, own, v)
		known = known || l.keys == own && l.follows(&was)
	}
	return known
}

// follows reports whether a state of a session can be of a later time. Marks
// say nothing: a clean stop lowers them to what was used.
func (l *lostSession) follows(was *lostSession) bool {
	heard := !was.heard || l.heard && l.fCntUp >= was.fCntUp
	return heard && l.sent.N >= was.sent.N && l.sent.A >= was.sent.A
}

// noncesOf has a device go on, and reports whether its past is known.
func (p *Past) noncesOf(d *Device) (known bool) {
	n, ok := p.nonces[d.DevEUI]
	if !ok {
		return false
	}
	own := d.Nonces()
	d.setNonces(n)
	return n.LastJoinNonce >= own.LastJoinNonce && n.LastDevNonce >= own.LastDevNonce
}

// Unite takes the tombstones of others. Where both have one, that of more use counts.
func (t *Tombstones) Unite(o *Tombstones) {
	keys := make([]string, 0, len(o.all))
	for key := range o.all {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b string) int { return cmp.Compare(number(o.all[a]), number(o.all[b])) })
	for _, key := range keys {
		if n, e, ok := o.noncesOf(key); ok {
			d := n.of(e)
			if before, ok := t.nonces(e); ok {
				d.setNonces(before)
			}
			t.AddNonces(d)
			continue
		}
		l, _ := o.session(key)
		if before, ok := t.session(key); ok {
			l.heard, l.fCntUp = l.heard || before.heard, max(l.fCntUp, before.fCntUp)
			l.sent = Marks{max(l.sent.N, before.sent.N), max(l.sent.A, before.sent.A)}
		}
		t.addLost(key, remains(o.all[key][1]), l)
	}
}

// All returns what a store is to keep, in no order.
func (t *Tombstones) All() []Tombstone {
	out := make([]Tombstone, 0, len(t.all))
	for key, b := range t.all {
		out = append(out, Tombstone{key, b})
	}
	return out
}
