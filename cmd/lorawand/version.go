package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"lorawand/bridge/admin"
)

// Set by the linker: -X main.version=… -X main.commit=….
var (
	version = "development"
	commit  = ""
)

// features are the features in this build.
var features = []string{"mqtt", "udp", "sx1302"}

func thisBuild() admin.Build {
	target := runtime.GOOS + "/" + runtime.GOARCH
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch s.Key {
			case "GOARM", "GOMIPS":
				target += " " + s.Value
			}
		}
	}
	return admin.Build{Version: version, Commit: commit, Target: target, Go: runtime.Version(), Features: features}
}

// buildText describes a build in one line.
func buildText(b admin.Build) string {
	text := "lorawand " + b.Version
	if b.Commit != "" {
		text += " (" + b.Commit + ")"
	}
	return fmt.Sprintf("%s, %s, %s, with %s", text, b.Target, b.Go, strings.Join(b.Features, ", "))
}

func newVersion() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "version", Short: "Print version, commit, target and features", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b := thisBuild()
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(b)
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), buildText(b))
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
