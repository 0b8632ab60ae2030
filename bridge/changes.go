package bridge

import (
	"lorawand/bridge/session"
	"lorawand/bridge/store"
)

// keepChanges hands to the store whatever the step at hand has changed of the
// devices: see session.Change. It is the one place that does so; only what has to
// be there before somebody is told takes its records earlier, with a Ticket.
func (c *Core) keepChanges() {
	for d := c.opts.Devices.NextChanged(); d != nil; d = c.opts.Devices.NextChanged() {
		if p := c.holds(d); p != nil {
			d.TakeChange()
			p.late[d] = true
			continue
		}
		records, lag := c.takeRecords(d)
		c.do(Keep{Records: records, Lag: lag})
	}
}

// takeRecords returns the records of what has changed of a device, and takes
// that for kept. lag says that a crash may lose it.
func (c *Core) takeRecords(d *session.Device) (records []store.Record, lag bool) {
	c.outdate(d)
	if d.TakeChange() == session.CountersChanged {
		return []store.Record{CountersRecord(d, d.Session.Marks())}, true
	}
	r, err := deviceRecord(d)
	if err != nil {
		return nil, false // not reached: a device can always be marshalled
	}
	if d.Session == nil {
		return []store.Record{r, noCountersRecord(d)}, false
	}
	return []store.Record{r, CountersRecord(d, d.Session.Marks())}, false
}
