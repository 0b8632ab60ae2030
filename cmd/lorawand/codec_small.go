//go:build small

package main

import (
	"errors"

	"github.com/spf13/cobra"
)

// newCodec returns a command that says why this build has no codecs.
func newCodec() *cobra.Command {
	return &cobra.Command{
		Use: "codec", Short: "Not in this build, which runs no JavaScript", Args: cobra.ArbitraryArgs,
		RunE: func(*cobra.Command, []string) error {
			return usage(errors.New("codec: this build runs no JavaScript, and codecs are scripts"))
		},
	}
}
