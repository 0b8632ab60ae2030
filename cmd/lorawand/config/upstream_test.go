//go:build !small

package config

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// upstream is a table with a URL, and more or other keys.
func upstream(url, more string) string {
	return fmt.Sprintf("[[upstream]]\nurl = %q\napplications = [\"app1\"]\n%s\n", url, more)
}

func TestUpstream(t *testing.T) {
	c, err := Parse([]byte(upstream("mqtts://Broker.example", "prefix = \"site1/\"") +
		upstream("mqtt://[2001:db8::1]:2883", "journal = \"512 KiB\"\nname = \"b\"\ndownlinks = false\n"+
			"remote_clientid = \"x\"\njournal_age = \"24h\"")))
	if err != nil {
		t.Fatal(err)
	}
	u := c.Upstreams[0]
	host, port, secure := u.Address()
	if host != "Broker.example" || port != "8883" || !secure || u.Name != "broker.example" || !*u.Downlinks ||
		!*u.Notifications || u.Journal.Bytes() != 8<<20 || u.JournalAge.D() != 7*24*time.Hour || u.BackfillRate != 10 ||
		u.KeepAlive.D() != time.Minute || u.NotifyTopic != "site1/lorawand/status" ||
		!strings.HasPrefix(u.ClientID, "lorawand-") || !strings.HasSuffix(u.ClientID, "-site1") ||
		strings.ContainsAny(u.ClientID, "./ ") {
		t.Errorf("%+v", u)
	}
	u = c.Upstreams[1]
	host, port, secure = u.Address()
	if host != "2001:db8::1" || port != "2883" || secure || u.Name != "b" || *u.Downlinks ||
		u.Journal.Bytes() != 512<<10 || u.ClientID != "x" || u.JournalAge.D() != 24*time.Hour {
		t.Errorf("%+v", u)
	}
	d := Default()
	if keys := d.Restart(&c); len(keys) != 1 || keys[0] != "upstream" {
		t.Errorf("a restart is needed for %v", keys)
	}
}

func TestUpstreamFaults(t *testing.T) {
	const good = "mqtt://b.example"
	for _, tt := range []struct{ text, want string }{
		{"[[upstream]]", `upstream[0].url: is missing, such as "mqtts://broker.example:8883"`},
		{"[[upstream]]\nurl = \"mqtt://b\"", `upstream[0].applications: is empty`},
		{upstream("broker.example:1883", ""), `upstream[0].url: "broker.example:1883", must be mqtt://host:port`},
		{upstream("https://b.example", ""), `must be mqtt://host:port, or mqtts://host:port with TLS`},
		{upstream("mqtt://b.example:x", ""), `must be mqtt://host:port`},
		{upstream("mqtt://me:secret@b.example", ""), `must have no user name: set remote_username`},
		{upstream("mqtt://b.example/topic", ""), `has something behind the host`},
		{upstream("mqtt://localhost:1883", ""), `is the broker of this lorawand itself`},
		{upstream("mqtt://127.0.0.1", ""), `is the broker of this lorawand itself`},
		{
			upstream(good, "") + upstream("mqtt://b.example:1884", ""),
			`upstream[1].name: "b.example" is also the name of upstream[0]`,
		},
		{upstream(good, "name = \"../x\""), `upstream[0].name: "../x" cannot be the name of a folder`},
		{upstream(good, "prefix = \"site/#/\""), `upstream[0].prefix: "site/#/", must have no +, #`},
		{upstream(good, "prefix = \"$SYS/\""), `upstream[0].prefix`},
		{upstream(good, "notification_topic = \"a/+\""), `upstream[0].notification_topic`},
		{upstream(good, "journal = \"8 GB or so\""), `not a size such as "8MiB": "8 GB or so"`},
		{upstream(good, "journal = 8"), `not a size such as "8MiB": "8"`},
		{upstream(good, "journal = \"1KiB\""), `upstream[0].journal: 1024 bytes, must be 262144 to 4294967296`},
		{upstream(good, "journal_age = \"1m\""), `upstream[0].journal_age: 1m0s, must be 1h0m0s to`},
		{upstream(good, "backfill_rate = -1"), `upstream[0].backfill_rate: -1, must be 1 to 1000 messages a second`},
		{upstream(good, "keepalive_interval = \"1s\""), `upstream[0].keepalive_interval: 1s, must be 5s`},
		{upstream(good, "bridge_protocol_version = \"mqttv31\""), `must be one of mqttv50, mqttv311`},
		{upstream(good, "bridge_cafile = \"/ca.pem\""), `is without TLS, and a certificate is given: begin it with mqtts`},
		{upstream("mqtts://b.example", "bridge_certfile = \"/c.pem\""), `bridge_certfile: and bridge_keyfile go together`},
		{upstream(good, "remote_password = \"x\""), `remote_password: needs remote_username`},
		{upstream(good, "remote_clientid = \""+strings.Repeat("x", 129)+"\""), `has 129 characters, at most 128`},
		{"[[upstream]]\nurl = \"mqtt://b\"\napplications = [\"App 1\"]", `upstream[0].applications[0]: `},
		{upstream(good, "topic = \"#\""), `upstream.topic: unknown key`},
		{strings.Repeat(upstream(good, ""), 9), `upstream: 9 tables, at most 8`},
	} {
		_, err := Parse([]byte(tt.text))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q:\n%v\nwant %q in it", tt.text, err, tt.want)
		}
	}
}
