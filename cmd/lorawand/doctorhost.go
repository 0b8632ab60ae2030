package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"lorawand/bridge"
	"lorawand/bridge/admin"
	"lorawand/bridge/admin/problems"
	"lorawand/bridge/store"
	"lorawand/cmd/lorawand/config"
)

// software looks at everything but the boards: the daemon's list of problems or, where
// none runs, the same list of what can be seen without it.
func (d *doctor) software(ctx context.Context, c *config.Config) {
	found, err := d.problems(ctx)
	switch {
	case err == nil:
		d.say("daemon", true, "", "it runs, and answers on %s", c.Control.Socket)
		d.priority(c.Control.Socket)
	case errors.Is(err, fs.ErrPermission):
		d.say("daemon", false, socketFix(c.Control.Socket), "you may not use its control socket %s", c.Control.Socket)
		return
	case errors.Is(err, admin.ErrNotRunning):
		d.say("daemon", true, "systemctl start lorawand", "none runs")
		found = problems.List(d.withoutDaemon(c))
	default:
		d.say("daemon", false, "look into its log: journalctl -u lorawand", "%v", err)
		return
	}
	for i := range found {
		p := &found[i]
		fix := p.Todo
		if p.Command != "" {
			fix = strings.TrimSuffix(fix, ".") + " (" + p.Command + ")."
		}
		state := wrong
		if p.Tone == problems.Info {
			state = info
		}
		d.note(p.Code, state, fix, "%s. %s", p.Title, p.Detail)
	}
	if len(found) == 0 {
		d.say("problems", true, "", "none")
	}
}

// configuration says which file is in force.
func (d *doctor) configuration(path string, c *config.Config) {
	info, err := os.Stat(path)
	switch secrets := c.Secrets(); {
	case err != nil:
		d.say("configuration", true, "lorawand config default > "+path, "there is no %s: the defaults hold", path)
	case info.Mode().Perm()&0o004 != 0 && len(secrets) > 0:
		d.say("configuration", false, fmt.Sprintf("chgrp lorawand %s && chmod 0640 %s", path, path),
			"every user of this host may read %s, which has %s", path, strings.Join(secrets, ", "))
	default:
		d.say("configuration", true, "", "%s is good, %s", path, plural(len(c.Gateways), "gateway"))
	}
	if has, enough := forScripts(d.root + "/"); c.Formatter.JavaScript && !enough {
		d.inform("memory", "use cayennelpp, or decode in the application",
			"the machine has %d MB of memory: JavaScript formatters, which need %d MB, are switched off", has/1_000_000,
			scriptsMemory/1_000_000)
	}
	for _, line := range config.Unknown(os.Environ()) {
		d.say("environment", true, "correct or remove it", "%s", line)
	}
}

// withoutDaemon is what can be seen while no daemon runs.
func (d *doctor) withoutDaemon(c *config.Config) *problems.Snapshot {
	s := &problems.Snapshot{
		UDP: c.UDP.Listen, Store: problems.Store{Path: c.Store.Path, Free: -1},
		NoClock: bridge.NewClock(nil).Calendar().IsZero(), Journals: leftJournals(c),
	}
	all := doorsOf(c)
	for i := range all {
		switch err := all[i].try(); {
		case errors.Is(err, syscall.EADDRINUSE):
			s.Ports = append(s.Ports, all[i].taken(d.root))
		case err != nil:
			d.say("port", false, fixOfDoor(err), "%s = %q: %v", all[i].setting, all[i].address, err)
		}
	}
	if hasNATS && c.Store.URL != "" {
		d.nats(c)
		s.Store.Path = ""
		return s
	}
	d.folder("store", c.Store.Path)
	d.folder("control socket", filepath.Dir(c.Control.Socket))
	if room, err := store.RoomOf(existing(c.Store.Path)); err == nil {
		s.Store.Free, s.Store.InMemory = room.Free, room.InMemory
		if room.InMemory && !c.Store.Ephemeral {
			d.say("store", false, "set [store] path to a folder on flash, such as /etc/lorawand/state",
				"%s is in memory: a restart would empty it, and the daemon refuses it", c.Store.Path)
			s.Store.InMemory = false
		}
	}
	return s
}

// folder says whether files can be made in a folder, or the folder itself.
func (d *doctor) folder(check, path string) {
	at := existing(path)
	if err := unix.Access(at, unix.W_OK|unix.X_OK); err != nil {
		d.say(check, false, fmt.Sprintf("call doctor as the user of the daemon, or: chown lorawand %s", at),
			"this user may not write into %s", at)
	}
}

// existing returns a path, or the nearest folder above it that exists.
func existing(path string) string {
	for ; ; path = filepath.Dir(path) {
		if _, err := os.Stat(path); err == nil || path == filepath.Dir(path) {
			return path
		}
	}
}

// socketFix returns how a user gets access to the control socket.
func socketFix(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return "call it as root"
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || st.Gid == 0 {
		return "call it as root"
	}
	id := strconv.Itoa(int(st.Gid))
	if g, err := user.LookupGroupId(id); err == nil {
		id = g.Name
	}
	return fmt.Sprintf("call it as root, or join its group: usermod -aG %s $USER, then log in again", id)
}
