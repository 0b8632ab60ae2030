package main

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/spf13/cobra"

	"lorawand/bridge/admin"
	"lorawand/bridge/session"
	"lorawand/cmd/lorawand/config"
	"lorawand/radio"
)

// A list of what does not exist is empty, which is no fault for scripts: people are told on stderr. Another fault is
// not told here, as it comes again with the list.

// loadKnowing reads the configuration, and says that an application does not exist that is given.
func loadKnowing(cmd *cobra.Command, application string) (config.Config, error) {
	return loadAsking(cmd, application, operate[json.RawMessage])
}

// loadLive is loadKnowing for what only a running daemon can answer.
func loadLive(cmd *cobra.Command, application string) (config.Config, error) {
	return loadAsking(cmd, application, ask[json.RawMessage])
}

// asking is ask or operate.
type asking func(ctx context.Context, c config.Config, op string, args any, each func(json.RawMessage) error) error

func loadAsking(cmd *cobra.Command, application string, do asking) (config.Config, error) {
	c, err := loadConfig(cmd)
	if err != nil || application == "" {
		return c, err
	}
	if err := checkApplication(application); err != nil {
		return c, err
	}
	args := admin.ApplicationArgs{ID: application}
	err = do(cmd.Context(), c, "application.get", args, func(json.RawMessage) error { return nil })
	if err != nil && strings.Contains(err.Error(), "no such application") {
		cmd.PrintErrln("lorawand:", err)
	}
	return c, nil
}

// tellUnknown says that the device or the gateway does not exist that events are asked of.
func tellUnknown(cmd *cobra.Command, c config.Config, args *admin.EventsArgs) {
	tell := func(what, word string, known bool, err error) {
		if err == nil && !known {
			cmd.PrintErrf("lorawand: %s %.80q: no such %s\n", what, word, what)
		}
	}
	if word := args.Device; word != "" {
		known := false
		err := ask(cmd.Context(), c, "device.list", admin.ListArgs{}, func(d shownDevice) error {
			known = known || d.named(word)
			return nil
		})
		tell("device", word, known, err)
	}
	if word := args.Gateway; word != "" {
		known := false
		err := ask(cmd.Context(), c, "gateway.list", nil, func(g admin.Gateway) error {
			known = known || g.ID == word
			return nil
		})
		tell("gateway", word, known, err)
	}
}

// named reports whether a device is meant by a word: its id, application/id, or its DevEUI.
func (d *shownDevice) named(word string) bool {
	id := session.ID{Application: d.IDs.Applications.ID, Device: d.IDs.Device}
	var eui radio.EUI64
	return word == id.Device || word == id.String() ||
		eui.UnmarshalText([]byte(word)) == nil && eui.String() == d.IDs.DevEUI
}
