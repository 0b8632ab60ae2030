package core

import (
	"lorawand/bridge/gateway"
	"lorawand/bridge/state"
	"lorawand/radio"
)

// spent returns the airtime that a gateway has spent in the last hour.
func (c *Core) spent(eui radio.EUI64) state.Spent { return c.schedule.Spent(eui, c.now.Host) }

// keepLedger raises the marks of a gateway in the store if it has spent more.
func (c *Core) keepLedger(g *gateway.Gateway) {
	if !g.EnforceDutyCycle {
		return
	}
	if r, ok := c.marks.Raise(g.EUI, c.spent(g.EUI)); ok {
		c.do(Keep{Records: []state.Record{r}})
	}
}

// lowerLedgers lowers the marks that are too high, when it is time.
func (c *Core) lowerLedgers() {
	for _, r := range c.marks.Lower(c.now.Host, c.spent) {
		c.do(Keep{Records: []state.Record{r}, Lag: true})
	}
}

// settleLedgers stores exactly the airtime that is spent.
func (c *Core) settleLedgers() {
	for _, r := range c.marks.Settle(c.spent) {
		c.do(Keep{Records: []state.Record{r}, Lag: true})
	}
}
