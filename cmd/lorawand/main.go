// Targets with little memory use an older version of the cryptography, see the
// Makefile. It has no FIPS 140 mode.
//
//go:debug fips140=off

// Command lorawand is The Things Stack's MQTT API on a LoRaWAN gateway: join,
// network and application server for the owner's devices, with an MQTT broker
// for his applications, in one process and without a cloud.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/spf13/cobra"

	"lorawand/bridge/formatter"
	"lorawand/cmd/lorawand/config"
)

// Exit statuses.
const (
	exitFailed = 1
	exitUsage  = 2 // wrong usage or configuration
)

func main() {
	if formatter.IsChild(os.Args) {
		os.Exit(formatter.RunChild())
	}
	useProcessors()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// processors are how many threads run Go code at a time, also where there is one CPU: with one, each call that
// blocks holds up all others for up to 10 ms, and who is woken by the network waits for its turn behind 60
// others, which can be seconds while clients push without end. More are not needed, and each costs memory.
const processors = 2

// useProcessors sets how many threads run Go code, unless GOMAXPROCS does.
func useProcessors() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(processors)
	}
}

// run executes one command line and returns the exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	for _, line := range explained(cmd, err) {
		fmt.Fprintln(stderr, "lorawand:", plainLine(line))
	}
	if errors.Is(err, errUsage) || errors.Is(err, config.ErrConfig) {
		return exitUsage
	}
	return exitFailed
}

// extra are the commands that build tags add.
var extra []func() *cobra.Command

// newRoot returns the command with all its sub-commands.
func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "lorawand",
		Short:         "The Things Stack's MQTT API on the gateway",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArgs,
	}
	number := root.Flags().Bool("version", false, "print version, commit, target and features")
	root.RunE = func(cmd *cobra.Command, _ []string) error {
		if !*number {
			return cmd.Help()
		}
		_, err := fmt.Fprintln(cmd.OutOrStdout(), buildText(thisBuild()))
		return err
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.PersistentFlags().StringP("config", "c", "", "configuration `file` (default "+config.DefaultPath+
		", or $LORAWAND_CONFIG)")
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(newRun(), newDemo(), newConfig(), newApplication(), newDevice(), newAPIKey(), newDownlink(),
		newGateway(), newMQTT(), newEvents(), newWhy(), newStatus(), newBackup(), newRestore(), newReplay(),
		newConcentrator(), newDoctor(), newFirmware(), newTLS(), newWeb(), newFormatter(), newCodec(), newVersion())
	for _, add := range extra {
		root.AddCommand(add())
	}
	return root
}

// group returns a command that has only sub-commands.
func group(use, short string, sub ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{Use: use, Short: short, Args: noArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return cmd.Help()
	}}
	g.AddCommand(sub...)
	return g
}

func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return unknownCommand(cmd, args[0])
	}
	return nil
}

// loadConfig reads the configuration that the flags name.
func loadConfig(cmd *cobra.Command) (config.Config, error) {
	given, err := cmd.Flags().GetString("config")
	if err != nil {
		return config.Config{}, err
	}
	path, must := config.Find(given)
	return config.Load(path, must)
}
