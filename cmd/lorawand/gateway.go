package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lorawand/bridge/admin"
	"lorawand/radio"
)

func newGateway() *cobra.Command {
	all := append(pairing(), newGatewayList(), newGatewayGet(), newGatewayAirtime())
	return group("gateway", "Look at the gateways", all...)
}

func newGatewayList() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "Show which gateways are connected, and their duty cycle", Args: noArgs}
	asJSON, wide := jsonFlag(cmd), addWide(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		l := listing[admin.Gateway]{
			operation: "gateway.list", live: true, wide: *wide,
			spare:  []string{"CLOCK", "LAST TX_ACK", "PLAN", "LAST PULL_DATA"},
			header: "ID\tPLAN\tSTATE\tLAST FRAME\tLAST PULL_DATA\tLAST TX_ACK\tCLOCK\tDUTY CYCLE, LAST HOUR",
		}
		l.row = func(w io.Writer, g admin.Gateway) error {
			_, err := fmt.Fprintln(w, gatewayRow(&g))
			return err
		}
		return l.print(cmd, nil, *asJSON)
	}
	return cmd
}

func newGatewayGet() *cobra.Command {
	cmd := &cobra.Command{
		Use: "get GATEWAY", Short: "Show a gateway", Long: "Show a gateway, by its id or EUI.",
		Args: cobra.ArbitraryArgs,
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, names []string) error {
		if len(names) != 1 {
			return usage(errors.New("it needs one gateway id or EUI"))
		}
		c, err := loadConfig(cmd)
		if err != nil {
			return err
		}
		found := fmt.Errorf("gateway %.40q: no such gateway", names[0])
		err = ask(cmd.Context(), c, "gateway.list", nil, func(part json.RawMessage) error {
			var g admin.Gateway
			if err := json.Unmarshal(part, &g); err != nil || g.ID != names[0] && !strings.EqualFold(g.EUI.String(), names[0]) {
				return err
			}
			if found = nil; *asJSON {
				return printJSON(cmd.OutOrStdout())(part)
			}
			return printGateway(cmd.OutOrStdout(), &g)
		})
		return cmp.Or(err, found)
	}
	return cmd
}

// gatewayRows name the columns of gatewayRow where they stand below each other.
var gatewayRows = [...]string{
	"gateway:", "plan:", "state:", "last frame:", "last PULL_DATA:", "last TX_ACK:", "clock:", "duty cycle:",
}

func printGateway(w io.Writer, g *admin.Gateway) (err error) {
	for i, cell := range strings.Split(gatewayRow(g), "\t") {
		_, err = fmt.Fprintf(w, "%-16s%s\n", gatewayRows[i], cell)
	}
	if g.Address != "" {
		_, err = fmt.Fprintf(w, "address:        %s\n", plainLine(g.Address))
	}
	return err
}

func gatewayRow(g *admin.Gateway) string {
	state := "never connected"
	switch {
	case g.Connected:
		state = "connected " + age(g.Since, "")
	case g.Fault != "":
		state = "does not work: " + g.Fault
	case g.Since != nil:
		state = "gone for " + age(g.Since, "")
	}
	ack := age(g.LastTxAck, " ago")
	if g.Connected && !g.Confirmed {
		ack = "unconfirmed"
	}
	cells := []string{
		g.ID, g.Plan, state, age(g.LastUplink, " ago"), age(g.LastPull, " ago"), ack,
		clock(g), dutyCycle(g.SubBands),
	}
	for i := range cells { // a tab in what an error says would be one cell more
		cells[i] = plainLine(cells[i])
	}
	return strings.Join(cells, "\t")
}

// clock shows what keeps the calendar of a gateway right, and how well.
func clock(g *admin.Gateway) string {
	if g.GNSS != "" {
		return hostClock(g) + "; " + g.GNSS
	}
	return hostClock(g)
}

func hostClock(g *admin.Gateway) string {
	switch {
	case g.Clock == "" && g.GPS:
		return "its own, with GPS time"
	case g.Clock == "":
		return "its own"
	case g.ClockError > 0:
		d := time.Duration(g.ClockError * float64(time.Second))
		return fmt.Sprintf("%s, within %v", g.Clock, max(d.Round(time.Millisecond), time.Millisecond))
	case g.Clock == radio.TimeRTC.String():
		return "rtc, unchecked"
	case g.Clock == radio.TimeNone.String():
		return "not set"
	}
	return g.Clock
}

// age returns a time in s as text, or "never".
func age(s *float64, behind string) string {
	if s == nil {
		return "never"
	}
	d := time.Duration(*s * float64(time.Second))
	if d < 10*time.Second {
		return d.Round(100*time.Millisecond).String() + behind
	}
	return d.Round(time.Second).String() + behind
}

func dutyCycle(bands []admin.SubBandUsage) string {
	var parts []string
	for _, b := range bands {
		text := fmt.Sprintf("%s–%s MHz %.2f", b.Low.AppendMHz(nil), b.High.AppendMHz(nil), b.Used*100)
		if b.Allowed < 1 {
			text += fmt.Sprintf(" of %v", b.Allowed*100)
		}
		parts = append(parts, text+" %")
	}
	if len(parts) == 0 {
		return "nothing sent"
	}
	return strings.Join(parts, ", ")
}
