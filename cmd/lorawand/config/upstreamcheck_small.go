//go:build small

package config

// The small build has no upstreams and no backfill, and does not start with one.

func (c *Config) fillUpstreams() {}

func checkUpstreams(*faults, *Config) {}

func (c *Config) fillBackfills() {}

func checkBackfills(*faults, *Config) {}
