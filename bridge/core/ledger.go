package core

import (
	"bytes"
	"maps"
	"slices"
	"time"

	"lorawand/bridge/gateway"
	"lorawand/bridge/state"
	"lorawand/radio"
)

// What gateways have sent must not be forgotten in a crash, or an hour could
// have more than its duty cycle. The store has a mark for each sub-band, at or
// above what was spent, that is raised in steps before it is, and lowered some
// time after; after a restart all of it counts as spent just now, since nobody
// knows how old it is.

// ledgerStep is by how much a mark is raised above what is spent: one write
// covers some short downlinks. Each crash costs as much, so it must not be long:
// a gateway that restarts often is to go on sending.
const ledgerStep = 500 * time.Millisecond

// keepLedger raises the marks of a gateway if it has spent more.
func (c *Core) keepLedger(g *gateway.Gateway) {
	if !g.EnforceDutyCycle {
		return
	}
	marks := c.marks[g.EUI]
	spent := c.schedule.Spent(g.EUI, c.now.Host)
	raise := false
	for band, airtime := range spent {
		raise = raise || airtime > marks[band]
	}
	if !raise {
		return
	}
	for band := range spent {
		spent[band] += ledgerStep
	}
	c.marks[g.EUI] = spent
	c.do(Keep{Records: []state.Record{state.LedgerRecord(g.EUI, spent)}})
}

// lowerEvery is how often marks come down to what is spent still: a few writes
// for each busy hour, which may lag.
const lowerEvery = 10 * time.Minute

// lowerLedgers lowers the marks that are too high, when it is time. Else one
// busy hour would count as spent at every start, however long ago it was.
func (c *Core) lowerLedgers() {
	if c.lowerAt == 0 && len(c.marks) > 0 {
		c.lowerAt = c.now.Host.Add(lowerEvery)
	}
	if c.lowerAt == 0 || c.lowerAt > c.now.Host {
		return
	}
	for _, eui := range c.marked() {
		marks, spent := c.marks[eui], c.schedule.Spent(eui, c.now.Host)
		lower := false
		for band, mark := range marks {
			lower = lower || mark > spent[band]+2*ledgerStep || spent[band] == 0
		}
		if !lower {
			continue
		}
		for band, airtime := range spent {
			if spent[band] += ledgerStep; airtime == 0 {
				delete(spent, band)
			}
		}
		c.setMarks(eui, spent)
	}
	c.lowerAt = 0
	if len(c.marks) > 0 {
		c.lowerAt = c.now.Host.Add(lowerEvery)
	}
}

// marked returns the gateways with marks, in the order of their EUIs.
func (c *Core) marked() []radio.EUI64 {
	return slices.SortedFunc(maps.Keys(c.marks), func(a, b radio.EUI64) int { return bytes.Compare(a[:], b[:]) })
}

// settleLedgers stores exactly what is spent.
func (c *Core) settleLedgers() {
	for _, eui := range c.marked() {
		spent := c.schedule.Spent(eui, c.now.Host)
		maps.DeleteFunc(spent, func(_ radio.Frequency, airtime time.Duration) bool { return airtime == 0 })
		c.setMarks(eui, spent)
	}
}

// setMarks stores marks that are not above those in the store. None is the end
// of the record.
func (c *Core) setMarks(eui radio.EUI64, marks state.Spent) {
	r := state.LedgerRecord(eui, marks)
	c.marks[eui] = marks
	if len(marks) == 0 {
		r.Data = nil
		delete(c.marks, eui)
	}
	c.do(Keep{Records: []state.Record{r}, Lag: true})
}
