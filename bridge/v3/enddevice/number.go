package enddevice

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"lorawand/radio"
)

// number is an integer that may be written as a string, as the name of an
// enumeration that ends in it (RX_DELAY_5), or wrapped into {"value": …}.
type number struct {
	v   uint64
	set bool
}

// IsZero reports whether there is none.
func (n number) IsZero() bool { return !n.set }

// MarshalJSON implements json.Marshaler.
func (n number) MarshalJSON() ([]byte, error) { return strconv.AppendUint(nil, n.v, 10), nil }

// UnmarshalJSON implements json.Unmarshaler.
func (n *number) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	text := string(b)
	switch b[0] {
	case '{':
		var w struct {
			Value json.RawMessage `json:"value"`
		}
		if err := json.Unmarshal(b, &w); err != nil {
			return err
		}
		n.set = true
		if len(w.Value) == 0 {
			return nil // a wrapped zero
		}
		if w.Value[0] == '{' {
			return fmt.Errorf("not a number: %.40s", b)
		}
		return n.UnmarshalJSON(w.Value)
	case '"':
		if err := json.Unmarshal(b, &text); err != nil {
			return err
		}
		text = text[strings.LastIndexByte(text, '_')+1:]
	}
	v, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return fmt.Errorf("not a number: %.40s", b)
	}
	*n = number{v, true}
	return nil
}

// some returns a number that is left out where it is 0.
func some[T uint8 | uint16 | uint32](v T) number { return number{uint64(v), v != 0} }

// optional returns a number that is left out where there is none.
func optional(v *uint8) number {
	if v == nil {
		return number{}
	}
	return number{uint64(*v), true}
}

// bigNumber is a number of 64 bits, which The Things Stack writes as a string.
type bigNumber struct{ number }

// MarshalJSON implements json.Marshaler.
func (n bigNumber) MarshalJSON() ([]byte, error) {
	return append(strconv.AppendUint([]byte{'"'}, n.v, 10), '"'), nil
}

func frequency(f radio.Frequency) bigNumber { return bigNumber{some(uint32(f))} }

// wrappedBool is a bool that may be wrapped into {"value": …}.
type wrappedBool struct{ v, set bool }

// optional returns nil where there is none.
func (w wrappedBool) optional() *bool {
	if !w.set {
		return nil
	}
	return &w.v
}

// boolOf is the way back.
func boolOf(v *bool) wrappedBool {
	if v == nil {
		return wrappedBool{}
	}
	return wrappedBool{*v, true}
}

// IsZero reports whether there is none.
func (w wrappedBool) IsZero() bool { return !w.set }

// MarshalJSON implements json.Marshaler.
func (w wrappedBool) MarshalJSON() ([]byte, error) { return strconv.AppendBool(nil, w.v), nil }

// UnmarshalJSON implements json.Unmarshaler.
func (w *wrappedBool) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	w.set = true
	if b[0] != '{' {
		return json.Unmarshal(b, &w.v)
	}
	var j struct {
		Value bool `json:"value"`
	}
	err := json.Unmarshal(b, &j)
	w.v = j.Value
	return err
}
