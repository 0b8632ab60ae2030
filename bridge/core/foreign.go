package core

import (
	"lorawand/bridge/foreign"
	"lorawand/radio"
)

type (
	// Asked is a downlink that another network wants a gateway to send.
	Asked foreign.Request
	// Replied tells what becomes of an Asked.
	Replied foreign.Result
	// Forward hands a frame on to other networks. Own says that it is of a device of ours.
	Forward struct {
		Uplink radio.Uplink
		Own    bool
	}
)

func (Asked) input()    {}
func (Replied) effect() {}
func (Forward) effect() {}

// askedFor plans a downlink of another network.
func (c *Core) askedFor(r foreign.Request) {
	p, ok := c.foreign.Plan(c.schedule, c.opts.Gateways.Gateway(r.Downlink.Gateway), c.now.Host, r)
	c.do(Replied(p.Result))
	if ok {
		c.airtimePlanned(p.Gateway, p.End)
		c.agenda.Add(p.At, duty{kind: toHandForeign, attempt: p.ID})
	}
}

// handForeign gives a downlink of another network to its gateway's driver.
func (c *Core) handForeign(id uint64) {
	if f, ok := c.foreign.HandOver(id); ok {
		c.do(Transmit(f))
	} else {
		c.acked(radio.TxAck{ID: id, Result: radio.TxNoPath})
	}
}
