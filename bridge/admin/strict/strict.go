// Package strict reads JSON into structs and refuses members that these do not have. What it reads
// may be large beside the memory of a gateway: it copies nothing of it but what the structs hold.
package strict

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
)

// small is what a json.Decoder may read, in bytes: it copies all, with twice the room while it grows.
const small = 64 << 10

// Unmarshal reads one JSON value into what v points to. A json.RawMessage in it may be a part of b,
// which is not to be changed any more.
func Unmarshal(b []byte, v any) error {
	to := reflect.ValueOf(v).Elem()
	switch {
	case len(b) <= small:
		return decode(b, v)
	case to.Type() == reflect.TypeFor[json.RawMessage]():
		to.SetBytes(b)
	case reads(v):
		return json.Unmarshal(b, v)
	case to.Kind() == reflect.Struct:
		return object(b, to)
	case to.Kind() == reflect.Slice && to.Type().Elem().Kind() != reflect.Uint8:
		return list(b, to)
	default:
		return json.Unmarshal(b, v)
	}
	return nil
}

// reads reports whether a value reads JSON itself.
func reads(v any) bool {
	_, ok := v.(json.Unmarshaler)
	return ok
}

func decode(b []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one JSON value")
	}
	return nil
}

// part is a part of what json.Unmarshal reads, as it stands there: no copy.
type part []byte

// UnmarshalJSON implements json.Unmarshaler.
func (p *part) UnmarshalJSON(b []byte) error {
	*p = b
	return nil
}

func object(b []byte, to reflect.Value) error {
	var members map[string]part
	if err := json.Unmarshal(b, &members); err != nil {
		return err
	}
	for name, p := range members {
		field, ok := fieldOf(to, name)
		if !ok {
			return fmt.Errorf("unknown field %.40q", name)
		}
		if err := Unmarshal(p, field.Addr().Interface()); err != nil {
			return fmt.Errorf("%.40s: %w", name, err)
		}
	}
	return nil
}

// fieldOf finds a member by the name that encoding/json gives it.
func fieldOf(of reflect.Value, name string) (reflect.Value, bool) {
	for _, f := range reflect.VisibleFields(of.Type()) {
		is, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if is == "" {
			is = f.Name
		}
		if f.IsExported() && !f.Anonymous && strings.EqualFold(is, name) {
			field, err := of.FieldByIndexErr(f.Index)
			return field, err == nil
		}
	}
	return reflect.Value{}, false
}

func list(b []byte, to reflect.Value) error {
	var parts []part
	if err := json.Unmarshal(b, &parts); err != nil {
		return err
	}
	to.Set(reflect.MakeSlice(to.Type(), len(parts), len(parts)))
	raw := to.Type().Elem() == reflect.TypeFor[json.RawMessage]()
	for i, p := range parts {
		if raw {
			to.Index(i).SetBytes(p)
			continue
		}
		if err := Unmarshal(p, to.Index(i).Addr().Interface()); err != nil {
			return err
		}
	}
	return nil
}
