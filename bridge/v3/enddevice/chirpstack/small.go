//go:build small

// Package chirpstack is left out of the small build: the full one reads what ChirpStack tells of
// devices, and its export is taken by the small one.
package chirpstack

import (
	"encoding/json"
	"errors"
)

// Options of a file.
type Options struct{ Plan, JoinEUI string }

// Device is a device of a file.
type Device struct {
	Line  int
	Name  string
	JSON  json.RawMessage
	Notes []string
	Err   error
}

// Reader finds the answers of a file.
type Reader struct{ line int }

// Add takes an object of a file, and reports whether it looks like an answer of ChirpStack.
func (r *Reader) Add(raw json.RawMessage, line int) bool {
	var a struct {
		IDs        json.RawMessage `json:"ids"`
		Device     json.RawMessage `json:"device"`
		Keys       json.RawMessage `json:"deviceKeys"`
		Activation json.RawMessage `json:"deviceActivation"`
		Profile    json.RawMessage `json:"deviceProfile"`
	}
	if json.Unmarshal(raw, &a) != nil || a.IDs != nil ||
		a.Device == nil && a.Keys == nil && a.Activation == nil && a.Profile == nil {
		return false
	}
	if r.line == 0 {
		r.line = line
	}
	return true
}

var errLeftOut = errors.New("the small build does not read ChirpStack's answers: " +
	"import them with the full one, and take its device export --session")

// Devices returns why there are none, if the file has answers.
func (r *Reader) Devices(Options) []Device {
	if r.line == 0 {
		return nil
	}
	return []Device{{Line: r.line, Name: "ChirpStack", Err: errLeftOut}}
}
