package decode

import (
	"lorawand/bridge/formatter"
	"lorawand/bridge/session"
)

// Formatters say by what the payloads of a device are read and written. Formatter is
// called in the goroutine that owns the devices, with each message: it returns at once,
// and gives the same Formatter again as long as nothing changes.
type Formatters interface {
	// Formatter returns what carries out a task for a device; the zero Formatter is
	// nothing. A warning says why there is none where one is asked for: it is published
	// with each uplink, and is why a decoded_payload is refused.
	Formatter(d *session.Device, t formatter.Task) (f formatter.Formatter, warning string)
}

// None are the formatters where no device has any.
type None struct{}

// Formatter implements Formatters.
func (None) Formatter(*session.Device, formatter.Task) (f formatter.Formatter, warning string) {
	return f, ""
}
