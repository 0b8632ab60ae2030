// Package joins decides which join-requests and rejoin-requests are answered, and with what: it
// looks for their device, checks them, makes the session that is offered, and says what became
// of them.
package joins

import (
	"errors"
	"fmt"

	"lorawand/bridge/event"
	"lorawand/bridge/mac"
	"lorawand/bridge/session"
	"lorawand/radio"
	"lorawand/radio/frame"
	"lorawand/radio/region"
)

// Request is a join-request or rejoin-request that was heard.
type Request struct {
	frame.JoinRequest                      // the same, or what the rejoin-request stands for
	rejoin            *frame.RejoinRequest // nil: it is a join-request
	Gateway           string               // that has heard it first

	// What Check finds.
	Device  *session.Device  // nil: it is not known
	Session *session.Session // that a rejoin-request was sent in; nil: none is known
	Plan    *region.Plan     // of the device
}

// Refusal is why a request is not answered.
type Refusal struct {
	Why event.JoinRefusal
	Err error
}

// Busy refuses the join of a device while the store does not keep up, unstored says so, or while its owner
// changes it. Else it returns nil.
func Busy(unstored error, changing bool) *Refusal {
	if unstored == nil && changing {
		unstored = errors.New("its owner is changing the device at this moment")
	}
	if unstored == nil {
		return nil
	}
	return &Refusal{Why: event.JoinNotStored, Err: unstored}
}

// Parse reads a join-request or rejoin-request. It returns frame.ErrFrame for other bytes.
func Parse(phy []byte, gateway string) (*Request, error) {
	if m, err := frame.TypeOf(phy); err == nil && m == frame.TypeRejoinRequest {
		rejoin, err := frame.ParseRejoinRequest(phy)
		if err != nil {
			return nil, err
		}
		return &Request{JoinRequest: rejoin.Request(rejoin.JoinEUI), rejoin: rejoin, Gateway: gateway}, nil
	}
	join, err := frame.ParseJoinRequest(phy)
	if err != nil {
		return nil, err
	}
	return &Request{JoinRequest: *join, Gateway: gateway}, nil
}

// Check looks for the device of a request that came from a source, and checks the request.
// It returns why it is refused; nil: it may be answered. A wrong MIC is paid for.
func (r *Request) Check(devices *session.Registry, from session.Source, now radio.HostTime) *Refusal {
	if r.Type == frame.Rejoin0 || r.Type == frame.Rejoin2 {
		return r.checkAll(devices, from, now)
	}
	d, known := devices.ByEUI(r.JoinEUI, r.DevEUI)
	switch {
	case d == nil && known:
		return &Refusal{event.JoinUnknownJoinEUI, errors.New("no device with this JoinEUI and DevEUI")}
	case d == nil:
		return &Refusal{event.JoinUnknownDevEUI, errUnknownDevEUI}
	}
	return r.check(d, devices, from, now)
}

var errUnknownDevEUI = errors.New("no device with this DevEUI")

// checkAll looks among the devices with the DevEUI for the one that has sent a rejoin-request
// without a JoinEUI: its session's key tells.
func (r *Request) checkAll(devices *session.Registry, from session.Source, now radio.HostTime) *Refusal {
	no := &Refusal{
		event.JoinUnknownDevEUI, fmt.Errorf("no device with DevEUI %v, and a %v tells no JoinEUI", r.DevEUI, r.Type),
	}
	for _, d := range devices.ByDevEUI(r.DevEUI) {
		r.JoinEUI = d.JoinEUI
		no = r.check(d, devices, from, now)
		if no == nil || no.Why == event.JoinUsedRJCount || no.Why == event.JoinBudget {
			break
		}
	}
	return no
}

// check is Check for a device.
func (r *Request) check(
	d *session.Device, devices *session.Registry, from session.Source, now radio.HostTime,
) *Refusal {
	r.Device = d
	switch {
	case d.Unserved() != nil:
		return &Refusal{event.JoinUnserved, d.Unserved()}
	case !devices.AllowMIC(from, now):
		return &Refusal{event.JoinBudget, session.ErrBudget}
	case r.rejoin != nil && d.Version < session.V1_1:
		err := fmt.Errorf("rejoin-requests came with LoRaWAN 1.1, and the device is of %v", d.Version)
		return &Refusal{event.JoinUnserved, err}
	}
	if no := r.checkKey(d); no != nil {
		if no.Why == event.JoinWrongKey || no.Why == event.JoinOtherSession {
			devices.WrongMIC(from)
		}
		return no
	}
	return r.plan()
}

// checkKey checks the MIC, and that the nonce or RJcount is new.
func (r *Request) checkKey(d *session.Device) *Refusal {
	var err error
	if r.rejoin == nil {
		err = mac.CheckJoin(d, &r.JoinRequest)
	} else {
		r.Session, err = mac.CheckRejoin(d, r.rejoin)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, mac.ErrJoinMIC):
		return &Refusal{event.JoinWrongKey, err}
	case errors.Is(err, mac.ErrRejoinMIC):
		return &Refusal{event.JoinOtherSession, err}
	}
	return r.used(err)
}

// used refuses a request whose nonce or RJcount was used before.
func (r *Request) used(err error) *Refusal {
	if r.rejoin != nil {
		return &Refusal{event.JoinUsedRJCount, err}
	}
	return &Refusal{event.JoinUsedNonce, err}
}

// Again refuses a request that a device has sent once more. Its MIC is right.
func (r *Request) Again(d *session.Device) *Refusal {
	if r.Device = d; r.rejoin != nil {
		return r.used(mac.ErrRejoinCount)
	}
	return r.used(mac.ErrDevNonce)
}

// Known reports whether a refused request is one that its device has sent before.
func (no *Refusal) Known() bool {
	return no.Why == event.JoinUsedNonce || no.Why == event.JoinUsedRJCount
}

// plan looks for the frequency plan of the device.
func (r *Request) plan() *Refusal {
	plan, err := r.Device.PlanIn(r.Session)
	if err != nil {
		return &Refusal{event.JoinUnserved, err}
	}
	r.Plan = plan
	return nil
}

// Windows returns the receive windows after the request, which came with an uplink.
func (r *Request) Windows(up *radio.Uplink) ([2]mac.Window, *Refusal) {
	windows, err := r.WindowsAfter(up)
	if err != nil {
		return windows, &Refusal{event.JoinUnserved, err}
	}
	return windows, nil
}

// WindowsAfter is Windows for a copy of the request.
func (r *Request) WindowsAfter(up *radio.Uplink) ([2]mac.Window, error) {
	return mac.JoinWindows(r.Device, r.Session, r.Plan).After(r.Plan, up.Frequency, up.DataRate)
}

// Refused is the report that a request is not answered.
func (r *Request) Refused(why event.JoinRefusal, err error) event.Event {
	e := r.event(event.JoinRefused)
	e.Word, e.Gateway, e.Err = string(why), r.Gateway, err
	if e.HasEUIs {
		e.Hint = event.HintJoin(why, r.Device)
	}
	return e
}

func (r *Request) event(kind event.Kind) event.Event {
	e := event.Event{Kind: kind, DevEUI: r.DevEUI, JoinEUI: r.JoinEUI}
	e.HasEUIs = r.Device != nil || r.Type == frame.Join || r.Type == frame.Rejoin1
	if r.Device != nil {
		e.Device = r.Device.ID
	}
	return e
}
