package decode

import (
	"fmt"

	"lorawand/bridge/formatter"
	"lorawand/bridge/session"
)

// Formatters say by what the payloads of a device are read and written. Their
// methods are called in the goroutine that owns the devices, with each message: they
// return at once, and give the same Formatter again as long as nothing changes.
type Formatters interface {
	// Uplink returns the formatter of uplinks; the zero Formatter is none. A warning
	// says why there is none where one is asked for: it is published with each uplink.
	Uplink(d *session.Device) (f formatter.Formatter, warning string)
	// Downlink is Uplink for downlinks. Its warning is why a decoded_payload is
	// refused.
	Downlink(d *session.Device) (f formatter.Formatter, warning string)
}

// Names of formatters, as The Things Stack has them.
const (
	formatterNone       = "FORMATTER_NONE"
	formatterJavaScript = "FORMATTER_JAVASCRIPT"
	formatterCayenneLPP = "FORMATTER_CAYENNELPP"
	formatterRepository = "FORMATTER_REPOSITORY"
)

// Own are the formatters that devices have themselves.
type Own struct {
	// Shared has those of applications, for devices without formatters, and of the
	// device repository; nil: there are none.
	Shared Formatters

	up, down map[session.ID]ownScript
}

// ownScript is the script of a device, with what was made of it: a checksum of up to
// 40 kB, which is not to be computed for each message.
type ownScript struct {
	source    string
	formatter formatter.Formatter
}

// maxScripts bounds the scripts that are remembered, some of which may be of devices
// that are no more.
const maxScripts = 4096

// Uplink implements Formatters.
func (o *Own) Uplink(d *session.Device) (formatter.Formatter, string) {
	if o.shares(d, d.Formatters.Up) {
		return o.Shared.Uplink(d)
	}
	return own(&o.up, d.ID, d.Formatters.Up, d.Formatters.UpParameter)
}

// Downlink implements Formatters.
func (o *Own) Downlink(d *session.Device) (formatter.Formatter, string) {
	if o.shares(d, d.Formatters.Down) {
		return o.Shared.Downlink(d)
	}
	return own(&o.down, d.ID, d.Formatters.Down, d.Formatters.DownParameter)
}

// shares reports whether a formatter is one that Shared knows.
func (o *Own) shares(d *session.Device, name string) bool {
	return o.Shared != nil && (name == formatterRepository || d.Formatters == session.Formatters{})
}

// own returns the formatter with a name and its parameter.
func own(scripts *map[session.ID]ownScript, id session.ID, name, parameter string) (formatter.Formatter, string) {
	switch name {
	case "", formatterNone:
		return formatter.Formatter{}, ""
	case formatterCayenneLPP:
		return formatter.NewCayenneLPP(false), ""
	case formatterRepository:
		return formatter.Formatter{}, "the codec of the device repository is not installed"
	case formatterJavaScript:
	default:
		return formatter.Formatter{}, fmt.Sprintf("payload formatter %.40q is not served", name)
	}
	if s, known := (*scripts)[id]; known && s.source == parameter {
		return s.formatter, ""
	}
	f, err := formatter.NewJavaScript(parameter)
	if err != nil {
		return formatter.Formatter{}, err.Error()
	}
	if *scripts == nil || len(*scripts) >= maxScripts {
		*scripts = map[session.ID]ownScript{}
	}
	(*scripts)[id] = ownScript{parameter, f}
	return f, ""
}
