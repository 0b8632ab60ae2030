//go:build small || !(amd64 || arm64 || arm.7)

package config

const natsText = ""

// These builds have no NATS JetStream, and do not start with it.

func (*Config) checkNATS(*faults) {}
