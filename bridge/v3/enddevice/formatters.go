package enddevice

import (
	"errors"
	"fmt"

	"lorawand/bridge/session"
)

// formattersJSON are a device's payload formatters. While a device has none of its
// own there is no such object: then those of its application hold. An empty one
// says that the device has no formatter.
type formattersJSON struct {
	Up        enum[formatterNames] `json:"up_formatter,omitempty"`
	UpParam   string               `json:"up_formatter_parameter,omitempty"`
	Down      enum[formatterNames] `json:"down_formatter,omitempty"`
	DownParam string               `json:"down_formatter_parameter,omitempty"`
}

// formatters reads them, with the first fault.
func (j *formattersJSON) formatters(r *reader) session.Formatters {
	if j == nil {
		return session.Formatters{}
	}
	r.fail("formatters.up_formatter", CheckFormatter(string(j.Up), j.UpParam))
	r.fail("formatters.down_formatter", CheckFormatter(string(j.Down), j.DownParam))
	return session.Formatters{
		Up: string(j.Up), UpParameter: j.UpParam, Down: string(j.Down), DownParameter: j.DownParam, Set: true,
	}
}

// formattersOf returns nil for a device that has those of its application.
func formattersOf(f *session.Formatters) *formattersJSON {
	if !f.Set {
		return nil
	}
	return &formattersJSON{
		Up: enum[formatterNames](f.Up), UpParam: f.UpParameter,
		Down: enum[formatterNames](f.Down), DownParam: f.DownParameter,
	}
}

// maxParameter is the longest parameter of a formatter in bytes, such as a script.
//
// Source: api/ttn/lorawan/v3/messages.proto of lorawan-stack 3.32, MessagePayloadFormatters.
const maxParameter = 40960

// ErrFormatter is the reason for refusing a payload formatter.
var ErrFormatter = errors.New("formatter not accepted")

// CheckFormatter returns ErrFormatter for a formatter that cannot be taken: its name
// in The Things Stack, "" is none, and its parameter.
func CheckFormatter(name, parameter string) error {
	switch name {
	case "", "FORMATTER_NONE", "FORMATTER_REPOSITORY", "FORMATTER_JAVASCRIPT", "FORMATTER_CAYENNELPP":
	case "FORMATTER_GRPC_SERVICE":
		return fmt.Errorf("%w: FORMATTER_GRPC_SERVICE asks a server outside, and payloads are not handed to any; "+
			"use FORMATTER_JAVASCRIPT, or take it out of the file and decode in the application", ErrFormatter)
	default:
		return fmt.Errorf("%w: %.40q; there are FORMATTER_NONE, FORMATTER_REPOSITORY, FORMATTER_JAVASCRIPT and "+
			"FORMATTER_CAYENNELPP", ErrFormatter, name)
	}
	if len(parameter) > maxParameter {
		return fmt.Errorf("%w: a script of %d bytes, more than %d", ErrFormatter, len(parameter), maxParameter)
	}
	return nil
}

// FormatterChange is what the owner asks of the formatter of one direction.
type FormatterChange struct {
	Name      string `json:"formatter,omitempty"`
	Parameter string `json:"formatter_parameter,omitempty"`
	// Default has the device use the formatters of its application again.
	Default bool `json:"default,omitempty"`
}

// ChangeFormatters changes the formatters of a device as its owner asks; nil leaves
// a direction as it is. As in The Things Stack, one formatter of its own switches
// off those of the application for both directions.
func ChangeFormatters(f *session.Formatters, up, down *FormatterChange) error {
	if up != nil && up.Default || down != nil && down.Default {
		return useDefaults(f, up, down)
	}
	for _, c := range []*FormatterChange{up, down} {
		if c == nil {
			continue
		}
		if err := CheckFormatter(c.Name, c.Parameter); err != nil {
			return err
		}
	}
	if up != nil {
		f.Set, f.Up, f.UpParameter = true, up.Name, up.Parameter
	}
	if down != nil {
		f.Set, f.Down, f.DownParameter = true, down.Name, down.Parameter
	}
	return nil
}

// useDefaults takes a device's own formatters away. It loses none that was not named.
func useDefaults(f *session.Formatters, up, down *FormatterChange) error {
	keeps := func(c *FormatterChange, name string) bool {
		return c == nil && name != "" && name != "FORMATTER_NONE" || c != nil && !c.Default
	}
	if keeps(up, f.Up) || keeps(down, f.Down) {
		return fmt.Errorf("%w: a device has the formatters of its application for both directions or for none; "+
			"set both to default", ErrFormatter)
	}
	*f = session.Formatters{}
	return nil
}
