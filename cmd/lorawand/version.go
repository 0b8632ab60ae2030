package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// Set by the linker: -X main.version=… -X main.commit=….
var (
	version = "development"
	commit  = ""
)

// build describes the running binary.
type build struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Target  string `json:"target"`
	Go      string `json:"go"`
}

func thisBuild() build {
	target := runtime.GOOS + "/" + runtime.GOARCH
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch s.Key {
			case "GOARM", "GOMIPS":
				target += " " + s.Value
			}
		}
	}
	return build{Version: version, Commit: commit, Target: target, Go: runtime.Version()}
}

func newVersion() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "version", Short: "Print version, commit and target", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b := thisBuild()
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(b)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "lorawand %s", b.Version)
			if b.Commit != "" {
				fmt.Fprintf(cmd.OutOrStdout(), " (%s)", b.Commit)
			}
			fmt.Fprintf(cmd.OutOrStdout(), ", %s, %s\n", b.Target, b.Go)
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
