//go:build !small

package webhook

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"lorawand/bridge/access"
	"lorawand/bridge/v3"
)

// kinds are the names of the messages in access.WebhookMessages.
var kinds = map[string]string{
	v3.Up: "uplink_message", v3.Normalized: "uplink_normalized", v3.Join: "join_accept", v3.DownAck: "downlink_ack",
	v3.DownNack: "downlink_nack", v3.DownSent: "downlink_sent", v3.DownFailed: "downlink_failed",
	v3.DownQueued: "downlink_queued", v3.DownInvalidated: "downlink_queue_invalidated",
	v3.Solved: "location_solved", v3.ServiceData: "service_data",
}

// addressOf returns where a message is posted to: the URL, and behind it the path of its
// kind, with their templates filled in. A path of a query only has no slash before it; a
// query of the URL goes where there is a path.
//
// Source: golden captures of The Things Stack 3.32.1, and newRequest in its
// pkg/applicationserver/io/web/webhooks.go.
func addressOf(hook *access.Webhook, m *Message) (string, error) {
	path, ok := hook.Path(kinds[m.Suffix])
	if !ok {
		return "", fmt.Errorf("no path for %s any more", m.Suffix)
	}
	var values map[string]string
	if strings.Contains(hook.URL+path, "{") {
		values = valuesOf(m)
	}
	base, err := parse(hook.URL, values)
	if err != nil || path == "" {
		return base.String(), err
	}
	behind, err := parse(strings.TrimLeft(path, "/"), values)
	if err != nil {
		return "", err
	}
	if (behind.Path != "" || strings.HasPrefix(path, "/")) && !strings.HasSuffix(base.Path, "/") {
		base.Path += "/"
	}
	return base.ResolveReference(behind).String(), nil
}

func parse(template string, values map[string]string) (*url.URL, error) {
	text, err := access.Expand(template, values)
	if err != nil {
		return &url.URL{}, err
	}
	u, err := url.Parse(text)
	if err != nil {
		return &url.URL{}, err
	}
	return u, nil
}

// valuesOf returns what templates may name of a message.
func valuesOf(m *Message) map[string]string {
	var read struct {
		IDs struct {
			DevEUI  string `json:"dev_eui"`
			JoinEUI string `json:"join_eui"`
			DevAddr string `json:"dev_addr"`
		} `json:"end_device_ids"`
	}
	_ = json.Unmarshal(m.Payload, &read) // this program has written it
	return map[string]string{
		"appID": m.Application, "applicationID": m.Application, "devID": m.Device, "deviceID": m.Device,
		"appEUI": read.IDs.JoinEUI, "joinEUI": read.IDs.JoinEUI, "devEUI": read.IDs.DevEUI, "devAddr": read.IDs.DevAddr,
	}
}
