package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lorawand/bridge/admin"
)

func newStatus() *cobra.Command {
	cmd := &cobra.Command{
		Use: "status", Short: "Show how the running daemon is", Args: noArgs,
		Long: "Show how the running daemon is, and how long the flash lasts under what it writes: --endurance is what the flash\n" +
			"can take, its size times how often it can be erased. The default is that of 8 MB of NOR flash and 100 000 times.",
	}
	asJSON := jsonFlag(cmd)
	endurance := cmd.Flags().String("endurance", "800GB", "what the flash can take: `bytes`, or with kB, MB, GB, TB, PB")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := loadConfig(cmd)
		if err != nil {
			return err
		}
		args := admin.StatusArgs{}
		if args.Endurance, err = parseBytes(*endurance); err != nil {
			return usage(fmt.Errorf("--endurance: %w", err))
		}
		if *asJSON {
			return ask(cmd.Context(), c, "status", args, printJSON(cmd.OutOrStdout()))
		}
		return ask(cmd.Context(), c, "status", args, func(s admin.Status) error {
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
		line("store", "%d records", s.StoreRecords)
	}
	line("flash", "%s", wearText(&s.Wear))
	_, err := io.WriteString(w, b.String())
	return err
}

// wearText tells what is written and how long the flash lasts.
func wearText(w *admin.Wear) string {
	text := fmt.Sprintf("%s written since the start", bytesText(w.Written))
	if w.PerUplink != nil {
		text += fmt.Sprintf(", %.0f bytes for each uplink", *w.PerUplink)
	}
	endurance := "an endurance of " + bytesText(w.Endurance) + " lasts"
	switch y := w.YearsLeft; {
	case y == nil:
		return text + "; too early to tell how long " + endurance
	case *y >= 1000:
		return text + "; " + endurance + " 1000 years or more"
	case *y < 10:
		return text + fmt.Sprintf("; %s %.1f years like that", endurance, *y)
	default:
		return text + fmt.Sprintf("; %s %.0f years like that", endurance, *y)
	}
}

// byteUnits are decimal, as makers of flash count.
var byteUnits = []struct {
	name string
	size float64
}{{"PB", 1e15}, {"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1}}

// parseBytes reads "800GB" and the like.
func parseBytes(s string) (int64, error) {
	number, size := s, 1.0
	for _, u := range byteUnits {
		if n, ok := strings.CutSuffix(s, u.name); ok {
			number, size = n, u.size
			break
		}
	}
	v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if v *= size; err != nil || !(v >= 1 && v <= 1e18) {
		return 0, fmt.Errorf("%.20q, must be 1 byte to 1000PB, such as 800GB", s)
	}
	return int64(v), nil
}

func bytesText(n int64) string {
	for _, u := range byteUnits {
		if v := float64(n) / u.size; v >= 1 {
			return strconv.FormatFloat(v, 'g', 4, 64) + " " + u.name
		}
	}
	return "0 B"
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
