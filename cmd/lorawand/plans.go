package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"lorawand/radio/region"
)

// fewCountries are as many as a terminal of 80 columns has room for.
const fewCountries = 5

func newConfigPlans() *cobra.Command {
	cmd := &cobra.Command{
		Use: "plans", Short: "List the frequency plans, where they are for, and which The Things Network uses",
		Args: noArgs,
	}
	asJSON := jsonFlag(cmd)
	wide := cmd.Flags().Bool("wide", false, "print all countries")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *asJSON {
			out := json.NewEncoder(cmd.OutOrStdout())
			for _, p := range region.All() {
				if err := out.Encode(p.About()); err != nil {
					return err
				}
			}
			return nil
		}
		w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "PLAN\tTTN\tREGION\tCOUNTRIES")
		for _, p := range region.All() {
			a := p.About()
			ttn, countries := "-", a.Countries
			if a.TTN {
				ttn = "yes"
			}
			if len(countries) > fewCountries && !*wide {
				countries = append(countries[:fewCountries-1:fewCountries-1], "…")
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", a.ID, ttn, a.Region, strings.Join(countries, " "))
		}
		return w.Flush()
	}
	return cmd
}
