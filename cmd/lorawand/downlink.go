package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"lorawand/bridge/admin"
	"lorawand/bridge/session"
	"lorawand/bridge/v3"
	"lorawand/radio"
)

func newDownlink() *cobra.Command {
	return group("downlink", "Send to end devices, and look at their downlink queues", newDownlinkPush(),
		newDownlinkReplace(), newDownlinkList(), newDownlinkClear())
}

// itemFlags describe an item.
type itemFlags struct {
	fPort          uint8
	payload        string
	hex            string
	confirmed      bool
	priority       string
	correlationIDs []string
}

func (f *itemFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.Uint8Var(&f.fPort, "f-port", 0, fmt.Sprintf("FPort, 1 to %d", v3.MaxFPort))
	flags.StringVar(&f.payload, "frm-payload", "", "payload in `base64`, as over MQTT")
	flags.StringVar(&f.hex, "hex", "", "payload in `hexadecimal` digits instead")
	flags.BoolVar(&f.confirmed, "confirmed", false, "ask the device for an acknowledgement")
	flags.StringVar(&f.priority, "priority", radio.PriorityLowest.String(),
		"`priority`: LOWEST, LOW, BELOW_NORMAL, NORMAL, ABOVE_NORMAL, HIGH")
	flags.StringArrayVar(&f.correlationIDs, "correlation-id", nil,
		"an `id` of your own to find the downlink by; can be repeated")
}

// itemJSON is an item of a push.
type itemJSON struct {
	FPort          uint8    `json:"f_port"`
	FRMPayload     []byte   `json:"frm_payload"`
	Confirmed      bool     `json:"confirmed,omitempty"`
	Priority       string   `json:"priority,omitempty"`
	CorrelationIDs []string `json:"correlation_ids,omitempty"`
}

type pushJSON struct {
	Downlinks []itemJSON `json:"downlinks"`
}

// body returns the push with the item.
func (f *itemFlags) body() (json.RawMessage, error) {
	it := itemJSON{
		FPort: f.fPort, Confirmed: f.confirmed, Priority: strings.ToUpper(f.priority),
		CorrelationIDs: f.correlationIDs,
	}
	if _, ok := radio.ParsePriority(it.Priority); !ok {
		return nil, usage(fmt.Errorf("--priority: no such priority: %.20q", f.priority))
	}
	var err error
	switch {
	case f.fPort == 0:
		return nil, usage(errors.New("--f-port: missing, must be 1 to 223"))
	case f.payload != "" && f.hex != "":
		return nil, usage(errors.New("give --frm-payload or --hex, not both"))
	case f.hex != "":
		if it.FRMPayload, err = parseHex(f.hex); err != nil {
			return nil, usage(fmt.Errorf("--hex: %w", err))
		}
	case f.payload != "":
		if it.FRMPayload, err = base64.StdEncoding.DecodeString(f.payload); err != nil {
			return nil, usage(fmt.Errorf("--frm-payload: %.40q is not base64; --hex takes hexadecimal digits", f.payload))
		}
	default:
		return nil, usage(errors.New("no payload: --frm-payload or --hex"))
	}
	return json.Marshal(pushJSON{[]itemJSON{it}})
}

// target reads APPLICATION/DEVICE, or APPLICATION DEVICE, or DEVICE with --application, and
// up to more arguments, which it returns.
func target(cmd *cobra.Command, application string, args []string, more int) (admin.DeviceArgs, []string, error) {
	n := 2
	if application != "" || len(args) > 0 && strings.Contains(args[0], "/") {
		n = 1
	}
	if len(args) < n || len(args) > n+more {
		return admin.DeviceArgs{}, nil, usage(fmt.Errorf("%s needs an application and a device id: APPLICATION/DEVICE",
			cmd.CommandPath()))
	}
	if n == 2 {
		if err := session.CheckID(args[0]); err != nil {
			return admin.DeviceArgs{}, nil, usage(err)
		}
		application = args[0]
	}
	id, err := deviceNamed(application, args[n-1])
	return admin.DeviceArgs(id), args[n:], err
}

func newDownlinkPush() *cobra.Command {
	return pushCommand("push", "Append to the downlink queue of a device", false)
}

func newDownlinkReplace() *cobra.Command {
	return pushCommand("replace", "Replace the downlink queue of a device", true)
}

