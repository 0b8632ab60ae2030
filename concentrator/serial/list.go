package serial

import (
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
)

// Device is a tty that looks like the USB bridge of a concentrator.
type Device struct {
	Path    string // that stays the same, in /dev/serial/by-id, or else that of the tty
	TTY     string // as /dev/ttyACM0
	Serial  string // serial number of the USB device
	Product string // its name
}

// Roots are where a host tells of its devices. The zero value is that of Linux.
type Roots struct {
	Dev string // default /dev
	Sys string // default /sys
}

func (r Roots) dev(path ...string) string { return under(r.Dev, "/dev", path) }
func (r Roots) sys(path ...string) string { return under(r.Sys, "/sys", path) }

func under(root, usual string, path []string) string {
	if root == "" {
		root = usual
	}
	return filepath.Join(append([]string{root}, path...)...)
}

// bridges are the USB devices that a bridge is known as: vendor and product. The firmware
// of the bridge has the numbers that ST gives to its example of a CDC-ACM device; other
// devices with an STM32 have them too.
var bridges = []string{"0483:5740"}

// List returns all ttys of this host that look like a bridge. Whether one is, it tells when
// it is asked.
func (r Roots) List() []Device {
	var all []Device
	ttys, _ := filepath.Glob(r.sys("class/tty/ttyACM*")) // whose only error is a bad pattern
	stable := r.stable()
	for _, entry := range ttys {
		usb := filepath.Dir(resolved(filepath.Join(entry, "device"))) // of the interface's device
		if !slices.Contains(bridges, word(usb, "idVendor")+":"+word(usb, "idProduct")) {
			continue
		}
		d := Device{TTY: r.dev(filepath.Base(entry)), Serial: word(usb, "serial"), Product: word(usb, "product")}
		d.Path = d.TTY
		if path, ok := stable[resolved(d.TTY)]; ok {
			d.Path = path
		}
		all = append(all, d)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Path < all[j].Path })
	return all
}

// stable returns the paths that udev keeps the same, by what they lead to.
func (r Roots) stable() map[string]string {
	links, _ := filepath.Glob(r.dev("serial/by-id/*"))
	out := map[string]string{}
	for _, l := range links {
		out[resolved(l)] = l
	}
	return out
}

// resolved follows links, or returns a path as it is.
func resolved(path string) string {
	if p, err := filepath.EvalSymlinks(path); err == nil {
		return p
	}
	return path
}

// word reads an attribute of a device; "" is none.
func word(dir, name string) string {
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
