//go:build !small

package config

// Defaults that the small build has otherwise; the text is as wide as there.
const (
	writesPending     = 1024
	writesPendingText = "1024"
	httpListen        = "127.0.0.1:8080"
	httpListenText    = `"127.0.0.1:8080" `
)
