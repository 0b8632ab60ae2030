//go:build small

package config

// Waiting messages need memory, and this build has no HTTP.
const (
	writesPending     = 64
	writesPendingText = "64  "
	httpListen        = ""
	httpListenText    = `""               `
)
