//go:build small

package main

import (
	"context"

	"lorawand/bridge/admin/problems"
	"lorawand/bridge/v3"
	"lorawand/cmd/lorawand/config"
)

// upstreams are not in the small build, which refuses a configuration with them.
type upstreams struct{}

func newUpstreams(*config.Config, *daemon) (*upstreams, error) { return &upstreams{}, nil }

func (*upstreams) publish(v3.Message) {}

func (*upstreams) run(ctx context.Context) error { <-ctx.Done(); return nil }

func (*upstreams) problems() []problems.Upstream { return nil }

// backfills are not in it either.
type backfills struct{}

func newBackfills(*config.Config, *daemon) (*backfills, error) { return &backfills{}, nil }

func (*backfills) publish(v3.Message) {}

func (*backfills) run(ctx context.Context) error { <-ctx.Done(); return nil }

func (*backfills) problems() []problems.Upstream { return nil }

func leftJournals(*config.Config) []problems.Journal { return nil }
