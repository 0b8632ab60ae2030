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
		records, lag, err := c.takeRecords(d)
		if err != nil && d.Session != nil {
			// The store has the device as it was, and its counters as they are.
			records = []store.Record{CountersRecord(d, d.Session.Marks())}
		}
		if len(records) > 0 {
			c.do(Keep{Records: records, Lag: lag})
		}
	}
}

// takeRecords returns the records of what has changed of a device, and takes
// that for kept. lag says that a crash may lose it.
func (c *Core) takeRecords(d *session.Device) (records []store.Record, lag bool, err error) {
	c.outdate(d)
	if d.TakeChange() == session.CountersChanged {
		return []store.Record{CountersRecord(d, d.Session.Marks())}, true, nil
	}
	r, err := deviceRecord(d)
	if err != nil {
		return nil, false, err
	}
	if d.Session == nil {
		return []store.Record{r, noCountersRecord(d)}, false, nil
	}
	return []store.Record{r, CountersRecord(d, d.Session.Marks())}, false, nil
}
