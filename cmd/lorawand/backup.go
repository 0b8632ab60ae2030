package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"lorawand/bridge"
	"lorawand/bridge/store"
	"lorawand/cmd/lorawand/config"
)

func newBackup() *cobra.Command {
	return &cobra.Command{
		Use: "backup FILE", Short: "Write everything that lorawand keeps into one text file (- is standard output)",
		Long: "Write everything that lorawand keeps into one text file (- is standard output):\ndevices with their keys and sessions, waiting downlinks, API keys.\nWhoever can read the file can read and forge what the devices send.",
		Args: oneFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			if args[0] == "-" {
				return backup(c, cmd.OutOrStdout())
			}
			return replaceFile(args[0], func(w io.Writer) error { return backup(c, w) })
		},
	}
}

func newRestore() *cobra.Command {
	return &cobra.Command{
		Use: "restore FILE", Short: "Replace everything that lorawand keeps by a backup (- is standard input)",
		Long: "Replace everything that lorawand keeps by a backup (- is standard input).\nWhat was there is kept in the folder, in files that end in .old. Counters of\ndownlinks and JoinNonces skip ahead, so that none is used twice.",
		Args: oneFile,
		RunE: func(cmd *cobra.Command, args []string) error {
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
			}
			return restore(c, in)
		},
	}
}

func oneFile(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usage(errors.New(cmd.CommandPath() + " wants one FILE"))
	}
	return nil
}

func backup(c config.Config, w io.Writer) error {
	s, err := store.Open(c.Store.Path, store.Options{Ephemeral: c.Store.Ephemeral})
	if err != nil {
		return err
	}
	return errors.Join(s.Backup(w), s.Close())
}

func restore(c config.Config, r io.Reader) error {
	b, err := readBackup(c, r)
	if err != nil {
		return err
	}
	return store.Restore(c.Store.Path, b, store.Options{Ephemeral: c.Store.Ephemeral})
}

// readBackup reads a backup that this version can go on with.
func readBackup(c config.Config, r io.Reader) (*store.Backup, error) {
	b, err := store.ReadBackup(r)
	if err != nil {
		return nil, err
	}
	if _, err := bridge.Load(b, bridge.WrongMICs(), c.MQTT.Tenant); err != nil {
		return nil, err
	}
	return b, nil
}

// replaceFile writes a file that only its owner can read, whole or not at all.
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
