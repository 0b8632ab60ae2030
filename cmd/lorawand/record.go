//go:build !small

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"lorawand/bridge"
	"lorawand/bridge/recording"
)

// recorder is a bridge.Recorder with what ends it.
type recorder interface {
	bridge.Recorder
	Run(context.Context) error
	Close() error
}

// maxRecord bounds --record-limit, MB.
const maxRecord = 1 << 20

// recordFlags adds the flags of run. The function returns what begins a recording; nil: none is asked for.
func recordFlags(cmd *cobra.Command) func() (recordTo, error) {
	file := cmd.Flags().String("record", "", "write what the core is given to `FILE`, with all keys, for lorawand replay")
	limit := cmd.Flags().Int64("record-limit", 64, "size of the recording in `MB`, where it ends")
	return func() (recordTo, error) {
		if *file == "" {
			return nil, nil
		}
		if *limit < 1 || *limit > maxRecord {
			return nil, usage(fmt.Errorf("--record-limit: %d MB, want 1 to %d", *limit, maxRecord))
		}
		return func(d *daemon) (recorder, error) {
			out, err := createRecording(*file)
			if err != nil {
				return nil, err
			}
			d.log.Warn("the inputs of the core are recorded, with all keys", "file", *file, "limit_mb", *limit)
			return recording.New(recording.Options{
				Out: out, Limit: *limit << 20, Store: d.store, State: d.state, Version: version, Logger: d.log,
			}), nil
		}, nil
	}
}

// createRecording makes the file of a recording. The one before it stays, with the ending .old.
func createRecording(name string) (*os.File, error) {
	for _, path := range []string{name, name + ".old"} {
		if err := replaceable(path); err != nil {
			return nil, err
		}
	}
	if err := os.Rename(name, name+".old"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
}

// replaceable says why a file cannot be replaced: it is no recording. One that is not there can.
func replaceable(name string) error {
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().IsRegular() && info.Size() == 0 {
		return nil
	}
	if info.Mode().IsRegular() {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		if recording.Is(f) {
			return nil
		}
	}
	return fmt.Errorf("%s is no recording: it is not replaced by one", name)
}

func newReplay() *cobra.Command {
	cmd := &cobra.Command{
		Use: "replay FILE", Short: "Run a recording of run --record again and print its effects (- is standard input)",
		Long: "Run a recording of run --record again (- is standard input), and print what the core decides at each\n" +
			"input: the number of the input, the time since the start in seconds, the input, the effect, and its\n" +
			"details as JSON. The same recording has the same effects, byte for byte, on every machine. Nothing is\n" +
			"sent, stored or published. The effects hold payloads and no keys.",
		Args: oneFile,
	}
	asJSON := cmd.Flags().Bool("json", false, "one object a line")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		in := cmd.InOrStdin()
		if args[0] != "-" {
			f, err := os.Open(args[0])
			if err != nil {
				return err
			}
			defer f.Close()
			in = f
		}
		if err := replay(in, cmd.OutOrStdout(), cmd.ErrOrStderr(), *asJSON); err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		return nil
	}
	return cmd
}

// replay prints the effects of a recording.
func replay(in io.Reader, out, notes io.Writer, asJSON bool) error {
	p, err := recording.NewReplay(in)
	if err != nil {
		return err
	}
	if p.Version != version {
		fmt.Fprintf(notes, "lorawand: recorded by version %.40q: the effects of this one, %q, may differ\n", p.Version,
			version)
	}
	buffered := bufio.NewWriter(out)
	err = p.Run(func(e *recording.Effect) error {
		text, err := e.Text()
		if asJSON {
			if text, err = json.Marshal(e); err == nil {
				text = append(text, '\n')
			}
		}
		if err == nil {
			_, err = buffered.Write(text)
		}
		return err
	})
	if err = errors.Join(err, buffered.Flush()); err == nil && p.End == "" {
		fmt.Fprintln(notes, "lorawand: the recording has no end: its daemon was killed, or is still running")
	}
	return err
}
