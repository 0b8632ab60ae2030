//go:build !small

package config

// Defaults that the small build has otherwise; the text is as wide as there.
const (
	writesPending     = 1024
	writesPendingText = "1024"
)
