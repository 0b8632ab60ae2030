package core

import (
	"lorawand/bridge/session"
	"lorawand/bridge/state"
)

// Starting is the first input.
type Starting struct{}

func (Starting) input() {}

// starting has a counter reserved for the first downlink of each device, in one
// commit that nobody waits for.
func (c *Core) starting() {
	var records []state.Record
	marks := map[*session.Session]session.Marks{}
	for _, d := range c.opts.Devices.All() {
		if d.Session == nil || d.Unserved() != nil {
			continue
		}
		if m := d.Session.FirstMarks(d.Version); m != d.Session.Marks() {
			d.Session.Ask(m)
			marks[d.Session] = m
			records = append(records, state.CountersRecord(d, m))
		}
	}
	if len(records) == 0 {
		return
	}
	c.keep(func(err error) {
		if err != nil {
			return // they are asked for again when they are needed
		}
		for s, m := range marks {
			s.Stored(m)
		}
	}, records...)
}
