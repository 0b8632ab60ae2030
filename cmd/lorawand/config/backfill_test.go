//go:build !small

package config

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

const hearsAll = "[[forward]]\nserver = \"tts.example:1700\"\nframes = \"all\"\n"

// backfill is a table with a URL, and more or other keys.
func backfill(url, more string) string {
	return fmt.Sprintf("[[backfill]]\nurl = %q\napi_key_file = \"/k\"\napplications = [\"app1\"]\n%s\n", url, more)
}

func TestBackfill(t *testing.T) {
	c, err := Parse([]byte(hearsAll + backfill("https://TTS.example", "") +
		backfill("http://[2001:db8::1]:1885", "forward = \"tts.example:1700\"\nname = \"b\"\njournal = \"512KiB\"\n"+
			"journal_age = \"24h\"\nbackfill_rate = 1")))
	if err != nil {
		t.Fatal(err)
	}
	b := c.Backfills[0]
	host, port, secure := b.Address()
	if host != "TTS.example" || port != "443" || !secure || b.Name != "tts.example" || b.Forward != "tts.example:1700" ||
		b.Journal.Bytes() != 8<<20 || b.JournalAge.D() != 7*24*time.Hour || b.BackfillRate != 5 {
		t.Errorf("%+v", b)
	}
	b = c.Backfills[1]
	host, port, secure = b.Address()
	if host != "2001:db8::1" || port != "1885" || secure || b.Name != "b" || b.Journal.Bytes() != 512<<10 ||
		b.JournalAge.D() != 24*time.Hour || b.BackfillRate != 1 {
		t.Errorf("%+v", b)
	}
	for _, tt := range []struct{ url, name, folder string }{
		{"https://TTS.example", "tts.example", "tts.example"},
		{"https://tts.example", "tts", "tts@tts.example"},
		{"http://tts.example:1885", "tts", "tts@tts.example"},
		{"https://new.example", "tts", "tts@new.example"},
		{"https://new.example", "tts.example", "tts.example@new.example"},
		{"http://[2001:db8::1]:1885", "tts", "tts@2001-db8--1"},
	} {
		if got := (&Backfill{URL: tt.url, Name: tt.name}).Folder(); got != tt.folder {
			t.Errorf("%+v: %s", tt, got)
		}
	}
	d := Default()
	if keys := d.Restart(&c); fmt.Sprint(keys) != "[backfill forward]" {
		t.Errorf("a restart is needed for %v", keys)
	}
}

func TestBackfillFaults(t *testing.T) {
	const good = "https://tts.example"
	for _, tt := range []struct{ text, want string }{
		{"[[backfill]]", `backfill[0].url: is missing, such as "https://eu1.cloud.thethings.network"`},
		{"[[backfill]]", `backfill[0].api_key_file: is missing`},
		{"[[backfill]]", `backfill[0].applications: is empty`},
		{backfill(good, ""), `backfill[0].forward: is missing: the server of the [[forward]]`},
		{hearsAll + backfill("tts.example", ""), `backfill[0].url: "tts.example", must be https://host`},
		{hearsAll + backfill("mqtts://tts.example", ""), `must be https://host, or http://host:port without TLS`},
		{hearsAll + backfill("https://me:secret@tts.example", ""), `must have no user name`},
		{hearsAll + backfill("https://tts.example/api/v3", ""), `has something behind the host`},
		{hearsAll + backfill("http://tts.example", "ca_file = \"/ca.pem\""), `is without TLS, and a certificate is given`},
		{
			hearsAll + backfill(good, "forward = \"other:1700\""),
			`backfill[0].forward: "other:1700" is not the server of a [[forward]]`,
		},
		{
			"[[forward]]\nserver = \"tts.example:1700\"\n" + backfill(good, ""),
			`"tts.example:1700" gets no frames of our devices: set frames = "all" in forward[0]`,
		},
		{
			hearsAll + "[http]\napi_listen = \":8081\"\n" + backfill("http://127.0.0.1:8081", "forward = \"tts.example:1700\""),
			`is the API of this lorawand itself`,
		},
		{
			hearsAll + backfill(good, "") + backfill(good, "name = \"b\""),
			`backfill[1].applications: "app1" goes to the same server by backfill[0]`,
		},
		{
			hearsAll + backfill(good, "") + backfill("https://tts.example:8885", ""),
			`backfill[1].name: "tts.example" is also the name of backfill[0]`,
		},
		{hearsAll + backfill(good, "name = \"../x\""), `backfill[0].name: "../x" cannot be the name of a folder`},
		{hearsAll + backfill(good, "journal = \"1KiB\""), `backfill[0].journal: 1024 bytes, must be 262144 to 4294967296`},
		{hearsAll + backfill(good, "journal_age = \"1m\""), `backfill[0].journal_age: 1m0s, must be 1h0m0s to`},
		{hearsAll + backfill(good, "backfill_rate = -1"), `backfill[0].backfill_rate: -1, must be 1 to 1000`},
		{
			hearsAll + "[[backfill]]\nurl = \"https://tts.example\"\napplications = [\"App 1\"]",
			`backfill[0].applications[0]: `,
		},
		{hearsAll + backfill(good, "api_key = \"x\""), `backfill.api_key: unknown key`},
	} {
		_, err := Parse([]byte(tt.text))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q:\n%v\nwant %q in it", tt.text, err, tt.want)
		}
	}
}
