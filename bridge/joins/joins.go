// Package joins decides which join-requests are answered, and with what: it looks for their
// device, checks them, makes the session that is offered, and says what became of them.
package joins

import (
	"errors"

	"lorawand/bridge/event"
	"lorawand/bridge/mac"
	"lorawand/bridge/session"
	"lorawand/radio"
	"lorawand/radio/frame"
	"lorawand/radio/region"
)

// Request is a join-request that was heard.
type Request struct {
	frame.JoinRequest
	Gateway string // that has heard it first

	// What Check finds.
	Device *session.Device // nil: it is not known
	Plan   *region.Plan    // of the device
}

// Refusal is why a request is not answered.
type Refusal struct {
	Why event.JoinRefusal
	Err error
}

// Parse reads a join-request. It returns frame.ErrFrame for other bytes.
func Parse(phy []byte, gateway string) (*Request, error) {
	join, err := frame.ParseJoinRequest(phy)
	if err != nil {
		return nil, err
	}
	return &Request{JoinRequest: *join, Gateway: gateway}, nil
}

// Check looks for the device of a request that came from a source, and checks the request.
// It returns why it is refused; nil: it may be answered. A wrong MIC is paid for.
func (r *Request) Check(devices *session.Registry, from session.Source, now radio.HostTime) *Refusal {
	d, known := devices.ByEUI(r.JoinEUI, r.DevEUI)
	r.Device = d
	switch {
	case d == nil && known:
		return &Refusal{event.JoinUnknownJoinEUI, errors.New("no device with this JoinEUI and DevEUI")}
	case d == nil:
		return &Refusal{event.JoinUnknownDevEUI, errors.New("no device with this DevEUI")}
	case d.Unserved() != nil:
		return &Refusal{event.JoinUnserved, d.Unserved()}
	case !devices.AllowMIC(from, now):
		return &Refusal{event.JoinBudget, session.ErrBudget}
	}
	switch err := mac.CheckJoin(d, &r.JoinRequest); {
	case errors.Is(err, mac.ErrJoinMIC):
		devices.WrongMIC(from)
		return &Refusal{event.JoinWrongKey, err}
	case err != nil:
		return &Refusal{event.JoinUsedNonce, err}
	}
	return r.plan()
}

// plan looks for the frequency plan of the device.
func (r *Request) plan() *Refusal {
	plan, err := r.Device.FrequencyPlan()
	if err != nil {
		return &Refusal{event.JoinUnserved, err}
	}
	r.Plan = plan
	return nil
}

// Windows returns the receive windows after the request, which came with an uplink.
func (r *Request) Windows(up *radio.Uplink) ([2]mac.Window, *Refusal) {
	windows, err := mac.Windows(r.Device, nil, r.Plan).After(r.Plan, up.Frequency, up.DataRate)
	if err != nil {
		return windows, &Refusal{event.JoinUnserved, err}
	}
	return windows, nil
}

// Refused is the report that a request is not answered.
func (r *Request) Refused(why event.JoinRefusal, err error) event.Event {
	e := r.event(event.JoinRefused)
	e.Word, e.Gateway, e.Err, e.Hint = string(why), r.Gateway, err, event.HintJoin(why, r.Device)
	return e
}

func (r *Request) event(kind event.Kind) event.Event {
	e := event.Event{Kind: kind, DevEUI: r.DevEUI, JoinEUI: r.JoinEUI, HasEUIs: true}
	if r.Device != nil {
		e.Device = r.Device.ID
	}
	return e
}
