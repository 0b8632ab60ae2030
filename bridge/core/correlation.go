package core

import "lorawand/radio"

// correlationID returns a new correlation id.
func (c *Core) correlationID(kind string) string { return c.names.CorrelationID(kind, c.now.Wall.Time) }

// uplinkIDs returns the correlation ids of a frame.
func (c *Core) uplinkIDs(up *radio.Uplink) []string {
	return c.names.Uplink(c.gateway(up.Gateway).Connection, c.now.Wall.Time)
}
