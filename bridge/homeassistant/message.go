//go:build !small

package homeassistant

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"lorawand/bridge/session"
	"lorawand/bridge/v3"
)

// config is the message of a device. The names are the abbreviations that Home Assistant
// knows.
type config struct {
	Device     configDevice         `json:"dev"`
	Origin     origin               `json:"o"`
	StateTopic string               `json:"stat_t"`
	Components map[string]component `json:"cmps"`
}

type configDevice struct {
	IDs      string `json:"ids"`
	Name     string `json:"name"`
	Maker    string `json:"mf,omitempty"`
	Model    string `json:"mdl,omitempty"`
	Firmware string `json:"sw,omitempty"`
	Serial   string `json:"sn,omitempty"`
}

type origin struct {
	Name    string `json:"name"`
	Version string `json:"sw,omitempty"`
}

// component is a value. One with a platform alone takes a value away.
type component struct {
	Platform string `json:"p"`
	Name     string `json:"name,omitempty"`
	ID       string `json:"uniq_id,omitempty"`
	Template string `json:"val_tpl,omitempty"`
	Class    string `json:"dev_cla,omitempty"`
	Unit     string `json:"unit_of_meas,omitempty"`
	State    string `json:"stat_cla,omitempty"`
	// Expire is how many seconds after the last uplink the value is unavailable.
	Expire   int64  `json:"exp_aft,omitempty"`
	Category string `json:"ent_cat,omitempty"`
}

// nameOf names a device in topics and for ever. Ids have neither underscores nor upper
// case, so that no two devices have the same.
func nameOf(id session.ID) string { return "lorawand_" + id.Application + "_" + id.Device }

func topicOf(id session.ID) string { return v3.DiscoveryPrefix + "device/" + nameOf(id) + "/config" }

// removal is the message that takes a device away.
func removal(id session.ID) v3.Message {
	return v3.Message{Application: id.Application, Suffix: topicOf(id), Payload: []byte{}}
}

// messageOf returns the message of a device.
func messageOf(d *Device, values []value, expire time.Duration, version string) v3.Message {
	return without(nil, d, values, expire, version)
}

// without is messageOf with values that are taken away.
func without(gone []value, d *Device, values []value, expire time.Duration, version string) v3.Message {
	name := nameOf(d.ID)
	topic := v3.Message{Application: d.ID.Application, Device: d.ID.Device, Suffix: v3.Up}
	c := config{
		Device: configDevice{name, d.Name, d.Maker, d.Model, d.Firmware, d.DevEUI}, Origin: origin{"lorawand", version},
		StateTopic: topic.Topic(d.ID.Application), Components: map[string]component{},
	}
	if c.Device.Name == "" {
		c.Device.Name = d.ID.Device
	}
	for key, part := range diagnostics {
		c.add(name, key, part, expire)
	}
	for i := range values {
		c.add(name, values[i].key(), values[i].component(), expire)
	}
	for i := range gone {
		c.Components[gone[i].key()] = component{Platform: gone[i].component().Platform}
	}
	payload, _ := json.Marshal(&c) // there is nothing that cannot be written
	return v3.Message{Application: d.ID.Application, Suffix: topicOf(d.ID), Payload: payload}
}

func (c *config) add(device, key string, part component, expire time.Duration) {
	part.ID, part.Expire = device+"_"+key, int64(expire/time.Second)
	c.Components[key] = part
}

// sizeOf returns how many bytes a value adds to the message of a device, at most.
func sizeOf(device string, v *value) int {
	key, c := v.key(), v.component()
	c.ID, c.Expire = device+"_"+key, int64(steps[len(steps)-1]/time.Second)
	b, _ := json.Marshal(&c)
	return len(b) + len(key) + len(`"":,`)
}

// diagnostics are told of every device. A member that is zero is not in a message. The
// time of this gateway is not in it where the calendar is not known.
var diagnostics = map[string]component{
	"rssi": {
		Platform: "sensor", Name: "RSSI", Class: "signal_strength", Unit: "dBm", State: "measurement",
		Category: "diagnostic", Template: strongest("rssi"),
	},
	"snr": {
		Platform: "sensor", Name: "SNR", Class: "signal_strength", Unit: "dB", State: "measurement",
		Category: "diagnostic", Template: strongest("snr"),
	},
	"last_seen": {
		Platform: "sensor", Name: "Last seen", Class: "timestamp", Category: "diagnostic",
		Template: "{{ value_json.received_at[:19] ~ 'Z' if value_json.received_at is defined else now().isoformat() }}",
	},
}

func strongest(member string) string {
	return "{% set r = value_json.uplink_message.rx_metadata | default([]) %}{{ r | map(attribute='" + member +
		"', default=0) | max if r else '' }}"
}

// component returns what Home Assistant is told of a value.
func (v *value) component() component {
	c := component{Platform: "sensor", Name: v.name(), Class: v.class.device, Unit: v.class.unit}
	form := "v"
	switch v.kind {
	case number:
		c.State = "measurement"
		if v.class.total {
			c.State = "total_increasing"
		}
	case boolean:
		c.Platform, form = "binary_sensor", "'ON' if v else 'OFF'"
	case text:
		form = "(v | string)[:255]" // the longest state
	}
	missing := "''" // which leaves the state as it is
	if v.kind == text {
		missing = "this.state"
	}
	c.Template = "{% set v = " + v.expression() + " %}{{ " + missing + " if v is none else " + form + " }}"
	return c
}

// expression returns how a template gets to the value: none if it is not in the message.
func (v *value) expression() string {
	e := "value_json.uplink_message"
	within := func(step string) { e = "(" + e + step + " | default({}, true))" }
	if v.normalized {
		within(".get('normalized_payload', [])[" + strconv.Itoa(v.index) + "]")
	} else {
		within(".get('decoded_payload')")
	}
	for i, name := range v.path {
		step := ".get(" + quote(name) + ")"
		if i < len(v.path)-1 {
			within(step)
		} else {
			e += step
		}
	}
	return e
}

// quote writes a text as a template has it. Whatever is not plain is escaped: the names
// in a payload come from devices.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('\'')
	for _, r := range s {
		switch {
		case r < 128 && (unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' || r == '-' || r == '.' || r == ' '):
			b.WriteRune(r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	b.WriteByte('\'')
	return b.String()
}

// name is what people see: the names of the members in words.
func (v *value) name() string {
	var words []string
	for _, p := range v.path {
		words = append(words, split(p)...)
	}
	if len(words) == 0 {
		words = []string{"value"}
	}
	name := []rune(strings.Join(words, " "))
	name[0] = unicode.ToUpper(name[0])
	return string(name[:min(len(name), 64)])
}

// key names a value in what Home Assistant keeps. It has letters, digits and underscores
// only; where that could be the key of another value, a number of all of it is behind.
func (v *value) key() string {
	names := v.path
	if v.normalized {
		names = slices.Concat([]string{"normalized", strconv.Itoa(v.index)}, names)
	}
	plain := v.normalized || len(names) == 1
	key := strings.Map(func(r rune) rune {
		if r == '_' || r < 128 && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
			return r
		}
		plain = false
		return '_'
	}, strings.Join(names, "_"))
	if _, taken := diagnostics[key]; plain && !taken {
		return key
	}
	h := fnv.New32a()
	h.Write([]byte(strings.Join(names, "\x00")))
	return fmt.Sprintf("%.80s_%08x", key, h.Sum32())
}