func pushCommand(verb, short string, replace bool) *cobra.Command {
	var flags itemFlags
	cmd := &cobra.Command{
		Use:   verb + " APPLICATION/DEVICE [FILE]",
		Short: short,
		Long: short + ", as a publish to down/" + verb + " does: one downlink from flags, or those in FILE,\n" +
			"{\"downlinks\":[…]}; - is standard input. It prints a correlation id for each, which lorawand why takes.",
		Args: cobra.ArbitraryArgs,
	}
	flags.add(cmd)
	application := applicationFlag(cmd, applicationOfDevice)
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := loadConfig(cmd)
		if err != nil {
			return err
		}
		push := admin.PushArgs{Replace: replace}
		if push.DeviceArgs, args, err = target(cmd, *application, args, 1); err != nil {
			return err
		}
		if len(args) == 1 {
			push.Body, err = readPush(cmd, args[0])
		} else {
			push.Body, err = flags.body()
		}
		if err != nil {
			return err
		}
		out := cmd.OutOrStdout()
		if *asJSON {
			return operate(cmd.Context(), c, "downlink.push", push, printJSON(out))
		}
		return operate(cmd.Context(), c, "downlink.push", push, func(p admin.Pushed) error {
			_, err := fmt.Fprintln(out, plainLine(ownID(p.CorrelationIDs)))
			return err
		})
	}
	return cmd
}

// readPush reads the body of a push.
func readPush(cmd *cobra.Command, name string) (json.RawMessage, error) {
	if cmd.Flags().Changed("f-port") || cmd.Flags().Changed("frm-payload") || cmd.Flags().Changed("hex") {
		return nil, usage(errors.New("give a file or the flags of a downlink, not both"))
	}
	b, err := readFile(cmd.InOrStdin(), name)
	if err != nil {
		return nil, err
	}
	if len(b) > v3.MaxPushSize || !json.Valid(b) {
		return nil, fmt.Errorf("%s: not JSON of at most %d bytes", name, v3.MaxPushSize)
	}
	return b, nil
}

// ownID returns the correlation id that the daemon has given to a downlink.
func ownID(ids []string) string {
	for _, id := range ids {
		if strings.HasPrefix(id, v3.ApplicationDownlink) {
			return id
		}
	}
	return strings.Join(ids, " ")
}

func newDownlinkList() *cobra.Command {
	cmd := &cobra.Command{
		Use: "list APPLICATION/DEVICE", Short: "Show the downlink queue of a device",
		Args: cobra.ArbitraryArgs,
	}
	application := applicationFlag(cmd, applicationOfDevice)
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := loadConfig(cmd)
		if err != nil {
			return err
		}
		out := cmd.OutOrStdout()
		what, _, err := target(cmd, *application, args, 0)
		if err != nil {
			return err
		}
		if *asJSON {
			return operate(cmd.Context(), c, "downlink.list", what, printJSON(out))
		}
		return operate(cmd.Context(), c, "downlink.list", what, func(d struct {
			State    string
			Downlink struct {
				itemJSON
				Decoded json.RawMessage `json:"decoded_payload"`
			}
		},
		) error {
			it := &d.Downlink
			text := fmt.Sprintf("%-12s f_port %d, %d bytes: %X", d.State, it.FPort, len(it.FRMPayload), it.FRMPayload)
			if it.Confirmed {
				text += ", confirmed"
			}
			if it.Priority != "" {
				text += ", " + it.Priority
			}
			if it.Decoded != nil {
				text += ", " + plainLine(string(it.Decoded))
			}
			_, err := fmt.Fprintf(out, "%s, %s\n", text, plainLine(ownID(it.CorrelationIDs)))
			return err
		})
	}
	return cmd
}

func newDownlinkClear() *cobra.Command {
	cmd := &cobra.Command{
		Use: "clear APPLICATION/DEVICE", Short: "Empty the downlink queue of a device", Args: cobra.ArbitraryArgs,
	}
	application, yes := applicationFlag(cmd, applicationOfDevice), yesFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := loadConfig(cmd)
		if err != nil {
			return err
		}
		of, _, err := target(cmd, *application, args, 0)
		if err != nil {
			return err
		}
		n := 0
		count := func(struct{}) error { n++; return nil }
		if err := operate(cmd.Context(), c, "downlink.list", of, count); err != nil {
			return err
		}
		what := fmt.Sprintf("%s/%s: %s", of.Application, of.Device, plural(n, "downlink"))
		if n > 0 {
			if err := confirm(cmd, *yes, "Empty the queue of "+what+"?"); err != nil {
				return err
			}
		}
		push := admin.PushArgs{DeviceArgs: of, Replace: true, Body: json.RawMessage(`{"downlinks":[]}`)}
		err = operate(cmd.Context(), c, "downlink.push", push, func(admin.Pushed) error { return nil })
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "Emptied the queue of %s.\n", what)
		return err
	}
	return cmd
}
