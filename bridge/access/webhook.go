package access

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Webhook is where the messages of an application are posted to. The zero value is
// none.
type Webhook struct {
	URL string `json:"url,omitempty"` // a template, see Expand
	// Paths are what the URL is followed by, for each kind of message that is posted:
	// "uplink_message=/up{/devID}", one a line, with templates too. Without any all
	// messages are posted to the URL.
	Paths string `json:"paths,omitempty"`
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
	maxWebhookPaths   = 4096
)

// WebhookMessages are the kinds of messages, as The Things Stack names them.
var WebhookMessages = []string{
	"uplink_message", "uplink_normalized", "join_accept", "downlink_ack", "downlink_nack", "downlink_sent",
	"downlink_failed", "downlink_queued", "downlink_queue_invalidated", "location_solved", "service_data",
}

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
		text, err := expanded(name, text)
		if err != nil {
			return err
		}
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || len(text) > maxWebhookURL {
			return fmt.Errorf("%w: %s %.100q, must be like https://host/path", ErrWebhook, name, text)
		}
	}
	if err := w.checkPaths(); err != nil {
		return err
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

// expanded returns a URL as it may be; only the one that is posted to is a template.
func expanded(name, text string) (string, error) {
	if name != "url" {
		return text, nil
	}
	out, err := Expand(text, nil)
	if err != nil {
		return "", fmt.Errorf("%w: url: %w", ErrWebhook, err)
	}
	return out, nil
}

func (w *Webhook) checkPaths() error {
	if len(w.Paths) > maxWebhookPaths {
		return fmt.Errorf("%w: paths of %d bytes, at most %d", ErrWebhook, len(w.Paths), maxWebhookPaths)
	}
	seen := map[string]bool{}
	for p := range w.EachPath {
		if !slices.Contains(WebhookMessages, p[0]) {
			return fmt.Errorf("%w: path %.60q, must be like uplink_message=/up; there are %s", ErrWebhook, p[0],
				strings.Join(WebhookMessages, ", "))
		}
		text, err := Expand(p[1], nil)
		if err != nil {
			return fmt.Errorf("%w: path of %s: %w", ErrWebhook, p[0], err)
		}
		if u, err := url.Parse(strings.TrimLeft(text, "/")); err != nil || u.Scheme != "" || u.Host != "" || seen[p[0]] {
			return fmt.Errorf("%w: path of %s %.100q, must be like /up{/devID}, once", ErrWebhook, p[0], p[1])
		}
		seen[p[0]] = true
	}
	return nil
}

// EachPath calls yield for each kind of message that has a path, and for the path.
func (w *Webhook) EachPath(yield func([2]string) bool) {
	for line := range strings.SplitSeq(w.Paths, "\n") {
		if line == "" {
			continue
		}
		name, path, _ := strings.Cut(line, "=")
		if !yield([2]string{strings.TrimSpace(name), strings.TrimSpace(path)}) {
			return
		}
	}
}

// Path returns what follows the URL for a kind of message. ok is false for a message that
// is not posted.
func (w *Webhook) Path(message string) (path string, ok bool) {
	if w.Paths == "" {
		return "", true
	}
	for p := range w.EachPath {
		if p[0] == message {
			return p[1], true
		}
	}
	return "", false
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
