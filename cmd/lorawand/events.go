package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"lorawand/bridge/admin"
	"lorawand/cmd/lorawand/config"
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
		if args.Follow { // nothing may ever come
			tellUnknown(cmd, c, &args)
		}
		args.Uplinks, args.Terse, args.Text = true, !*verbose, !*asJSON
		lines, err := printEvents(cmd, c, &args)
		switch {
		case args.Follow && cmd.Context().Err() != nil:
			return nil // the normal end
		case err == nil && lines == 0: // what was refused, or is deleted, has events too
			tellUnknown(cmd, c, &args)
		}
		return err
	}
	return cmd
}

// printEvents returns how many there were.
func printEvents(cmd *cobra.Command, c config.Config, args *admin.EventsArgs) (lines int, err error) {
	out := cmd.OutOrStdout()
	if !args.Text {
		err = ask(cmd.Context(), c, "events", args, func(raw json.RawMessage) error {
			lines++
			return printJSON(out)(raw)
		})
		return lines, err
	}
	err = ask(cmd.Context(), c, "events", args, func(line string) error {
		lines++
		_, err := fmt.Fprintln(out, plainLine(line))
		return err
	})
	return lines, err
}
