//go:build !small && (amd64 || arm64 || arm.7)

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"lorawand/bridge/store"
	"lorawand/cmd/lorawand/config"
)

func init() {
	features = append(features, "jetstream")
	extra = append(extra, func() *cobra.Command {
		return group("store", "Move the state between files and NATS JetStream", newStoreCopy())
	})
}

// configured stands for the state that the configuration names.
const configured = "nats"

func newStoreCopy() *cobra.Command {
	return &cobra.Command{
		Use: "copy FROM TO", Short: "Copy the state, while no daemon runs, and go on with the copy",
		Long: "Copy the state between a folder and a stream of NATS JetStream, while no daemon runs. FROM and TO are a\n" +
			"folder, the addresses of NATS servers such as nats://10.0.0.1,nats://10.0.0.2, or nats, which stands\n" +
			"for store.url; bucket, credentials and certificates are those of the configuration. What TO has is\n" +
			"replaced only if it was copied elsewhere before.\n\n" +
			"FROM keeps its state, and knows that it goes on in TO: a daemon that is started with it all the same\n" +
			"skips ahead with FCntDown and JoinNonces, so that no number is used twice.",
		Example: "lorawand store copy /var/lib/lorawand nats",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usage(errors.New(cmd.CommandPath() + " needs FROM and TO"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			records, err := copyStore(cmd.Context(), c, args[0], args[1])
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s copied; the state goes on in %s\n", plural(records, "record"),
				nameOfStore(args[1]))
			return err
		},
	}
}

// nameOfStore is what people call a store: without a password.
func nameOfStore(arg string) string {
	if arg == configured || strings.Contains(arg, "://") {
		return "NATS JetStream"
	}
	return filepath.Clean(arg)
}

// openNamed opens the store that an argument names.
func openNamed(ctx context.Context, c config.Config, arg string, must bool) (stateStore, error) {
	silent := slog.New(slog.DiscardHandler)
	switch {
	case arg == configured && c.Store.URL == "":
		return nil, usage(errors.New("nats stands for store.url, which the configuration does not have"))
	case arg == configured:
		return openNATS(ctx, &c, silent)
	case strings.Contains(arg, "://"):
		c.Store.URL = arg
		if err := c.Check(); err != nil {
			return nil, usage(err)
		}
		return openNATS(ctx, &c, silent)
	}
	if entries, err := os.ReadDir(arg); must && (errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0) {
		return nil, fmt.Errorf("there is no state in %s", arg)
	}
	c.Store.Path, c.Store.Ephemeral = arg, true
	return openFiles(nil, &c, silent)
}

// errNotFree is the reason for not replacing a state.
var errNotFree = errors.New("it has a state already, which goes on nowhere else: delete that, or copy to another place")

// copyStore copies the state. It returns the number of records.
func copyStore(ctx context.Context, c config.Config, fromArg, toArg string) (records int, err error) {
	from, err := openNamed(ctx, c, fromArg, true)
	if err != nil {
		return 0, fmt.Errorf("FROM: %w", err)
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	to, err := openNamed(ctx, c, toArg, false)
	if err != nil {
		return 0, fmt.Errorf("TO: %w", err)
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	var text bytes.Buffer
	if err := from.Backup(&text); err != nil {
		return 0, fmt.Errorf("FROM: %w", err)
	}
	b, err := store.ReadBackup(&text)
	if err == nil {
		err = loads(c, b)
	}
	if err != nil {
		return 0, fmt.Errorf("FROM: %w", err)
	}
	all, settled := b.All(), !from.Behind()
	err = to.Restore(func(old *store.Found) ([]store.Record, bool, error) {
		if !old.Free() {
			return nil, false, errNotFree
		}
		return all, settled, nil
	})
	if err != nil {
		return 0, fmt.Errorf("TO: %w", err)
	}
	if err := from.Commit(store.Moved(nameOfStore(toArg))); err != nil {
		return 0, fmt.Errorf("copied, but FROM cannot note that: never start a daemon with it again: %w", err)
	}
	return len(all), nil
}
