package main

import (
	"context"
	"fmt"
	"strings"

	"lorawand/bridge/admin"
	"lorawand/bridge/mac"
	"lorawand/bridge/session"
	"lorawand/cmd/lorawand/config"
)

// macViews returns what people are shown of the MAC layers of devices.
func macViews(ctx context.Context, c config.Config, args admin.MACArgs) (map[session.ID]mac.View, error) {
	views := map[session.ID]mac.View{}
	return views, operate(ctx, c, "device.mac", args, func(v mac.View) error {
		views[session.ID{Application: v.Application, Device: v.Device}] = v
		return nil
	})
}

// macLines prints what people are shown of a device's MAC layer.
func macLines(v mac.View, line func(name, value string)) {
	if v.DataRate != "" {
		line("link", fmt.Sprintf("%s, best SNR %s dB in %d uplinks, %d of %d lost", v.DataRate, v.SNR, v.Uplinks, v.Lost,
			v.Of))
	}
	line("power", v.Power)
	for _, of := range []struct {
		name  string
		lines []string
	}{{"current", v.Current}, {"wanted", v.Wanted}, {"pending", v.Pending}, {"refused", v.Refused}} {
		for _, text := range of.lines {
			line(of.name, text)
		}
	}
	line("ADR", v.ADR)
	line("status", v.Status)
}

// linkColumns are data rate, power and loss of a table.
func linkColumns(v mac.View) string {
	rate, lost := "-", "-"
	if v.DataRate != "" {
		rate, lost = v.DataRate, fmt.Sprintf("%d/%d", v.Lost, v.Of)
	}
	_, power, ok := strings.Cut(v.Power, ", ")
	if !ok {
		power = "-"
	}
	return rate + "\t" + power + "\t" + lost
}
