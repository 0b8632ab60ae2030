//go:build small

package main

import (
	"context"

	"github.com/spf13/cobra"

	"lorawand/bridge"
	"lorawand/cmd/lorawand/config"
	"lorawand/concentrator/udp"
	"lorawand/radio"
)

// extenders need TLS, which the small build does not have.
type extenders struct{}

func (*daemon) listenExtenders(*config.Config, *bridge.Clock) error { return nil }

func (*extenders) reload([]config.Gateway, *bridge.Bridge) {}

func (*extenders) start(context.Context, context.CancelCauseFunc, *bridge.Bridge) func() {
	return func() {}
}

func (*extenders) online(radio.EUI64) bool { return false }

func (*extenders) transmit(radio.Downlink) (ours bool, err error) { return false, nil }

func (*extenders) stats() (s udp.Stats) { return s }

func (*extenders) links() map[radio.EUI64]udp.Link { return nil }

func (*extenders) closeUnused() {}

func pairing() []*cobra.Command { return nil }
