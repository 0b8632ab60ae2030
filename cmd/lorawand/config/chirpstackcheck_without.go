//go:build small || mips || mipsle

package config

const chirpStackText = ""

// These builds hand nothing to ChirpStack networks, and do not start with one.

func (c *Config) fillChirpStacks() {}

func checkChirpStacks(*faults, *Config) {}
