//go:build small

package config

// A message that waits for a client is memory.
const (
	writesPending     = 64
	writesPendingText = "64  "
)
