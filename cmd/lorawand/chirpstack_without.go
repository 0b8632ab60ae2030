//go:build small || mips || mipsle

package main

import (
	"context"

	"lorawand/bridge"
	"lorawand/bridge/admin"
	"lorawand/bridge/admin/problems"
	"lorawand/cmd/lorawand/config"
)

// ChirpStack's library is longer than what is left of the program for MIPS.
const hasChirpStack = false

// chirpStacks is not in this build, which refuses a configuration with it.
type chirpStacks struct{}

func (chirpStacks) run(ctx context.Context) error { <-ctx.Done(); return nil }

func (*daemon) addChirpStacks(*config.Config, *bridge.Options) error { return nil }

func (*daemon) chirpStackMetrics() []admin.Metric { return nil }

func (*daemon) chirpStackServers() []problems.Server { return nil }
