package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"lorawand/bridge/store"
	"lorawand/cmd/lorawand/config"
)

func newRun() *cobra.Command {
	cmd := &cobra.Command{
		Use: "run", Short: "Run the daemon in the foreground", Args: noArgs,
		Long: "Run the daemon in the foreground. SIGTERM stops it. On SIGHUP it reads the gateways and log.level\n" +
			"from its configuration again.",
	}
	recording := recordFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		source := func() (config.Config, error) { return loadConfig(cmd) }
		c, err := source()
		if err != nil {
			return err
		}
		record, err := recording()
		if err != nil {
			return err
		}
		var level slog.LevelVar
		log, flush := newLogger(c.Log, &level, cmd.ErrOrStderr())
		defer flush()
		tellOfConfiguration(cmd, log)
		prefer(&c)
		hangup := make(chan os.Signal, 1)
		signal.Notify(hangup, syscall.SIGHUP)
		defer signal.Stop(hangup)
		err = serve(cmd.Context(), c, log, record, func(d *daemon) {
			d.level, d.source, d.reloads = &level, source, hangup
		})
		if errors.Is(err, errStoodBy) {
			return nil
		}
		return err
	}
	return cmd
}

// tellOfConfiguration warns where the defaults hold because there is no file, and of
// environment variables that set nothing.
func tellOfConfiguration(cmd *cobra.Command, log *slog.Logger) {
	path, _ := config.Find(cmd.Flag("config").Value.String())
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		log.Warn("there is no configuration: the defaults hold, without a gateway", "file", path,
			"hint", "lorawand config default > "+path)
	}
	for _, line := range config.Unknown(os.Environ()) {
		log.Warn("an environment variable sets nothing", "variable", line)
	}
}

// serve runs a daemon until ctx ends. After a restored backup it runs another one.
// record begins a recording of each of them, and prepare completes it; both may be nil.
func serve(ctx context.Context, c config.Config, log *slog.Logger, record recordTo, prepare func(*daemon)) error {
	manager := newNotifier(os.Getenv, os.Getpid(), log)
	if os.Getenv("GOGC") == "" {
		defer debug.SetGCPercent(debug.SetGCPercent(gcPercent))
	}
	defer limitMemory("/")()
	opened := parts{open: newOpener(), record: record}
	if err := standBy(ctx, &c, log, manager, &opened); err != nil {
		return err
	}
	d, err := newDaemonOf(c, log, opened)
	if err != nil {
		err = portError(err, &c)
	}
	if errors.Is(err, store.ErrLocked) {
		return fmt.Errorf("%w; lorawand status tells whether a daemon runs already", err)
	}
	for err == nil {
		debug.FreeOSMemory() // garbage from reading the store
		if prepare != nil {
			prepare(d)
		}
		attended, settled := manager.attend(ctx, d.turns), settle(ctx, log)
		err = d.run(ctx)
		settled()
		attended()
		lost := hasNATS && d.lead.isLost(err)
		if !lost && !errors.Is(err, errAnew) {
			return err
		}
		c, opened.led = d.config, d.lead.after(lost)
		if err = standBy(ctx, &c, log, manager, &opened); err != nil {
			return err
		}
		// Another command may open the store in between.
		for end := time.Now().Add(lockPatience); ; time.Sleep(lockPatience / 50) {
			if d, err = newDaemonOf(c, log, opened); !errors.Is(err, store.ErrLocked) || time.Now().After(end) {
				break
			}
		}
	}
	return err
}

// standBy waits until this process leads the store, where that is on NATS JetStream. For the service
// manager it is ready meanwhile.
func standBy(ctx context.Context, c *config.Config, log *slog.Logger, manager *notifier, p *parts) error {
	if !hasNATS || c.Store.URL == "" || p.led.store() != nil {
		return nil
	}
	if err := checkServed(c); err != nil {
		return err
	}
	attended := manager.attend(ctx, func(context.Context) error { return nil })
	defer attended()
	err := p.led.standBy(ctx, c, log)
	if ctx.Err() != nil {
		return errStoodBy
	}
	return err
}

// errStoodBy says that a process was stopped that did not lead.
var errStoodBy = errors.New("stopped while another machine led")

const lockPatience = 5 * time.Second

// gcPercent is GOGC unless the environment sets it. Memory is scarce on a gateway
// with 64 MB. With this value garbage is collected three times as often as by Go's
// default, which nobody notices at a few uplinks a second; with a smaller value an
// uplink would cost half as much again at full speed.
const gcPercent = 33
