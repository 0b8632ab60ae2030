package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"lorawand/bridge"
	"lorawand/bridge/admin"
	"lorawand/bridge/state"
	"lorawand/bridge/store"
	"lorawand/cmd/lorawand/config"
)

func newBackup() *cobra.Command {
	return &cobra.Command{
		Use: "backup FILE", Short: "Write the whole state to one text file (- is standard output)",
		Long: "Write the whole state to one text file (- is standard output): devices with their keys and sessions,\n" +
			"waiting downlinks, applications, API keys, codecs. Keep the file safe: whoever can read it can read\n" +
			"and forge what the devices send.",
		Args: oneFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			if args[0] == "-" {
				return backup(cmd.Context(), c, cmd.OutOrStdout())
			}
			return replaceFile(args[0], func(w io.Writer) error { return backup(cmd.Context(), c, w) })
		},
	}
}

func newRestore() *cobra.Command {
	cmd := &cobra.Command{
		Use: "restore FILE", Short: "Replace the whole state with a backup (- is standard input)",
		Long: "Replace the whole state with a backup (- is standard input). The old state stays in the folder, in\n" +
			"files that end in .old. Frame counters and nonces continue from the old state. Devices that the old\n" +
			"state does not have, or all devices if it is damaged, skip ahead with FCntDown and JoinNonces, so\n" +
			"that no number is used twice.",
		Args: oneFile,
	}
	yes := yesFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := loadConfig(cmd)
		if err != nil {
			return err
		}
		in := cmd.InOrStdin()
		if args[0] != "-" {
			f, err := os.Open(args[0])
			if err != nil {
				return err
			}
			defer f.Close()
			in = f
			place := c.Store.Path
			if c.Store.URL != "" {
				place = "the state on NATS"
			}
			question := fmt.Sprintf("Replace all devices, keys and applications in %s by those of %s?", place, args[0])
			if err := confirm(cmd, *yes, question); err != nil {
				return err
			}
		}
		done := progress(cmd, "Restoring")
		defer done()
		return restore(cmd.Context(), c, in, cmd.OutOrStdout())
	}
	return cmd
}

func oneFile(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usage(errors.New(cmd.CommandPath() + " needs one FILE"))
	}
	return nil
}

// backup asks the running daemon for a backup, or reads the store itself.
func backup(ctx context.Context, c config.Config, w io.Writer) error {
	err := ask(ctx, c, "backup", nil, func(p admin.BackupPart) error {
		_, err := w.Write(p.Text)
		return err
	})
	if !errors.Is(err, admin.ErrNotRunning) {
		return err
	}
	if hasNATS && c.Store.URL != "" {
		b, err := readNATS(ctx, &c)
		if err != nil {
			return err
		}
		return b.Backup(w)
	}
	s, err := openFiles(nil, &c, nil)
	if err != nil {
		return err
	}
	return errors.Join(s.Backup(w), s.Close())
}

// backer can be backed up.
type backer interface{ Backup(w io.Writer) error }

// restore checks a backup before anything is changed, and prints where the devices
// continue.
func restore(ctx context.Context, c config.Config, r io.Reader, w io.Writer) error {
	text, err := io.ReadAll(io.LimitReader(r, store.MaxBackup+1))
	if err != nil {
		return err
	}
	b, err := store.ReadBackup(bytes.NewReader(text))
	if err != nil {
		return err
	}
	if err := loads(c, b); err != nil {
		return err
	}
	var did state.Restored
	err = ask(ctx, c, "restore", admin.BackupPart{Text: text}, func(r state.Restored) error { did = r; return nil })
	if errors.Is(err, admin.ErrNotRunning) {
		err = restoreStore(ctx, &c, merging(b, &did))
	} else if err == nil {
		err = awaitDaemon(ctx, c)
	}
	if err != nil {
		return err
	}
	return printRestored(w, did)
}

// restoreStore replaces the state, which no daemon has open.
func restoreStore(ctx context.Context, c *config.Config, merge store.Merge) error {
	if !hasNATS || c.Store.URL == "" {
		return store.Restore(c.Store.Path, store.Options{Ephemeral: c.Store.Ephemeral}, merge)
	}
	s, err := openStore(ctx, c, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	return errors.Join(s.Restore(merge), s.Close())
}

// merging returns the merge of a backup with the store, and records its result.
func merging(b *store.Backup, did *state.Restored) store.Merge {
	return func(old *store.Found) (records []store.Record, settled bool, err error) {
		records, *did, err = state.Merge(b, old)
		return records, true, err
	}
}

func printRestored(w io.Writer, r state.Restored) error {
	if r.Damaged {
		fmt.Fprintln(w, "the store could not be read to its end, so all devices have skipped ahead")
	}
	_, err := fmt.Fprintf(w, "devices: %d restored, %d go on from the store's counters, %d skipped ahead\n", r.Devices,
		r.Devices-r.Skipped, r.Skipped)
	return err
}

// loads returns an error if this version cannot load a backup.
func loads(c config.Config, b *store.Backup) error {
	_, err := state.Load(b, bridge.WrongMICs(), c.MQTT.Tenant)
	return err
}

// awaitDaemon waits until the restarted daemon answers.
func awaitDaemon(ctx context.Context, c config.Config) error {
	ctx, cancel := context.WithTimeout(ctx, 2*lockPatience)
	defer cancel()
	for {
		err := ask(ctx, c, "status", nil, func(struct{}) error { return nil })
		if err == nil || ctx.Err() != nil {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// replaceFile writes a file that only its owner can read, completely or not at all.
func replaceFile(name string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("%s: %w", name, err), os.Remove(f.Name()))
	}
	return nil
}
