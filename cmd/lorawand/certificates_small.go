//go:build small

package main

import (
	"log/slog"
	"time"

	"lorawand/bridge/broker"
	"lorawand/cmd/lorawand/config"
)

// certificates replaces the files for TLS, which the small build does not have.
type certificates struct{}

func newCertificates(*config.MQTT, func() time.Time, *slog.Logger) (*certificates, error) {
	return nil, nil
}

// TLSConfig returns nil.
func (*certificates) TLSConfig() *broker.TLSConfig { return nil }

func (*certificates) reload() {}
