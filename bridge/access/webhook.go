package access

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Webhook is where the messages of an application are posted to. The zero value is
// none.
type Webhook struct {
	URL string `json:"url,omitempty"`
	// Headers are sent with each message: "Name: value", one a line.
	Headers string `json:"headers,omitempty"`
	// DownlinkURL is this gateway's HTTP API as the receiver reaches it, and DownlinkKey
	// an API key for it: with both, each message says where downlinks are pushed to.
	DownlinkURL string `json:"downlink_url,omitempty"`
	DownlinkKey string `json:"downlink_key,omitempty"`
}

// Limits of a webhook, in bytes.
const (
	maxWebhookURL     = 1024
	maxWebhookHeaders = 4096
)

// ErrWebhook is the reason for refusing a webhook.
var ErrWebhook = errors.New("not a webhook")

// Check returns what is wrong with a webhook.
func (w *Webhook) Check() error {
	if *w == (Webhook{}) {
		return nil
	}
	for name, text := range map[string]string{"url": w.URL, "downlink url": w.DownlinkURL} {
		if text == "" && name != "url" {
			continue
		}
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || len(text) > maxWebhookURL {
			return fmt.Errorf("%w: %s %.100q, must be like https://host/path", ErrWebhook, name, text)
		}
	}
	if (w.DownlinkURL == "") != (w.DownlinkKey == "") {
		return fmt.Errorf("%w: the downlink url and the downlink key go together", ErrWebhook)
	}
	if w.DownlinkKey != "" {
		if _, _, ok := split(w.DownlinkKey); !ok {
			return fmt.Errorf("%w: the downlink key: %w", ErrWebhook, ErrKey)
		}
	}
	if len(w.Headers) > maxWebhookHeaders {
		return fmt.Errorf("%w: headers of %d bytes, at most %d", ErrWebhook, len(w.Headers), maxWebhookHeaders)
	}
	for line := range w.EachHeader {
		if !isToken(line[0]) || strings.ContainsFunc(line[1], func(r rune) bool { return r < ' ' || r > '~' }) {
			return fmt.Errorf("%w: header %.60q, must be like \"Authorization: Bearer x\"", ErrWebhook, line[0])
		}
	}
	return nil
}

// EachHeader calls yield for the name and the value of each header.
func (w *Webhook) EachHeader(yield func([2]string) bool) {
	for line := range strings.SplitSeq(w.Headers, "\n") {
		if strings.TrimSpace(line) == "" {
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		if !yield([2]string{strings.TrimSpace(name), strings.TrimSpace(value)}) {
			return
		}
	}
}

// isToken reports whether a text can be the name of a header (RFC 9110, 5.6.2).
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	})
}
