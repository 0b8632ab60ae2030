package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lorawand/bridge/access"
	"lorawand/bridge/admin"
	"lorawand/cmd/lorawand/config"
)

func newAPIKey() *cobra.Command {
	return group("api-key", "Manage the API keys that applications log in with", newAPIKeyCreate(), newAPIKeyList(),
		newAPIKeyRevoke())
}

// keyOptions are the flags of api-key create.
type keyOptions struct {
	application string
	name        string
	rights      string
	expires     string
	imported    string
}

func newAPIKeyCreate() *cobra.Command {
	var o keyOptions
	cmd := &cobra.Command{
		Use:   "create --application A",
		Short: "Create an API key and print it",
		Long: "Create an API key for an application and print it on standard output. It is the password of the\n" +
			"application's MQTT clients. Only a hash of it is kept, so it cannot be shown again.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			return createKey(cmd, c, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.application, "application", "", "`id` of the application (required)")
	f.StringVar(&o.name, "name", "", "display `name`")
	f.StringVar(&o.rights, "rights", "", "comma separated `rights`: "+access.All.Names()+" or all (default "+
		access.Default.String()+")")
	f.StringVar(&o.expires, "expires", "",
		"`time` at which it expires: 2027-01-01 or 2027-01-01T12:00:00Z (default never)")
	f.StringVar(&o.imported, "import", "",
		"store this `key` of The Things Stack instead of a new one: clients keep their password")
	return cmd
}

func createKey(cmd *cobra.Command, c config.Config, o keyOptions) error {
	if err := checkApplication(o.application); err != nil {
		return err
	}
	if _, err := access.ParseRights(o.rights); err != nil {
		return usage(fmt.Errorf("--rights: %w", err))
	}
	expires, err := parseExpiry(o.expires)
	if err != nil {
		return usage(fmt.Errorf("--expires: %w", err))
	}
	args := admin.CreateKeyArgs{
		Application: o.application, Name: o.name, Rights: o.rights, Expires: expires,
		Import: o.imported,
	}
	return operate(cmd.Context(), c, "key.create", args, func(k admin.NewKey) error {
		if k.NewApplication {
			tellNew(cmd.ErrOrStderr(), o.application)
		}
		tellConnection(cmd.ErrOrStderr(), c, o.application, shownKey(cmd.OutOrStdout(), k.Text))
		_, err := fmt.Fprintln(cmd.OutOrStdout(), k.Text)
		return err
	})
}

func parseExpiry(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, errors.New("not a time such as 2027-01-01 or 2027-01-01T12:00:00Z")
}

// shownKey returns the key for the command to try. If standard output is not a
// terminal, a script reads the key there, and standard error may be a log: then it
// returns a placeholder.
func shownKey(stdout io.Writer, key string) string {
	if isTerminal(stdout) {
		return key
	}
	return "KEY"
}

// tellConnection prints what a client needs to connect, as The Things Stack's
// console does.
func tellConnection(w io.Writer, c config.Config, application, key string) {
	if len(c.MQTT.Listen) == 0 {
		fmt.Fprintln(w, "mqtt.listen is empty: no client can connect")
		return
	}
	host, port, _ := net.SplitHostPort(c.MQTT.Listen[0])
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		if name, err := os.Hostname(); err == nil {
			host = name
		}
	}
	line := fmt.Sprintf("mosquitto_sub -h %s", host)
	if port != "1883" {
		line += " -p " + port
	}
	fmt.Fprintf(w, "Host:      %s\nUser name: %s\nPassword:  the key below, which is not shown again\nTo try it: %s -t "+
		"\"#\" -u %s -P \"%s\" -d\n",
		net.JoinHostPort(host, port), application, line, application, key)
}

func newAPIKeyList() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List API keys", Args: noArgs}
	application := applicationFlag(cmd, "only of this application `id`")
	asJSON, wide := jsonFlag(cmd), addWide(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if _, err := loadKnowing(cmd, *application); err != nil {
			return err
		}
		l := listing[admin.Key]{
			operation: "key.list", header: "APPLICATION\tID\tRIGHTS\tEXPIRES\tLAST USE\tNAME",
			spare: []string{"EXPIRES"}, wide: *wide,
		}
		l.row = func(w io.Writer, k admin.Key) error {
			expires := "never"
			if !k.Expires.IsZero() {
				expires = k.Expires.Format(time.RFC3339)
			}
			_, err := fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", k.Application, k.ID, strings.Join(k.Rights, ","), expires,
				orDash(k.LastUse), plainLine(k.Name))
			return err
		}
		return l.print(cmd, admin.ListArgs{Application: *application}, *asJSON)
	}
	return cmd
}

func newAPIKeyRevoke() *cobra.Command {
	return &cobra.Command{
		Use:   "revoke ID",
		Short: "Revoke an API key and close its connections",
		Long:  "Revoke an API key by its id, which api-key list shows. Connections that use it are closed at once.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(errors.New("api-key revoke needs one id"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			return operate(cmd.Context(), c, "key.revoke", admin.RevokeKeyArgs{ID: args[0]}, func(k admin.RevokedKey) error {
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "Revoked a key of %s; connections and sessions that have ended: %d.\n",
					k.Application, k.Disconnected)
				return err
			})
		},
	}
}
