package formatter

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"lorawand/bridge/jsontext"
)

// field is a member of the normalized payload: a number within limits, a time,
// or an object of further fields.
//
// Source: lib/payload.json of TheThingsNetwork/lorawan-devices.
type field struct {
	name     string
	min, max *float64
	below    bool // max itself is not allowed
	isTime   bool
	fields   []field
}

func limit(v float64) *float64 { return &v }

// Kinds of numbers of the schema.
func number(name string, min, max *float64) field { return field{name: name, min: min, max: max} }
func celsius(name string) field                   { return number(name, limit(-273.15), nil) }
func percent(name string) field                   { return number(name, limit(0), limit(100)) }
func ppm(name string) field                       { return number(name, limit(0), limit(1e6)) }
func positive(name string) field                  { return number(name, limit(0), nil) }

// measurement is the schema of one element of normalized_payload.
var measurement = []field{
	{name: "time", isTime: true},
	{name: "soil", fields: []field{
		positive("depth"), // cm
		percent("moisture"),
		celsius("temperature"),
		number("ec", limit(0), limit(621)), // dS/m
		number("pH", limit(0), limit(14)),
		ppm("n"), ppm("p"), ppm("k"),
	}},
	{name: "air", fields: []field{
		celsius("temperature"),
		percent("relativeHumidity"),
		number("pressure", limit(900), limit(1100)), // hPa
		ppm("co2"),
		positive("lightIntensity"), // lux
	}},
	{name: "wind", fields: []field{
		positive("speed"), // m/s
		{name: "direction", min: limit(0), max: limit(360), below: true},
	}},
}

// normalize checks measurements against the schema. A number out of its range
// is left out, with a warning; anything else that does not fit is an error for
// all of them.
func normalize(measurements []jsontext.Object) (valid [][]byte, warnings []string, err *Error) {
	for i, m := range measurements {
		good, bad, err := checkFields(measurement, m, "")
		if err != nil {
			return nil, nil, err
		}
		for _, w := range bad {
			warnings = append(warnings, fmt.Sprintf("measurement %d: %s", i+1, w))
		}
		if len(good) > 0 {
			valid = append(valid, jsontext.Append(nil, good))
		}
	}
	return valid, warnings, nil
}

// checkFields returns the members of src that are good, and what is wrong with
// others.
func checkFields(fields []field, src jsontext.Object, prefix string) (good jsontext.Object, bad []string, err *Error) {
	if e := checkNames(fields, src, prefix); e != nil {
		return nil, nil, e
	}
	good = jsontext.Object{}
	for _, f := range fields {
		v, there := src[f.name]
		if !there {
			continue
		}
		path := prefix + f.name
		switch sub, isObject := v.(jsontext.Object); {
		case f.fields != nil && isObject:
			g, b, err := checkFields(f.fields, sub, path+".")
			if err != nil {
				return nil, nil, err
			}
			bad = append(bad, b...)
			if len(g) > 0 {
				good[f.name] = g
			}
		case f.fields != nil:
			return nil, nil, fieldType(path)
		case f.isTime:
			if err := checkTime(v, path); err != nil {
				return nil, nil, err
			}
			good[f.name] = v
		default:
			n, isNumber := v.(float64)
			if !isNumber {
				return nil, nil, fieldType(path)
			}
			if wrong := f.outside(n, path); wrong != "" {
				bad = append(bad, wrong)
			} else {
				good[f.name] = n
			}
		}
	}
	return good, bad, nil
}

// checkNames refuses members that the schema does not have. Of several, it
// names the first in the order of the alphabet.
func checkNames(fields []field, src jsontext.Object, prefix string) *Error {
	var unknown []string
	for name := range src {
		if !slices.ContainsFunc(fields, func(f field) bool { return f.name == name }) {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	return unknownField(prefix + slices.Min(unknown))
}

func checkTime(v any, path string) *Error {
	s, isText := v.(string)
	if !isText {
		return fieldType(path)
	}
	if _, err := time.Parse(time.RFC3339Nano, s); err != nil {
		return fieldType(path)
	}
	return nil
}

// outside says which limit a number passes.
func (f field) outside(v float64, path string) string {
	name := "`" + path + "` should be "
	switch {
	case f.min != nil && v < *f.min:
		return name + "equal or greater than `" + short(*f.min) + "`"
	case f.max != nil && f.below && v >= *f.max:
		return name + "less than `" + short(*f.max) + "`"
	case f.max != nil && !f.below && v > *f.max:
		return name + "equal or less than `" + short(*f.max) + "`"
	default:
		return ""
	}
}

func short(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

func fieldType(path string) *Error {
	return normalizedError("field_type", "invalid field type of `{path}`", path)
}

func unknownField(path string) *Error {
	return normalizedError("unknown_field", "unknown field `{path}`", path)
}

func normalizedError(name, format, path string) *Error {
	return &Error{
		Namespace: inNormalized, Name: name, Code: codeInvalidArgument, MessageFormat: format,
		Attributes: []Attribute{{"path", path}},
	}
}
