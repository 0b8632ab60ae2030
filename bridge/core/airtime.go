package core

import (
	"lorawand/bridge/gateway"
	"lorawand/bridge/state"
	"lorawand/radio"
)

// spent returns the airtime that a gateway has spent in the last hour.
func (c *Core) spent(eui radio.EUI64) state.Spent { return c.schedule.Spent(eui, c.now.Host) }

// raiseMarks raises the marks of a gateway in the store if it has spent more.
func (c *Core) raiseMarks(g *gateway.Gateway) {
	if !g.EnforceDutyCycle {
		return
	}
	if r, ok := c.marks.Raise(g.EUI, c.spent(g.EUI)); ok {
		c.do(Commit{Records: []state.Record{r}})
	}
}

// lowerMarks lowers the marks that are too high, when it is time.
func (c *Core) lowerMarks() {
	for _, r := range c.marks.Lower(c.now.Host, c.spent) {
		c.do(Commit{Records: []state.Record{r}, Lag: true})
	}
}

// settleMarks stores exactly the airtime that is spent.
func (c *Core) settleMarks() {
	for _, r := range c.marks.Settle(c.spent) {
		c.do(Commit{Records: []state.Record{r}, Lag: true})
	}
}
