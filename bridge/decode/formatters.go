package decode

import (
	"fmt"

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

// Names of formatters, as The Things Stack has them.
const (
	formatterNone       = "FORMATTER_NONE"
	formatterJavaScript = "FORMATTER_JAVASCRIPT"
	formatterCayenneLPP = "FORMATTER_CAYENNELPP"
	formatterRepository = "FORMATTER_REPOSITORY"
)

// Own are the formatters that devices have themselves.
type Own struct {
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

// Formatter implements Formatters.
func (o *Own) Formatter(d *session.Device, t formatter.Task) (formatter.Formatter, string) {
	f := &d.Formatters
	if t == formatter.DecodeUplink {
		return own(&o.up, d.ID, f.Up, f.UpParameter)
	}
	return own(&o.down, d.ID, f.Down, f.DownParameter)
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
