package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"lorawand/bridge/admin"
	"lorawand/bridge/session"
	"lorawand/bridge/v3/enddevice"
	"lorawand/cmd/lorawand/config"
	"lorawand/radio/region"
)

// defaultVersion is the LoRaWAN version of a new device for which none is given.
const defaultVersion = "1.0.3"

// fieldFlags are the flags for fields of a device.
var fieldFlags = []struct{ flag, field, usage string }{
	{"dev-eui", "dev_eui", "`DevEUI`, 16 hexadecimal digits"},
	{"join-eui", "join_eui", "`JoinEUI` (AppEUI), 16 hexadecimal digits"},
	{"app-key", "app_key", "AppKey, 32 hexadecimal `digits`: an OTAA device"},
	{"nwk-key", "nwk_key", "NwkKey of LoRaWAN 1.1, 32 hexadecimal `digits`"},
	{"version", "lorawan_version", "LoRaWAN `version`: 1.0.2, 1.0.3, 1.0.4, 1.1"},
	{
		"phy-version", "lorawan_phy_version",
		"`version` of the regional parameters, such as 1.0.2-B (default: that of most devices)",
	},
	{"plan", "frequency_plan_id", "frequency plan `id`, such as EU_863_870_TTN"},
	{"name", "name", "display `name`"},
	{"description", "description", "free `text`"},
	{"dev-addr", "dev_addr", "ABP: `DevAddr`, 8 hexadecimal digits"},
	{"nwk-s-key", "f_nwk_s_int_key", "ABP: NwkSKey, 32 hexadecimal `digits`"},
	{"app-s-key", "app_s_key", "ABP: AppSKey, 32 hexadecimal `digits`"},
	{"f-nwk-s-int-key", "f_nwk_s_int_key", "ABP with LoRaWAN 1.1: FNwkSIntKey, 32 hexadecimal `digits`"},
	{"s-nwk-s-int-key", "s_nwk_s_int_key", "ABP with LoRaWAN 1.1: SNwkSIntKey, 32 hexadecimal `digits`"},
	{"nwk-s-enc-key", "nwk_s_enc_key", "ABP with LoRaWAN 1.1: NwkSEncKey, 32 hexadecimal `digits`"},
	{"rx1-delay", "rx1_delay", "`seconds` from the uplink to RX1 (ABP: default 1)"},
	{"rx1-data-rate-offset", "rx1_data_rate_offset", "RX1 data rate `offset`, 0 to 7"},
	{"rx2-data-rate", "rx2_data_rate_index", "data rate `index` of RX2"},
	{"rx2-frequency", "rx2_frequency", "frequency of RX2 in `Hz` that the device was made with"},
	{
		"ping-slot-periodicity", "ping_slot_periodicity",
		"Class B: `seconds` from one ping slot to the next: 1, 2, 4 and so on to 128",
	},
	{"brand", "brand_id", "`id` of its maker in the device repository, for its codec"},
	{"model", "model_id", "`id` of its model in the device repository"},
	{"firmware-version", "firmware_version", "`version` of its firmware, as the device repository has it"},
	{"hardware-version", "hardware_version", "`version` of its hardware, as the device repository has it"},
	{"band", "band_id", "`id` of its band, such as EU_863_870"},
}

// switches are the flags of fields that are true or false.
var switches = []struct{ flag, field, usage string }{
	{
		"resets-f-cnt", "resets_f_cnt",
		"ABP: the device begins its frame counter anew when it restarts; frames that it has sent can then be replayed",
	},
	{"multicast", "multicast", "ABP, of Class B or C: a group, whose downlinks name their gateways"},
	{
		"test-port", "test_port",
		"FPort 224 goes both ways: the device is tested by its maker, with the test protocol (TS009)",
	},
}

// addFieldFlags adds them, and --class.
func addFieldFlags(cmd *cobra.Command) {
	for _, f := range fieldFlags {
		cmd.Flags().String(f.flag, "", f.usage)
	}
	addFormatterFlags(cmd, true)
	cmd.Flags().String("class", "", "`class`: A, B or C")
	for _, f := range switches {
		cmd.Flags().Bool(f.flag, false, f.usage)
	}
}

