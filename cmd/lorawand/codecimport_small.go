//go:build small

package main

import (
	"errors"

	"github.com/spf13/cobra"
)

// newCodecImport returns a command that says why there is none.
func newCodecImport() *cobra.Command {
	return &cobra.Command{
		Use: "import", Short: "Not in this build, which runs no JavaScript", Args: cobra.ArbitraryArgs,
		RunE: func(*cobra.Command, []string) error {
			return usage(errors.New("codec import: this build runs no JavaScript, so it reads no codecs"))
		},
	}
}
