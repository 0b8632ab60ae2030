package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// reloadTimeout limits how long the core may take to accept new gateways.
const reloadTimeout = 10 * time.Second

// reload reads the configuration again and applies what can change while the daemon
// runs: the gateways and the log level. It restarts a concentrator on this host if
// the settings of its chip have changed. A configuration with which the daemon
// would not start changes nothing, nor does one with another role: its gateways are set as
// for that role, such as without a duty cycle.
func (d *daemon) reload(ctx context.Context) {
	c, err := d.source()
	if err == nil {
		err = checkServed(&c)
	}
	if err == nil && c.Role != d.config.Role {
		err = fmt.Errorf("role = %q needs a restart: until then nothing changes", c.Role)
	}
	if err != nil {
		d.log.Error("the configuration is not reloaded", "error", strings.ReplaceAll(err.Error(), "\n", "; "))
		return
	}
	on, err := d.boards.plan(c.Gateways)
	if err != nil {
		d.log.Error("the configuration is not reloaded", "error", err)
		return
	}
	list, euis, err := newGateways(withStandIns(c.Gateways, on))
	if err != nil {
		d.log.Error("the configuration is not reloaded", "error", err)
		return
	}
	if keys := d.config.Restart(&c); len(keys) > 0 {
		d.log.Warn("these keys have changed and need a restart", "keys", strings.Join(keys, " "))
	}
	d.certs.reload()
	warnListening(c.Gateways, d.log)
	_ = d.level.UnmarshalText([]byte(c.Log.Level)) // the configuration was checked
	d.boards.exchange(on, d.bridge, func() {
		d.ways.set(c.Gateways)
		if d.udp != nil { // first: it looks which gateways are extenders still
			d.udp.SetGateways(euis, d.bridge)
		}
		d.extenders.reload(c.Gateways, d.bridge)
		ctx, cancel := context.WithTimeout(ctx, reloadTimeout)
		defer cancel()
		if err := d.bridge.Reconfigure(ctx, list); err != nil {
			d.log.Error("cannot apply the gateways of the configuration", "error", strings.ReplaceAll(err.Error(), "\n", "; "))
		}
	})
	d.config.Log.Level, d.config.Gateways = c.Log.Level, c.Gateways
	d.log.Info("the configuration is reloaded", "gateways", len(c.Gateways), "log_level", c.Log.Level)
}
