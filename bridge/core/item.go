package core

import (
	"lorawand/bridge/event"
	"lorawand/bridge/session"
	"lorawand/bridge/state"
	"lorawand/bridge/v3"
)

// unsendable fails an item that no window of an opportunity can carry, or that was
// encrypted for another session.
func (c *Core) unsendable(x *opportunity, it *session.Item, why *v3.Error) {
	c.failUnsent(x, it, &v3.Downlink{Err: c.names.Error(why)}, why)
	c.do(Commit{Records: state.DeleteItems(x.device, it)})
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
	it := d.Queue.Decided()
	if it == nil {
		return
	}
	fCnt, kind := it.SentFCnt, v3.DownAck
	ids := v3.JoinIDs(uplinkIDs, it.CorrelationIDs...)
	m := v3.Downlink{
		DeviceIDs: v3.IDs(d), CorrelationIDs: ids, ItemCorrelationIDs: it.CorrelationIDs, Item: it,
		FCnt: fCnt, SessionKeyID: s.KeyID,
	}
	records := state.DeleteItems(d, it)
	if !ack {
		kind = v3.DownNack
		if it.Nacked() {
			it.Seq = d.Queue.NextSeq()
			d.Queue.Add(it)
			if again, err := state.ItemRecords(d, it); err == nil {
				records = append(records, again...)
			} else {
				records = nil // the store has the item under its old number
			}
		} else {
			failed := m
			failed.DeviceIDs.HasDevAddr = false
			failed.Err = c.names.Error(v3.MaxRetriesReached(it.Attempt - 1))
			c.publishDownlink(v3.DownFailed, &failed)
		}
	}
	c.publishDownlink(kind, &m)
	if len(records) > 0 {
		c.do(Commit{Records: records})
	}
	c.wake(d)
	events := map[string]event.Kind{v3.DownAck: event.DownlinkAcked, v3.DownNack: event.DownlinkNacked}
	c.report(event.Event{Kind: events[kind], Device: d.ID, FCnt: fCnt, CorrelationIDs: ids})
}
