//go:build !small

package main

import (
	"lorawand/cmd/lorawand/demo"
	"lorawand/concentrator/air"
	"lorawand/concentrator/sx1302/sx1302test"
)

const (
	hasHTTP    = true
	hasTLS     = true // and WebSocket
	hasModel   = true // of the concentrator chip
	hasForward = true
)

// simulatedOn opens models of the chip on an air.
func simulatedOn(a *air.Air) opener {
	return (&simulation{air: a, chip: sx1302test.Options{EUI: demo.Gateway}}).open
}

func init() { features = append(features, "http", "web", "tls", "websocket") }
