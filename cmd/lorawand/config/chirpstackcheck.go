//go:build !small && !mips && !mipsle

package config

import (
	"cmp"
	"fmt"
	"net/url"
	"strings"
	"time"

	"lorawand/radio"
)

// Values of ChirpStack.Marshaler.
const (
	JSONMarshaler     = "json"     // of ChirpStack 4
	protobufMarshaler = "protobuf" // of ChirpStack 3
)

// chirpStackText is the part of DefaultFile.
const chirpStackText = `# One for each ChirpStack network, in which all our gateways appear:
#
# [[chirpstack]]
# server = "mqtts://chirpstack.example:8883" # its broker; or mqtt:// without TLS
# topic_prefix = "eu868"              # of its region; ChirpStack 3 has none
# marshaler = "json"                  # of ChirpStack 4; "protobuf": of ChirpStack 3
# frames = "foreign"                  # and dev_addrs, join_euis: as of [[forward]]
# client_id = "lorawand-eu868-"       # the EUI of each gateway follows
# username = ""
# password = ""
# ca_cert = ""                        # PEM; default: the CAs of this host
# tls_cert = ""                       # PEM; a certificate of ours, and its key
# tls_key = ""
# protocol_version = "mqttv50"        # or "mqttv311"; default: 5, and 3.1.1 where there is no 5
# keep_alive_interval = "30s"

`

// maxChirpStacks bounds the networks: each gateway has a connection to each.
const maxChirpStacks = 8

// fillChirpStacks sets the defaults.
func (c *Config) fillChirpStacks() {
	for i := range c.ChirpStacks {
		o := &c.ChirpStacks[i]
		o.Marshaler = cmp.Or(o.Marshaler, JSONMarshaler)
		o.Frames = cmp.Or(o.Frames, ForeignFrames)
		o.KeepAlive = cmp.Or(o.KeepAlive, For(30*time.Second))
		// Two connections to one broker must not have the same client id: each would end the other.
		o.ClientID = cmp.Or(o.ClientID, clientID("lorawand-"+o.Prefix())+"-")
	}
}

// Prefix returns the begin of the topics: topic_prefix, and the "/" behind it.
func (o *ChirpStack) Prefix() string {
	if o.TopicPrefix == "" || strings.HasSuffix(o.TopicPrefix, "/") {
		return o.TopicPrefix
	}
	return o.TopicPrefix + "/"
}

// Broker returns how the broker is connected to, as an upstream.
func (o *ChirpStack) Broker() *Upstream {
	return &Upstream{
		URL: o.Server, UserName: o.UserName, Password: o.Password, CAFile: o.CAFile, CertFile: o.CertFile,
		KeyFile: o.KeyFile, ProtocolVersion: o.ProtocolVersion, KeepAlive: o.KeepAlive,
	}
}

// Prefixes returns the blocks of dev_addrs and join_euis. The error names each fault with its key.
func (o *ChirpStack) Prefixes() (addrs []radio.DevAddrPrefix, euis []radio.EUIPrefix, err error) {
	return (&Forward{DevAddrs: o.DevAddrs, JoinEUIs: o.JoinEUIs}).Prefixes()
}

func checkChirpStacks(f *faults, c *Config) {
	if n := len(c.ChirpStacks); n > maxChirpStacks {
		f.add("chirpstack", "%d networks, must be %d at most", n, maxChirpStacks)
	}
	seen := map[string]string{}
	for i := range c.ChirpStacks {
		o := &c.ChirpStacks[i]
		at := fmt.Sprintf("chirpstack[%d]", i)
		name := o.Server + " " + o.Prefix()
		if other, twice := seen[name]; twice && o.Server != "" {
			f.add(at+".server", "%q is also that of %s, with the same topic_prefix", o.Server, other)
		}
		seen[name] = at
		o.check(f, at)
		o.Broker().checkOwn(f, at, &c.MQTT)
	}
}

func (o *ChirpStack) check(f *faults, at string) {
	to, err := url.Parse(o.Server)
	switch {
	case err != nil || to.Hostname() == "" || to.Scheme != "mqtt" && to.Scheme != "mqtts":
		f.add(at+".server", "%.100q, must be mqtt://host:port, or mqtts://host:port with TLS", o.Server)
	case to.User != nil:
		f.add(at+".server", "must have no user name: set username and password")
	case strings.Trim(to.Path, "/") != "" || to.RawQuery != "" || to.Fragment != "":
		f.add(at+".server", "%.100q has something behind the host and the port", o.Server)
	case to.Scheme == "mqtt" && o.CAFile+o.CertFile+o.KeyFile != "":
		f.add(at+".server", "%.100q is without TLS, and a certificate is given: begin it with mqtts", o.Server)
	}
	if strings.ContainsAny(o.TopicPrefix, "+#\x00") || strings.HasPrefix(o.TopicPrefix, "$") ||
		len(o.TopicPrefix) > maxPrefix {
		f.add(at+".topic_prefix", "%.70q, must have no +, # and no $ at its begin, and at most %d characters",
			o.TopicPrefix, maxPrefix)
	}
	oneOf(f, at+".marshaler", o.Marshaler, protobufMarshaler, JSONMarshaler)
	oneOf(f, at+".frames", o.Frames, ForeignFrames, AllFrames)
	if (o.CertFile == "") != (o.KeyFile == "") {
		f.add(at+".tls_cert", "and tls_key go together")
	}
	if o.Password != "" && o.UserName == "" {
		f.add(at+".password", "needs username")
	}
	if len(o.ClientID) > maxUpstreamID {
		f.add(at+".client_id", "has %d characters, at most %d", len(o.ClientID), maxUpstreamID)
	}
	durationRange(f, at+".keep_alive_interval", o.KeepAlive, minKeepAlive, maxKeepAlive)
	oneOf(f, at+".protocol_version", cmp.Or(o.ProtocolVersion, "mqttv50"), "mqttv50", "mqttv311")
	if _, _, err := o.Prefixes(); err != nil {
		for _, e := range faultsOf(err) {
			*f = append(*f, fmt.Errorf("%s.%w", at, e))
		}
	}
}
