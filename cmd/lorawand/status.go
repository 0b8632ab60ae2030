package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lorawand/bridge/admin"
)

func newStatus() *cobra.Command {
	cmd := &cobra.Command{Use: "status", Short: "Show how the running daemon is", Args: noArgs}
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := loadConfig(cmd)
		if err != nil {
			return err
		}
		if *asJSON {
			return ask(cmd.Context(), c, "status", nil, printJSON(cmd.OutOrStdout()))
		}
		return ask(cmd.Context(), c, "status", nil, func(s admin.Status) error {
			return printStatus(cmd.OutOrStdout(), &s)
		})
	}
	return cmd
}

func printStatus(w io.Writer, s *admin.Status) error {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-10s %s\n", name+":", fmt.Sprintf(format, args...))
	}
	fmt.Fprintln(&b, buildText(s.Build))
	line("running", "for %v, process %d", time.Duration(s.Uptime*float64(time.Second)).Round(time.Second), s.PID)
	line("clock", "%s", s.Clock)
	line("gateways", "%d, %d connected", s.Gateways, s.GatewaysConnected)
	line("devices", "%d, %d joins, %d refused", s.Devices, s.Joins, s.JoinsRefused)
	line("clients", "%d connected, %d sessions, %d API keys", s.Clients, s.Sessions, s.APIKeys)
	line("uplinks", "%d heard, %d published%s", s.Uplinks, s.Published, dropText(s.Dropped))
	if s.StoreError != "" {
		line("store", "CANNOT BE WRITTEN: %s", s.StoreError)
	} else {
		line("store", "%d bytes written since the start", s.StoreWritten)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func dropText(dropped map[string]uint64) string {
	var parts []string
	for _, reason := range slices.Sorted(maps.Keys(dropped)) {
		parts = append(parts, fmt.Sprintf("%s %d", reason, dropped[reason]))
	}
	if len(parts) == 0 {
		return ""
	}
	return "; dropped: " + strings.Join(parts, ", ")
}
