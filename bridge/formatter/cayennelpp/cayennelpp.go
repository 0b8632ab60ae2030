// Package cayennelpp reads and writes CayenneLPP, the payload of channels, types
// and values, with the names of The Things Stack.
package cayennelpp

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"lorawand/bridge/jsontext"
	"lorawand/bridge/order"
)

// kind is a type of CayenneLPP: one or more numbers of size bytes each, big
// endian, in units of 1/per.
//
// Source: https://docs.mydevices.com/docs/lorawan/cayenne-lpp for the first
// twelve; the others as the encoders of the field have them
// (ElectronicCats/CayenneLPP).
type kind struct {
	code   byte
	name   string
	parts  []part
	signed bool
	stack  bool // known to The Things Stack
}

// part is a number of a type; a type with one number has no names for it.
type part struct {
	name string
	size int
	per  float64
}

func number(size int, per float64) []part { return []part{{"", size, per}} }

func axes(per float64) []part { return []part{{"x", 2, per}, {"y", 2, per}, {"z", 2, per}} }

var kinds = []kind{
	{0x00, "digital_in", number(1, 1), false, true},
	{0x01, "digital_out", number(1, 1), false, true},
	{0x02, "analog_in", number(2, 100), true, true},
	{0x03, "analog_out", number(2, 100), true, true},
	{0x64, "generic", number(4, 1), false, false},
	{0x65, "luminosity", number(2, 1), false, true},
	{0x66, "presence", number(1, 1), false, true},
	{0x67, "temperature", number(2, 10), true, true},
	{0x68, "relative_humidity", number(1, 2), false, true},
	{0x71, "accelerometer", axes(1000), true, true},
	{0x73, "barometric_pressure", number(2, 10), false, true},
	{0x74, "voltage", number(2, 100), false, false},
	{0x75, "current", number(2, 1000), false, false},
	{0x76, "frequency", number(4, 1), false, false},
	{0x78, "percentage", number(1, 1), false, false},
	{0x79, "altitude", number(2, 1), true, false},
	{0x7d, "concentration", number(2, 1), false, false},
	{0x80, "power", number(2, 1), false, false},
	{0x82, "distance", number(4, 1000), false, false},
	{0x83, "energy", number(4, 1000), false, false},
	{0x84, "direction", number(2, 1), false, false},
	{0x85, "time", number(4, 1), false, false},
	{0x86, "gyrometer", axes(100), true, true},
	{0x87, "colour", []part{{"r", 1, 1}, {"g", 1, 1}, {"b", 1, 1}}, false, false},
	{0x88, "gps", []part{{"latitude", 3, 10000}, {"longitude", 3, 10000}, {"altitude", 3, 100}}, true, true},
	{0x8e, "switch", number(1, 1), false, false},
}

// valueName is the name of a number without a type, in a downlink: a channel
// and an integer of two bytes in hundredths.
const valueName = "value"

// endChannel is the channel that ends a downlink.
const endChannel = 0xff

// Decode reads an uplink, until its end or until an item that cannot be read:
// the error says where that is, the data is what came before it. A strict one
// knows the twelve types of The Things Stack only.
func Decode(b []byte, strict bool) (jsontext.Object, error) {
	data := jsontext.Object{}
	for at := 0; at < len(b); {
		n, err := decodeItem(b[at:], strict, data)
		if err != nil {
			return data, fmt.Errorf("byte %d: %w", at+1, err)
		}
		at += n
	}
	return data, nil
}

// decodeItem reads a channel, a type and what belongs to it, and returns the
// length of all.
func decodeItem(b []byte, strict bool, into jsontext.Object) (int, error) {
	if len(b) < 2 {
		return 0, errors.New("item is cut short")
	}
	t, known := byCode(b[1])
	if !known || strict && !t.stack {
		return 0, fmt.Errorf("unknown type 0x%02x", b[1])
	}
	parts, at := jsontext.Object{}, 2
	for _, p := range t.parts {
		if len(b) < at+p.size {
			return 0, fmt.Errorf("%s is cut short", t.name)
		}
		parts[p.name] = float64(bigEndian(b[at:at+p.size], t.signed)) / p.per
		at += p.size
	}
	name := t.name + "_" + strconv.Itoa(int(b[0]))
	if len(t.parts) == 1 {
		into[name] = parts[""]
	} else {
		into[name] = parts
	}
	return at, nil
}

