package main

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"time"

	"lorawand/bridge/gateway"
	"lorawand/cmd/lorawand/config"
	"lorawand/radio"
)

// reloadTimeout is for the core to take new gateways.
const reloadTimeout = 10 * time.Second

// reload reads the configuration again and puts into force what can be changed
// while the daemon runs: the gateways and the log's level. A configuration with
// faults changes nothing.
func (d *daemon) reload(ctx context.Context) {
	c, err := d.source()
	if err != nil {
		d.log.Error("the configuration is not reloaded", "error", strings.ReplaceAll(err.Error(), "\n", "; "))
		return
	}
	keys := d.config.Restart(&c)
	if boards := onBoard(d.config.Gateways); !reflect.DeepEqual(boards, onBoard(c.Gateways)) {
		keys = append(keys, "gateway.sx1302")
		c.Gateways = append(boards, slices.DeleteFunc(c.Gateways, isOnBoard)...)
	}
	list, euis, err := d.gateways(c.Gateways)
	if err != nil {
		d.log.Error("the configuration is not reloaded", "error", err)
		return
	}
	if len(keys) > 0 {
		d.log.Warn("these keys have changed and need a restart", "keys", strings.Join(keys, " "))
	}
	_ = d.level.UnmarshalText([]byte(c.Log.Level)) // the configuration was checked
	if d.udp != nil {
		d.udp.SetGateways(euis, d.bridge)
	}
	ctx, cancel := context.WithTimeout(ctx, reloadTimeout)
	defer cancel()
	if err := d.bridge.Reconfigure(ctx, list); err != nil {
		d.log.Error("gateways of the configuration are not in force", "error", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	d.config.Log.Level, d.config.Gateways = c.Log.Level, c.Gateways
	d.log.Info("the configuration is reloaded", "gateways", len(c.Gateways), "log_level", c.Log.Level)
}

func isOnBoard(g config.Gateway) bool { return g.Driver == "sx1302" }

// onBoard returns the gateways with a concentrator on board, whose drivers begin
// with the daemon.
func onBoard(gws []config.Gateway) (out []config.Gateway) {
	for _, g := range gws {
		if isOnBoard(g) {
			out = append(out, g)
		}
	}
	return out
}

// gateways is newGateways, but that a concentrator on board keeps the EUI that
// its chip has told.
func (d *daemon) gateways(gws []config.Gateway) (list []*gateway.Gateway, euis []radio.EUI64, err error) {
	known, board := slices.Clone(gws), 0
	for i := range known {
		if isOnBoard(known[i]) {
			known[i].EUI = d.boards[board].name().String()
			board++
		}
	}
	return newGateways(known)
}
