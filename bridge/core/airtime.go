package core

import (
	"lorawand/bridge/gateway"
	"lorawand/bridge/schedule"
	"lorawand/bridge/state"
	"lorawand/radio"
)

// airtimePlanned has the store know what a gateway is to send, before it does.
func (c *Core) airtimePlanned(g *gateway.Gateway, end radio.HostTime) {
	if r, ok := c.airtime.Planned(g.EUI, g.EnforceDutyCycle, c.now.Host, end); ok {
		c.do(Commit{Records: []state.Record{r}})
	}
}

// airtimeLags stores what the store is to know of the past.
func (c *Core) airtimeLags(records []state.Record) {
	for _, r := range records {
		c.do(Commit{Records: []state.Record{r}, Lag: true})
	}
}

// Airtime is what is known of what a gateway has sent.
type Airtime struct {
	Sent  []schedule.Sent     // in the last hour
	Hours []state.AirtimeHour // those before, oldest first
}

// Airtime returns what a gateway has sent. It is called as the methods of view.go.
func (c *Core) Airtime(g *gateway.Gateway, now Now) Airtime {
	return Airtime{c.schedule.Sent(g, now.Host), c.airtime.Hours(g.EUI, now.Host, now.at)}
}
