//go:build !small

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"lorawand/bridge"
	"lorawand/cmd/lorawand/config"
	"lorawand/radio"
)

// extension is what makes this host an extender.
type extension struct {
	config.Central
	eui, plan string
	print     bool
}

// keyOnInput stands for a key that is not in the words of the command, which other users see.
const keyOnInput = "-"

func newExtend() *cobra.Command {
	var o extension
	cmd := &cobra.Command{
		Use: "extend", Short: "Give the radio of this host to another lorawand", Args: noArgs,
		Long: "Give the radio of this host to another lorawand, its central: try the connection, then write that into\n" +
			"the configuration. lorawand gateway pair on the central prints the whole command. From the next start on\n" +
			"this host serves no devices and no clients, and writes nothing to flash.",
		RunE: func(cmd *cobra.Command, _ []string) error { return extend(cmd, &o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.Address, "central", "", "`address` of the central, host:port (required)")
	f.StringVar(&o.eui, "eui", "", "`EUI` of the gateway (required)")
	f.StringVar(&o.plan, "plan", "", "frequency `plan` of the gateway (default: that of the configuration)")
	f.StringVar(&o.Key, "key", "", "`key` for the central (required); "+keyOnInput+" reads it from the first line of "+
		"standard input,\nas other users of this host see the words of a command")
	f.StringVar(&o.Fingerprint, "fingerprint", "", "SHA-256 of the central's `certificate` or of its CA "+
		"(default: a CA that this host trusts)")
	f.BoolVar(&o.print, "print", false, "print the configuration and write nothing")
	return cmd
}

func extend(cmd *cobra.Command, o *extension) error {
	var eui radio.EUI64
	if err := eui.UnmarshalText([]byte(o.eui)); err != nil {
		return usage(fmt.Errorf("--eui: %.40q, must be 16 hexadecimal digits", o.eui))
	}
	if o.Key == keyOnInput {
		var err error
		if o.Key, err = passwordLine(bufio.NewReader(io.LimitReader(cmd.InOrStdin(), maxPasswordLine))); err != nil {
			return usage(errors.New("--key -: standard input has no key in its first line"))
		}
	}
	path, _ := config.Find(cmd.Flag("config").Value.String())
	before, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	text := extended(string(before), o)
	c, err := config.Parse([]byte(text))
	if err != nil {
		return fmt.Errorf("%s, with this central, is not good: %w", path, err)
	}
	if err := o.agrees(&c.Gateways[0], path); err != nil {
		return err
	}
	if !o.print && strings.HasPrefix(string(before), madeOfUCI) {
		return fmt.Errorf("%s is made of /etc/config/lorawand: set there role, central and gateway, as --print shows them; "+
			"or, with lorawand.main.manual = 1, remove the first line of the file and call this again", path)
	}
	if err := tryCentral(cmd.Context(), &o.Central, eui); err != nil {
		return fmt.Errorf("the central %s: %w; nothing is written", o.Address, err)
	}
	if o.print {
		_, err := fmt.Fprint(cmd.OutOrStdout(), text)
		return err
	}
	if err := replaceConfig(path, text); err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "The central %s lets this gateway in. %s is written; restart lorawand.\n",
		o.Address, path)
	return err
}

// tryCentral logs in once.
func tryCentral(ctx context.Context, c *config.Central, eui radio.EUI64) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	conf, err := centralTLS(c, bridge.NewClock(nil).Calendar)
	if err != nil {
		return err
	}
	conn, err := dialCentral(ctx, c, conf, eui)
	if err != nil {
		return err
	}
	return conn.Close()
}

// extended returns a configuration as that of an extender: with its role, its central in place of the
// one before, and the EUI and the plan in the table of its gateway, unless that has others.
func extended(before string, o *extension) string {
	own := []string{fmt.Sprintf("eui = %q", o.eui)}
	if o.plan != "" {
		own = append(own, fmt.Sprintf("frequency_plan = %q", o.plan))
	}
	var kept []string
	table, gateway := "", -1 // the line of its table
	for _, line := range strings.Split(strings.TrimRight(before, "\n"), "\n") {
		word := strings.TrimSpace(line)
		if strings.HasPrefix(word, "[") {
			table, _, _ = strings.Cut(word, "#")
			table = strings.TrimSpace(table)
			if gateway < 0 && table == gatewayTable {
				gateway = len(kept)
			}
		}
		key, _, _ := strings.Cut(word, "=")
		key = strings.TrimSpace(key)
		if table == "[central]" || table == "" && key == "role" {
			continue
		}
		if table == gatewayTable {
			own = slices.DeleteFunc(own, func(l string) bool { return strings.HasPrefix(l, key+" ") })
		}
		kept = append(kept, line)
	}
	if gateway < 0 {
		gateway = len(kept) + 1
		kept = append(kept, "", gatewayTable)
	}
	kept = slices.Insert(kept, gateway+1, own...)
	return fmt.Sprintf("role = %q\n\n%s\n\n[central]\naddress = %q\nkey = %q\nfingerprint = %q\n", config.ExtenderRole,
		strings.TrimSpace(strings.Join(kept, "\n")), o.Address, o.Key, o.Fingerprint)
}

// gatewayTable begins the table of a gateway.
const gatewayTable = "[[gateway]]"

// agrees reports whether a configuration is that of the gateway that the command tells of.
func (o *extension) agrees(g *config.Gateway, path string) error {
	if !strings.EqualFold(g.EUI, o.eui) {
		return fmt.Errorf("%w: %s has the gateway %s, and the key is for %s", config.ErrConfig, path, g.EUI, o.eui)
	}
	if o.plan != "" && g.FrequencyPlan != o.plan {
		return fmt.Errorf("%w: %s has the frequency_plan %s, and the central has %s for this gateway: change one of them",
			config.ErrConfig, path, g.FrequencyPlan, o.plan)
	}
	return nil
}

// madeOfUCI begins a configuration that OpenWrt makes anew at each start.
const madeOfUCI = "# Made from /etc/config/lorawand"

// daemonGroup is the group of the daemon in the packages for systemd.
const daemonGroup = "lorawand"

// replaceConfig writes a configuration, which has a key now: only root and the daemon may read it.
func replaceConfig(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	fresh := path + ".new"
	f, err := os.OpenFile(fresh, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	mode := fs.FileMode(0o600)
	if uid, gid := ownerOfConfig(path); os.Geteuid() == 0 {
		err, mode = f.Chown(uid, gid), 0o640
	}
	err = errors.Join(err, f.Chmod(mode))
	if err == nil {
		_, err = f.WriteString(text)
	}
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(fresh, path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	_ = dir.Sync() // some file systems have none
	return dir.Close()
}

// ownerOfConfig returns the user that a configuration belongs to, and the group that reads it: that of
// the daemon, if there is one.
func ownerOfConfig(path string) (uid, gid int) {
	if info, err := os.Stat(path); err == nil {
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			uid, gid = int(st.Uid), int(st.Gid)
		}
	}
	if g, err := user.LookupGroup(daemonGroup); err == nil {
		if id, err := strconv.Atoi(g.Gid); err == nil {
			gid = id
		}
	}
	return uid, gid
}
