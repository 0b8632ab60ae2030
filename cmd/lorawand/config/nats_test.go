//go:build !small && (amd64 || arm64 || arm.7)

package config

import (
	"slices"
	"strings"
	"testing"
)

func TestNATS(t *testing.T) {
	text := strings.ReplaceAll(natsText, "\n# ", "\n")
	text = text[strings.Index(text, "url = "):]
	c, err := Parse([]byte("[store]\n" + text))
	want := []string{"nats://10.0.0.1:4222", "nats://10.0.0.2:4222", "nats://10.0.0.3:4222"}
	if err != nil || !slices.Equal(c.Store.Servers(), want) || c.Store.Bucket != "lorawand" {
		t.Errorf("%v: %+v", err, c.Store)
	}
	c, err = Parse([]byte("[store]\nurl = \"a, tls://b:1\"\n"))
	if err != nil || !slices.Equal(c.Store.Servers(), []string{"nats://a", "tls://b:1"}) || len(c.Secrets()) > 0 {
		t.Errorf("%v: %v", err, c.Store.Servers())
	}
	c, err = Parse([]byte("[store]\nurl = \"nats://u:p@a\"\n"))
	if err != nil || !slices.Equal(c.Secrets(), []string{"store.url"}) {
		t.Errorf("%v: secrets %v", err, c.Secrets())
	}
}

func TestNATSFaults(t *testing.T) {
	for text, want := range map[string]string{
		`bucket = "x"`:                              "store.bucket: needs store.url",
		`url = "http://a"`:                          `store.url: "http://a", must be like`,
		`url = "nats://a,,b"`:                       "store.url: ",
		`url = "nats://a/x"`:                        "must be like",
		`url = "http://u:secret@a"`:                 "xxxxx",
		"url = \"nats://a\"\nbucket = \"a.b\"":      "store.bucket: ",
		"url = \"nats://a\"\ntls_cert = \"/x\"":     "store.tls_cert: and tls_key go together",
		"url = \"nats://a\"\nreplicas = 9":          "store.replicas: 9, must be",
		"url = \"nats://a\"\nname = \"a\\nb\"":      "store.name: ",
		`url = "` + strings.Repeat("a,", 16) + `a"`: "17 servers, at most 16",
	} {
		_, err := Parse([]byte("[store]\n" + text + "\n"))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
