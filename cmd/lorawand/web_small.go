//go:build small

package main

import (
	"errors"

	"github.com/spf13/cobra"

	"lorawand/bridge/admin"
)

// addPage does nothing: the small build has no web page.
func addPage(*admin.Admin, stateStore) {}

// mountPage does nothing.
func (*daemon) mountPage(*admin.Admin) {}

func newWeb() *cobra.Command {
	return &cobra.Command{
		Use: "web", Short: "Not in the small build", Args: cobra.ArbitraryArgs, Hidden: true,
		RunE: func(*cobra.Command, []string) error { return errors.New("the small build has no web page") },
	}
}
