package formatter

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// lppType is a type of CayenneLPP: one or more numbers of size bytes each, big
// endian, in units of 1/per.
//
// Source: https://docs.mydevices.com/docs/lorawan/cayenne-lpp for the first
// twelve; the others as the encoders of the field have them
// (ElectronicCats/CayenneLPP).
type lppType struct {
	code   byte
	name   string
	parts  []lppPart
	signed bool
	stack  bool // known to The Things Stack
}

// lppPart is a number of a type; a type with one number has no names for it.
type lppPart struct {
	name string
	size int
	per  float64
}

func lppNumber(size int, per float64) []lppPart { return []lppPart{{"", size, per}} }

func lppAxes(per float64) []lppPart { return []lppPart{{"x", 2, per}, {"y", 2, per}, {"z", 2, per}} }

var lppTypes = []lppType{
	{0x00, "digital_in", lppNumber(1, 1), false, true},
	{0x01, "digital_out", lppNumber(1, 1), false, true},
	{0x02, "analog_in", lppNumber(2, 100), true, true},
	{0x03, "analog_out", lppNumber(2, 100), true, true},
	{0x64, "generic", lppNumber(4, 1), false, false},
	{0x65, "luminosity", lppNumber(2, 1), false, true},
	{0x66, "presence", lppNumber(1, 1), false, true},
	{0x67, "temperature", lppNumber(2, 10), true, true},
	{0x68, "relative_humidity", lppNumber(1, 2), false, true},
	{0x71, "accelerometer", lppAxes(1000), true, true},
	{0x73, "barometric_pressure", lppNumber(2, 10), false, true},
	{0x74, "voltage", lppNumber(2, 100), false, false},
	{0x75, "current", lppNumber(2, 1000), false, false},
	{0x76, "frequency", lppNumber(4, 1), false, false},
	{0x78, "percentage", lppNumber(1, 1), false, false},
	{0x79, "altitude", lppNumber(2, 1), true, false},
	{0x7d, "concentration", lppNumber(2, 1), false, false},
	{0x80, "power", lppNumber(2, 1), false, false},
	{0x82, "distance", lppNumber(4, 1000), false, false},
	{0x83, "energy", lppNumber(4, 1000), false, false},
	{0x84, "direction", lppNumber(2, 1), false, false},
	{0x85, "time", lppNumber(4, 1), false, false},
	{0x86, "gyrometer", lppAxes(100), true, true},
	{0x87, "colour", []lppPart{{"r", 1, 1}, {"g", 1, 1}, {"b", 1, 1}}, false, false},
	{0x88, "gps", []lppPart{{"latitude", 3, 10000}, {"longitude", 3, 10000}, {"altitude", 3, 100}}, true, true},
	{0x8e, "switch", lppNumber(1, 1), false, false},
}

// lppValue is the name of a number without a type, in a downlink: a channel
// and an integer of two bytes in hundredths.
const lppValue = "value"

// lppEnd is the channel that ends a downlink.
const lppEnd = 0xff

func runCayenneLPP(r Request) Result {
	switch r.Task {
	case DecodeUplink:
		return decodeLPP(r.Bytes, r.Formatter.strict)
	case DecodeDownlink:
		return decodeLPPDownlink(r.Bytes)
	default:
		return encodeLPP(r)
	}
}

func lppOutput(format string, args ...any) *Error {
	return &Error{
		Namespace: inCayenneLPP, Name: "output", Code: codeInvalidArgument, MessageFormat: "invalid output",
		Cause: ours("cayenne_lpp", codeInvalidArgument, fmt.Sprintf(format, args...)),
	}
}

// decodeLPP reads items until the end, or until one that cannot be read: what
// came before it is kept, and a warning says where it stopped.
func decodeLPP(b []byte, strict bool) Result {
	data := object{}
	for at := 0; at < len(b); {
		n, err := decodeItem(b[at:], strict, data)
		if err != nil {
			e := lppOutput("byte %d: %v", at+1, err)
			if len(data) == 0 {
				return failed(DecodeUplink, e)
			}
			return Result{Data: appendJSON(nil, data), Warnings: []string{e.Error()}}
		}
		at += n
	}
	return Result{Data: appendJSON(nil, data)}
}

// decodeItem reads a channel, a type and what belongs to it, and returns the
// length of all.
func decodeItem(b []byte, strict bool, into object) (int, error) {
	if len(b) < 2 {
		return 0, fmt.Errorf("item is cut short")
	}
	t, known := lppByCode(b[1])
	if !known || strict && !t.stack {
		return 0, fmt.Errorf("unknown type 0x%02x", b[1])
	}
	parts, at := object{}, 2
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

func lppByCode(code byte) (lppType, bool) {
	i, found := slices.BinarySearchFunc(lppTypes, code, func(t lppType, c byte) int { return cmp.Compare(t.code, c) })
	if !found {
		return lppType{}, false
	}
	return lppTypes[i], true
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

// decodeLPPDownlink reads channels with a number of two bytes each.
func decodeLPPDownlink(b []byte) Result {
	data := object{}
	for len(b) > 0 && b[0] != lppEnd {
		if len(b) < 3 {
			return failed(DecodeDownlink, lppOutput("value is cut short"))
		}
		data[lppValue+"_"+strconv.Itoa(int(b[0]))] = float64(bigEndian(b[1:3], true)) / 100
		b = b[3:]
	}
	return Result{Data: appendJSON(nil, data)}
}

// encodeLPP writes the members that it can, in the order of their channels,
// and skips others, as The Things Stack does.
func encodeLPP(r Request) Result {
	var data map[string]json.RawMessage
	if err := json.Unmarshal(r.Data, &data); err != nil {
		return failed(EncodeDownlink, &Error{
			Namespace: inCayenneLPP, Name: "input", Code: codeInvalidArgument, MessageFormat: "invalid input",
			Cause: ours("decoded_payload", codeInvalidArgument, "decoded_payload is not a JSON object"),
		})
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
	slices.SortFunc(items, func(a, b item) int {
		return cmp.Or(cmp.Compare(a.channel, b.channel), cmp.Compare(a.name, b.name), cmp.Compare(string(a.value), string(b.value)))
	})
	res := Result{FPort: max(r.FPort, 1)}
	for _, it := range items {
		res.Bytes = appendItem(res.Bytes, byte(it.channel), it.name, it.value)
	}
	return res
}

// appendItem appends a member, or nothing if it is none that can be sent.
func appendItem(dst []byte, channel byte, name string, value json.RawMessage) []byte {
	if name == lppValue {
		var v float64
		if json.Unmarshal(value, &v) != nil || string(value) == "null" {
			return dst
		}
		// The Things Stack multiplies with 24 bits of precision and cuts.
		return appendBig(append(dst, channel), cut(float64(float32(v)*100)), 2)
	}
	i := slices.IndexFunc(lppTypes, func(t lppType) bool { return t.name == name })
	if i < 0 {
		return dst
	}
	t := lppTypes[i]
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
