//go:build small

package main

import "lorawand/concentrator/air"

// The small build has no HTTP, no TLS, no WebSocket, no way to other network servers
// and no model of the concentrator chip, and keeps fewer messages for a slow client.
const (
	hasHTTP    = false
	hasTLS     = false
	hasModel   = false
	hasForward = false
)

// simulatedOn is never called in this build.
func simulatedOn(*air.Air) opener { return nil }

func init() { features = append(features, "small") }