// fields returns the values of the flags by the names of their fields.
func fields(cmd *cobra.Command) (map[string]string, error) {
	out := map[string]string{}
	for _, f := range fieldFlags {
		if !cmd.Flags().Changed(f.flag) {
			continue
		}
		value, err := cmd.Flags().GetString(f.flag)
		if err != nil {
			return nil, err
		}
		if err := enddevice.ParseFields(&session.Device{}, map[string]string{f.field: value}); err != nil {
			return nil, usage(fmt.Errorf("--%s: %w", f.flag, errors.Unwrap(err)))
		}
		if err := served(f.field, value); err != nil {
			return nil, usage(fmt.Errorf("--%s: %w", f.flag, err))
		}
		if other, twice := out[f.field]; twice && other != value {
			return nil, usage(fmt.Errorf("--%s: given twice", f.flag))
		}
		out[f.field] = value
	}
	for _, f := range switches {
		if !cmd.Flags().Changed(f.flag) {
			continue
		}
		on, err := cmd.Flags().GetBool(f.flag)
		if err != nil {
			return nil, err
		}
		out[f.field] = fmt.Sprint(on)
	}
	if !cmd.Flags().Changed("class") {
		return out, nil
	}
	class, err := cmd.Flags().GetString("class")
	if err != nil {
		return nil, err
	}
	class = strings.ToUpper(class)
	if !slices.Contains([]string{"A", "B", "C"}, class) {
		return nil, usage(fmt.Errorf("--class: %.20q, must be A, B or C", class))
	}
	out["supports_class_b"], out["supports_class_c"] = fmt.Sprint(class == "B"), fmt.Sprint(class == "C")
	return out, nil
}

// served refuses a version or a plan that this version does not serve. Only an
// import may bring such devices.
func served(field, value string) error {
	switch field {
	case "lorawan_version":
		if session.ParseVersion(value) == session.VersionUnknown {
			return fmt.Errorf("%.20q, must be 1.0 to 1.0.4 or 1.1", value)
		}
	case "lorawan_phy_version":
		if region.ParseVersion(value) == region.VersionUnknown {
			return fmt.Errorf("%.40q, must be 1.0 to 1.0.2, 1.0.2-A, 1.0.3, 1.1, 1.1-A, RP002-1.0.0 to RP002-1.0.4, "+
				"or The Things Stack's name", value)
		}
	case "frequency_plan_id":
		return config.CheckPlan(value)
	}
	return nil
}

func newDeviceCreate() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "create APPLICATION/DEVICE --dev-eui … --join-eui … --app-key …",
		Short: "Create an end device from what its sticker says",
		Long: "Create an end device. An OTAA device needs --dev-eui, --join-eui and --app-key, and with LoRaWAN 1.1\n" +
			"--nwk-key; an ABP device needs --dev-addr, --nwk-s-key and --app-s-key, or all four keys of LoRaWAN\n" +
			"1.1.",
		Args: oneDevice,
	}
	application := applicationFlag(cmd, applicationOfDevice)
	addFieldFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := loadConfig(cmd)
		if err != nil {
			return err
		}
		id, err := deviceNamed(*application, args[0])
		if err != nil {
			return err
		}
		set, err := fields(cmd)
		if err != nil {
			return err
		}
		d := &session.Device{ID: id}
		o := enddevice.Options{Plan: c.Network.DefaultFrequencyPlan, Version: defaultVersion, RX1Delay: rx1Delay(c)}
		notes, err := enddevice.SetFields(d, set, o)
		if err != nil {
			return usage(err)
		}
		up, down, err := formatterChanges(cmd, true)
		if err != nil {
			return err
		}
		if err := enddevice.ChangeFormatters(&d.Formatters, up, down); err != nil {
			return usage(err)
		}
		raw, err := enddevice.Append(nil, d, enddevice.Form{Keys: true, Session: true, RX1Delay: o.RX1Delay})
		if err != nil {
			return err
		}
		more, err := createDevice(cmd, c, id.Application, raw)
		if err != nil {
			return err
		}
		notes = append(notes, more...)
		if w := enddevice.Unserved(d); w != "" {
			notes = append(notes, w)
		}
		tellNotes(cmd, id.Device, notes)
		tellPlan(cmd, c, d)
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "Created %v: LoRaWAN %v, %s.\n", d.ID, d.Version, d.Plan)
		return err
	}
	return cmd
}

