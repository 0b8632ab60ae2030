package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"lorawand/bridge/admin"
	"lorawand/bridge/mac"
	"lorawand/bridge/session"
	"lorawand/cmd/lorawand/config"
)

// shownDevice has the fields of a device in The Things Stack's form that people are
// shown.
type shownDevice struct {
	IDs struct {
		Device       string `json:"device_id"`
		Applications struct {
			ID string `json:"application_id"`
		} `json:"application_ids"`
		DevEUI  string `json:"dev_eui"`
		JoinEUI string `json:"join_eui"`
	} `json:"ids"`
	Name          string  `json:"name"`
	Description   string  `json:"description"`
	ClassB        bool    `json:"supports_class_b"`
	ClassC        bool    `json:"supports_class_c"`
	Multicast     bool    `json:"multicast"`
	Version       string  `json:"lorawan_version"`
	Plan          string  `json:"frequency_plan_id"`
	Joins         bool    `json:"supports_join"`
	UsedDevNonces []int64 `json:"used_dev_nonces"`
	LastDevNonce  int64   `json:"last_dev_nonce"`
	LastJoinNonce int64   `json:"last_join_nonce"`
	Session       *struct {
		DevAddr   string `json:"dev_addr"`
		FCntUp    int64  `json:"last_f_cnt_up"`
		NFCntDown int64  `json:"last_n_f_cnt_down"`
		AFCntDown int64  `json:"last_a_f_cnt_down"`
	} `json:"session"`
}

func (d *shownDevice) version() string {
	return strings.ReplaceAll(strings.TrimPrefix(d.Version, "MAC_V"), "_", ".")
}

func (d *shownDevice) activation() string {
	if d.Joins {
		return "OTAA"
	}
	return "ABP"
}

func (d *shownDevice) class() string {
	switch {
	case d.Multicast:
		return "multicast"
	case d.ClassB:
		return "B"
	case d.ClassC:
		return "C"
	}
	return "A"
}

// spareOfDevices are the columns that a narrow terminal is without, the first first: the
// rest says which device is alive, and how well it is heard.
var spareOfDevices = []string{
	"LORAWAN", "PLAN", "DEV_ADDR", "POWER", "FORMATTERS", "DEV_EUI", "F_CNT_UP", "LOST", "DATA_RATE", "NAME",
}

func newDeviceList() *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: "List end devices", Args: noArgs,
		Long: "List end devices. FORMATTERS shows the formatters of uplinks and downlinks: js, lpp (CayenneLPP),\n" +
			"codec (the one of the maker). A question mark says that it cannot be used, such as a codec that is\n" +
			"not imported. DATA_RATE and LOST (frames of frames) are of the last 20 uplinks at this data rate\n" +
			"since the start, POWER is what the device has last accepted.",
	}
	application := applicationFlag(cmd, "only of this application `id`")
	asJSON, wide := jsonFlag(cmd), addWide(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := loadKnowing(cmd, *application)
		if err != nil {
			return err
		}
		args := admin.ListArgs{Application: *application}
		did, err := activityOf(cmd.Context(), c, admin.ActivityArgs{Application: *application})
		if err != nil {
			return err
		}
		if *asJSON {
			return operate(cmd.Context(), c, "device.list", args, printWithActivity(cmd.OutOrStdout(), did))
		}
		formatters, warnings, err := formattersOf(cmd.Context(), c, *application)
		if err != nil {
			return err
		}
		views, err := macViews(cmd.Context(), c, admin.MACArgs{Application: *application})
		if err != nil {
			return err
		}
		w := &table{spare: spareOfDevices}
		fmt.Fprintln(w, "APPLICATION\tDEVICE\tDEV_EUI\tLORAWAN\tPLAN\tDEV_ADDR\tF_CNT_UP\tLAST_SEEN\tRSSI/SNR\t"+
			"DATA_RATE\tPOWER\tLOST\tFORMATTERS\tNAME")
		err = operate(cmd.Context(), c, "device.list", args, func(d shownDevice) error {
			addr, fCnt := "-", "-"
			if s := d.Session; s != nil {
				addr, fCnt = s.DevAddr, fmt.Sprint(s.FCntUp)
			}
			id := session.ID{Application: d.IDs.Applications.ID, Device: d.IDs.Device}
			seen, signal, err := lastSeen(did[id])
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(w, "%s\t%s\t%s\t%s %s %s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
				id.Application, id.Device, orDash(d.IDs.DevEUI), d.version(), d.class(), d.activation(), d.Plan, addr, fCnt,
				seen, signal, linkColumns(views[id]), orDash(formatters[id]), plainLine(d.Name))
			return err
		})
		if err != nil {
			return err
		}
		for _, line := range warnings {
			fmt.Fprintf(cmd.ErrOrStderr(), "lorawand: %s\n", plainLine(line))
		}
		return w.print(cmd.OutOrStdout(), *wide)
	}
	return cmd
}

