package session

import "lorawand/radio"

// Plan is what a Registry would be after some changes. It changes nothing, and
// says what the Registry would say.
type Plan struct {
	registry *Registry
	devices  map[ID]*Device        // that would be there; nil: it would be gone
	byEUI    map[euis]*Device      // the same; nil: free
	byAddr   map[radio.DevAddr]int // how many sessions more than now
}

// Plan returns the Registry as it is.
func (r *Registry) Plan() *Plan {
	return &Plan{registry: r, devices: map[ID]*Device{}, byEUI: map[euis]*Device{}, byAddr: map[radio.DevAddr]int{}}
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
	p.count(old, -1)
	for _, s := range []*Session{d.Session, d.Pending} {
		if s != nil && p.onAddr(s.DevAddr) >= MaxPerDevAddr {
			p.count(old, 1)
			return fullAddr(d, s.DevAddr)
		}
	}
	p.free(old)
	p.count(d, 1)
	p.devices[d.ID] = d
	if d.SupportsJoin {
		p.byEUI[euis{d.JoinEUI, d.DevEUI}] = d
	}
	return nil
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
	if d == nil {
		return
	}
	for _, s := range []*Session{d.Session, d.Pending} {
		if s != nil {
			p.byAddr[s.DevAddr] += n
		}
	}
}

func (p *Plan) onAddr(addr radio.DevAddr) int {
	n := p.byAddr[addr]
	if g := p.registry.byAddr[addr]; g != nil {
		n += len(g.members)
	}
	return n
}
