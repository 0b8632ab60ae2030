package web

import (
	"log/slog"
	"time"

	"lorawand/bridge"
	"lorawand/bridge/access"
	"lorawand/bridge/admin"
	"lorawand/bridge/codec"
	"lorawand/bridge/formatter"
)

// Options configures a Site.
type Options struct {
	Admin     *admin.Admin // carries out the operations
	Bridge    *bridge.Bridge
	Keys      *access.Registry
	Passwords *Passwords
	// Resolver and Formatters try payload formatters.
	Resolver   *codec.Resolver
	Formatters *formatter.Pool
	Calendar   func() time.Time                   // zero: not known
	Used       func(keyID string, day access.Day) // is told when a key is used on another day; nil: nobody is
	About      About
	Free       func() (bytes int64, ok bool) // space for the store; nil: not known
	Log        func() []LogLine              // the last lines, oldest first; nil: none are kept
	Logger     *slog.Logger                  // default slog.Default()
}

// About is what the configuration says of the daemon.
type About struct {
	Plan           string // of devices that name none
	RX1Delay       uint8  // that the network tells devices, in s
	Store          string // its folder
	CommitInterval time.Duration
	Addresses      Addresses
}

// Addresses are those that it listens on; "" is off.
type Addresses struct {
	MQTT    string `json:"mqtt"`
	MQTTTLS string `json:"mqttTLS"`
	UDP     string `json:"udp"`
	API     string `json:"api"`
}

// LogLine is a line of the log.
type LogLine struct {
	At    time.Time
	Level string
	Text  string
}
