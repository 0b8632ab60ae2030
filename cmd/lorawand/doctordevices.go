package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"syscall"

	"lorawand/concentrator/sx1302/board"
)

// lines looks at the GPIO lines of a board that are named by the number of a chip. On a Pi 5
// that number depends on the kernel, and the line of another chip would be pulsed in vain.
func (d *doctor) lines(b *board.Board) {
	offHeader := d.offHeader
	if offHeader == nil {
		offHeader = board.OffHeader
	}
	for _, l := range []struct{ key, line string }{
		{"reset", b.Reset}, {"power", b.Power}, {"sx1261_reset", b.SX1261Reset},
	} {
		if header := offHeader(l.line); header != "" {
			d.say("GPIO", true, fmt.Sprintf("if it is one of the header, write %s = %q", l.key, header),
				"%s = %q is no line of this host's 40-pin header", l.key, l.line)
		}
	}
}

// permissionFix returns how the user gets at a device that an error names: by its group or,
// where it has none, by the udev rules of the packages.
func permissionFix(err error) string {
	var of *fs.PathError
	if !errors.As(err, &of) {
		return "add the user to the groups spi, gpio, i2c and dialout"
	}
	info, statErr := os.Stat(of.Path)
	if statErr != nil {
		return "add the user to the groups spi, gpio, i2c and dialout"
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if ok && (st.Gid == 0 || info.Mode().Perm()&0o060 != 0o060) {
		return fmt.Sprintf("no group may use %s: install the udev rules of the package (52-lorawand.rules), then: "+
			"udevadm control --reload && udevadm trigger", of.Path)
	}
	group := "its group"
	if ok {
		group = strconv.Itoa(int(st.Gid))
		if g, err := user.LookupGroupId(group); err == nil {
			group = g.Name
		}
	}
	return fmt.Sprintf("add the user to the group of %s: usermod -aG %s USER, then log in again or restart", of.Path,
		group)
}
