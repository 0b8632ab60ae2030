package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lorawand/bridge/admin"
	"lorawand/radio"
)

func newGateway() *cobra.Command {
	return group("gateway", "Look at the gateways", newGatewayList(), newGatewayAirtime())
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
	return strings.Join([]string{
		g.ID, g.Plan, state, age(g.LastUplink, " ago"), age(g.LastPull, " ago"), ack,
		clock(g), dutyCycle(g.SubBands),
	}, "\t")
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
