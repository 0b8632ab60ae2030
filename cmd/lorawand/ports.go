package main

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"lorawand/bridge/admin/problems"
	"lorawand/cmd/lorawand/config"
)

// door is an address that the configuration says to listen on.
type door struct{ network, address, setting string }

// doorsOf returns all of them.
func doorsOf(c *config.Config) (out []door) {
	add := func(network, setting string, addresses ...string) {
		for _, a := range addresses {
			if a != "" {
				out = append(out, door{network, a, setting})
			}
		}
	}
	add("udp", "[udp] listen", c.UDP.Listen)
	add("tcp", "[extenders] listen", c.Extenders.Listen)
	add("tcp", "[mqtt] listen", c.MQTT.Listen...)
	add("tcp", "[mqtt] tls_listen", c.MQTT.TLSListen...)
	add("tcp", "[mqtt] websocket_listen", c.MQTT.WebSocketListen...)
	add("tcp", "[http] listen", c.HTTP.Listen)
	add("tcp", "[http] api_listen", c.HTTP.APIListen)
	return out
}

// try returns why a port cannot be had, or nil.
func (d *door) try() error {
	if d.network == "udp" {
		addr, err := net.ResolveUDPAddr(d.network, d.address)
		if err != nil {
			return err
		}
		c, err := net.ListenUDP(d.network, addr)
		if err != nil {
			return err
		}
		return c.Close()
	}
	l, err := net.Listen(d.network, d.address)
	if err != nil {
		return err
	}
	return l.Close()
}

// port returns the number of the port.
func (d *door) port() string { return d.address[strings.LastIndexByte(d.address, ':')+1:] }

// taken returns the port with who holds it.
func (d *door) taken(root string) problems.Port {
	return problems.Port{
		Network: d.network, Address: d.address, Setting: d.setting, Holder: holder(root, d.network, d.port()),
	}
}

// portError says who holds a port that the daemon did not get, and what to do.
func portError(err error, c *config.Config) error {
	var op *net.OpError
	if !errors.As(err, &op) || op.Addr == nil {
		return err
	}
	all := doorsOf(c)
	for i := range all {
		d := &all[i]
		_, port, _ := net.SplitHostPort(op.Addr.String())
		if !strings.HasPrefix(op.Net, d.network) || d.port() != port {
			continue
		}
		switch {
		case errors.Is(err, syscall.EADDRINUSE):
			by := cmp.Or(holder("", d.network, port), "another program")
			return fmt.Errorf("port %s is taken: %s holds %s %s; stop it, or set %s to another port", port, by,
				strings.ToUpper(d.network), d.address, d.setting)
		case errors.Is(err, syscall.EACCES):
			return fmt.Errorf("%s = %q: %w; %s", d.setting, d.address, syscall.EACCES, fixOfDoor(err))
		case errors.Is(err, syscall.EADDRNOTAVAIL):
			return fmt.Errorf("%s = %q: this host does not have that address; %s", d.setting, d.address, fixOfDoor(err))
		}
	}
	return err
}

// fixOfDoor returns what to do about a port that cannot be had for another reason than
// that somebody holds it.
func fixOfDoor(err error) string {
	switch {
	case errors.Is(err, syscall.EACCES):
		return "take a port above 1023, or give the program CAP_NET_BIND_SERVICE"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "take an address of this host, or none for all of them"
	}
	return "correct the address"
}

// stateOfHolder are the states of a socket that holds its port. Source: Linux,
// include/net/tcp_states.h; a UDP socket has 7.
var stateOfHolder = map[string]string{"tcp": "0A", "udp": "07"}

// holder returns the program that holds a port: "name (pid 731)"; "" if that is not
// known, as for the programs of others unless root asks.
func holder(root, network, port string) string {
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return ""
	}
	for _, family := range []string{"", "6"} {
		table, err := os.ReadFile(root + "/proc/net/" + network + family)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(table)) {
			// sl local_address rem_address st queues timer retrnsmt uid timeout inode
			f := strings.Fields(line)
			if len(f) < 10 || f[3] != stateOfHolder[network] || !strings.HasSuffix(f[1], fmt.Sprintf(":%04X", number)) {
				continue
			}
			if who := ownerOf(root, f[9]); who != "" {
				return who
			}
		}
	}
	return ""
}

// ownerOf returns the process that has a socket open.
func ownerOf(root, inode string) string {
	open, _ := filepath.Glob(root + "/proc/[0-9]*/fd/*") // whose only error is a bad pattern
	for _, fd := range open {
		if to, err := os.Readlink(fd); err != nil || to != "socket:["+inode+"]" {
			continue
		}
		process := filepath.Dir(filepath.Dir(fd))
		name, err := os.ReadFile(process + "/comm")
		if err != nil {
			continue
		}
		return fmt.Sprintf("%s (pid %s)", plainLine(strings.TrimSpace(string(name))), filepath.Base(process))
	}
	return ""
}
