//go:build small

package main

import (
	"context"

	"lorawand/bridge"
	"lorawand/bridge/admin"
	"lorawand/bridge/admin/problems"
	"lorawand/cmd/lorawand/config"
)

// forwarding is not in the small build, which refuses a configuration with it.
type forwarding struct{}

func (forwarding) run(ctx context.Context) error { <-ctx.Done(); return nil }

func (*daemon) addForwarder(*config.Config, *bridge.Options) error { return nil }

func (*daemon) forwardMetrics() []admin.Metric { return nil }

func (*daemon) servers() []problems.Server { return nil }
