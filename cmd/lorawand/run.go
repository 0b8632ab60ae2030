package main

import (
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func newRun() *cobra.Command {
	return &cobra.Command{
		Use: "run", Short: "Run the daemon in the foreground", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			log, flush := newLogger(c.Log, cmd.ErrOrStderr())
			defer flush()
			hangup := make(chan os.Signal, 1)
			signal.Notify(hangup, syscall.SIGHUP)
			defer signal.Stop(hangup)
			go func() {
				for range hangup {
					log.Warn("SIGHUP: this version does not reload its configuration; restart it")
				}
			}()
			d, err := newDaemon(c, log)
			if err != nil {
				return err
			}
			return d.run(cmd.Context())
		},
	}
}
