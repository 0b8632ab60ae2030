package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// listing prints the parts of an operation's answer: a table with a row for each part,
// or lines of JSON.
type listing[T any] struct {
	operation string
	live      bool   // only a running daemon can answer
	header    string // columns, separated by tabs
	row       func(w io.Writer, part T) error
	spare     []string // columns that a narrow terminal may be without, the first first
	wide      bool
}

func (l *listing[T]) print(cmd *cobra.Command, args any, asJSON bool) error {
	c, err := loadConfig(cmd)
	if err != nil {
		return err
	}
	if asJSON {
		if l.live {
			return ask(cmd.Context(), c, l.operation, args, printJSON(cmd.OutOrStdout()))
		}
		return operate(cmd.Context(), c, l.operation, args, printJSON(cmd.OutOrStdout()))
	}
	w := &table{spare: l.spare}
	fmt.Fprintln(w, l.header)
	row := func(part T) error { return l.row(w, part) }
	if l.live {
		err = ask(cmd.Context(), c, l.operation, args, row)
	} else {
		err = operate(cmd.Context(), c, l.operation, args, row)
	}
	if err != nil {
		return err
	}
	return w.print(cmd.OutOrStdout(), l.wide)
}
