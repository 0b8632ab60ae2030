package core

import (
	"lorawand/bridge/event"
	"lorawand/bridge/pushes"
	"lorawand/bridge/session"
	"lorawand/bridge/state"
	"lorawand/bridge/v3"
)

// unsendable fails an item that no window of an opportunity can carry, or that was
// encrypted for another session.
func (c *Core) unsendable(x *opportunity, it *session.Item, why *v3.Error) {
	c.failUnsent(x, it, &v3.Downlink{Err: c.names.Error(why)}, why)
	c.do(Commit{Records: state.DeleteItems(x.device, it), Told: true})
}

// failUnsent publishes that an item has failed that was never sent; m has the reason. It
// returns the correlation ids.
func (c *Core) failUnsent(x *opportunity, it *session.Item, m *v3.Downlink, err error) []string {
	ids := x.correlationIDs(it)
	m.DeviceIDs, m.CorrelationIDs, m.ItemCorrelationIDs = v3.IDs(x.device), ids, it.CorrelationIDs
	m.Item = it
	if s := x.session; s != nil { // its owner may have made it another device, which has to join
		m.SessionKeyID = s.KeyID
		m.FCnt, _ = s.NextFCntDown(x.device.Version, true) // which it would have had
	}
	c.publishDownlink(v3.DownFailed, m)
	c.report(event.Event{Kind: event.DownlinkFailed, Device: x.device.ID, CorrelationIDs: ids, Err: err})
	return ids
}

// settleConfirmed settles the confirmed item that waits for an acknowledgement: the
// next uplink acknowledges it, or does not.
func (c *Core) settleConfirmed(d *session.Device, s *session.Session, ack bool, uplinkIDs []string) {
	o, ok := pushes.Settle(d, s, ack, uplinkIDs, &c.names)
	if !ok {
		return
	}
	if o.Failed != nil {
		c.publishDownlink(v3.DownFailed, o.Failed)
	}
	c.publishDownlink(o.Kind, &o.Message)
	if len(o.Records) > 0 {
		c.do(Commit{Records: o.Records, Told: true})
	}
	c.wake(d)
	c.report(event.Event{Kind: o.Event, Device: d.ID, FCnt: o.Message.FCnt, CorrelationIDs: o.Message.CorrelationIDs})
}
