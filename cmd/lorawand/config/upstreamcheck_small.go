//go:build small

package config

// The small build has no upstreams, and does not start with one.

func (c *Config) fillUpstreams() {}

func checkUpstreams(*faults, *Config) {}