// formattersOf returns the formatters of each device for the table, and a line for
// each reason why formatters cannot be used.
func formattersOf(ctx context.Context, c config.Config, application string) (map[session.ID]string, []string, error) {
	shown := map[session.ID]string{}
	var all []warned
	args := admin.FormatterListArgs{Application: application}
	err := operate(ctx, c, "formatter.list", args, func(f admin.DeviceFormatters) error {
		id := session.ID{Application: f.Application, Device: f.Device}
		shown[id] = formatterColumn(&f)
		for _, w := range formatterWarnings(&f) {
			all = append(all, warned{id.String(), w})
		}
		return nil
	})
	return shown, warningLines(all), err
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func newDeviceGet() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "get APPLICATION/DEVICE",
		Short: "Show an end device",
		Long: "Show an end device without its keys, and what it did last; device export writes the keys too.\n" +
			"The daemon remembers what devices did since it started, of each at most 50 uplinks and 50 events.",
		Args: oneDevice,
	}
	application := applicationFlag(cmd, applicationOfDevice)
	history := cmd.Flags().Bool("history", false, "show its last uplinks and events too")
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, names []string) error {
		c, err := loadConfig(cmd)
		if err != nil {
			return err
		}
		id, err := deviceNamed(*application, names[0])
		if err != nil {
			return err
		}
		args := admin.DeviceArgs(id)
		did, err := activityOf(cmd.Context(), c, admin.ActivityArgs{
			Application: args.Application, Device: args.Device,
			History: *history,
		})
		if err != nil {
			return err
		}
		if *asJSON {
			return operate(cmd.Context(), c, "device.get", args, printWithActivity(cmd.OutOrStdout(), did))
		}
		shown, err := shownActivityOf(did[session.ID(args)])
		if err != nil {
			return err
		}
		views, err := macViews(cmd.Context(), c, admin.MACArgs(args))
		if err != nil {
			return err
		}
		var formatters admin.DeviceFormatters
		list := admin.FormatterListArgs(args)
		err = operate(cmd.Context(), c, "formatter.list", list, func(f admin.DeviceFormatters) error {
			formatters = f
			return nil
		})
		if err != nil {
			return err
		}
		return operate(cmd.Context(), c, "device.get", args, func(d shownDevice) error {
			return printDevice(cmd.OutOrStdout(), &d, &formatters, &shown, views[session.ID(args)])
		})
	}
	return cmd
}

// valueColumn is where the values of a device begin.
const valueColumn = 13

func printDevice(w io.Writer, d *shownDevice, f *admin.DeviceFormatters, did *shownActivity, v mac.View) error {
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-*s%s\n", valueColumn, name+":", plainLine(value))
		}
	}
	line("application", d.IDs.Applications.ID)
	line("device", d.IDs.Device)
	line("name", d.Name)
	line("description", d.Description)
	line("DevEUI", d.IDs.DevEUI)
	line("JoinEUI", d.IDs.JoinEUI)
	line("LoRaWAN", fmt.Sprintf("%s, class %s, %s", d.version(), d.class(), d.activation()))
	line("plan", d.Plan)
	line("formatters", "up "+formatterText(&f.Up)+"; down "+formatterText(&f.Down))
	for _, w := range formatterWarnings(f) {
		line("warning", w)
	}
	switch s := d.Session; {
	case s == nil:
		line("session", "none: it has not joined yet")
	case s.NFCntDown == s.AFCntDown:
		line("session", fmt.Sprintf("DevAddr %s, last frame counters: up %d, down %d", s.DevAddr, s.FCntUp, s.NFCntDown))
	default:
		line("session", fmt.Sprintf("DevAddr %s, last frame counters: up %d, down %d (network) and %d (application)",
			s.DevAddr, s.FCntUp, s.NFCntDown, s.AFCntDown))
	}
	if d.Joins {
		line("nonces", fmt.Sprintf("last DevNonce %d, %d used ones remembered; last JoinNonce %d", d.LastDevNonce,
			len(d.UsedDevNonces), d.LastJoinNonce))
	}
	activityLines(did, line)
	macLines(v, line)
	if err := historyLines(&b, did); err != nil {
		return err
	}
	return foldTo(w, b.String(), valueColumn)
}

func newDeviceExport() *cobra.Command {
	var args admin.ExportArgs
	cmd := &cobra.Command{
		Use:   "export [APPLICATION/DEVICE…] [--application A]",
		Short: "Write end devices with their keys in the form of The Things Stack",
		Long: "Write end devices with their keys as JSON of The Things Stack, one object a line: those of all\n" +
			"applications, of one, or those that you name. OTAA devices are written without their sessions,\n" +
			"unless --session hands the sessions over. Then the frame counters of downlinks skip ahead; delete\n" +
			"the devices here afterwards.",
		Args: cobra.ArbitraryArgs,
	}
	cmd.Flags().StringVar(&args.Application, "application", "", "only of this application `id`")
	cmd.Flags().BoolVar(&args.Session, "session", false,
		"include sessions and MAC state, for a hand-over to another server")
	cmd.RunE = func(cmd *cobra.Command, ids []string) error {
		all := args.Application
		if len(ids) > 0 {
			all = ""
		}
		c, err := loadKnowing(cmd, all)
		if err != nil {
			return err
		}
		if args.Application, args.Devices, err = devicesOfOne(args.Application, ids); err != nil {
			return err
		}
		return operate(cmd.Context(), c, "device.export", args, printJSON(cmd.OutOrStdout()))
	}
	return cmd
}

func newDeviceDelete() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "delete APPLICATION/DEVICE…",
		Short: "Delete end devices with their sessions and queues",
		Long:  "Delete end devices with their sessions and queues. If one of them does not exist, none is deleted.",
		Args:  someDevices,
	}
	application := applicationFlag(cmd, applicationOfDevice)
	yes := yesFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, ids []string) error {
		c, err := loadConfig(cmd)
		if err != nil {
			return err
		}
		var args admin.DeleteArgs
		if args.Application, args.Devices, err = devicesOfOne(*application, ids); err != nil {
			return err
		}
		what := fmt.Sprintf("%s of %s: %s", plural(len(ids), "device"), args.Application, strings.Join(args.Devices, ", "))
		if err := confirm(cmd, *yes, "Delete "+what+", with sessions and queues?"); err != nil {
			return err
		}
		if err := operate(cmd.Context(), c, "device.delete", args, noParts); err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "Deleted %s.\n", what)
		return err
	}
	return cmd
}
