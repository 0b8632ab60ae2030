package main

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	"lorawand/cmd/lorawand/config"
)

// reload takes over what can change while the daemon runs: gateways and the
// level of the log. A configuration that is faulty changes nothing.
func (s *service) reload(ctx context.Context, d *daemon) {
	next, err := s.load()
	if err == nil {
		if missing := unserved(&next); len(missing) > 0 {
			err = fmt.Errorf("%w: not served by this version: %v", config.ErrConfig, missing)
		}
	}
	if err == nil {
		err = d.configureGateways(ctx, next.Gateways)
	}
	if err != nil {
		s.log.Error("the configuration is not reloaded; nothing has changed", "error", strings.ReplaceAll(err.Error(), "\n", "; "))
		return
	}
	s.config.Gateways, s.config.Log.Level = next.Gateways, next.Log.Level
	s.level.Set(logLevel(next.Log.Level))
	s.log.Info("configuration reloaded", "gateways", len(next.Gateways), "log_level", next.Log.Level)
	if keys := differences(reflect.ValueOf(s.config), reflect.ValueOf(next), ""); len(keys) > 0 {
		s.log.Warn("the configuration has changed in keys that need a restart", "keys", strings.Join(keys, " "))
	}
}

// configureGateways changes the gateways of the drivers, then those of the
// bridge.
func (d *daemon) configureGateways(ctx context.Context, gws []config.Gateway) error {
	gateways, euis, err := newGateways(gws)
	if err != nil {
		return err
	}
	unknown := false
	if d.udp != nil {
		d.udp.SetGateways(euis, d.bridge)
		unknown = d.acceptUnknown
	}
	return d.bridge.ConfigureGateways(ctx, gateways, unknown)
}

// differences names the keys in which two tables differ.
func differences(a, b reflect.Value, table string) (keys []string) {
	for i := range a.NumField() {
		key := table + a.Type().Field(i).Tag.Get("toml")
		x, y := a.Field(i), b.Field(i)
		switch {
		case x.Kind() == reflect.Struct:
			keys = append(keys, differences(x, y, key+".")...)
		case x.Kind() == reflect.Slice && x.Len() == 0 && y.Len() == 0: // nil and empty are one
		case !reflect.DeepEqual(x.Interface(), y.Interface()):
			keys = append(keys, key)
		}
	}
	return keys
}
