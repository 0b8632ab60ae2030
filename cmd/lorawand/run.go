package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"lorawand/bridge/store"
	"lorawand/cmd/lorawand/config"
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
			return serve(cmd.Context(), c, log)
		},
	}
}

// serve runs a daemon until ctx ends, and after a restored backup another one.
func serve(ctx context.Context, c config.Config, log *slog.Logger) error {
	manager := newNotifier(os.Getenv, os.Getpid(), log)
	d, err := newDaemon(c, log)
	for err == nil {
		attended := manager.attend(ctx, d.turns)
		err = d.run(ctx)
		attended()
		if !errors.Is(err, errAnew) {
			return err
		}
		// Somebody may look into the store in between.
		for end := time.Now().Add(lockPatience); ; time.Sleep(lockPatience / 50) {
			if d, err = newDaemon(c, log); !errors.Is(err, store.ErrLocked) || time.Now().After(end) {
				break
			}
		}
	}
	return err
}

const lockPatience = 5 * time.Second
