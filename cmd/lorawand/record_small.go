//go:build small

package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"lorawand/bridge"
)

// recorder is nil in this build, which records nothing.
type recorder interface {
	bridge.Recorder
	Run(context.Context) error
	Close() error
}

// recordFlags adds no flags in this build.
func recordFlags(*cobra.Command) func() (recordTo, error) {
	return func() (recordTo, error) { return nil, nil }
}

// newReplay returns a command that says why this build replays nothing.
func newReplay() *cobra.Command {
	return &cobra.Command{
		Use: "replay FILE", Short: "Not in this build, which records nothing", Args: cobra.ArbitraryArgs,
		RunE: func(*cobra.Command, []string) error {
			return usage(errors.New("replay: this build records nothing; the full one replays on any computer"))
		},
	}
}
