package core

import "lorawand/bridge/state"

// noteSent notes in a session which of its counters was sent last. The store
// learns that with the session's next record; at once only if many had been
// passed over before: a host that crashes after each downlink would add to
// these, although the device hears it.
func (c *Core) noteSent(t *transmission) {
	d, s := t.x.device, t.x.session
	if s == nil || !s.Sent(d.Version, t.down.Item != nil, t.fCnt) {
		return
	}
	if c.opts.Devices.Device(d.ID) == d && d.Session == s {
		c.do(Keep{Records: []state.Record{state.CountersRecord(d, s.Marks())}})
	}
}
