package admin

import (
	"context"
	"fmt"

	"lorawand/bridge"
	"lorawand/bridge/admin/airtime"
)

// airtime answers with what gateways have sent.
func (a *Admin) airtime(ctx context.Context, args airtime.Args, r reply) error {
	found := false
	now := a.o.Bridge.Now().Host
	err := a.o.Bridge.Airtime(ctx, args.Gateway, func(g *bridge.GatewayAirtime) error {
		found = true
		return airtime.Parts(g, args.Proof, now, r)
	})
	if err == nil && !found && args.Gateway != "" {
		err = fmt.Errorf("gateway %.40q: no such gateway", args.Gateway)
	}
	return err
}
