package tombstone

import (
	"cmp"
	"slices"

	"lorawand/bridge/session"
	"lorawand/radio"
)

// Past is what was used of nonces and counters, by devices that there are and
// by those that are no more. It has no bound but theirs.
type Past struct {
	sessions map[radio.DevAddr][]session.Lost
	nonces   map[radio.EUI64]session.Nonces
}

// NewPast returns what was used of devices, of their sessions, and of what they have left.
func NewPast(devices []*session.Device, t *Set) *Past {
	p := &Past{sessions: map[radio.DevAddr][]session.Lost{}, nonces: map[radio.EUI64]session.Nonces{}}
	for key := range t.all {
		if l, ok := t.session(key); ok {
			p.sessions[l.Addr] = append(p.sessions[l.Addr], l)
		} else if n, e, ok := t.noncesOf(key); ok {
			p.nonces[e] = n
		}
	}
	for _, d := range devices {
		for _, s := range d.Sessions() {
			p.sessions[s.DevAddr] = append(p.sessions[s.DevAddr], s.Lost())
		}
		if d.SupportsJoin {
			both := d.Nonces().Of(d.DevEUI)
			if before, ok := p.nonces[d.DevEUI]; ok {
				both.AddNonces(before)
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
func (p *Past) GoOn(d *session.Device, whole bool) (known bool) {
	known = whole
	if d.SupportsJoin {
		joined := d.LastJoinNonce
		if !(p.noncesOf(d) && whole) {
			d.SkipNonces()
			known = false
		} else if d.LastJoinNonce > joined { // the device has joined again
			p.dropOffers(d)
		}
	}
	for _, s := range d.Sessions() {
		if !(p.session(s, d.Version) && whole) {
			s.SkipAhead()
			known = false
		}
	}
	return known
}

// dropOffers takes from a device the sessions that it was offered, and never sent in.
func (p *Past) dropOffers(d *session.Device) {
	for _, s := range [...]**session.Session{&d.Pending, &d.Earlier} {
		if *s != nil && !p.session(*s, d.Version) {
			*s = nil
		}
	}
	if d.Pending == nil {
		d.Pending, d.Earlier = d.Earlier, nil
	}
}

// session has a session go on, and reports whether its past is known.
func (p *Past) session(s *session.Session, v session.Version) (known bool) {
	own, was := s.Hashes(), s.Lost()
	for i := range p.sessions[s.DevAddr] {
		l := &p.sessions[s.DevAddr][i]
		s.GoOnBehind(l, own, v)
		known = known || l.Keys == own && follows(l, &was)
	}
	return known
}

// follows reports whether a state of a session can be of a later time. session.Marks
// say nothing: a clean stop lowers them to what was used.
func follows(l, was *session.Lost) bool {
	heard := !was.Heard || l.Heard && l.FCntUp >= was.FCntUp
	return heard && l.Sent.N >= was.Sent.N && l.Sent.A >= was.Sent.A
}

// noncesOf has a device go on, and reports whether its past is known.
func (p *Past) noncesOf(d *session.Device) (known bool) {
	n, ok := p.nonces[d.DevEUI]
	if !ok {
		return false
	}
	own := d.Nonces()
	d.AddNonces(n)
	return n.LastJoinNonce >= own.LastJoinNonce && n.LastDevNonce >= own.LastDevNonce
}

// Unite takes the tombstones of others. Where both have one, that of more use counts.
func (t *Set) Unite(o *Set) {
	keys := make([]string, 0, len(o.all))
	for key := range o.all {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b string) int { return cmp.Compare(number(o.all[a]), number(o.all[b])) })
	for _, key := range keys {
		if n, e, ok := o.noncesOf(key); ok {
			d := n.Of(e)
			if before, ok := t.nonces(e); ok {
				d.AddNonces(before)
			}
			t.AddNonces(d)
			continue
		}
		l, _ := o.session(key)
		if before, ok := t.session(key); ok {
			l.Heard, l.FCntUp = l.Heard || before.Heard, max(l.FCntUp, before.FCntUp)
			l.Sent = session.Marks{N: max(l.Sent.N, before.Sent.N), A: max(l.Sent.A, before.Sent.A)}
		}
		t.addLost(key, remains(o.all[key][1]), l)
	}
}

// All returns what a store is to keep, in no order.
func (t *Set) All() []Entry {
	out := make([]Entry, 0, len(t.all))
	for key, b := range t.all {
		out = append(out, Entry{key, b})
	}
	return out
}
