//go:build small

package main

// The small build leaves out what TLS and WebSocket need, and keeps fewer
// messages for a client that is slow.
func init() { features = append(features, "small") }
