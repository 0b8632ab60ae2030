package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"lorawand/bridge"
	"lorawand/bridge/admin"
	"lorawand/bridge/codec"
	"lorawand/bridge/formatter"
	"lorawand/bridge/gateway"
	"lorawand/bridge/store"
	"lorawand/bridge/v3"
	"lorawand/cmd/lorawand/config"
)

// caller performs operations: the running daemon or a substitute.
type caller interface {
	Call(ctx context.Context, op string, args any, each func(json.RawMessage) error) error
}

// ask asks the running daemon for an operation, and calls each for every part of
// the answer.
func ask[T any](ctx context.Context, c config.Config, op string, args any, each func(T) error) error {
	if c.IsExtender() && isOfServer(op) {
		return fmt.Errorf("this host is an extender: devices, keys and all else are on its central, %s", c.Central.Address)
	}
	err := call(ctx, admin.Client{Path: c.Control.Socket}, op, args, each)
	if errors.Is(err, fs.ErrPermission) {
		path := c.Control.Socket
		return fmt.Errorf("the control socket %s: %w; %s", path, fs.ErrPermission, socketFix(path))
	}
	return err
}

// ofServer begins the names of the operations on what an extender does not have.
var ofServer = []string{
	"application.", "backup", "codec.", "device.", "downlink.", "formatter.", "key.", "mqtt.", "restore", "web.",
}

func isOfServer(op string) bool {
	return slices.ContainsFunc(ofServer, func(prefix string) bool { return strings.HasPrefix(op, prefix) })
}

// operate is ask for an operation that also works without a daemon: if none runs,
// it opens the store and performs the operation in this process.
func operate[T any](ctx context.Context, c config.Config, op string, args any, each func(T) error) error {
	err := ask(ctx, c, op, args, each)
	if !errors.Is(err, admin.ErrNotRunning) {
		return err
	}
	return withoutDaemon(ctx, c, func(a caller) error { return call(ctx, a, op, args, each) })
}

func call[T any](ctx context.Context, a caller, op string, args any, each func(T) error) error {
	return a.Call(ctx, op, args, func(raw json.RawMessage) error {
		var v T
		if err := json.Unmarshal(raw, &v); err != nil {
			return fmt.Errorf("cannot read the answer of the daemon: %w", err)
		}
		return each(v)
	})
}

// noParts is for operations without an answer.
func noParts(struct{}) error { return nil }

// withoutDaemon opens the store and calls do, which works like a daemon without
// gateways and clients.
func withoutDaemon(ctx context.Context, c config.Config, do func(caller) error) error {
	s, st, err := openState(ctx, c, nil)
	if errors.Is(err, store.ErrLocked) {
		return fmt.Errorf("%w, and no daemon answers on the control socket %s", err, c.Control.Socket)
	}
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w; call it as root or as the user of the daemon", err)
	}
	if err != nil {
		return err
	}
	defer s.Close()
	silent := slog.New(slog.DiscardHandler)
	b, err := newBridge(c, bridge.Options{
		Devices: st.Devices, Ledgers: st.Ledgers, Hours: st.Hours, Tombstones: st.Tombstones,
		Gateways: gateway.NewRegistry(), Store: s, Outbox: nobody{}, Logger: silent,
	})
	if err != nil {
		return err
	}
	formatters := formatter.New(formatterOptions(c, silent))
	a, err := admin.New(admin.Options{
		Bridge: b, Keys: st.Keys, Store: s, Plan: c.Network.DefaultFrequencyPlan, RX1Delay: rx1Delay(c),
		Build: thisBuild(), Logger: silent,
		Applications: st.Applications, Codecs: st.Codecs, Resolver: codec.NewResolver(st.Applications, st.Codecs),
		Formatters: formatters,
	})
	if err != nil {
		return err
	}
	addPage(a, s)
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	stop := stage(ctx, fail, b.Run)
	defer stop()
	stopFormatters := stage(ctx, fail, formatters.Run)
	defer stopFormatters()
	return do(a)
}

// nobody is an outbox without clients.
type nobody struct{}

// Publish implements bridge.Outbox.
func (nobody) Publish(v3.Message) {}

// printJSON prints each part of an answer as a line of JSON.
func printJSON(w io.Writer) func(json.RawMessage) error {
	return func(raw json.RawMessage) error {
		_, err := fmt.Fprintf(w, "%s\n", raw)
		return err
	}
}

// plainLine returns a text as one line without control characters, safe for a
// terminal and a table. Names, and the ids in a client's topics, come from outside.
func plainLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}

// plainLines is plainLine for a text of several lines.
func plainLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = plainLine(lines[i])
	}
	return strings.Join(lines, "\n")
}

// jsonFlag adds --json.
func jsonFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("json", false, "print JSON, one object a line")
}
