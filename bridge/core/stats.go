package core

import (
	"maps"

	"lorawand/bridge/event"
)

// Stats returns the counts so far.
func (c *Core) Stats() event.Stats {
	s := c.stats
	s.Pending, s.InFlight, s.Unstored = len(c.remembered), len(c.attempts), len(c.onStored)
	s.Downlinks = c.opts.Devices.Waiting()
	s.WrongMICs = c.opts.Devices.WrongMICs()
	s.Events, s.Refusals = maps.Clone(s.Events), maps.Clone(s.Refusals)
	return s
}
