package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"lorawand/bridge/admin/airtime"
	"lorawand/bridge/audit"
)

func newGatewayAirtime() *cobra.Command {
	cmd := &cobra.Command{
		Use: "airtime [GATEWAY]", Short: "Show the fullest rolling hour of each sub-band", Args: atMostOne("gateway"),
		Long: "Show how much of its duty cycle a gateway has used: in the last hour, and in the fullest rolling hour of\n" +
			"the last week. With --proof also each hour, and each emission of the last hour, which are checked here:\n" +
			"every rolling hour, dwell time, and that none meets another. Exit status 1 says that one does not hold.",
	}
	asJSON, proof := jsonFlag(cmd), cmd.Flags().Bool("proof", false, "show and check every emission")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := loadConfig(cmd)
		if err != nil {
			return err
		}
		asked := airtime.Args{Proof: *proof}
		if len(args) > 0 {
			asked.Gateway = args[0]
		}
		if *asJSON {
			return ask(cmd.Context(), c, "gateway.airtime", asked, printJSON(cmd.OutOrStdout()))
		}
		var gateways []*gatewayProof
		err = ask(cmd.Context(), c, "gateway.airtime", asked, func(part airtime.Part) error {
			if part.Gateway != nil {
				gateways = append(gateways, &gatewayProof{Gateway: *part.Gateway})
			}
			g := gateways[len(gateways)-1]
			if part.Hour != nil {
				g.hours = append(g.hours, *part.Hour)
			}
			if part.Emission != nil {
				g.emissions = append(g.emissions, *part.Emission)
			}
			return nil
		})
		if err != nil {
			return err
		}
		return printAirtime(cmd.OutOrStdout(), gateways, *proof)
	}
	return cmd
}

// gatewayProof is what a gateway has sent.
type gatewayProof struct {
	airtime.Gateway
	hours     []airtime.Hour
	emissions []airtime.Emission
}

func printAirtime(out io.Writer, gateways []*gatewayProof, proof bool) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "GATEWAY\tSUB-BAND\tALLOWED\tLAST HOUR\tWORST ROLLING HOUR\tENDED")
	for _, g := range gateways {
		for i := range g.SubBands {
			b := &g.SubBands[i]
			allowed := "no limit"
			if b.Allowed < 3600 {
				allowed = fmt.Sprintf("%v s", b.Allowed)
			}
			fmt.Fprintf(w, "%s\t%s–%s MHz\t%s\t%.3f s\t%.3f s\t%s\n",
				g.ID, b.Low.AppendMHz(nil), b.High.AppendMHz(nil), allowed, b.Used, b.Worst, calendar(b.Ended))
		}
		if len(g.SubBands) == 0 {
			fmt.Fprintf(w, "%s\tnothing sent\n", g.ID)
		}
	}
	if err := w.Flush(); err != nil || !proof {
		return err
	}
	faults := 0
	for _, g := range gateways {
		faults += g.print(out)
	}
	if faults > 0 {
		return fmt.Errorf("%s found in what gateways have sent", plural(faults, "fault"))
	}
	return nil
}

// calendar shows a time of the calendar, which may not be known.
func calendar(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

// print shows each hour and each emission, and what is wrong with them. It returns how
// many faults there are.
func (g *gatewayProof) print(out io.Writer) (faults int) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "\n%s, hour by hour\nBEGAN\tFROM MHz\tEMISSIONS\tAIRTIME\tWORST ROLLING HOUR\tENDED\n", g.ID)
	for i := range g.hours {
		for _, b := range g.hours[i].SubBands {
			fmt.Fprintf(w, "%s\t%s\t%d\t%.3f s\t%.3f s\t%s\n", calendar(g.hours[i].Began), b.Low.AppendMHz(nil), b.Emissions,
				b.Airtime, b.Worst, calendar(b.Ended))
		}
	}
	w.Flush()
	w = tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "\n%s, the last hour\nAGO\tAIRTIME\tFREQUENCY\tWINDOW\tPRIORITY\tWHAT\tDEVICE\n", g.ID)
	for i := range g.emissions {
		e := &g.emissions[i]
		frequency := fmt.Sprintf("%s MHz", e.Frequency.AppendMHz(nil))
		if e.Frequency == 0 {
			frequency = fmt.Sprintf("from %s MHz", e.SubBand.AppendMHz(nil))
		}
		fmt.Fprintf(w, "%.3f s\t%.3f s\t%s\t%s\t%s\t%s\t%s\n",
			e.Age, float64(e.Airtime)/1e6, frequency, e.Window, e.Priority, e.What, e.Device)
	}
	w.Flush()
	r := audit.Check(g.audited())
	for _, fault := range r.Faults {
		fmt.Fprintln(out, fault)
	}
	if len(r.Faults) == 0 {
		fmt.Fprintf(out, "%s checked: none meets another, none is too long, no rolling hour has too much\n",
			plural(len(g.emissions), "emission"))
	}
	return len(r.Faults)
}

// gatewayGap is the least time between two transmissions: a gateway needs 40 ms to be
// made ready for the next one (TX_JIT_DELAY of jitqueue.c in sx1302_hal 2.1.0).
const gatewayGap = 40 * time.Millisecond

// audited are the emissions, and the rules for them.
func (g *gatewayProof) audited() (sent []audit.Emission, rules audit.Rules) {
	rules = audit.Rules{Dwell: time.Duration(g.Dwell * float64(time.Second)), Gap: gatewayGap}
	for i := range g.SubBands {
		b := &g.SubBands[i]
		hour := time.Duration(b.Allowed * float64(time.Second))
		if !g.Enforced {
			hour = time.Hour
		}
		rules.SubBands = append(rules.SubBands, audit.SubBand{Low: b.Low, High: b.High, Hour: hour})
	}
	for i := range g.emissions {
		e := &g.emissions[i]
		a := audit.Emission{
			Start: time.Duration(e.Start) * time.Microsecond, Counter: time.Duration(e.Counter) * time.Microsecond,
			Airtime: time.Duration(e.Airtime) * time.Microsecond, Frequency: e.Frequency,
		}
		if e.Frequency == 0 {
			a.Frequency, a.Unplaced = e.SubBand, true
		}
		sent = append(sent, a)
	}
	return sent, rules
}

// atMostOne takes an argument or none.
func atMostOne(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) > 1 {
			return usage(fmt.Errorf("one %s at most, not %q", what, args[1]))
		}
		return nil
	}
}
