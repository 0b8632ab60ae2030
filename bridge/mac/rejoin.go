package mac

import (
	"errors"
	"fmt"

	"lorawand/bridge/session"
	"lorawand/radio/frame"
	"lorawand/radio/region"
)

// Reasons for refusing a rejoin-request.
var (
	ErrRejoinMIC   = errors.New("wrong MIC: the device has a session that is not known here, or another NwkKey")
	ErrRejoinCount = errors.New("this RJcount was used before")
)

// CheckRejoin returns the session that a rejoin-request of a device of LoRaWAN 1.1 was sent in:
// with types 0 and 2 the one whose key has made its MIC, in use or offered; with type 1, which
// may come from a device that has lost its own, the one in use, or nil. It returns ErrRejoinMIC,
// or ErrRejoinCount with the session, for a request that must not be answered.
//
// RJcount0 does not tell whether a request was sent before the device has asked for another session
// with a join-request, or with type 1. While that is offered, and the device was heard in neither, a
// request in the session before is not answered: whoever has kept it from being heard, and sends it
// now, would take from the device the session that it may be in.
//
// A request of type 1 does not tell in which session its device is, nor whether it was sent before
// a join-request that was answered since: see session.Registry.Offer.
//
// Source: LoRaWAN 1.1, 6.2.4.
func CheckRejoin(d *session.Device, r *frame.RejoinRequest) (*session.Session, error) {
	if r.Type == frame.Rejoin1 {
		nwkKey := d.RootKeys.NwkKey
		if nwkKey.IsZero() || !r.CheckMIC(frame.JSIntKey(nwkKey, d.DevEUI)) {
			return nil, ErrRejoinMIC
		}
		return d.Session, checkRJCount(r, d.NextRJCount1)
	}
	for _, s := range d.Sessions() {
		if s.Keys.SNwkSIntKey.IsZero() || !r.CheckMIC(s.Keys.SNwkSIntKey) {
			continue
		}
		least := uint32(0)
		if s.MAC != nil {
			least = s.MAC.NextRJCount0
		}
		if err := checkRJCount(r, least); err != nil || s != d.Session || !d.Joining() || !d.Pending.Anew {
			return s, err
		}
		return s, errAskedSince
	}
	return nil, ErrRejoinMIC
}

var errAskedSince = fmt.Errorf("%w, or the device has asked for another session since, and was not heard yet",
	ErrRejoinCount)

func checkRJCount(r *frame.RejoinRequest, least uint32) error {
	if uint32(r.Count) < least {
		return fmt.Errorf("%w: %d is not above %d", ErrRejoinCount, r.Count, least-1)
	}
	return nil
}

// JoinWindows returns the receive windows after a join-request, and after a rejoin-request in
// a session: those of the session, as late as those of a join (LoRaWAN 1.1, 6.2.4). s is nil
// after a join-request, and where the session is not known.
func JoinWindows(d *session.Device, s *session.Session, p *region.Plan) Receive {
	r := Windows(d, s, p)
	r.Delay = p.Delays().JoinAccept1
	return r
}