// createDevice registers a device, and returns the notes about it.
func createDevice(cmd *cobra.Command, c config.Config, application string, device json.RawMessage) (notes []string,
	err error,
) {
	var fault error
	put := admin.PutArgs{Application: application, Devices: []json.RawMessage{device}}
	err = operate(cmd.Context(), c, "device.put", put, func(p admin.PutPart) error {
		switch {
		case p.NewApplication:
			tellNew(cmd.ErrOrStderr(), application)
		case p.Warning != "":
			notes = append(notes, p.Warning)
		case p.Registered:
			fault = fmt.Errorf("%s; device set changes it", p.Error)
		default:
			fault = errors.New(p.Error)
		}
		return nil
	})
	return notes, cmp.Or(fault, err)
}

// tellNotes prints notes about a device.
func tellNotes(cmd *cobra.Command, device string, notes []string) {
	for _, n := range notes {
		fmt.Fprintf(cmd.ErrOrStderr(), "lorawand: %s: %s\n", device, n)
	}
}

// tellPlan prints a note about a device that no gateway hears.
func tellPlan(cmd *cobra.Command, c config.Config, d *session.Device) {
	for _, n := range planNotes(c, []*session.Device{d}) {
		fmt.Fprintf(cmd.ErrOrStderr(), "lorawand: %s\n", n)
	}
}

func newDeviceSet() *cobra.Command {
	args := admin.SetArgs{}
	cmd := &cobra.Command{
		Use:   "set APPLICATION/DEVICE",
		Short: "Change the registration of an end device",
		Long: "Change the registration of an end device; fields without a flag stay as they are. The session goes\n" +
			"on, unless a changed key or address makes it another device or session. Receive window settings\n" +
			"(--rx1-delay and the like) are used at once for ABP; a device that joins gets them with its next\n" +
			"join.\n\n" +
			"A device with a payload formatter of its own, for either direction, uses none of its application.",
		Args: oneDevice,
	}
	application := applicationFlag(cmd, applicationOfDevice)
	addFieldFlags(cmd)
	cmd.Flags().BoolVar(&args.ResetFCnt, "reset-fcnt", false,
		"accept uplinks from frame counter 0 on; until the device sends, old frames can be replayed")
	cmd.Flags().BoolVar(&args.ResetJoinNonces, "reset-join-nonces", false,
		"accept used DevNonces again; until the device joins, old join-requests can be replayed")
	rejoin := cmd.Flags().Uint8("force-rejoin", 0,
		"ask a device of LoRaWAN 1.1 for new session keys: 0 sets its radio parameters back too, 2 does not")
	cmd.RunE = func(cmd *cobra.Command, names []string) error {
		c, err := loadConfig(cmd)
		if err != nil {
			return err
		}
		id, err := deviceNamed(*application, names[0])
		if err != nil {
			return err
		}
		if args.Fields, err = fields(cmd); err != nil {
			return err
		}
		if args.UpFormatter, args.DownFormatter, err = formatterChanges(cmd, true); err != nil {
			return err
		}
		if cmd.Flags().Changed("force-rejoin") {
			args.ForceRejoin = rejoin
		}
		if len(args.Fields) == 0 && !args.ResetFCnt && !args.ResetJoinNonces && args.UpFormatter == nil &&
			args.DownFormatter == nil && args.ForceRejoin == nil {
			return usage(errors.New("nothing to set"))
		}
		args.Application, args.Device = id.Application, id.Device
		if plan, set := args.Fields["frequency_plan_id"]; set {
			tellPlan(cmd, c, &session.Device{ID: id, Plan: plan})
		}
		return operate(cmd.Context(), c, "device.set", args, func(n admin.SetNote) error {
			_, err := fmt.Fprintf(cmd.ErrOrStderr(), "lorawand: %s: %s\n", id.Device, n.Note)
			return err
		})
	}
	return cmd
}
