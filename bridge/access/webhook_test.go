package access

import (
	"errors"
	"strings"
	"testing"
)

func TestWebhook(t *testing.T) {
	key := "NNSXS." + strings.Repeat("A", 39) + "." + strings.Repeat("A", 52)
	for _, tt := range []struct {
		name string
		w    Webhook
		good bool
	}{
		{"none", Webhook{}, true},
		{"plain", Webhook{URL: "http://192.168.1.2:1880/up"}, true},
		{"with everything", Webhook{
			URL: "https://h/p?x=1", Headers: "Authorization: Bearer x\n\nX-Mine:v", DownlinkURL: "http://gw", DownlinkKey: key,
		}, true},
		{"templates", Webhook{
			URL:   "https://h/p{/appID,devID}",
			Paths: "uplink_message=up{/joinEUI,devEUI,devAddr,applicationID}{?deviceID}\njoin_accept=",
		}, true},
		{"a template in the query", Webhook{URL: "http://h/?d={devID}"}, true},
		{"a template without an end", Webhook{URL: "http://h/{devID"}, false},
		{"an end without a template", Webhook{URL: "http://h/devID}"}, false},
		{"an unknown name", Webhook{URL: "http://h/{devid}"}, false},
		{"no name", Webhook{URL: "http://h/{}"}, false},
		{"a template for a host", Webhook{URL: "http://{devID}/x"}, false},
		{"a template in the downlink URL", Webhook{URL: "http://x", DownlinkURL: "http://gw/{devID", DownlinkKey: key}, true},
		{"a path of an unknown message", Webhook{URL: "http://h", Paths: "up=/x"}, false},
		{"a path twice", Webhook{URL: "http://h", Paths: "join_accept=/x\njoin_accept=/y"}, false},
		{"a path that is a URL", Webhook{URL: "http://h", Paths: "join_accept=http://other/"}, false},
		{"a path that is a host", Webhook{URL: "http://h", Paths: "join_accept=//other/x"}, true}, // of h: the slashes go
		{"a path with an unknown name", Webhook{URL: "http://h", Paths: "join_accept=/{x}"}, false},
		{"a path with a colon", Webhook{URL: "http://h", Paths: "join_accept=a:b/c"}, false},
		{"long paths", Webhook{URL: "http://h", Paths: "join_accept=/" + strings.Repeat("x", maxWebhookPaths)}, false},
		{"paths alone", Webhook{Paths: "join_accept=/x"}, false},
		{"no URL", Webhook{Headers: "X: y"}, false},
		{"another scheme", Webhook{URL: "ftp://x"}, false},
		{"a file", Webhook{URL: "file:///etc/passwd"}, false},
		{"no host", Webhook{URL: "http:///x"}, false},
		{"a path", Webhook{URL: "/x"}, false},
		{"a long URL", Webhook{URL: "http://x/" + strings.Repeat("x", maxWebhookURL)}, false},
		{"a header without a name", Webhook{URL: "http://x", Headers: ": y"}, false},
		{"a name with a space", Webhook{URL: "http://x", Headers: "X Y: z"}, false},
		{"a value that breaks the line", Webhook{URL: "http://x", Headers: "X: y\rZ: z"}, false},
		{"long headers", Webhook{URL: "http://x", Headers: "X: " + strings.Repeat("y", maxWebhookHeaders)}, false},
		{"a downlink URL alone", Webhook{URL: "http://x", DownlinkURL: "http://gw"}, false},
		{"a downlink key that is none", Webhook{URL: "http://x", DownlinkURL: "http://gw", DownlinkKey: "x"}, false},
	} {
		if err := tt.w.Check(); (err == nil) != tt.good || err != nil && !errors.Is(err, ErrWebhook) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestAuthenticate(t *testing.T) {
	r := NewRegistry("ttn")
	text, k := newKey(t, "app1")
	if err := r.Add(k); err != nil {
		t.Fatal(err)
	}
	who, err := r.Authenticate(text, k.Expires)
	if err != nil || who.Application != "app1" || who.KeyID != k.ID || who.Rights != Default {
		t.Errorf("%+v, %v", who, err)
	}
	wrong := text[:len(text)-1] + map[bool]string{true: "B", false: "A"}[strings.HasSuffix(text, "A")]
	unknown := "NNSXS." + strings.Repeat("A", 39) + "." + strings.Repeat("A", 52)
	for key, want := range map[string]Refusal{"": NoKey, "x": NoKey, wrong: WrongSecret, unknown: UnknownKey} {
		if _, err := r.Authenticate(key, k.Expires); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", key, err, want)
		}
	}
	r.Remove(k.ID)
	if _, err := r.Authenticate(text, k.Expires); !errors.Is(err, Revoked) {
		t.Errorf("a key that was revoked: %v", err)
	}
}