func byCode(code byte) (kind, bool) {
	i, found := slices.BinarySearchFunc(kinds, code, func(t kind, c byte) int { return cmp.Compare(t.code, c) })
	if !found {
		return kind{}, false
	}
	return kinds[i], true
}

func bigEndian(b []byte, signed bool) int64 {
	var v int64
	for _, c := range b {
		v = v<<8 | int64(c)
	}
	if signed && b[0]&0x80 != 0 {
		v -= 1 << (8 * len(b))
	}
	return v
}

// DecodeDownlink reads channels with a number of two bytes each.
func DecodeDownlink(b []byte) (jsontext.Object, error) {
	data := jsontext.Object{}
	for len(b) > 0 && b[0] != endChannel {
		if len(b) < 3 {
			return nil, errors.New("value is cut short")
		}
		data[valueName+"_"+strconv.Itoa(int(b[0]))] = float64(bigEndian(b[1:3], true)) / 100
		b = b[3:]
	}
	return data, nil
}

// Encode writes those members of a JSON object that it can as a downlink, in
// the order of their channels, and skips others, as The Things Stack does.
func Encode(object []byte) ([]byte, error) {
	var data map[string]json.RawMessage
	if json.Unmarshal(object, &data) != nil {
		return nil, errors.New("decoded_payload is not a JSON object")
	}
	type item struct {
		channel uint64
		name    string
		value   json.RawMessage
	}
	var items []item
	for key, v := range data {
		i := strings.LastIndexByte(key, '_')
		if i < 0 {
			continue
		}
		if channel, err := strconv.ParseUint(key[i+1:], 10, 8); err == nil {
			items = append(items, item{channel, key[:i], v})
		}
	}
	order.By(items, func(a, b item) int {
		return cmp.Or(cmp.Compare(a.channel, b.channel), cmp.Compare(a.name, b.name),
			cmp.Compare(string(a.value), string(b.value)))
	})
	var b []byte
	for _, it := range items {
		b = appendItem(b, byte(it.channel), it.name, it.value)
	}
	return b, nil
}

// appendItem appends a member, or nothing if it is none that can be sent.
func appendItem(dst []byte, channel byte, name string, value json.RawMessage) []byte {
	if name == valueName {
		var v float64
		if json.Unmarshal(value, &v) != nil || string(value) == "null" {
			return dst
		}
		// The Things Stack multiplies with 24 bits of precision and cuts.
		return appendBig(append(dst, channel), cut(float64(float32(v)*100)), 2)
	}
	i := slices.IndexFunc(kinds, func(t kind) bool { return t.name == name })
	if i < 0 {
		return dst
	}
	t := kinds[i]
	parts := map[string]float64{}
	if len(t.parts) > 1 {
		if json.Unmarshal(value, &parts) != nil || len(parts) == 0 {
			return dst
		}
	} else {
		var v float64
		if json.Unmarshal(value, &v) != nil || string(value) == "null" {
			return dst
		}
		parts[""] = v
	}
	dst = append(dst, channel, t.code)
	for _, p := range t.parts {
		dst = appendBig(dst, cut(math.Round(parts[p.name]*p.per)), p.size)
	}
	return dst
}

// cut makes an integer of a number; what is beyond all of them becomes 0.
func cut(v float64) int64 {
	if math.Abs(v) >= 1<<62 {
		return 0
	}
	return int64(v)
}

// appendBig appends the low bytes of v, the highest of them first.
func appendBig(dst []byte, v int64, size int) []byte {
	for i := size - 1; i >= 0; i-- {
		dst = append(dst, byte(v>>(8*i)))
	}
	return dst
}
