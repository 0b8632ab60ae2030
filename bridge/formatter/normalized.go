package formatter

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"lorawand/bridge/jsontext"
)

// field is a member of the normalized payload: a number within limits, a time, yes
// or no, one of some texts, or an object of further fields.
//
// Source: lib/payload.json of TheThingsNetwork/lorawan-devices, of 2026: makers'
// scripts give what it has more than in 2023, where The Things Stack 3.32.1 stays.
type field struct {
	name     string
	min, max float64 // of a number; no max: 0
	below    bool    // max itself is not allowed
	isTime   bool
	isBool   bool
	texts    []string // nothing else is allowed
	fields   []field
}

const (
	coldest = -273.15 // °C
	million = 1e6     // ppm
)

// measurement is the schema of one element of normalized_payload.
var measurement = []field{
	{name: "time", isTime: true},
	{name: "battery"}, // V
	{name: "soil", fields: []field{
		{name: "depth"}, // cm
		{name: "moisture", max: 100},
		{name: "temperature", min: coldest},
		{name: "ec", max: 621}, // dS/m
		{name: "pH", max: 14},
		{name: "n", max: million},
		{name: "p", max: million},
		{name: "k", max: million},
	}},
	{name: "air", fields: []field{
		{name: "location", texts: []string{"indoor", "outdoor"}},
		{name: "temperature", min: coldest},
		{name: "relativeHumidity", max: 100},
		{name: "pressure", min: 900, max: 1100}, // hPa
		{name: "co2", max: million},
		{name: "lightIntensity"}, // lux
	}},
	{name: "wind", fields: []field{
		{name: "speed"}, // m/s
		{name: "direction", max: 360, below: true},
	}},
	{name: "rain", fields: []field{
		{name: "intensity"},  // mm/h
		{name: "cumulative"}, // mm
	}},
	{name: "water", fields: []field{
		{name: "leak", isBool: true},
		{name: "temperature", fields: []field{
			{name: "min", min: coldest},
			{name: "max", min: coldest},
			{name: "avg", min: coldest},
			{name: "current", min: coldest},
		}},
	}},
	{name: "metering", fields: []field{
		{name: "water", fields: []field{{name: "total"}}}, // l
	}},
	{name: "action", fields: []field{
		{name: "motion", fields: []field{{name: "detected", isBool: true}, {name: "count"}}},
		{name: "contactState", texts: []string{"open", "closed"}},
	}},
	{name: "position", fields: []field{
		{name: "latitude", min: -90, max: 90},
		{name: "longitude", min: -180, max: 180},
	}},
}

// normalize checks measurements against the schema. A number out of its range or a
// text that is not allowed is left out, with a warning; anything else that does not
// fit is an error for all of them.
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
	for i := range fields {
		f := &fields[i]
		v, there := src[f.name]
		if !there {
			continue
		}
		path := prefix + f.name
		if f.fields == nil {
			wrong, err := f.check(v, path)
			switch {
			case err != nil:
				return nil, nil, err
			case wrong != "":
				bad = append(bad, wrong)
			default:
				good[f.name] = v
			}
			continue
		}
		sub, isObject := v.(jsontext.Object)
		if !isObject {
			return nil, nil, fieldType(path)
		}
		g, b, err := checkFields(f.fields, sub, path+".")
		if err != nil {
			return nil, nil, err
		}
		bad = append(bad, b...)
		if len(g) > 0 {
			good[f.name] = g
		}
	}
	return good, bad, nil
}

// check says why a value is to be left out; a value of another type is an error.
func (f *field) check(v any, path string) (wrong string, err *Error) {
	ok := false
	switch v := v.(type) {
	case bool:
		ok = f.isBool
	case string:
		if f.isTime {
			return "", checkTime(v, path)
		}
		if ok = f.texts != nil; ok && !slices.Contains(f.texts, v) {
			wrong = "`" + path + "` should be one of `" + strings.Join(f.texts, "`, `") + "`"
		}
	case float64:
		if ok = !f.isBool && !f.isTime && f.texts == nil; ok {
			wrong = f.outside(v, path)
		}
	}
	if !ok {
		return "", fieldType(path)
	}
	return wrong, nil
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

func checkTime(s, path string) *Error {
	if _, err := time.Parse(time.RFC3339Nano, s); err != nil {
		return fieldType(path)
	}
	return nil
}

// outside says which limit a number passes.
func (f *field) outside(v float64, path string) string {
	name := "`" + path + "` should be "
	switch {
	case v < f.min:
		return name + "equal or greater than `" + short(f.min) + "`"
	case f.below && v >= f.max:
		return name + "less than `" + short(f.max) + "`"
	case f.max != 0 && v > f.max:
		return name + "equal or less than `" + short(f.max) + "`"
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
