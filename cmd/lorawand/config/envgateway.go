package config

import (
	"cmp"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"lorawand/bridge/order"
)

// gatewayVariable sets a key of a gateway: LORAWAND_GATEWAY_0_EUI sets gateway.eui
// of the first [[gateway]] table, and adds the table if the file has none.
type gatewayVariable struct {
	name, text string // of the variable
	index      int
	key        string // behind the index: "SX1302_BOARD"
}

// parseGatewayVariable splits a variable's name. ok is false if it does not begin
// like those of gateways.
func parseGatewayVariable(name, text string) (v gatewayVariable, ok bool) {
	rest, ok := strings.CutPrefix(name, variable("gateway")+"_")
	if !ok {
		return v, false
	}
	number, key, ok := strings.Cut(rest, "_")
	n, err := strconv.Atoi(number)
	if !ok || err != nil || strconv.Itoa(n) != number || n < 0 {
		return v, false
	}
	return gatewayVariable{name, text, n, key}, true
}

// overrideGateways sets the keys of gateways from variables. Gateways that are not
// in the file are added behind it, in order.
func (c *Config) overrideGateways(vars []gatewayVariable, f *faults) {
	order.By(vars, func(a, b gatewayVariable) int { return cmp.Compare(a.index, b.index) })
	for _, v := range vars {
		if v.index > len(c.Gateways) {
			f.add("$"+v.name, "there is no gateway %d; they are numbered from 0", len(c.Gateways))
			continue
		}
		if v.index == len(c.Gateways) {
			c.Gateways = append(c.Gateways, Gateway{})
		}
		key, known := fieldOf(reflect.ValueOf(&c.Gateways[v.index]).Elem(), v.key)
		if !known {
			f.add("$"+v.name, "unknown key")
		} else if err := setKey(key, v.text); err != nil {
			f.add("$"+v.name, "%v", err)
		}
	}
}

// fieldOf finds the field of a table that the end of a variable's name stands for.
// It makes the tables on the path to it.
func fieldOf(table reflect.Value, name string) (reflect.Value, bool) {
	for i := range table.NumField() {
		tag := strings.ToUpper(table.Type().Field(i).Tag.Get("toml"))
		v := table.Field(i)
		inner := v.Kind() == reflect.Pointer && v.Type().Elem().Kind() == reflect.Struct
		switch rest, in := strings.CutPrefix(name, tag+"_"); {
		case inner && in:
			made := v
			if v.IsNil() {
				made = reflect.New(v.Type().Elem())
			}
			field, known := fieldOf(made.Elem(), rest)
			if known {
				v.Set(made)
			}
			return field, known
		case !inner && name == tag:
			return v, true
		}
	}
	return reflect.Value{}, false
}

// gatewayFault is the beginning of a fault of a gateway's key: "gateway[0]
// (roof).eui".
var gatewayFault = regexp.MustCompile(`^gateway\[(\d+)\](?: \(.*\))?\.([a-z0-9_.]+)`)
