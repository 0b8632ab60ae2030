//go:build !small

package webhook

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"lorawand/bridge/access"
	"lorawand/bridge/v3"
)

const idsOfMessage = `{"end_device_ids":{"device_id":"dev1","application_ids":{"application_id":"app1"},` +
	`"dev_eui":"A26076849032A1DB","join_eui":"70B3D57ED0BBB65B","dev_addr":"00247A74"},"uplink_message":{}}`

// The first rows are what The Things Stack 3.32.1 was seen to post to, the others what its
// source says.
func TestAddress(t *testing.T) {
	const url, path = "http://127.0.0.1:18980/tmpl{/appID,devID}", "up{/joinEUI,devEUI,devAddr,applicationID}{?deviceID}"
	withoutAddr := strings.Replace(idsOfMessage, `,"dev_addr":"00247A74"`, "", 1)
	for _, tt := range []struct{ name, url, path, payload, want string }{
		{
			"all", url, path, idsOfMessage,
			"http://127.0.0.1:18980/tmpl/app1/dev1/up/70B3D57ED0BBB65B/A26076849032A1DB/00247A74/app1?deviceID=dev1",
		},
		{
			"without a DevAddr", url, path, withoutAddr,
			"http://127.0.0.1:18980/tmpl/app1/dev1/up/70B3D57ED0BBB65B/A26076849032A1DB//app1?deviceID=dev1",
		},
		{"a plain path", "http://h/w-all", "/uplink_message", idsOfMessage, "http://h/w-all/uplink_message"},
		{"slashes on both sides", "http://h/w/", "//m", idsOfMessage, "http://h/w/m"},
		{"no path", "http://h/w?x=1", "", idsOfMessage, "http://h/w?x=1"},
		{"a slash only", "http://h/w", "/", idsOfMessage, "http://h/w/"},
		{"a query only", "http://h/w", "?d={devID}", idsOfMessage, "http://h/w?d=dev1"},
		{"a query in the URL and a path", "http://h/w?x=1", "m", idsOfMessage, "http://h/w/m"},
		{"one name", "http://h/{devID}/{appEUI}", "", idsOfMessage, "http://h/dev1/70B3D57ED0BBB65B"},
		{"several in one", "http://h/{devID,appID}", "", idsOfMessage, "http://h/dev1,app1"},
		{
			"labels and parameters", "http://h/x{.devID,appID}{;devAddr,devEUI}", "", withoutAddr,
			"http://h/x.dev1.app1;devAddr;devEUI=A26076849032A1DB",
		},
		{"a continued query", "http://h/x?a=1{&devAddr,devID}", "", withoutAddr, "http://h/x?a=1&devAddr=&devID=dev1"},
		{"a payload that cannot be read", "http://h/{devEUI}/{devID}", "", "x", "http://h//dev1"},
	} {
		hook := access.Webhook{URL: tt.url}
		if tt.path != "" {
			hook.Paths = "uplink_message=" + tt.path
		}
		if err := hook.Check(); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		m := Message{Application: "app1", Device: "dev1", Suffix: v3.Up, Payload: []byte(tt.payload)}
		if got, err := addressOf(&hook, &m); got != tt.want || err != nil {
			t.Errorf("%s\ngot  %s, %v\nwant %s", tt.name, got, err, tt.want)
		}
	}
}

// Every kind of message can have a path.
func TestKinds(t *testing.T) {
	got, want := slices.Sorted(maps.Values(kinds)), slices.Sorted(slices.Values(access.WebhookMessages))
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// With paths only the messages that have one are posted, each to its own.
func TestPaths(t *testing.T) {
	r := newReceiver(t)
	s, h := newSender(t)
	h.set("app1", access.Webhook{URL: r.URL + "/hook{/devID}", Paths: "join_accept=/join\nuplink_message=/up{?appID}"})
	run(t, s)
	for _, suffix := range []string{v3.DownQueued, v3.Up, v3.Normalized, v3.Join} {
		s.Publish(Message{Application: "app1", Device: "dev1", Suffix: suffix, Payload: []byte(suffix)})
	}
	for _, want := range []string{"/hook/dev1/up?appID=app1", "/hook/dev1/join"} {
		if got := r.next(t).URL.String(); got != want {
			t.Errorf("posted to %s, want %s", got, want)
		}
	}
}
