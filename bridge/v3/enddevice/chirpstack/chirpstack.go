// Package chirpstack reads what ChirpStack tells of devices, versions 3 and 4, and writes it in
// the form of The Things Stack.
//
// ChirpStack has no file of devices. What it has are the answers of its API, as JSON over HTTP
// or gRPC: a device, its keys, its activation and its device profile, each an object
// of its own. They may stand in a file in any order; DevEUI and profile id tell what belongs
// together. Names may be devEui, devEUI (version 3) or dev_eui.
//
// Its counters are those of the next frame (chirpstack/src/uplink/data.rs and
// downlink/data.rs of version 4.11); The Things Stack writes the last one. MAC state, used nonces and
// what waits in queues is not told.
package chirpstack

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// fields are the members of an object by their names in small letters without underscores.
type fields map[string]json.RawMessage

func fieldsOf(raw json.RawMessage) fields {
	var named map[string]json.RawMessage
	if json.Unmarshal(raw, &named) != nil {
		return nil
	}
	f := make(fields, len(named))
	for name, v := range named {
		f[strings.ToLower(strings.ReplaceAll(name, "_", ""))] = v
	}
	return f
}

// text returns the first of the members that is there and not empty; a number as its digits.
func (f fields) text(names ...string) string {
	for _, name := range names {
		raw, ok := f[name]
		if !ok {
			continue
		}
		var s string
		if json.Unmarshal(raw, &s) != nil {
			s = string(raw)
		}
		if s != "" {
			return s
		}
	}
	return ""
}

// number returns a member, 0 where it is missing; protobuf's JSON may write it as text.
func (f fields) number(name string) (uint64, error) {
	text := f.text(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%s: not a number: %.40q", name, text)
	}
	return n, nil
}

func (f fields) yes(names ...string) bool { return f.text(names...) == "true" }

// key returns a key in hexadecimal, or "" for none; ChirpStack may write one of zeros.
func (f fields) key(name string) string {
	if text := f.text(name); strings.Trim(text, "0") != "" {
		return text
	}
	return ""
}

// Options of a file.
type Options struct {
	Plan    string // frequency plan, where a region has several and this is one of them
	JoinEUI string // of devices whose JoinEUI is not told
}

// Device is a device of a file.
type Device struct {
	Line  int
	Name  string          // for a fault: its id
	JSON  json.RawMessage // in the form of The Things Stack
	Notes []string        // what its owner is to know
	Err   error           // why it cannot be taken
}

// parts are what the file tells of a device.
type parts struct {
	line             int
	device, keys, at fields // at is the activation
	profile          string // id
}

// Reader collects the answers of a file.
type Reader struct {
	devices  []*parts
	byEUI    map[string]*parts
	profiles map[string]fields
}

// answers are the members by which an answer is known.
var answers = []string{"device", "devicekeys", "deviceactivation", "deviceprofile"}

// Add takes an object of a file, and reports whether it is an answer of ChirpStack.
func (r *Reader) Add(raw json.RawMessage, line int) bool {
	f := fieldsOf(raw)
	if f["ids"] != nil || !slices.ContainsFunc(answers, func(name string) bool { return f[name] != nil }) {
		return false
	}
	if r.byEUI == nil {
		r.byEUI, r.profiles = map[string]*parts{}, map[string]fields{}
	}
	profile := fieldsOf(f["deviceprofile"])
	if len(profile) > 0 {
		r.profiles[profile.text("id")] = profile
	}
	for _, name := range answers[:3] {
		part := fieldsOf(f[name])
		eui := strings.ToUpper(part.text("deveui"))
		if eui == "" {
			continue
		}
		p := r.byEUI[eui]
		if p == nil {
			p = &parts{line: line}
			r.byEUI[eui], r.devices = p, append(r.devices, p)
		}
		switch name {
		case "device":
			p.device, p.line = part, line
			p.profile = part.text("deviceprofileid")
		case "devicekeys":
			p.keys = part
		case "deviceactivation":
			p.at = part
		}
		if len(profile) > 0 { // the profile of this device stands beside it
			p.profile = profile.text("id")
		}
	}
	return true
}

// Devices returns the devices of the file, in its order.
func (r *Reader) Devices(o Options) []Device {
	out := make([]Device, 0, len(r.devices))
	for _, p := range r.devices {
		out = append(out, p.made(r.profiles[p.profile], o))
	}
	return out
}

// tree is an object of The Things Stack.
type tree map[string]any

// set sets a member, unless its value is empty.
func (t tree) set(name string, value any) {
	switch v := value.(type) {
	case string:
		if v == "" {
			return
		}
	case bool:
		if !v {
			return
		}
	case uint64:
		if v == 0 {
			return
		}
	case tree:
		if len(v) == 0 {
			return
		}
	}
	t[name] = value
}

