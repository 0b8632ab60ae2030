//go:build !small

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"lorawand/bridge/access"
	"lorawand/bridge/admin"
	"lorawand/bridge/admin/web"
	"lorawand/bridge/state"
	"lorawand/cmd/lorawand/config"
)

// addPage adds the operations of the web page that need no daemon.
func addPage(a *admin.Admin, s stateStore) { web.NewPasswords(a, s) }

// mountPage has the HTTP servers serve the web page.
func (d *daemon) mountPage(a *admin.Admin) {
	if d.api == nil && d.http == nil {
		addPage(a, d.store)
		return
	}
	page := web.New(web.Options{
		Admin: a, Bridge: d.bridge, Keys: d.state.Keys, Passwords: web.NewPasswords(a, d.store), Calendar: d.calendar,
		Used:     func(keyID string, day access.Day) { d.bridge.Lag(state.KeyUseRecord(keyID, day)) },
		Resolver: d.resolver, Formatters: d.formatters, About: aboutPage(&d.config),
		Free: func() (int64, bool) { return freeFor(d.config.Store.Path) },
		Log: func() (lines []web.LogLine) {
			for _, l := range tailOf(d.log) {
				lines = append(lines, web.LogLine(l))
			}
			return lines
		},
		Logger: d.log,
	})
	d.closePage = page.Close
	if d.api != nil {
		d.api.Mount(page)
	}
	if d.http != nil {
		d.http.Mount(page)
	}
}

// aboutPage returns what the page shows of the configuration.
func aboutPage(c *config.Config) web.About {
	return web.About{
		Plan: c.Network.DefaultFrequencyPlan, RX1Delay: rx1Delay(*c),
		Store: c.Store.Path, CommitInterval: c.Store.CommitInterval.D(),
		Addresses: web.Addresses{
			MQTT: first(c.MQTT.Listen), MQTTTLS: first(c.MQTT.TLSListen), UDP: c.UDP.Listen, API: c.HTTP.APIListen,
		},
	}
}

// freeFor returns the space that a folder has left.
func freeFor(folder string) (int64, bool) {
	var st unix.Statfs_t
	if err := unix.Statfs(folder, &st); err != nil {
		return 0, false
	}
	return int64(st.Bavail) * int64(st.Bsize), true
}

func newWeb() *cobra.Command {
	return group("web", "Manage the web page", newWebPassword())
}

func newWebPassword() *cobra.Command {
	var off bool
	cmd := &cobra.Command{
		Use:   "password",
		Short: "Set the password of the web page",
		Long: "Set the password of the web page, which is off before. On a terminal it is asked for, twice and without\n" +
			"echo; else it is the first line of standard input. All browsers are logged out.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			return setPassword(cmd, c, off)
		},
	}
	cmd.Flags().BoolVar(&off, "off", false, "take the password away: only API keys with all rights can log in")
	return cmd
}

func setPassword(cmd *cobra.Command, c config.Config, off bool) error {
	args := web.PasswordArgs{Off: off}
	if !off {
		var err error
		if args.Password, err = askPassword(cmd.InOrStdin(), cmd.ErrOrStderr()); err != nil {
			return err
		}
	}
	if err := operate(cmd.Context(), c, web.SetPassword, args, noParts); err != nil {
		return err
	}
	told := "The password of the web page is set."
	if off {
		told = "The web page has no password now."
	}
	fmt.Fprintln(cmd.ErrOrStderr(), told)
	for _, address := range []string{c.HTTP.APIListen, c.HTTP.Listen} {
		if address != "" && !off {
			fmt.Fprintf(cmd.ErrOrStderr(), "Address: %s\n", address)
		}
	}
	if c.HTTP.APIListen == "" && !off {
		fmt.Fprintln(cmd.ErrOrStderr(), `For the LAN set [http] api_listen, such as ":8080".`)
	}
	return nil
}

var (
	errNoPassword = errors.New("no password was given")
	errTwoOfThem  = errors.New("the two passwords differ: nothing was changed")
)

// maxPasswordLine bounds what is read of standard input, in bytes.
const maxPasswordLine = 1024

// askPassword reads a password: from a terminal twice, without echo, or the first line of
// what comes from elsewhere.
func askPassword(in io.Reader, prompt io.Writer) (string, error) {
	lines := bufio.NewReader(io.LimitReader(in, maxPasswordLine))
	f, ok := in.(*os.File)
	if !ok {
		return passwordLine(lines)
	}
	was, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil { // no terminal
		return passwordLine(lines)
	}
	silent := *was
	silent.Lflag &^= unix.ECHO
	if err := unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, &silent); err != nil {
		return "", fmt.Errorf("cannot switch off the echo of the terminal: %w", err)
	}
	defer func() { _ = unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, was) }()
	fmt.Fprint(prompt, "Password of the web page: ")
	first, err := passwordLine(lines)
	fmt.Fprintln(prompt)
	if err != nil {
		return "", err
	}
	fmt.Fprint(prompt, "Again: ")
	second, err := passwordLine(lines)
	fmt.Fprintln(prompt)
	if err == nil && first != second {
		err = errTwoOfThem
	}
	return first, err
}

func passwordLine(r *bufio.Reader) (string, error) {
	line, err := r.ReadString('\n')
	if line = strings.TrimRight(line, "\r\n"); line != "" {
		return line, nil
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return "", errNoPassword
}
