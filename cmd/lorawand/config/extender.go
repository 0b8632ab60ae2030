package config

import (
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strings"
)

// Values of Config.Role.
const (
	// ServerRole serves devices.
	ServerRole = "server"
	// ExtenderRole gives the radio of one gateway to a central, and keeps nothing.
	ExtenderRole = "extender"
)

// Central is the [central] table: the lorawand that an extender gives its radio to.
type Central struct {
	Address     string `toml:"address"`
	Key         string `toml:"key"`
	Fingerprint string `toml:"fingerprint"`
}

// Extenders is the [extenders] table of a central.
type Extenders struct {
	Listen string `toml:"listen"`
}

// fingerprintSize is that of SHA-256, in bytes.
const fingerprintSize = 32

// Pin returns the SHA-256 of a certificate that the central has to show; nil: it has to have one for
// its host name of a CA that this host trusts.
func (c *Central) Pin() ([]byte, error) {
	if c.Fingerprint == "" {
		return nil, nil
	}
	pin, err := hex.DecodeString(strings.ReplaceAll(c.Fingerprint, ":", ""))
	if err != nil || len(pin) != fingerprintSize {
		return nil, fmt.Errorf("%.100q, must be %d bytes such as AB:CD:…, in hexadecimal digits", c.Fingerprint,
			fingerprintSize)
	}
	return pin, nil
}

// IsExtender reports whether the radio is for a central.
func (c *Config) IsExtender() bool { return c.Role == ExtenderRole }

// extenderStore is the folder of an extender, beside its control socket.
const extenderStore = "extender"

// fillExtender sets what an extender has no choice in: it serves no clients, and what it has to
// remember while it runs is not written to flash.
func (c *Config) fillExtender() {
	if !c.IsExtender() {
		return
	}
	c.Store.Path, c.Store.Ephemeral = filepath.Join(filepath.Dir(c.Control.Socket), extenderStore), true
	c.MQTT.Listen, c.MQTT.TLSListen, c.MQTT.WebSocketListen = nil, nil, nil
	c.MQTT.KeepSessions, c.HTTP.APIListen = false, ""
}

func (c *Config) checkRole(f *faults) {
	oneOf(f, "role", c.Role, ServerRole, ExtenderRole)
	if !c.IsExtender() {
		c.checkCentral(f)
		return
	}
	address(f, "central.address", c.Central.Address, false)
	if c.Central.Key == "" {
		f.add("central.key", "is missing; lorawand gateway pair on the central makes one")
	}
	if _, err := c.Central.Pin(); err != nil {
		f.add("central.fingerprint", "%v", err)
	}
	if n := len(c.Gateways); n != 1 {
		f.add("gateway", "%d tables, an extender has one", n)
	}
	for key, set := range map[string]bool{
		"forward": len(c.Forwards) > 0, "upstream": len(c.Upstreams) > 0, "backfill": len(c.Backfills) > 0,
		"chirpstack":       len(c.ChirpStacks) > 0,
		"extenders.listen": c.Extenders.Listen != "",
	} {
		if set {
			f.add(key, "not with role = %q", ExtenderRole)
		}
	}
}

// checkCentral checks what is for a server that others extend.
func (c *Config) checkCentral(f *faults) {
	if c.Central != (Central{}) {
		f.add("central", "only with role = %q, in the first lines of the file", ExtenderRole)
	}
	address(f, "extenders.listen", c.Extenders.Listen, true)
	if c.Extenders.Listen != "" && (c.MQTT.Certificate == "" || c.MQTT.Key == "") {
		f.add("extenders.listen", "needs mqtt.certificate and mqtt.key; lorawand tls init makes them")
	}
	for i := range c.Gateways {
		if c.Gateways[i].Driver == ExtenderRole && c.Extenders.Listen == "" {
			f.add(fmt.Sprintf("gateway[%d].driver", i), "%q needs extenders.listen, such as \":1700\"", ExtenderRole)
		}
	}
}