// made makes the device.
func (p *parts) made(profile fields, o Options) (d Device) {
	eui := strings.ToLower(firstOf("deveui", p.device, p.keys, p.at))
	d.Line, d.Name = p.line, "eui-"+eui
	note := func(format string, args ...any) { d.Notes = append(d.Notes, fmt.Sprintf(format, args...)) }
	if profile == nil {
		profile = fields{}
		note("its device profile is not in the file: --version and --plan say what it has")
	}
	mac := version(profile)
	joins := profile.yes("supportsotaa", "supportsjoin") || len(profile) == 0 && p.keys != nil
	out := tree{"supports_join": joins}
	ids := tree{"device_id": d.Name, "dev_eui": eui}
	if joins {
		join := p.joinEUI(o, note)
		if join == "" {
			d.Err = fmt.Errorf("join_eui: ChirpStack has not told it; --join-eui does")
			return d
		}
		ids["join_eui"] = join
		out.set("root_keys", rootKeys(p.keys, mac))
	}
	out["ids"] = ids
	p.describe(out, note)
	out.set("lorawan_version", macNames[mac])
	out.set("lorawan_phy_version", phyName(mac, profile.text("regparamsrevision")))
	plan, err := planOf(profile, o.Plan)
	if err != nil {
		d.Err = err
		return d
	}
	out.set("frequency_plan_id", plan)
	out.set("formatters", formatters(profile))
	settings, err := settingsOf(profile, out)
	if !joins {
		settings.set("resets_f_cnt", p.device.yes("skipfcntcheck"))
	}
	if err == nil {
		err = p.activate(out, settings, profile, mac, note)
	}
	out.set("mac_settings", settings)
	if d.Err = err; err == nil {
		d.JSON, d.Err = json.Marshal(out)
	}
	return d
}

func firstOf(name string, of ...fields) string {
	for _, f := range of {
		if text := f.text(name); text != "" {
			return text
		}
	}
	return ""
}

// joinEUI returns the JoinEUI: ChirpStack learns it with the first join (version 4), or never
// (version 3). Until then it writes none or zeros.
func (p *parts) joinEUI(o Options, note func(string, ...any)) string {
	told := p.device.text("joineui")
	if strings.Trim(told, "0") != "" {
		return told
	}
	if o.JoinEUI != "" {
		return o.JoinEUI
	}
	if told != "" {
		note("its JoinEUI is all zeros, as ChirpStack writes one that it does not know; --join-eui tells another")
	}
	return told
}

// describe takes over what people have written of a device.
func (p *parts) describe(out tree, note func(string, ...any)) {
	out.set("name", p.device.text("name"))
	out.set("description", p.device.text("description"))
	var tags map[string]string
	if json.Unmarshal(p.device["tags"], &tags) == nil && len(tags) > 0 {
		out["attributes"] = tags
	}
	var variables map[string]string
	if json.Unmarshal(p.device["variables"], &variables) == nil && len(variables) > 0 {
		note("its variables are left out: ChirpStack keeps them from messages, attributes here are not")
	}
	if p.device.yes("isdisabled") {
		note("it is disabled in ChirpStack; here it is served")
	}
}

// activate takes over the session. Of a device that joins, ChirpStack has told it an RX1 delay of
// 1 s unless its configuration or the device profile has another, and the RX2 of the band.
func (p *parts) activate(out, settings tree, profile fields, mac int, note func(string, ...any)) error {
	at := p.at
	if strings.Trim(at.text("devaddr"), "0") == "" {
		return nil
	}
	keys := tree{}
	for from, to := range map[string]string{
		"fnwksintkey": "f_nwk_s_int_key", "snwksintkey": "s_nwk_s_int_key",
		"nwksenckey": "nwk_s_enc_key", "appskey": "app_s_key",
	} {
		if k := at.key(from); k != "" {
			keys[to] = tree{"key": k}
		}
	}
	if keys["f_nwk_s_int_key"] == nil && keys["nwk_s_enc_key"] != nil && mac != v11 {
		keys["f_nwk_s_int_key"] = keys["nwk_s_enc_key"]
	}
	var next [3]uint64
	for i, name := range []string{"fcntup", "nfcntdown", "afcntdown"} {
		var err error
		if next[i], err = at.number(name); err != nil {
			return err
		}
	}
	s := tree{"dev_addr": at.text("devaddr"), "keys": keys}
	for i, name := range []string{"last_f_cnt_up", "last_n_f_cnt_down", "last_a_f_cnt_down"} {
		s.set(name, max(next[i], 1)-1)
	}
	out["session"] = s
	if next[0] == 1 { // a counter of 0 alone does not say that a frame was heard
		out["mac_state"] = tree{"recent_uplinks": []tree{{"payload": tree{"mac_payload": tree{}}}}}
	}
	if out["supports_join"] == true {
		delay, err := profile.number("rx1delay")
		settings["rx1_delay"] = max(delay, 1)
		note("ChirpStack does not tell its MAC state: it is taken to listen as after a join there, RX1 after %d s and "+
			"RX2 of the band; rx1Delay of the device profile in the file says otherwise", max(delay, 1))
		return err
	}
	return nil
}
