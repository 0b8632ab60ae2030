//go:build small

package main

import (
	"errors"

	"github.com/spf13/cobra"
)

func newTLS() *cobra.Command {
	return &cobra.Command{
		Use: "tls", Short: "Not in the small build", Args: noArgs, Hidden: true,
		RunE: func(*cobra.Command, []string) error { return errors.New("the small build has no TLS") },
	}
}
