package config

import (
	"encoding"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// envPrefix begins the names of variables that override keys:
// LORAWAND_MQTT_LIMITS_CLIENTS is mqtt.limits.clients. For gateways see
// gatewayVariable.
const envPrefix = "LORAWAND_"

// override sets the keys that variables name, given as "name=value". It returns
// every wrong value, and every name that begins like a table but is not a key. It
// ignores other variables.
func (c *Config) override(environ []string) error {
	var f faults
	variables := map[string]reflect.Value{}
	for key, v := range c.keys() {
		variables[variable(key)] = v
	}
	var ofGateways []gatewayVariable
	for _, v := range slices.Sorted(slices.Values(environ)) {
		name, text, _ := strings.Cut(v, "=")
		key, known := variables[name]
		gateway, ofGateway := parseGatewayVariable(name, text)
		switch {
		case ofGateway:
			ofGateways = append(ofGateways, gateway)
		case known:
			if err := setKey(key, text); err != nil {
				f.add("$"+name, "%v", err)
			}
		case ofTable(name):
			f.add("$"+name, "unknown key%s", didYouMean(Nearest(name, slices.Sorted(maps.Keys(variables))), "$"))
		}
	}
	c.overrideGateways(ofGateways, &f)
	return f.err()
}

// Unknown returns a line for each variable that begins like ours and sets no key: most
// likely a mistake. It is no fault, because others may choose such names, as container
// engines do for a service called lorawand.
func Unknown(environ []string) (lines []string) {
	var c Config
	known := map[string]bool{pathVariable: true}
	for key := range c.keys() {
		known[variable(key)] = true
	}
	for _, v := range slices.Sorted(slices.Values(environ)) {
		name, text, _ := strings.Cut(v, "=")
		_, ofGateway := parseGatewayVariable(name, text)
		if known[name] || ofGateway || ofTable(name) || !strings.HasPrefix(name, envPrefix) {
			continue
		}
		line := "$" + name + ": no such key, it is ignored"
		var words []string // which all names begin alike
		for _, k := range slices.Sorted(maps.Keys(known)) {
			words = append(words, strings.TrimPrefix(k, envPrefix))
		}
		line += didYouMean(Nearest(strings.TrimPrefix(name, envPrefix), words), "$"+envPrefix)
		lines = append(lines, line)
	}
	return lines
}

// blame adds the variable's name to each fault of a key that a variable has set.
func blame(err error, environ []string) error {
	var out faults
	for _, f := range faultsOf(err) {
		key, _, _ := strings.Cut(f.Error(), ": ")
		if m := gatewayFault.FindStringSubmatch(key); m != nil {
			key = "gateway." + m[1] + "." + m[2]
		}
		key, _, _ = strings.Cut(key, "[") // an item of a list
		name := variable(key)
		if slices.ContainsFunc(environ, func(v string) bool { return strings.HasPrefix(v, name+"=") }) {
			f = fmt.Errorf("$%s: %w", name, f)
		}
		out = append(out, f)
	}
	return out.err()
}

// variable returns the name of the variable of a key.
func variable(key string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// keys returns every key except those of gateways, such as "mqtt.limits.clients",
// with its value.
func (c *Config) keys() map[string]reflect.Value {
	keys := map[string]reflect.Value{}
	var collect func(prefix string, table reflect.Value)
	collect = func(prefix string, table reflect.Value) {
		for i := range table.NumField() {
			name := prefix + table.Type().Field(i).Tag.Get("toml")
			switch v := table.Field(i); {
			case v.Kind() == reflect.Struct && v.Type() != reflect.TypeFor[Duration]():
				collect(name+".", v)
			case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct: // of [[…]]
			default:
				keys[name] = v
			}
		}
	}
	collect("", reflect.ValueOf(c).Elem())
	return keys
}

// Restart returns the keys that differ between two configurations and need a
// restart, sorted: all but those of gateways and log.level.
func (c *Config) Restart(next *Config) (keys []string) {
	theirs := next.keys()
	for name, v := range c.keys() {
		if name != "log.level" && !reflect.DeepEqual(v.Interface(), theirs[name].Interface()) {
			keys = append(keys, name)
		}
	}
	tables, theirTables := reflect.ValueOf(c).Elem(), reflect.ValueOf(next).Elem()
	for i := range tables.NumField() {
		name := tables.Type().Field(i).Tag.Get("toml")
		if tables.Field(i).Kind() == reflect.Slice && name != "gateway" &&
			!reflect.DeepEqual(tables.Field(i).Interface(), theirTables.Field(i).Interface()) {
			keys = append(keys, name)
		}
	}
	slices.Sort(keys)
	return keys
}

// ofTable reports whether a variable's name begins like one of our tables.
func ofTable(name string) bool {
	t := reflect.TypeFor[Config]()
	for i := range t.NumField() {
		if strings.HasPrefix(name, variable(t.Field(i).Tag.Get("toml"))+"_") {
			return true
		}
	}
	return false
}

// setKey reads a value as in the file, but without quotation marks; commas separate
// the values of a list.
func setKey(v reflect.Value, text string) error {
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(text))
	}
	switch v.Kind() {
	case reflect.Pointer: // a key without a default
		given := reflect.New(v.Type().Elem())
		if err := setKey(given.Elem(), text); err != nil {
			return err
		}
		v.Set(given)
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%.40q, must be true or false", text)
		}
		v.SetBool(b)
	case reflect.Int, reflect.Int32:
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return fmt.Errorf("%.40q, must be a whole number", text)
		}
		v.SetInt(n)
	case reflect.Uint8:
		n, err := strconv.ParseUint(text, 10, 8)
		if err != nil {
			return fmt.Errorf("%.40q, must be a whole number from 0 to 255", text)
		}
		v.SetUint(n)
	case reflect.Float64:
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Errorf("%.40q, must be a number", text)
		}
		v.SetFloat(n)
	case reflect.Slice:
		list := []string{}
		for item := range strings.SplitSeq(text, ",") {
			if item = strings.TrimSpace(item); item != "" {
				list = append(list, item)
			}
		}
		v.Set(reflect.ValueOf(list))
	default:
		return errors.New("cannot be set by an environment variable")
	}
	return nil
}
