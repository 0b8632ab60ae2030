package core

import (
	"lorawand/bridge/event"
	"lorawand/radio"
)

// report reports an event.
func (c *Core) report(e event.Event) {
	e.Host, e.At = c.now.Host, c.now.at(c.now.Host)
	c.stats.Events[e.Kind]++
	c.do(Report{e})
}

// drop counts and reports a frame that is dropped.
func (c *Core) drop(reason event.DropReason, e event.Event) {
	c.stats.Dropped[reason]++
	e.Kind, e.Reason = event.UplinkDropped, reason
	if e.Err == nil {
		e.Err = reason.Err()
	}
	c.report(e)
}

// newDecision returns an empty record of how an opportunity is used.
func (c *Core) newDecision(x *opportunity) *event.Decision {
	return &event.Decision{
		Device: x.device.ID, Uplink: x.Start, UplinkAt: c.now.at(x.Start), FCntUp: x.uplink.fCnt,
		Join: x.join != nil, Always: x.always, Chosen: -1, Blocked: x.Blocked,
	}
}

// correlationID returns a new correlation id.
func (c *Core) correlationID(kind string) string { return c.names.CorrelationID(kind, c.now.Wall.Time) }

// uplinkIDs returns the correlation ids of a frame.
func (c *Core) uplinkIDs(up *radio.Uplink) []string {
	return c.names.Uplink(c.gateway(up.Gateway).Connection, c.now.Wall.Time)
}
