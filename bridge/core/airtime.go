package core

import (
	"lorawand/bridge/gateway"
	"lorawand/bridge/schedule"
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

// lowerMarks lowers the marks that are too high, and stores in which hours gateways
// have sent, when it is time.
func (c *Core) lowerMarks() {
	for _, r := range c.marks.Lower(c.now.Host, c.spent) {
		c.do(Commit{Records: []state.Record{r}, Lag: true})
	}
	if c.hours.Due(c.now.Host) {
		c.storeHours()
	}
}

// settleMarks stores exactly the airtime that is spent.
func (c *Core) settleMarks() {
	for _, r := range c.marks.Settle(c.spent) {
		c.do(Commit{Records: []state.Record{r}, Lag: true})
	}
	c.storeHours()
}

// storeHours stores the hours in which gateways have sent since it was called last.
func (c *Core) storeHours() {
	for _, g := range c.opts.Gateways.All() {
		if records := c.hours.Note(g.EUI, c.schedule.TakeHours(g.EUI, c.now.Host), c.now.at); len(records) > 0 {
			c.do(Commit{Records: records, Lag: true})
		}
	}
}

// Airtime is what is known of what a gateway has sent.
type Airtime struct {
	Sent  []schedule.Sent     // in the last hour
	Hours []state.AirtimeHour // those before, oldest first
}

// Airtime returns what a gateway has sent. It is called as the methods of view.go.
func (c *Core) Airtime(g *gateway.Gateway, now Now) Airtime {
	return Airtime{Sent: c.schedule.Sent(g, now.Host), Hours: c.hours.With(g.EUI, c.schedule.Hours(g.EUI, now.Host), now.at)}
}

// why says what a transmission is for.
func (t *transmission) why(w int) schedule.Why {
	x := t.opportunity
	why := schedule.Why{Device: x.device.Key(), Window: x.windows[w].Name, What: schedule.Network}
	switch {
	case x.join != nil:
		why.What = schedule.JoinAccept
	case t.down.Item != nil:
		why.What = schedule.Item
	}
	return why
}
