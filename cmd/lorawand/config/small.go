//go:build small

package config

// A message that waits for a client is memory, and there is no HTTP.
const (
	writesPending     = 64
	writesPendingText = "64  "
	httpListen        = ""
	httpListenText    = `""               `
)
