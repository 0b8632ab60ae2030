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
		Long: "Run the daemon in the foreground. SIGTERM stops it; SIGHUP has it take over the gateways and the log level of the\n" +
			"configuration as it is then.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			log, level, flush := newLogger(c.Log, cmd.ErrOrStderr())
			defer flush()
			hangup := make(chan os.Signal, 1)
			signal.Notify(hangup, syscall.SIGHUP)
			defer signal.Stop(hangup)
			s := &service{config: c, load: func() (config.Config, error) { return loadConfig(cmd) }, hangup: hangup, level: level, log: log}
			return s.serve(cmd.Context())
		},
	}
}

// service is a daemon, and after a restored backup another one.
type service struct {
	config config.Config // that is in force
	load   func() (config.Config, error)
	hangup <-chan os.Signal
	level  *slog.LevelVar
	log    *slog.Logger
}

// serve runs until ctx ends.
func (s *service) serve(ctx context.Context) error {
	d, err := newDaemon(s.config, s.log)
	for err == nil {
		if err = s.run(ctx, d); !errors.Is(err, errAnew) {
			return err
		}
		// Somebody may look into the store in between.
		for end := time.Now().Add(lockPatience); ; time.Sleep(lockPatience / 50) {
			if d, err = newDaemon(s.config, s.log); !errors.Is(err, store.ErrLocked) || time.Now().After(end) {
				break
			}
		}
	}
	return err
}

const lockPatience = 5 * time.Second

// run runs one daemon, and has it take over a configuration that has changed.
func (s *service) run(ctx context.Context, d *daemon) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := stage(ctx, cancel, func(ctx context.Context) error {
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-s.hangup:
				s.reload(ctx, d)
			}
		}
	})
	defer stop()
	return d.run(ctx)
}
