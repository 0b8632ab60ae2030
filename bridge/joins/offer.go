package joins

import (
	"fmt"
	"time"

	"lorawand/bridge/event"
	"lorawand/bridge/mac"
	"lorawand/bridge/session"
	"lorawand/bridge/v3"
	"lorawand/radio/frame"
)

// Offer is the session that is offered to the device of a request.
type Offer struct {
	*Request
	mac.Joined
	without *mac.Window // which has no room for the plan's channels; nil: they are told, or there are none
}

const (
	// longJoinAccept is the size of a join-accept with a CFList, in bytes.
	longJoinAccept = 33
	// phyOverhead is what a PHYPayload has beyond the MACPayload: MHDR and MIC.
	phyOverhead = 5
)

// Offer makes the session and the join-accept for a request that was checked. The windows
// are those of Windows. It changes nothing in the device; Use does.
func (r *Request) Offer(windows [2]mac.Window, p mac.JoinParameters) (*Offer, *Refusal) {
	first := &windows[0]
	if first.Err != nil {
		first = &windows[1]
	}
	p.NoCFList, p.Session = longJoinAccept-phyOverhead > first.MaxMACPayload, r.Session
	j, err := mac.Join(r.Device, &r.JoinRequest, r.Plan, p)
	if err != nil {
		return nil, &Refusal{event.JoinUnserved, err}
	}
	o := &Offer{Request: r, Joined: j}
	if list := r.Plan.CFList(); p.NoCFList && r.Type != frame.Rejoin2 && len(list.Frequencies)+len(list.Masks) > 0 {
		o.without = first
	}
	return o, nil
}

// Use has the device of a Registry use the nonces of the request, and gives it the session.
func (o *Offer) Use(devices *session.Registry) {
	switch o.Type {
	case frame.Join:
		o.Joined.Use(o.Device, o.DevNonce)
	case frame.Rejoin1:
		o.Device.UseRejoin(nil, o.JoinNonce, o.DevNonce)
	default:
		o.Device.UseRejoin(o.Request.Session, o.JoinNonce, o.DevNonce)
	}
	devices.Offer(o.Device, o.Joined.Session)
}

// Message is the payload of the message that the device has joined.
func (o *Offer) Message(e *v3.Encoder, ids []string, now, heard time.Time) []byte {
	device := v3.IDs(o.Device)
	device.DevAddr, device.HasDevAddr = o.Joined.Session.DevAddr, true
	return e.AppendJoin(make([]byte, 0, 512), &v3.JoinAccept{
		DeviceIDs: device, CorrelationIDs: ids, SessionKeyID: o.Joined.Session.KeyID, ReceivedAt: now, FrameReceivedAt: heard,
	})
}

// Accepted are the reports that a gateway has taken the join-accept.
func (o *Offer) Accepted(gateway string, ids []string) []event.Event {
	e := o.event(event.JoinAccepted)
	e.Gateway, e.CorrelationIDs, e.DevAddr, e.HasDevAddr = gateway, ids, o.Joined.Session.DevAddr, true
	if o.without == nil {
		return []event.Event{e}
	}
	return []event.Event{e, {
		Kind: event.JoinWithoutChannels, Gateway: gateway, Device: o.Device.ID, CorrelationIDs: ids,
		Err: fmt.Errorf("with the plan's channels it has %d bytes, and %v carries %d within the dwell time",
			longJoinAccept, o.without.DataRate, o.without.MaxMACPayload+phyOverhead),
		Hint: event.HintNoChannels,
	}}
}
