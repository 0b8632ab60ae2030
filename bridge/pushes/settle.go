package pushes

import (
	"lorawand/bridge/event"
	"lorawand/bridge/session"
	"lorawand/bridge/state"
	"lorawand/bridge/v3"
)

// Settled is what has become of a confirmed item.
type Settled struct {
	Kind    string // v3.DownAck or v3.DownNack
	Message v3.Downlink
	Failed  *v3.Downlink // is published before it: the item was sent as often as it may be; nil: it was not
	Records []state.Record
	Event   event.Kind
}

// Settle settles the confirmed item of a device that waits for an acknowledgement: the next
// uplink acknowledges it, or does not. Without an acknowledgement the item is queued again,
// while it may be sent again. ok is false if none waits.
func Settle(d *session.Device, s *session.Session, ack bool, uplinkIDs []string, names *v3.Names) (o Settled, ok bool) {
	it := d.Queue.Decided()
	if it == nil {
		return o, false
	}
	o = Settled{
		Kind: v3.DownAck, Event: event.DownlinkAcked, Records: state.DeleteItems(d, it),
		Message: v3.Downlink{
			DeviceIDs: v3.IDs(d), CorrelationIDs: v3.JoinIDs(uplinkIDs, it.CorrelationIDs...),
			ItemCorrelationIDs: it.CorrelationIDs, Item: it, FCnt: it.SentFCnt, SessionKeyID: s.KeyID,
		},
	}
	if ack {
		return o, true
	}
	o.Kind, o.Event = v3.DownNack, event.DownlinkNacked
	if it.Nacked() {
		it.Seq = d.Queue.NextSeq()
		d.Queue.Add(it)
		if again, err := state.ItemRecords(d, it); err == nil {
			o.Records = append(o.Records, again...)
		} else {
			o.Records = nil // the store has the item under its old number
		}
		return o, true
	}
	failed := o.Message
	failed.DeviceIDs.HasDevAddr = false
	failed.Err = names.Error(v3.MaxRetriesReached(it.Attempt - 1))
	o.Failed = &failed
	return o, true
}
