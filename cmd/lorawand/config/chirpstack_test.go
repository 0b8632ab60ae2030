//go:build !small && !mips && !mipsle

package config

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// A ChirpStack network: what it takes, and that another one needs a restart.
func TestChirpStack(t *testing.T) {
	first, err := Parse([]byte("[[chirpstack]]\nserver = \"mqtt://cs.example\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	o := &first.ChirpStacks[0]
	host, port, secure := o.Broker().Address()
	if host != "cs.example" || port != "1883" || secure || o.Prefix() != "" || o.Marshaler != JSONMarshaler ||
		o.Frames != ForeignFrames || o.KeepAlive.D() != 30*time.Second || o.ClientID != "lorawand-" {
		t.Errorf("%+v", o)
	}
	c, err := Parse([]byte(`[[chirpstack]]
server = "mqtts://cs.example:8884"
topic_prefix = "eu868"
marshaler = "protobuf"
frames = "all"
dev_addrs = ["26000000/7"]
join_euis = ["70B3D57ED0000000/36"]
username = "gw"
password = "secret"
ca_cert = "/ca.pem"
tls_cert = "/c.pem"
tls_key = "/k.pem"
protocol_version = "mqttv311"
[[chirpstack]]
server = "mqtts://cs.example:8884"
topic_prefix = "us915/"
`))
	if err != nil {
		t.Fatal(err)
	}
	o = &c.ChirpStacks[0]
	u := o.Broker()
	host, port, secure = u.Address()
	addrs, euis, err := o.Prefixes()
	if err != nil || len(addrs) != 1 || len(euis) != 1 || host != "cs.example" || port != "8884" || !secure ||
		o.Prefix() != "eu868/" || o.ClientID != "lorawand-eu868-" || u.UserName != "gw" || u.Password != "secret" ||
		u.CAFile != "/ca.pem" || u.CertFile != "/c.pem" || u.KeyFile != "/k.pem" || u.ProtocolVersion != "mqttv311" {
		t.Errorf("%+v, %+v, %v", o, u, err)
	}
	if o = &c.ChirpStacks[1]; o.Prefix() != "us915/" || o.ClientID != "lorawand-us915-" {
		t.Errorf("%+v", o)
	}
	if keys := first.Restart(&c); !slices.Equal(keys, []string{"chirpstack"}) {
		t.Errorf("%q need a restart", keys)
	}
}

// The example in the default configuration is good.
func TestChirpStackExample(t *testing.T) {
	text := strings.ReplaceAll(chirpStackText, "\n# ", "\n")
	c, err := Parse([]byte(text))
	if err != nil || len(c.ChirpStacks) != 1 || c.ChirpStacks[0].Prefix() != "eu868/" ||
		!strings.Contains(DefaultFile, chirpStackText) {
		t.Errorf("%v: %+v", err, c.ChirpStacks)
	}
}

func TestChirpStackFaults(t *testing.T) {
	one := func(more string) string { return "[[chirpstack]]\nserver = \"mqtt://cs.example\"\n" + more + "\n" }
	for _, tt := range []struct{ text, want string }{
		{"[[chirpstack]]", `chirpstack[0].server: "", must be mqtt://host:port, or mqtts://host:port with TLS`},
		{"[[chirpstack]]\nserver = \"cs.example:1883\"", `chirpstack[0].server: "cs.example:1883", must be mqtt://`},
		{"[[chirpstack]]\nserver = \"mqtt://a:b@cs.example\"", `must have no user name`},
		{"[[chirpstack]]\nserver = \"mqtt://cs.example/x\"", `has something behind the host and the port`},
		{"[[chirpstack]]\nserver = \"mqtt://localhost\"", `is the broker of this lorawand itself`},
		{one("ca_cert = \"/x\""), `is without TLS, and a certificate is given`},
		{one("topic_prefix = \"eu/#\""), `chirpstack[0].topic_prefix: "eu/#", must have no +, #`},
		{one("marshaler = \"xml\""), `chirpstack[0].marshaler: "xml", must be one of protobuf, json`},
		{one("frames = \"ours\""), `chirpstack[0].frames: "ours", must be one of foreign, all`},
		{one("dev_addrs = [\"x\"]"), `chirpstack[0].dev_addrs[0]: "x", must be like`},
		{one("tls_key = \"/x\""), `chirpstack[0].tls_cert: and tls_key go together`},
		{one("password = \"x\""), `chirpstack[0].password: needs username`},
		{one("keep_alive_interval = \"1s\""), `chirpstack[0].keep_alive_interval: 1s, must be 5s`},
		{one("protocol_version = \"5\""), `chirpstack[0].protocol_version: "5", must be one of mqttv50, mqttv311`},
		{one("client_id = \"" + strings.Repeat("x", 129) + "\""), `chirpstack[0].client_id: has 129 characters`},
		{one("") + one(""), `chirpstack[1].server: "mqtt://cs.example" is also that of chirpstack[0], with the same`},
		{one("topic = \"x\""), `chirpstack.topic: unknown key`},
		{strings.Repeat(one(""), 9), `chirpstack: 9 networks, must be 8 at most`},
	} {
		if _, err := Parse([]byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q:\n%v\nwant %q in it", tt.text, err, tt.want)
		}
	}
}
