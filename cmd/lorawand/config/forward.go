package config

import (
	"fmt"
	"net"

	"lorawand/radio"
)

// Forward is a [[forward]] table: another network server, which gets frames as from a packet
// forwarder.
type Forward struct {
	Server   string   `toml:"server"`
	Frames   string   `toml:"frames"`
	DevAddrs []string `toml:"dev_addrs"`
	JoinEUIs []string `toml:"join_euis"`
}

// Values of Forward.Frames.
const (
	ForeignFrames = "foreign" // those that are not of our devices
	AllFrames     = "all"
)

// maxForwards bounds the servers: each gateway has a socket to each.
const maxForwards = 8

func (c *Config) checkForwards(f *faults) {
	if n := len(c.Forwards); n > maxForwards {
		f.add("forward", "%d servers, must be %d at most", n, maxForwards)
	}
	seen := map[string]string{}
	for i := range c.Forwards {
		o := &c.Forwards[i]
		at := fmt.Sprintf("forward[%d]", i)
		o.check(f, at, c.UDP.Listen)
		if other, twice := seen[o.Server]; twice && o.Server != "" {
			f.add(at+".server", "%q is also that of %s", o.Server, other)
		}
		seen[o.Server] = at
	}
}

func (o *Forward) check(f *faults, at, ours string) {
	host, port, err := net.SplitHostPort(o.Server)
	switch {
	case err != nil || host == "" || port == "0":
		f.add(at+".server", "%.60q, must be host:port, such as \"eu1.cloud.example:1700\"", o.Server)
	case isOurs(host, port, ours):
		f.add(at+".server", "%q is udp.listen: frames would go round for ever", o.Server)
	default:
		address(f, at+".server", o.Server, false)
	}
	oneOf(f, at+".frames", o.Frames, ForeignFrames, AllFrames)
	if _, _, err := o.Prefixes(); err != nil {
		for _, e := range faultsOf(err) {
			*f = append(*f, fmt.Errorf("%s.%w", at, e))
		}
	}
}

// isOurs reports whether a server is the address at which we take packet forwarders.
func isOurs(host, port, ours string) bool {
	ourHost, ourPort, err := net.SplitHostPort(ours)
	if err != nil || port != ourPort {
		return false
	}
	ip := net.ParseIP(host)
	return host == ourHost || host == "localhost" || ip != nil && (ip.IsLoopback() || ip.IsUnspecified())
}

// Prefixes returns the blocks of dev_addrs and join_euis. The error names each fault with its key.
func (o *Forward) Prefixes() (addrs []radio.DevAddrPrefix, euis []radio.EUIPrefix, err error) {
	var f faults
	for i, text := range o.DevAddrs {
		var p radio.DevAddrPrefix
		if err := p.UnmarshalText([]byte(text)); err != nil {
			f.add(fmt.Sprintf("dev_addrs[%d]", i), "%.40q, must be like \"26000000/7\": %v", text, err)
		}
		addrs = append(addrs, p)
	}
	for i, text := range o.JoinEUIs {
		var p radio.EUIPrefix
		if err := p.UnmarshalText([]byte(text)); err != nil {
			f.add(fmt.Sprintf("join_euis[%d]", i), "%.40q, must be like \"70B3D57ED0000000/36\": %v", text, err)
		}
		euis = append(euis, p)
	}
	return addrs, euis, f.err()
}
