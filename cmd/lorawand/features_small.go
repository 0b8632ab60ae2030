//go:build small

package main

// The small build leaves out HTTP and what TLS and WebSocket need, and keeps
// fewer messages for a client that is slow.
const hasHTTP = false

func init() { features = append(features, "small") }
