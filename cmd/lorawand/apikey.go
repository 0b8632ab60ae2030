package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"lorawand/bridge"
	"lorawand/bridge/access"
	"lorawand/bridge/session"
	"lorawand/cmd/lorawand/config"
)

func newAPIKey() *cobra.Command {
	return group("api-key", "Manage the API keys that applications log in with", newAPIKeyCreate())
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
		Short: "Make an API key and print it, once",
		Long: "Make an API key for an application and print it on standard output. It is the password of MQTT clients; only a\n" +
			"hash of it is kept, so it cannot be shown again.",
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
	f.StringVar(&o.name, "name", "", "a `name` for people")
	f.StringVar(&o.rights, "rights", "", "comma separated `rights`: "+access.All.Names()+" or all (default "+access.Default.String()+")")
	f.StringVar(&o.expires, "expires", "", "`time` of the end: 2027-01-01 or 2027-01-01T12:00:00Z (default never)")
	f.StringVar(&o.imported, "import", "", "take this existing `key` of The Things Stack, so that clients keep their password")
	return cmd
}

func createKey(cmd *cobra.Command, c config.Config, o keyOptions) error {
	if err := session.CheckID(o.application); err != nil {
		return usage(fmt.Errorf("--application: %w", err))
	}
	rights, err := access.ParseRights(o.rights)
	if err != nil {
		return usage(fmt.Errorf("--rights: %w", err))
	}
	expires, err := parseExpiry(o.expires)
	if err != nil {
		return usage(fmt.Errorf("--expires: %w", err))
	}
	text, k, err := makeKey(o)
	if err != nil {
		return err
	}
	k.Name, k.Rights, k.Expires = o.name, rights, expires
	s, st, err := openState(c, nil)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := st.Keys.Add(k); err != nil {
		return err
	}
	r, err := bridge.KeyRecord(k)
	if err != nil {
		return err
	}
	if err := s.Commit(r); err != nil {
		return err
	}
	tellConnection(cmd.ErrOrStderr(), c, o.application, shownKey(cmd.OutOrStdout(), text))
	_, err = fmt.Fprintln(cmd.OutOrStdout(), text)
	return err
}

func makeKey(o keyOptions) (string, access.Key, error) {
	if o.imported == "" {
		return access.New(rand.Reader, o.application)
	}
	k, err := access.Import(rand.Reader, o.application, o.imported)
	return o.imported, k, err
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

// shownKey returns the key for the line to try. Where standard output is not a
// terminal the key goes to a script, and standard error maybe to a log.
func shownKey(stdout io.Writer, key string) string {
	if f, ok := stdout.(*os.File); ok {
		if _, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS); err == nil {
			return key
		}
	}
	return "KEY"
}

// tellConnection says what a client needs, as The Things Stack's console does.
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
	fmt.Fprintf(w, "Host:      %s\nUser name: %s\nPassword:  the key below, which is not shown again\nTo try it: %s -t \"#\" -u %s -P \"%s\" -d\n",
		net.JoinHostPort(host, port), application, line, application, key)
}
