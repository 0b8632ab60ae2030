package config

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// envPrefix begins the name of every variable. LORAWAND_MQTT_LISTEN is the key
// listen of the table [mqtt], LORAWAND_GATEWAY_0_EUI the key eui of the first
// [[gateway]]. Lists are separated by commas; an empty text is an empty list.
const envPrefix = "LORAWAND_"

// maxEnvGateways bounds the number in the name of a gateway's variable.
const maxEnvGateways = 100

// environment are the values of variables that have not been used yet, by their
// names without the prefix; and the variables that were, by the keys that they
// set.
type environment struct {
	values map[string]string
	set    map[string]string
	faults faults
}

// override sets what variables of the form "NAME=value" say. A variable that
// begins as those of a table do must be one of its keys; others are left alone.
// It returns the variables by the keys that they have set.
func (c *Config) override(environ []string) (map[string]string, faults) {
	e := environment{values: map[string]string{}, set: map[string]string{}}
	for _, v := range environ {
		name, value, _ := strings.Cut(v, "=")
		if name, ours := strings.CutPrefix(name, envPrefix); ours {
			e.values[name] = value
		}
	}
	if len(e.values) == 0 {
		return nil, nil
	}
	v := reflect.ValueOf(c).Elem()
	e.table(v, "", "")
	for _, name := range e.left(v.Type()) {
		e.faults.add(envPrefix+name, "no such key")
	}
	return e.set, e.faults
}

// left lists the variables that begin with the name of a table.
func (e *environment) left(tables reflect.Type) (out []string) {
	for name := range e.values {
		for i := range tables.NumField() {
			if strings.HasPrefix(name, variable(tables.Field(i))+"_") {
				out = append(out, name)
				break
			}
		}
	}
	slices.Sort(out)
	return out
}

// variable returns the part of a variable's name that a key has.
func variable(f reflect.StructField) string { return strings.ToUpper(f.Tag.Get("toml")) }

// table sets the keys of a table. name and key are its own, with the separators
// behind them.
func (e *environment) table(v reflect.Value, name, key string) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		e.field(v.Field(i), name+variable(f), key+f.Tag.Get("toml"))
	}
}

func (e *environment) field(v reflect.Value, name, key string) {
	_, isText := v.Addr().Interface().(encoding.TextUnmarshaler)
	switch {
	case isText:
		e.value(v, name, key)
	case v.Kind() == reflect.Struct:
		e.table(v, name+"_", key+".")
	case v.Kind() == reflect.Pointer && v.Type().Elem().Kind() == reflect.Struct:
		if !e.any(name + "_") {
			return
		}
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		e.table(v.Elem(), name+"_", key+".")
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct:
		for i := 0; i < maxEnvGateways && (i < v.Len() || e.any(fmt.Sprintf("%s_%d_", name, i))); i++ {
			if i == v.Len() {
				v.Set(reflect.Append(v, reflect.Zero(v.Type().Elem())))
			}
			e.table(v.Index(i), fmt.Sprintf("%s_%d_", name, i), fmt.Sprintf("%s[%d].", key, i))
		}
	default:
		e.value(v, name, key)
	}
}

// any reports whether a variable begins so.
func (e *environment) any(name string) bool {
	for n := range e.values {
		if strings.HasPrefix(n, name) {
			return true
		}
	}
	return false
}

// value sets one key, if there is a variable for it.
func (e *environment) value(v reflect.Value, name, key string) {
	text, ok := e.values[name]
	if !ok {
		return
	}
	delete(e.values, name)
	e.set[key] = envPrefix + name
	if err := setValue(v, text); err != nil {
		e.faults.add(envPrefix+name, "%v", err)
	}
}

func setValue(v reflect.Value, text string) error {
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(text))
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return setValue(v.Elem(), text)
	case reflect.String:
		v.SetString(text)
	case reflect.Slice:
		list := []string{}
		for part := range strings.SplitSeq(text, ",") {
			if part = strings.TrimSpace(part); part != "" {
				list = append(list, part)
			}
		}
		v.Set(reflect.ValueOf(list))
	case reflect.Bool:
		if text != "true" && text != "false" {
			return fmt.Errorf("%.40q, must be true or false", text)
		}
		v.SetBool(text == "true")
	case reflect.Int, reflect.Int32:
		n, err := strconv.ParseInt(text, 10, v.Type().Bits())
		if err != nil {
			return fmt.Errorf("%.40q, must be a whole number", text)
		}
		v.SetInt(n)
	case reflect.Float64:
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Errorf("%.40q, must be a number", text)
		}
		v.SetFloat(n)
	default:
		return fmt.Errorf("cannot be set by a variable") // not reached: a test sets every key
	}
	return nil
}
