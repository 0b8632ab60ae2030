//go:build !small

package config

// Defaults that differ in the small build; the texts have the same width there.
const (
	writesPending     = 1024
	writesPendingText = "1024"
	httpListen        = "127.0.0.1:8080"
	httpListenText    = `"127.0.0.1:8080" `
)
