package api

import (
	"log/slog"
	"time"

	"lorawand/bridge"
	"lorawand/bridge/access"
	"lorawand/bridge/admin"
	"lorawand/bridge/broker"
	"lorawand/bridge/broker/pace"
)

// Options configures an API.
type Options struct {
	Listen string // TCP address
	// TLS encrypts connections; nil: they are in plain. Clients show API keys and need
	// no certificate, whatever it asks of those of MQTT.
	TLS *broker.TLSConfig
	// Handshakes paces those of all listeners with TLS of this host; nil: those of this one alone.
	Handshakes *pace.Handshakes

	Admin    *admin.Admin // carries out the operations
	Bridge   *bridge.Bridge
	Keys     *access.Registry
	Calendar func() time.Time                    // zero: not known
	Used     func(keyID string, day access.Day)  // is told when a key is used on another day; nil: nobody is
	MQTT     func() (address, tlsAddress string) // of the broker, to tell clients; "": off
	NetID    string
	Timeout  time.Duration // for a request, and again for its answer; default 15 s
	Logger   *slog.Logger  // default slog.Default()
}
