//go:build !small

package config

import (
	"slices"
	"strings"
	"testing"
)

const extenderFile = `role = "extender"
[store]
path = "/etc/lorawand/state"
[mqtt]
listen = [":1883"]
[http]
api_listen = ":8081"
[[gateway]]
eui = "0242020000247804"
[central]
address = "192.168.1.10:1700"
key = "NNSXS.KEY"
`

// An extender serves nobody and writes nothing to flash, whatever else its file says.
func TestExtender(t *testing.T) {
	c, err := Parse([]byte(extenderFile))
	if err != nil {
		t.Fatal(err)
	}
	if !c.IsExtender() || c.Store.Path != "/run/lorawand/extender" || !c.Store.Ephemeral || c.HTTP.APIListen != "" ||
		len(c.MQTT.Listen) != 0 || *c.Gateways[0].EnforceDutyCycle {
		t.Errorf("%+v", c)
	}
	if pin, err := c.Central.Pin(); pin != nil || err != nil {
		t.Errorf("without a fingerprint: %x, %v", pin, err)
	}
	server, err := Parse(nil)
	if err != nil {
		t.Fatal(err)
	}
	if keys := server.Restart(&c); !slices.Contains(keys, "role") || !slices.Contains(keys, "central.key") {
		t.Errorf("%q need a restart", keys)
	}
}

func TestExtenderFaults(t *testing.T) {
	const central = "[mqtt]\ncertificate = \"c\"\nkey = \"k\"\n[extenders]\nlisten = \":1700\"\n"
	if _, err := Parse([]byte(central + "[[gateway]]\neui = \"01\"\n")); err == nil {
		t.Error("no fault is found")
	}
	if c, err := Parse([]byte(central + "[[gateway]]\neui = \"0242020000247804\"\ndriver = \"extender\"\n")); err != nil ||
		c.Gateways[0].Driver != ExtenderRole {
		t.Errorf("a central: %v", err)
	}
	pinned := extenderFile + "fingerprint = \"" + strings.Repeat("ab:", 31) + "AB\"\n"
	if c, err := Parse([]byte(pinned)); err != nil {
		t.Error(err)
	} else if pin, err := c.Central.Pin(); len(pin) != 32 || pin[31] != 0xab || err != nil {
		t.Errorf("%x, %v", pin, err)
	}
	for _, tt := range []struct{ text, want string }{
		{`role = "repeater"`, `role: "repeater", must be one of server, extender`},
		{`role = "extender"`, "central.address: "},
		{`role = "extender"`, "central.key: is missing"},
		{`role = "extender"`, "gateway: 0 tables"},
		{extenderFile + "[[gateway]]\neui = \"0242020000247805\"\n", "gateway: 2 tables"},
		{extenderFile + "[[forward]]\nserver = \"a:1\"\n", "forward: not with role"},
		{extenderFile + "[[chirpstack]]\nserver = \"a:1\"\n", "chirpstack: not with role"},
		{extenderFile + "[extenders]\nlisten = \":1700\"\n", "extenders.listen: not with role"},
		{extenderFile + "fingerprint = \"AB:CD\"\n", "central.fingerprint: \"AB:CD\", must be 32 bytes"},
		{"[central]\nkey = \"x\"\n", "central: only with role"},
		{"[extenders]\nlisten = \":1700\"\n", "extenders.listen: needs mqtt.certificate"},
		{"[extenders]\nlisten = \"x\"\n", "extenders.listen: \"x\", must be host:port"},
		{
			"[[gateway]]\neui = \"0242020000247804\"\ndriver = \"extender\"\n",
			"gateway[0].driver: \"extender\" needs extenders.listen",
		},
	} {
		if _, err := Parse([]byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v, want %q", tt.text, err, tt.want)
		}
	}
}
