package main

import (
	"cmp"
	"context"
	"log/slog"

	"lorawand/bridge"
	"lorawand/bridge/admin"
	"lorawand/bridge/state"
	"lorawand/bridge/store"
	"lorawand/cmd/lorawand/config"
)

// stateStore is an open store: of files, or on NATS JetStream.
type stateStore interface {
	admin.Store
	state.Kept
	Records(kind string) []store.Record
	Restore(merge store.Merge) error
	BytesWritten() int64
	Close() error
}

// openStore opens the store of the configuration for a command. log may be nil, see store.Options.
func openStore(ctx context.Context, c *config.Config, log *slog.Logger) (stateStore, error) {
	if hasNATS && c.Store.URL != "" {
		return openNATS(ctx, c, cmp.Or(log, slog.Default()))
	}
	return openFiles(nil, c, log)
}

func openFiles(disk store.FS, c *config.Config, log *slog.Logger) (stateStore, error) {
	s, err := store.Open(c.Store.Path, store.Options{Ephemeral: c.Store.Ephemeral, FS: disk, Logger: log})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// openState opens the store and loads the state. log may be nil, see store.Options.
func openState(ctx context.Context, c config.Config, log *slog.Logger) (stateStore, state.State, error) {
	s, err := openStore(ctx, &c, log)
	if err != nil {
		return nil, state.State{}, err
	}
	return loadState(s, &c, log)
}

// openStateOf is openState for a daemon.
func openStateOf(p parts, c config.Config, log *slog.Logger) (stateStore, state.State, error) {
	s := p.led.store()
	if !hasNATS || s == nil {
		var err error
		if s, err = openFiles(p.disk, &c, log); err != nil {
			return nil, state.State{}, err
		}
	}
	return loadState(s, &c, log)
}

// loadState loads the state, and closes the store if that cannot be done.
func loadState(s stateStore, c *config.Config, log *slog.Logger) (stateStore, state.State, error) {
	st, err := state.Load(s, bridge.WrongMICs(), c.MQTT.Tenant)
	if err != nil {
		_ = s.Close()
		return nil, state.State{}, err
	}
	catchUp(s, st, cmp.Or(log, slog.Default()))
	return s, st, nil
}

// catchUp skips ahead if the store may be older than what it has confirmed. If that
// cannot be stored, nothing else can, and the store has reported it; the radio
// works all the same.
func catchUp(s state.Kept, st state.State, log *slog.Logger) {
	behind, err := state.CatchUp(s, st)
	switch {
	case err != nil:
		log.Error("the store is older than its last confirmed commit, and cannot be written; the next start skips ahead "+
			"again", "error", err)
	case behind:
		log.Warn("the store is older than its last confirmed commit: FCntDown and JoinNonces have skipped ahead", "devices",
			st.Devices.Len())
	}
}
