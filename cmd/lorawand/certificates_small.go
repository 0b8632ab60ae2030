//go:build small

package main

import (
	"log/slog"
	"time"

	"lorawand/bridge/broker"
	"lorawand/cmd/lorawand/config"
)

// certificates are the files behind TLS, which the small build does without.
type certificates struct{}

func newCertificates(*config.MQTT, func() time.Time, *slog.Logger) (*certificates, error) {
	return nil, nil
}

// TLSConfig is what a listener works with: nothing.
func (*certificates) TLSConfig() *broker.TLSConfig { return nil }

func (*certificates) reload() {}
