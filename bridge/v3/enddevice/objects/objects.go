// Package objects takes apart files of JSON objects that stand one after the other, in
// arrays, or in the wrappers of an HTTP API, and tells the line on which each begins.
package objects

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// ErrFile is the reason for a file that holds no end devices.
var ErrFile = errors.New("no end devices")

// Each calls f for each object of a stream, or of an array in it, with
// the line on which it begins, until f returns an error.
func Each(b []byte, f func(raw json.RawMessage, line int) error) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	lines := lineCounter{text: b}
	inArray := false
	for {
		if inArray && !dec.More() {
			if _, err := dec.Token(); err != nil { // the closing bracket
				return fmt.Errorf("line %d: %w: %w", lines.at(dec.InputOffset()), ErrFile, err)
			}
			inArray = false
			continue
		}
		start := skipSpace(b, dec.InputOffset(), inArray)
		if !inArray && start < int64(len(b)) && b[start] == '[' {
			if _, err := dec.Token(); err != nil {
				return fmt.Errorf("line %d: %w: %w", lines.at(start), ErrFile, err)
			}
			inArray = true
			continue
		}
		var raw json.RawMessage
		err := dec.Decode(&raw)
		if errors.Is(err, io.EOF) && !inArray {
			return nil
		}
		if err != nil {
			return fmt.Errorf("line %d: %w: not JSON: %w", lines.at(start), ErrFile, err)
		}
		if err := f(raw, lines.at(start)); err != nil {
			return err
		}
	}
}

// skipSpace returns where the next value begins: behind white space, and in an
// array behind the comma too.
func skipSpace(b []byte, at int64, inArray bool) int64 {
	for at < int64(len(b)) && (strings.IndexByte(" \t\r\n", b[at]) >= 0 || inArray && b[at] == ',') {
		at++
	}
	return at
}

// lineCounter turns offsets, which only grow, into line numbers.
type lineCounter struct {
	text []byte
	done int64
	line int
}

func (l *lineCounter) at(offset int64) int {
	offset = min(max(offset, l.done), int64(len(l.text)))
	l.line += bytes.Count(l.text[l.done:offset], []byte{'\n'})
	l.done = offset
	return l.line + 1
}

// Unwrap calls f for each device in an object: the object itself, or what stands in
// "end_device" or "end_devices", as the bodies of The Things Stack's HTTP API have
// it. An object with "ids" is a device, whatever else it has.
func Unwrap(raw json.RawMessage, line int, f func(raw json.RawMessage, line int)) error {
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
