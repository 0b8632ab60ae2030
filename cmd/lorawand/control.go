package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"lorawand/bridge/admin"
	"lorawand/cmd/lorawand/config"
)

// ask has the running daemon carry out an operation, and calls each for every
// part of its answer.
func ask[T any](ctx context.Context, c config.Config, op string, args any, each func(T) error) error {
	return admin.Client{Path: c.Control.Socket}.Call(ctx, op, args, func(raw json.RawMessage) error {
		var v T
		if err := json.Unmarshal(raw, &v); err != nil {
			return fmt.Errorf("not understood what the daemon says: %w", err)
		}
		return each(v)
	})
}

// printJSON prints each part of an answer as a line of JSON.
func printJSON(w io.Writer) func(json.RawMessage) error {
	return func(raw json.RawMessage) error {
		_, err := fmt.Fprintf(w, "%s\n", raw)
		return err
	}
}

// jsonFlag adds --json.
func jsonFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("json", false, "print JSON, one object a line")
}
