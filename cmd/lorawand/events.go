package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"lorawand/bridge/admin"
)

func newEvents() *cobra.Command {
	var args admin.EventsArgs
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Show what the devices send, what the daemon has decided, and why",
		Long: "Show uplinks and the decisions of the running daemon, one line each: joins refused and frames\n" +
			"dropped, each with the reason; windows chosen; results of downlinks; gateways that connect and\n" +
			"disconnect; packet forwarders whose EUI is not configured; refusals of MQTT clients; failures of\n" +
			"payload formatters. -v also shows frames that are repeated. The daemon remembers the last events\n" +
			"since its start.",
		Args: noArgs,
	}
	asJSON := jsonFlag(cmd)
	f := cmd.Flags()
	f.BoolVarP(&args.Follow, "follow", "f", false, "print new events as they come, until Ctrl-C")
	verbose := f.BoolP("verbose", "v", false, "also show frames that are repeated")
	f.StringVar(&args.Device, "device", "", "only events of this `device`: an id, application/id, or a DevEUI")
	f.StringVar(&args.Gateway, "gateway", "", "only events of this gateway `id`")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := loadConfig(cmd)
		if err != nil {
			return err
		}
		out := cmd.OutOrStdout()
		args.Uplinks, args.Terse = true, !*verbose
		if *asJSON {
			err = ask(cmd.Context(), c, "events", args, printJSON(out))
		} else {
			args.Text = true
			err = ask(cmd.Context(), c, "events", args, func(line string) error {
				_, err := fmt.Fprintln(out, plainLine(line))
				return err
			})
		}
		if args.Follow && cmd.Context().Err() != nil {
			return nil // the normal end
		}
		return err
	}
	return cmd
}
