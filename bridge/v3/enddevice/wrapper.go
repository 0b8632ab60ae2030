package enddevice

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// unwrap calls f for each device in an object: the object itself, or what stands in
// "end_device" or "end_devices", as the bodies of The Things Stack's HTTP API have
// it. An object with "ids" is a device, whatever else it has.
func unwrap(raw json.RawMessage, line int, f func(raw json.RawMessage, line int)) error {
	var keys struct {
		IDs     json.RawMessage `json:"ids"`
		Device  json.RawMessage `json:"end_device"`
		Devices json.RawMessage `json:"end_devices"`
	}
	if json.Unmarshal(raw, &keys) != nil || keys.IDs != nil || keys.Device == nil && keys.Devices == nil {
		f(raw, line) // what is wrong with it is told with its line
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	lines := lineCounter{text: raw, line: line - 1}
	if _, err := dec.Token(); err != nil { // the opening brace
		return fmt.Errorf("line %d: %w: %w", line, ErrFile, err)
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return fmt.Errorf("line %d: %w: %w", line, ErrFile, err)
		}
		var inner json.RawMessage
		if err := dec.Decode(&inner); err != nil {
			return fmt.Errorf("line %d: %w: %w", line, ErrFile, err)
		}
		at := lines.at(dec.InputOffset() - int64(len(inner)))
		switch {
		case key == "end_device":
			f(inner, at)
		case key == "end_devices" && inner[0] == '[':
			if err := elements(inner, at, f); err != nil {
				return err
			}
		case key == "end_devices":
			return fmt.Errorf("line %d: %w: end_devices: not a list", at, ErrFile)
		}
	}
	return nil
}

// elements calls f for each element of an array that begins on a line.
func elements(array json.RawMessage, line int, f func(raw json.RawMessage, line int)) error {
	dec := json.NewDecoder(bytes.NewReader(array))
	lines := lineCounter{text: array, line: line - 1}
	if _, err := dec.Token(); err != nil { // the opening bracket
		return fmt.Errorf("line %d: %w: %w", line, ErrFile, err)
	}
	for dec.More() {
		var inner json.RawMessage
		if err := dec.Decode(&inner); err != nil {
			return fmt.Errorf("line %d: %w: %w", line, ErrFile, err)
		}
		f(inner, lines.at(dec.InputOffset()-int64(len(inner))))
	}
	return nil
}
