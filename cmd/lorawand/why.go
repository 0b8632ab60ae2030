package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"lorawand/bridge/admin"
)

func newWhy() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "why CORRELATION-ID",
		Short: "Explain what happened to a downlink",
		Long: "Explain a downlink in plain words: when it was pushed, which receive windows the daemon considered,\n" +
			"the reasons for and against each, which one it chose, and how it ended. CORRELATION-ID is one of the\n" +
			"correlation_ids of any message about the downlink.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(errors.New("why needs one correlation id"))
			}
			return nil
		},
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := loadConfig(cmd)
		if err != nil {
			return err
		}
		what := admin.WhyArgs{CorrelationID: args[0]}
		if *asJSON {
			return ask(cmd.Context(), c, "why", what, printJSON(cmd.OutOrStdout()))
		}
		return ask(cmd.Context(), c, "why", what, func(w struct{ Text string }) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), plainLine(w.Text))
			return err
		})
	}
	return cmd
}
