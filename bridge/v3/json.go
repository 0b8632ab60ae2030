package v3

import (
	"encoding/base64"
	"math"
	"strconv"
	"time"

	"lorawand/bridge/jsontext"
	"lorawand/radio"
)

// writer appends JSON in the mapping of The Things Stack: no spaces, fields in a
// fixed order, zero values left out unless zero is set, 64-bit integers as strings.
type writer struct {
	b     []byte
	begin int  // where the message begins in b
	zero  bool // write fields that are zero
}

// name begins a field.
func (w *writer) name(n string) {
	if last := w.b[len(w.b)-1]; last != '{' && last != '[' {
		w.b = append(w.b, ',')
	}
	w.b = append(w.b, '"')
	w.b = append(w.b, n...)
	w.b = append(w.b, `":`...)
}

// open begins an object or a list that is a field.
func (w *writer) open(n string, bracket byte) {
	w.name(n)
	w.b = append(w.b, bracket)
}

// item begins an object in a list.
func (w *writer) item() {
	if w.b[len(w.b)-1] != '[' {
		w.b = append(w.b, ',')
	}
	w.b = append(w.b, '{')
}

func (w *writer) close(bracket byte) { w.b = append(w.b, bracket) }

func (w *writer) text(n, v string) {
	if v != "" {
		w.name(n)
		w.b = jsontext.AppendString(w.b, v)
	}
}

func (w *writer) texts(n string, vs []string) {
	if len(vs) == 0 {
		return
	}
	w.open(n, '[')
	for i, v := range vs {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		w.b = jsontext.AppendString(w.b, v)
	}
	w.close(']')
}

// hex writes an EUI, a DevAddr or a NetID.
func (w *writer) hex(n string, v []byte) {
	w.name(n)
	w.b = append(radio.AppendHex(append(w.b, '"'), v), '"')
}

func (w *writer) uint(n string, v uint64) {
	if v != 0 || w.zero {
		w.name(n)
		w.b = strconv.AppendUint(w.b, v, 10)
	}
}

func (w *writer) int(n string, v int64) {
	if v != 0 || w.zero {
		w.name(n)
		w.b = strconv.AppendInt(w.b, v, 10)
	}
}

// int64 writes a field that has 64 bits in The Things Stack: as a string.
func (w *writer) int64(n string, v int64) {
	if v != 0 || w.zero {
		w.name(n)
		w.b = append(strconv.AppendInt(append(w.b, '"'), v, 10), '"')
	}
}

func (w *writer) bool(n string, v bool) {
	if v || w.zero {
		w.name(n)
		w.b = strconv.AppendBool(w.b, v)
	}
}

// bytes writes base64. Empty bytes are left out.
func (w *writer) bytes(n string, v []byte) {
	if len(v) > 0 || w.zero {
		w.name(n)
		w.b = append(base64.StdEncoding.AppendEncode(append(w.b, '"'), v), '"')
	}
}

func (w *writer) decibel(n string, v radio.Decibel) {
	if v != 0 || w.zero {
		w.name(n)
		w.b = v.AppendText(w.b)
	}
}

func (w *writer) float(n string, v float64, bits int) {
	if v != 0 || w.zero {
		w.name(n)
		w.b = appendFloat(w.b, v, bits)
	}
}

// time writes a calendar time. It leaves out an unknown time.
func (w *writer) time(n string, t time.Time) {
	if !t.IsZero() {
		w.name(n)
		w.b = append(appendTime(append(w.b, '"'), t), '"')
	}
}

func (w *writer) duration(n string, d time.Duration) {
	if d != 0 || w.zero {
		w.name(n)
		w.b = append(appendDuration(append(w.b, '"'), d), '"')
	}
}

// appendTime appends RFC 3339 in UTC with a fraction of 0, 3, 6 or 9 digits.
func appendTime(dst []byte, t time.Time) []byte {
	dst = t.UTC().AppendFormat(dst, time.RFC3339) // which package time has a short way for
	return append(appendNanos(dst[:len(dst)-len("Z")], int64(t.Nanosecond())), 'Z')
}

// appendDuration appends seconds with a fraction of 0, 3, 6 or 9 digits.
func appendDuration(dst []byte, d time.Duration) []byte {
	if d < 0 {
		dst = append(dst, '-')
		d = -d
	}
	dst = strconv.AppendInt(dst, int64(d/time.Second), 10)
	return append(appendNanos(dst, int64(d%time.Second)), 's')
}

// appendNanos appends a fraction of a second with 3, 6 or 9 digits.
func appendNanos(dst []byte, ns int64) []byte {
	if ns == 0 {
		return dst
	}
	digits := 9
	for ns%1000 == 0 {
		ns /= 1000
		digits -= 3
	}
	dst = append(dst, '.')
	for div := pow10(digits - 1); div > 0; div /= 10 {
		dst = append(dst, byte('0'+ns/div%10))
	}
	return dst
}

func pow10(n int) int64 {
	v := int64(1)
	for range n {
		v *= 10
	}
	return v
}

// appendFloat appends a number. Infinities and NaN, which JSON does not have,
// become 0.
func appendFloat(dst []byte, v float64, bits int) []byte {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return append(dst, '0')
	}
	return jsontext.AppendNumber(dst, v, bits)
}
