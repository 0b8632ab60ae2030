package main

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"lorawand/bridge/access"
	"lorawand/bridge/admin"
)

// addWebhookFlags adds the flags of a webhook. The function returns the webhook that
// they ask for, or nil if none is given.
func addWebhookFlags(cmd *cobra.Command) func() (*access.Webhook, error) {
	var w access.Webhook
	var headers, paths []string
	flags := cmd.Flags()
	flags.StringVar(&w.URL, "webhook", "",
		"post the messages to this `URL`, as in https://host/{appID}/{devID}; \"\" ends that")
	flags.StringArrayVar(&paths, "webhook-path", nil,
		"post these messages only, each to its path: `uplink_message=/up{/devEUI}`; can be repeated")
	flags.StringArrayVar(&headers, "webhook-header", nil, "send this `\"Name: value\"` with each message; can be repeated")
	flags.StringVar(&w.DownlinkURL, "webhook-downlink-url", "",
		"tell the receiver that the HTTP API is at this `URL`, as it reaches it")
	flags.StringVar(&w.DownlinkKey, "webhook-downlink-key", "", "tell the receiver this API `key` for downlinks")
	return func() (*access.Webhook, error) {
		if !flags.Changed("webhook") {
			for _, name := range []string{"webhook-path", "webhook-header", "webhook-downlink-url", "webhook-downlink-key"} {
				if flags.Changed(name) {
					return nil, usage(errors.New("--" + name + " needs --webhook"))
				}
			}
			return nil, nil
		}
		w.Headers, w.Paths = strings.Join(headers, "\n"), strings.Join(paths, "\n")
		if w.URL != "" && !hasHTTP {
			return nil, errors.New("the small build has no webhooks")
		}
		if err := w.Check(); err != nil {
			return nil, usage(err)
		}
		return &w, nil
	}
}

// webhookText shows where messages are posted to.
func webhookText(w *admin.Webhook) string {
	if w == nil {
		return "none"
	}
	text := plainLine(w.URL)
	if w.Paths != nil {
		text += " for " + plainLine(strings.Join(w.Paths, ", "))
	}
	if w.Headers != nil {
		text += " with " + strings.Join(w.Headers, ", ")
	}
	return text
}
