package event

import (
	"errors"

	"lorawand/bridge/gateway"
	"lorawand/radio"
)

// OfGateway is the report of a GatewayRefused or GatewayDropped. known is the gateway; nil:
// it is not one that is served.
func OfGateway(e *radio.GatewayEvent, known *gateway.Gateway) Event {
	if e.Kind == radio.GatewayRefused {
		return Event{
			Kind: GatewayRefused, Gateway: gateway.DefaultID(e.Gateway), GatewayEUI: e.Gateway, Address: e.Address,
			Err: errors.New(e.Fault), Hint: HintRefusedGateway(e.Gateway),
		}
	}
	out := Event{
		Kind: GatewayDropped, Word: e.Cause, Address: e.Address, Err: errors.New(e.Fault), Hint: HintDropped(e.Cause),
	}
	if known != nil {
		out.Gateway = known.ID
	} else if !e.Gateway.IsZero() {
		out.Gateway, out.GatewayEUI = gateway.DefaultID(e.Gateway), e.Gateway
	}
	return out
}
