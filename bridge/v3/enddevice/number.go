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
	inner, err := value(b)
	if inner == nil || err != nil {
		n.set = n.set || b[0] == '{' // a wrapped zero
		return err
	}
	text := string(inner)
	if inner[0] == '"' {
		if err := json.Unmarshal(inner, &text); err != nil {
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
	inner, err := value(b)
	if inner == nil || err != nil {
		w.set = w.set || b[0] == '{' // a wrapped false
		return err
	}
	w.set = true
	return json.Unmarshal(inner, &w.v)
}
