package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"lorawand/bridge/access"
	"lorawand/bridge/admin"
	"lorawand/bridge/session"
	"lorawand/bridge/v3/enddevice"
)

func newApplication() *cobra.Command {
	return group("application", "Manage applications and their default payload formatters",
		newApplicationList(), newApplicationGet(), newApplicationSet(), newApplicationDelete())
}

// wideFlag adds --wide.
func wideFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("wide", false, "show everything, on long lines")
}

func newApplicationList() *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: "List applications",
		Long: "List applications: those of API keys and devices, and those with settings.",
		Args: noArgs,
	}
	asJSON, wide := jsonFlag(cmd), wideFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		name := func(kind, parameter string) string {
			if *wide {
				return defaultFormatter(kind, parameter)
			}
			return formatterName(kind)
		}
		l := listing[admin.Application]{operation: "application.list", header: "APPLICATION\tDEVICES\tKEYS\tUP\tDOWN"}
		l.row = func(w io.Writer, a admin.Application) error {
			f := &a.Formatters
			up, down := name(f.Up, f.UpParameter), name(f.Down, f.DownParameter)
			_, err := fmt.Fprintf(w, "%s\t%d\t%d\t%s\t%s\n", plainLine(a.ID), a.Devices, a.APIKeys, up, down)
			return err
		}
		return l.print(cmd, nil, *asJSON)
	}
	return cmd
}

// defaultFormatter returns the name of an application's default formatter.
func defaultFormatter(kind, parameter string) string {
	return formatterText(&admin.Formatter{Kind: kind, Bytes: len(parameter)})
}

// oneApplication accepts the id of an application as the only argument.
func oneApplication(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usage(fmt.Errorf("%s needs one application id", cmd.CommandPath()))
	}
	if err := session.CheckID(args[0]); err != nil {
		return usage(err)
	}
	return nil
}

func newApplicationGet() *cobra.Command {
	cmd := &cobra.Command{
		Use: "get APPLICATION", Short: "Show an application",
		Long: "Show an application. With --json the scripts of its default formatters are shown too.",
		Args: oneApplication,
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, names []string) error {
		c, err := loadConfig(cmd)
		if err != nil {
			return err
		}
		args := admin.ApplicationArgs{ID: names[0]}
		if *asJSON {
			return operate(cmd.Context(), c, "application.get", args, printJSON(cmd.OutOrStdout()))
		}
		return operate(cmd.Context(), c, "application.get", args, func(a admin.Application) error {
			return printApplication(cmd.OutOrStdout(), &a)
		})
	}
	return cmd
}

func printApplication(w io.Writer, a *admin.Application) error {
	f := &a.Formatters
	up, down := defaultFormatter(f.Up, f.UpParameter), defaultFormatter(f.Down, f.DownParameter)
	_, err := fmt.Fprintf(w, "application:    %s\ndevices:        %d\nAPI keys:       %d\nup formatter:   %s\n"+
		"down formatter: %s\nwebhook:        %s\nHome Assistant: %s\n", plainLine(a.ID), a.Devices, a.APIKeys, up, down,
		webhookText(a.Webhook), map[bool]string{true: "is told of the devices", false: "none"}[a.HomeAssistant])
	return err
}

func newApplicationSet() *cobra.Command {
	cmd := &cobra.Command{
		Use: "set APPLICATION", Short: "Set the default payload formatters, webhook and discovery of an application",
		Long: "Set the payload formatters of devices that have none of their own, where messages are posted to, and\n" +
			"whether Home Assistant is told of the devices (MQTT discovery, to keys of the application that may read).\n" +
			"Settings without a flag stay as they are. An application exists from its first API key or device on.",
		Example: "lorawand application set app1 --up-formatter decoder.js --down-formatter none\n" +
			"lorawand application set app1 --up-formatter repository\n" +
			"lorawand application set app1 --home-assistant",
		Args: oneApplication,
	}
	addFormatterFlags(cmd, false)
	hook := addWebhookFlags(cmd)
	var home bool
	cmd.Flags().BoolVar(&home, "home-assistant", false,
		"tell Home Assistant of the devices and their values; --home-assistant=false ends that")
	cmd.RunE = func(cmd *cobra.Command, names []string) error {
		c, err := loadConfig(cmd)
		if err != nil {
			return err
		}
		up, down, err := formatterChanges(cmd, false)
		if err != nil {
			return err
		}
		webhook, err := hook()
		if err != nil {
			return err
		}
		if home && !hasHTTP {
			return errors.New("the small build has no discovery for Home Assistant")
		}
		told := cmd.Flags().Changed("home-assistant")
		if up == nil && down == nil && webhook == nil && !told {
			return usage(errors.New("nothing to set"))
		}
		args := admin.SetApplicationArgs{
			ID: names[0], UpFormatter: ofApplication(up), DownFormatter: ofApplication(down),
			Webhook: webhook,
		}
		if told {
			args.HomeAssistant = &home
		}
		return operate(cmd.Context(), c, "application.set", args, tellNote(cmd))
	}
	return cmd
}

// tellNote returns a function that prints the note about a setting.
func tellNote(cmd *cobra.Command) func(admin.SetNote) error {
	return func(n admin.SetNote) error {
		_, err := fmt.Fprintf(cmd.ErrOrStderr(), "lorawand: %s\n", plainLine(n.Note))
		return err
	}
}

func ofApplication(c *enddevice.FormatterChange) *access.Formatter {
	if c == nil {
		return nil
	}
	return &access.Formatter{Kind: c.Name, Parameter: c.Parameter}
}

func newApplicationDelete() *cobra.Command {
	var args admin.DeleteApplicationArgs
	cmd := &cobra.Command{
		Use: "delete APPLICATION", Short: "Delete an application",
		Long: "Delete an application and its settings. An application with devices or API keys is deleted only with\n" +
			"--all, which also deletes these: the devices with their sessions and queues; connections that use\n" +
			"the keys end.",
		Args: oneApplication,
	}
	cmd.Flags().BoolVar(&args.All, "all", false, "delete its devices and API keys too")
	yes := yesFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, names []string) error {
		c, err := loadConfig(cmd)
		if err != nil {
			return err
		}
		args.ID = names[0]
		question := "Delete the application " + args.ID + "?"
		if args.All {
			question = "Delete the application " + args.ID + " with all its devices and API keys?"
		}
		if err := confirm(cmd, *yes, question); err != nil {
			return err
		}
		return operate(cmd.Context(), c, "application.delete", args, func(d admin.DeletedApplication) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "Deleted %s with %s and %s; connections and sessions that have "+
				"ended: %d.\n", args.ID, plural(d.Devices, "device"), plural(d.APIKeys, "API key"), d.Disconnected)
			return err
		})
	}
	return cmd
}

// tellNew prints that an application is new.
func tellNew(w io.Writer, application string) {
	fmt.Fprintf(w, "lorawand: %s is a new application\n", application)
}
