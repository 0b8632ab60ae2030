package v3

import (
	"time"

	"lorawand/bridge/session"
)

// Undecoded has the parts of a written message that a payload formatter needs. The
// zero value stands for a message without a payload.
type Undecoded struct {
	FPort      uint8  // 0: none, or MAC commands
	FRMPayload []byte // decrypted; it must not change
	Received   time.Time
	Places     Places
	Simulated  bool // the device may be elsewhere than the payload says
}

// Decoded is the result of a payload formatter for the payload of a message.
type Decoded struct {
	Payload            []byte // decoded_payload, a JSON object; nil: none
	Warnings           []string
	Normalized         [][]byte // measurements of normalized_payload, JSON objects
	NormalizedWarnings []string

	// Locations are all locations of the device, one of them from this payload.
	// nil: the locations in the message are right.
	Locations map[string]session.Location
}

// AppendDecoded appends a message with the result of a payload formatter. text is
// the message without it.
func (e *Encoder) AppendDecoded(dst, text []byte, p Places, d *Decoded) []byte {
	w := writer{b: append(dst, text[:p.Decoded]...), zero: e.Zero}
	w.decoded(d.Payload, d.Warnings)
	if len(d.Normalized) > 0 {
		w.open("normalized_payload", '[')
		for i, m := range d.Normalized {
			if i > 0 {
				w.b = append(w.b, ',')
			}
			w.b = append(w.b, m...)
		}
		w.close(']')
	}
	w.texts("normalized_payload_warnings", d.NormalizedWarnings)
	return w.rest(text, p, d)
}

// decoded writes decoded_payload with its warnings.
func (w *writer) decoded(payload []byte, warnings []string) {
	if len(payload) > 0 {
		w.name("decoded_payload")
		w.b = append(w.b, payload...)
	}
	w.texts("decoded_payload_warnings", warnings)
}

// rest writes the part of the message behind the results of a payload formatter.
func (w *writer) rest(text []byte, p Places, d *Decoded) []byte {
	if d.Locations == nil {
		return append(w.b, text[p.Decoded:]...)
	}
	w.b = append(w.b, text[p.Decoded:p.Locations]...)
	w.locations(d.Locations)
	return append(w.b, text[p.Behind:]...)
}

// AppendNormalized appends the payload of an "up/normalized" message about one
// measurement. text is the "up" message without decoded_payload.
func (e *Encoder) AppendNormalized(dst, text []byte, p Places, d *Decoded, measurement []byte) []byte {
	w := writer{b: append(dst, text[:p.Member]...), zero: e.Zero}
	w.open("uplink_normalized", '{')
	w.b = append(w.b, text[p.Inside:p.Decoded]...)
	w.name("normalized_payload")
	w.b = append(w.b, measurement...)
	w.texts("normalized_payload_warnings", d.NormalizedWarnings)
	return w.rest(text, p, d)
}

// AppendLocationSolved appends the payload of a "location/solved" message with the
// envelope of an "up" message.
func (e *Encoder) AppendLocationSolved(dst, text []byte, p Places, service string, l session.Location) []byte {
	w := writer{b: append(dst, text[:p.Member]...), zero: e.Zero}
	w.open("location_solved", '{')
	w.text("service", service)
	w.open("location", '{')
	w.locationFields(l)
	w.b = append(w.b, "}}}"...)
	return w.b
}
