package core

import (
	"lorawand/bridge/session"
	"lorawand/bridge/state"
)

// commitChanges commits whatever this step has changed of the devices: see
// session.Change. It is the one place that does so. Only what must be stored before
// somebody is told is committed earlier, with a Ticket.
func (c *Core) commitChanges() {
	for d := c.opts.Devices.NextChanged(); d != nil; d = c.opts.Devices.NextChanged() {
		if c.provisions.Holds(d) {
			c.provisions.Late(d)
			continue
		}
		records, lag, err := c.takeRecords(d)
		if err != nil && d.Session != nil {
			// The store keeps the device as it was; its counters go on.
			records = []state.Record{state.CountersRecord(d, d.Session.Marks())}
		}
		if len(records) > 0 {
			c.do(Commit{Records: records, Lag: lag})
		}
	}
}

// takeRecords returns the records of what has changed of a device, and takes that
// for stored. lag says that a crash may lose it.
func (c *Core) takeRecords(d *session.Device) (records []state.Record, lag bool, err error) {
	c.provisions.Outdate(d)
	return state.TakeChange(d)
}

// Starting is the first input.
type Starting struct{}

func (Starting) input() {}

// starting has a counter reserved for the first downlink of each device, in one
// commit that nobody waits for.
func (c *Core) starting() {
	if records, done := state.ReserveFirst(c.opts.Devices.All()); len(records) > 0 {
		c.commit(done, records...)
	}
	for _, d := range c.opts.Devices.All() {
		c.awaitAck(d, c.now.Host)
		c.wake(d)
	}
}
