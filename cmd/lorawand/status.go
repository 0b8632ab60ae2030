package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lorawand/bridge/admin"
	"lorawand/bridge/admin/problems"
)

func newStatus() *cobra.Command {
	cmd := &cobra.Command{Use: "status", Short: "Show the state of the running daemon, and what is wrong", Args: noArgs}
	asJSON := jsonFlag(cmd)
	endurance := cmd.Flags().String("endurance", "800GB",
		"`bytes` that can be written to the flash before it wears out: 800GB for 8 MB of NOR flash")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		bytes, err := parseSize(*endurance)
		if err != nil {
			return usage(fmt.Errorf("--endurance: %w", err))
		}
		c, err := loadConfig(cmd)
		if err != nil {
			return err
		}
		lead, err := askLead(cmd.Context(), c)
		if err != nil {
			return err
		}
		if hasNATS && lead.standsBy() {
			return lead.alone(cmd.OutOrStdout(), *asJSON)
		}
		found, err := askProblems(cmd.Context(), c)
		if err != nil {
			return err
		}
		upstreams, err := askUpstreams(cmd.Context(), c)
		if err != nil {
			return err
		}
		return ask(cmd.Context(), c, "status", nil, func(s admin.Status) error {
			if *asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(statusJSON{s, wearOf(&s, bytes), lead, upstreams, found})
			}
			if c.IsExtender() {
				fmt.Fprintf(cmd.OutOrStdout(), "%-10s of the central %s\n", "extender:", c.Central.Address)
			}
			if err := printStatus(cmd.OutOrStdout(), &s, upstreams, bytes); err != nil {
				return err
			}
			lead.print(cmd.OutOrStdout())
			return printProblems(cmd.OutOrStdout(), found)
		})
	}
	return cmd
}

// statusJSON is the status of the daemon, and values computed from it.
type statusJSON struct {
	admin.Status
	wear
	Lead      *leadStatus         `json:"lead,omitempty"` // nil: the state is in files
	Upstreams []problems.Upstream `json:"upstreams,omitempty"`

	Problems []problems.Problem `json:"problems"` // the worst first
}

func printStatus(w io.Writer, s *admin.Status, upstreams []problems.Upstream, endurance int64) error {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-10s %s\n", name+":", fmt.Sprintf(format, args...))
	}
	fmt.Fprintln(&b, buildText(s.Build))
	line("running", "for %v, process %d", time.Duration(s.Uptime*float64(time.Second)).Round(time.Second), s.PID)
	line("clock", "%s", s.Clock)
	line("gateways", "%d, %d connected", s.Gateways, s.GatewaysConnected)
	line("devices", "%d, %s, %d refused", s.Devices, plural(s.Joins, "join"), s.JoinsRefused)
	line("clients", "%d connected, %s, %s", s.Clients, plural(s.Sessions, "session"), plural(s.APIKeys, "API key"))
	line("uplinks", "%d heard, %d published%s", s.Uplinks, s.Published, dropText(s.Dropped))
	for i := range upstreams {
		line("upstream", "%s", upstreamText(&upstreams[i]))
	}
	if s.StoreError != "" {
		line("store", "CANNOT BE WRITTEN: %s", s.StoreError)
	}
	for _, d := range s.StoreDamage {
		line("store", "WAS DAMAGED: %s", d)
	}
	line("flash", "%s", wearText(s, wearOf(s, endurance)))
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

// parseSize reads a size such as "800GB" or "3 TB": bytes, in powers of ten.
func parseSize(text string) (int64, error) {
	digits := strings.TrimRight(text, "kMGTB ")
	unit := map[string]float64{"": 1, "B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}
	factor, ok := unit[strings.TrimSpace(text[len(digits):])]
	v, err := strconv.ParseFloat(digits, 64)
	if err != nil || !ok || !(v > 0) || v*factor >= 1e18 {
		return 0, fmt.Errorf("%.40q is no size such as 800GB or 3TB", text)
	}
	return int64(v * factor), nil
}

// tooEarly is how long the daemon must run before its writing allows an estimate.
const tooEarly = 10 * time.Minute

// wear estimates how long the flash lasts at the present rate.
type wear struct {
	Endurance int64    `json:"flash_endurance_bytes"`            // what it can take in total
	PerUplink *int64   `json:"flash_bytes_per_uplink,omitempty"` // nil: no uplink was published
	PerPush   *int64   `json:"flash_bytes_per_push,omitempty"`   // nil: no downlink was pushed
	Lifetime  *float64 `json:"flash_lifetime_years,omitempty"`   // nil: too early for an estimate
}

func wearOf(s *admin.Status, endurance int64) wear {
	w := wear{Endurance: endurance}
	w.PerUplink, w.PerPush = perEach(s.FlashUplinks, s.Published), perEach(s.FlashPushes, s.Pushes)
	if s.Uptime >= tooEarly.Seconds() {
		const year = 365.25 * 24 * 3600
		years := float64(endurance) / (float64(max(s.FlashWritten, 1)) / s.Uptime) / year
		years = math.Round(years*10) / 10
		w.Lifetime = &years
	}
	return w
}

// perEach returns the bytes for each of n, or nil if n is 0.
func perEach(bytes int64, n uint64) *int64 {
	if n == 0 {
		return nil
	}
	each := bytes / int64(n)
	return &each
}

func wearText(s *admin.Status, w wear) string {
	text := fmt.Sprintf("%d bytes taken since the start", s.FlashWritten)
	if w.PerUplink != nil {
		text += fmt.Sprintf(", %d for each uplink", *w.PerUplink)
	}
	if w.PerPush != nil {
		text += fmt.Sprintf(", %d for each push", *w.PerPush)
	}
	switch {
	case w.Lifetime == nil:
		return text + "; too early to tell how long it lasts"
	case *w.Lifetime > 1000:
		return text + "; at this rate it lasts more than 1000 years"
	}
	return text + fmt.Sprintf("; at this rate it lasts %.1f years", *w.Lifetime)
}
