package homeassistant

import (
	"context"
	"log/slog"
	"time"

	"lorawand/bridge/session"
	"lorawand/bridge/v3"
)

// Limits of what is told. A message has at most about 300 bytes for each value.
const (
	maxDevices = 500                   // of all applications
	maxBytes   = 2 << 20               // of all messages; each application has an equal share
	perDevice  = maxBytes / maxDevices // that a device counts for at least
	maxValues  = 32                    // of a device
	maxDepth   = 4                     // of a value in its payload
	maxName    = 48                    // bytes of the name of a member
)

// Device is what Home Assistant is told of a device besides its values.
type Device struct {
	ID       session.ID
	Name     string // as its owner calls it; "": by its id
	Maker    string
	Model    string
	Firmware string
	DevEUI   string
	Decoder  uint64 // is another one when its values are decoded otherwise
}

// Options configures an Announcer. Every function is needed; none may call the Announcer.
type Options struct {
	Applications func() []string // that Home Assistant is to be told of
	// Early are the devices at the start, in their order: clients may come before Devices
	// can be asked.
	Early []session.ID
	// Devices calls each for the devices of an application.
	Devices func(ctx context.Context, application string, each func(Device) error) error
	// Uplinks returns the "up" messages of a device that are remembered, oldest first.
	Uplinks func(session.ID) [][]byte
	// Interval returns how often a device sends usually; 0: it is not known.
	Interval func(session.ID) time.Duration
	Send     func(v3.Message) // to those who have subscribed; must not block
	Version  string           // of this program
	Logger   *slog.Logger     // default slog.Default()
}
