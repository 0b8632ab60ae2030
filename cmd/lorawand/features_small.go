//go:build small

package main

import "lorawand/concentrator/air"

// The small build leaves out HTTP, what TLS and WebSocket need, and the model of
// the concentrator chip, and keeps fewer messages for a client that is slow.
const (
	hasHTTP  = false
	hasTLS   = false
	hasModel = false
)

// simulatedOn is not called.
func simulatedOn(*air.Air) opener { return nil }

func init() { features = append(features, "small") }
