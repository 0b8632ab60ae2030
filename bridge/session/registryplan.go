package session

import (
	"fmt"
	"slices"

	"lorawand/radio"
)

// Plan is what a Registry would be after some changes. It changes nothing, and
// says what the Registry would say.
type Plan struct {
	registry *Registry
	devices  map[ID]*Device        // that would be there; nil: it would be gone
	byEUI    map[euis]*Device      // the same; nil: free
	byAddr   map[radio.DevAddr]int // how many sessions more than now

	onSameAddr map[radio.DevAddr][]*Device // that were put, by their sessions
}

// Plan returns the Registry as it is.
func (r *Registry) Plan() *Plan {
	return &Plan{
		registry: r, devices: map[ID]*Device{}, byEUI: map[euis]*Device{},
		byAddr: map[radio.DevAddr]int{}, onSameAddr: map[radio.DevAddr][]*Device{},
	}
}

// Put takes a device in, in the place of the one with its ID if there is one. It
// returns what Registry.Replace or Add would, and then changes nothing.
func (p *Plan) Put(d *Device) error {
	if err := d.Check(); err != nil {
		return err
	}
	old := p.device(d.ID)
	if other := p.holder(euis{d.JoinEUI, d.DevEUI}); other != nil && d.SupportsJoin && other.ID != d.ID {
		return sameEUIs(d, other)
	}
	if err := p.checkTwin(d, old); err != nil {
		return err
	}
	p.count(old, -1)
	for _, s := range d.Sessions() {
		if p.onAddr(s.DevAddr) >= MaxPerDevAddr {
			p.count(old, 1)
			return fullAddr(d, s.DevAddr)
		}
	}
	p.free(old)
	p.count(d, 1)
	p.devices[d.ID] = d
	for _, s := range d.Sessions() {
		p.onSameAddr[s.DevAddr] = append(p.onSameAddr[s.DevAddr], d)
	}
	if d.SupportsJoin {
		p.byEUI[euis{d.JoinEUI, d.DevEUI}] = d
	}
	return nil
}

// checkTwin returns ErrTwin for a device whose session is that of another device
// that would be there: their frames could not be told apart. A session that the
// device has already, as old, may stay.
func (p *Plan) checkTwin(d, old *Device) error {
	s := d.Session
	if s == nil || slices.ContainsFunc(old.Sessions(), s.IsSame) {
		return nil
	}
	if g := p.registry.byAddr[s.DevAddr]; g != nil {
		for _, m := range g.members {
			if p.device(m.device.ID) == m.device && m.device.ID != d.ID && s.isTwin(m.session) {
				return twins(d, m.device)
			}
		}
	}
	for _, other := range p.onSameAddr[s.DevAddr] {
		if p.devices[other.ID] == other && other.ID != d.ID && slices.ContainsFunc(other.Sessions(), s.isTwin) {
			return twins(d, other)
		}
	}
	return nil
}

// isTwin reports whether two sessions have one address and one key for the MIC of
// uplinks.
func (s *Session) isTwin(o *Session) bool {
	return s.DevAddr == o.DevAddr &&
		s.Keys.FNwkSIntKey == o.Keys.FNwkSIntKey && s.Keys.SNwkSIntKey == o.Keys.SNwkSIntKey
}

func twins(d, other *Device) error {
	return fmt.Errorf("%v: %w: %v has dev_addr %v and the same network session key; "+
		"delete that one first, or give this one a session of its own", d.ID, ErrTwin, other.ID, d.Session.DevAddr)
}

// Remove takes a device out.
func (p *Plan) Remove(id ID) {
	old := p.device(id)
	p.count(old, -1)
	p.free(old)
	p.devices[id] = nil
}

func (p *Plan) device(id ID) *Device {
	if d, ok := p.devices[id]; ok {
		return d
	}
	return p.registry.devices[id]
}

// holder returns the device that joins with these EUIs, or nil.
func (p *Plan) holder(e euis) *Device {
	if d, ok := p.byEUI[e]; ok {
		return d
	}
	return p.registry.byEUI[e]
}

// free gives a device's EUIs free.
func (p *Plan) free(d *Device) {
	if d != nil && d.SupportsJoin {
		p.byEUI[euis{d.JoinEUI, d.DevEUI}] = nil
	}
}

// count adds n to what is on the addresses of a device.
func (p *Plan) count(d *Device, n int) {
	for _, s := range d.Sessions() {
		p.byAddr[s.DevAddr] += n
	}
}

func (p *Plan) onAddr(addr radio.DevAddr) int {
	n := p.byAddr[addr]
	if g := p.registry.byAddr[addr]; g != nil {
		n += len(g.members)
	}
	return n
}
