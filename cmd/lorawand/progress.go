package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/spf13/cobra"
)

// progress tells somebody at a terminal that a command is at work, once it takes longer
// than a second. The caller calls done in the end.
func progress(cmd *cobra.Command, what string) (done func()) {
	if !isTerminal(cmd.ErrOrStderr()) {
		return func() {}
	}
	return tick(cmd.ErrOrStderr(), what)
}

// clearLine puts the cursor at the begin of the line and empties it.
const clearLine = "\r\x1b[K"

func tick(out io.Writer, what string) (done func()) {
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for seconds := 1; ; seconds++ {
			select {
			case <-stop:
				if seconds > 1 {
					fmt.Fprint(out, clearLine)
				}
				return
			case <-ticker.C:
				fmt.Fprintf(out, "%s%s … %d s", clearLine, plainLine(what), seconds)
			}
		}
	})
	return sync.OnceFunc(func() { close(stop); wg.Wait() })
}
