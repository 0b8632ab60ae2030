package v3

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"lorawand/bridge/session"
	"lorawand/radio"
)

// Suffixes of messages that only a simulation publishes: lorawand decrypts payloads
// itself and has no application packages.
const (
	DownInvalidated = "down/invalidated"
	ServiceData     = "service/data"
)

// Simulation is a simulated message of an application.
type Simulation struct {
	Suffix     string
	FPort      uint8  // of an uplink
	FRMPayload []byte // of an uplink

	member          string
	before, after   []byte // the member with the message: up to frm_payload, and the rest
	locationsBehind int    // offset in after, of an uplink
}

// simKind is the type of a value: how it is read and written.
type simKind uint8

const (
	simText simKind = iota
	simUint
	simInt
	simLong // 64 bits, as a string
	simFloat
	simFloat32
	simBool
	simBytes
	simHex
	simTime
	simDuration
	simStruct // any object
	simObject
)

// simField is a field of a message. Fields are in the order of the generated
// marshalers of The Things Stack v3.32 (pkg/ttnpb).
type simField struct {
	name   string
	kind   simKind
	list   bool
	fields []simField
}

func texts(names ...string) (out []simField) {
	for _, n := range names {
		out = append(out, simField{name: n})
	}
	return out
}

func object(name string, fields ...simField) simField {
	return simField{name: name, kind: simObject, fields: fields}
}

func listOf(f simField) simField {
	f.list = true
	return f
}

var (
	simLocation = object("location",
		simField{name: "latitude", kind: simFloat}, simField{name: "longitude", kind: simFloat},
		simField{name: "altitude", kind: simInt}, simField{name: "accuracy", kind: simInt}, simField{name: "source"})
	simReception = object("rx_metadata",
		object("gateway_ids", simField{name: "gateway_id"}, simField{name: "eui", kind: simHex}),
		simField{name: "antenna_index", kind: simUint}, simField{name: "time", kind: simTime},
		simField{name: "timestamp", kind: simUint}, simField{name: "fine_timestamp", kind: simLong},
		simField{name: "rssi", kind: simFloat32}, simField{name: "signal_rssi", kind: simFloat32},
		simField{name: "channel_rssi", kind: simFloat32}, simField{name: "rssi_standard_deviation", kind: simFloat32},
		simField{name: "snr", kind: simFloat32}, simField{name: "frequency_offset", kind: simLong}, simLocation,
		simField{name: "downlink_path_constraint"}, simField{name: "uplink_token", kind: simBytes},
		simField{name: "channel_index", kind: simUint}, simField{name: "gps_time", kind: simTime},
		simField{name: "received_at", kind: simTime})
	simSettings = object("settings",
		object("data_rate",
			object("lora", simField{name: "bandwidth", kind: simUint}, simField{name: "spreading_factor", kind: simUint},
				simField{name: "coding_rate"}),
			object("fsk", simField{name: "bit_rate", kind: simUint}),
			object("lrfhss", simField{name: "modulation_type", kind: simUint}, simField{
				name: "operating_channel_width",
				kind: simUint,
			}, simField{name: "coding_rate"})),
		simField{name: "enable_crc", kind: simBool}, simField{name: "frequency", kind: simLong},
		simField{name: "timestamp", kind: simUint}, simField{name: "time", kind: simTime})
	simUplink = object("uplink_message",
		simField{name: "session_key_id", kind: simBytes}, simField{name: "f_port", kind: simUint},
		simField{name: "f_cnt", kind: simUint}, simField{name: "frm_payload", kind: simBytes}, listOf(simReception),
		simSettings,
		simField{name: "received_at", kind: simTime}, simField{name: "confirmed", kind: simBool},
		simField{name: "consumed_airtime", kind: simDuration}, simField{name: "packet_error_rate", kind: simFloat32},
		object("version_ids", texts("brand_id", "model_id", "hardware_version", "firmware_version", "band_id")...),
		object("network_ids", simField{name: "net_id", kind: simHex}, simField{name: "tenant_id"},
			simField{name: "cluster_id"}))
	simDownlink = object("downlink",
		simField{name: "session_key_id", kind: simBytes}, simField{name: "f_port", kind: simUint},
		simField{name: "f_cnt", kind: simUint}, simField{name: "frm_payload", kind: simBytes},
		simField{name: "decoded_payload", kind: simStruct}, listOf(simField{name: "decoded_payload_warnings"}),
		simField{name: "confirmed", kind: simBool}, simField{name: "priority"}, listOf(simField{name: "correlation_ids"}),
		object("confirmed_retry", simField{name: "attempt", kind: simUint}, simField{name: "max_attempts", kind: simUint}))
)

// simulations are the messages that can be simulated.
var simulations = []struct {
	suffix string
	simField
}{
	{Up, simUplink},
	{DownAck, object("downlink_ack", simDownlink.fields...)},
	{DownNack, object("downlink_nack", simDownlink.fields...)},
	{DownSent, object("downlink_sent", simDownlink.fields...)},
	{DownFailed, object("downlink_failed", simDownlink, object("error",
		simField{name: "namespace"}, simField{name: "name"}, simField{name: "message_format"},
		simField{name: "attributes", kind: simStruct}, simField{name: "correlation_id"},
		simField{name: "code", kind: simUint}))},
	{DownQueued, object("downlink_queued", simDownlink.fields...)},
	{DownInvalidated, object("downlink_queue_invalidated", listOf(object("downlinks", simDownlink.fields...)),
		simField{name: "last_f_cnt_down", kind: simUint})},
	{Solved, object("location_solved", simField{name: "service"}, simLocation)},
	{ServiceData, object("service_data", simField{name: "service"}, simField{name: "data", kind: simStruct})},
}

// simReader reads a simulation.
type simReader struct {
	reader
	uplink *Simulation // the uplink whose fields are read; nil: not an uplink
}

// ParseSimulation reads an ApplicationUp, such as {"uplink_message":{…}}. It
// ignores unknown members. The error is an *Error.
func ParseSimulation(payload []byte) (*Simulation, error) {
	if len(payload) > MaxPushSize {
		return nil, NotDecoded(fmt.Sprintf("%d bytes, at most %d", len(payload), MaxPushSize))
	}
	r := simReader{reader: reader{b: payload}}
	if r.peek() != '{' {
		return nil, NotDecoded("the message: not an object")
	}
	names := make([]string, len(simulations))
	for i := range simulations {
		names[i] = simulations[i].name
	}
	var s *Simulation
	var seen uint32
	for name := range r.members {
		if known := r.known(name, names, &seen); known != "" {
			s = r.message(known)
		}
	}
	switch {
	case r.faults > 0:
		return nil, NotDecoded(r.fault)
	case s == nil:
		return nil, Invalid("up", "value is required")
	case s.Suffix == Up && !strings.Contains(string(s.after), `"settings":{`):
		return nil, Invalid("uplink_message.settings", "value is required")
	case s.Suffix == Up && !strings.Contains(string(s.after), `"rx_metadata":[{`):
		return nil, Invalid("uplink_message.rx_metadata", "value is required")
	}
	return s, nil
}

// message reads the member with a message.
func (r *simReader) message(name string) *Simulation {
	for i := range simulations {
		if m := &simulations[i]; m.name == name {
			s := &Simulation{Suffix: m.suffix, member: name}
			if r.uplink = nil; m.suffix == Up {
				r.uplink = s
			}
			s.after = r.object(&m.simField, s)
			return s
		}
	}
	return nil // not reached: the names come from simulations
}

// object reads an object. It returns its fields that are not zero in their order,
// without brackets. top is the message if the object is its member, otherwise nil.
func (r *simReader) object(f *simField, top *Simulation) []byte {
	if r.peek() != '{' {
		r.wrong(f.name, "an object")
		return nil
	}
	names := make([]string, len(f.fields))
	values := make([][]byte, len(f.fields))
	for i := range f.fields {
		names[i] = f.fields[i].name
	}
	var seen uint32
	for name := range r.members {
		known := r.known(name, names, &seen)
		for i := range f.fields {
			if known == names[i] {
				values[i] = r.values(&f.fields[i], top)
			}
		}
	}
	var out []byte
	for i := range values {
		if top != nil && names[i] == "version_ids" {
			top.locationsBehind = len(out)
		}
		if len(values[i]) > 0 {
			out = append(append(append(out, `,"`...), names[i]...), `":`...)
			out = append(out, values[i]...)
		}
		if top != nil && top.Suffix == Up && names[i] == "frm_payload" {
			top.before, out = out, nil
		}
	}
	if top == nil && len(out) > 0 {
		return out[1:]
	}
	return out
}

// values reads the value of a field, or the values of a list. It returns nothing
// for zero.
func (r *simReader) values(f *simField, top *Simulation) []byte {
	if !f.list {
		return r.value(f, top)
	}
	if r.peek() != '[' {
		r.wrong(f.name, "a list")
		return nil
	}
	var out []byte
	for range r.elements {
		if v := r.value(f, nil); len(v) > 0 {
			out = append(append(out, ','), v...)
		}
	}
	if len(out) == 0 {
		return nil
	}
	out[0] = '['
	return append(out, ']')
}

func (r *simReader) value(f *simField, top *Simulation) []byte {
	w := writer{b: []byte{'{'}}
	switch f.kind {
	case simObject:
		return append(append([]byte{'{'}, r.object(f, nil)...), '}')
	case simStruct:
		return r.reader.object(f.name)
	case simText:
		w.text("", r.string(f.name))
	case simUint:
		v := r.uint32(f.name)
		if top != nil && top.Suffix == Up && f.name == "f_port" {
			top.FPort = uint8(min(v, 255))
		}
		w.uint("", uint64(v))
	case simInt:
		w.int("", r.integer(f.name, 32))
	case simLong:
		w.int64("", r.integer(f.name, 64))
	case simFloat, simFloat32:
		bits := map[simKind]int{simFloat: 64, simFloat32: 32}[f.kind]
		w.float("", r.float(f.name, bits), bits)
	case simBool:
		w.bool("", r.bool(f.name))
	case simBytes:
		v := r.bytes(f.name)
		if top != nil && top.Suffix == Up && f.name == "frm_payload" {
			top.FRMPayload = v
		}
		w.bytes("", v)
	case simHex:
		return r.hexadecimal(f.name)
	case simTime:
		w.time("", r.time(f.name))
	case simDuration:
		w.duration("", r.duration(f.name))
	}
	return w.b[min(len(w.b), len(`{"":`)):]
}

// integer reads a signed integer, which may be a string.
func (r *simReader) integer(field string, bits int) int64 {
	text := r.numeric(field)
	v, ok := parseInteger(text)
	if !ok || bits == 32 && v != int64(int32(v)) {
		r.report(field, "not an integer of "+strconv.Itoa(bits)+" bits")
		return 0
	}
	return v
}

// numeric reads the text of a number, which may be a string.
func (r *simReader) numeric(field string) []byte {
	switch c := r.peek(); {
	case c == '"':
		return r.quoted()
	case c == '-' || c >= '0' && c <= '9':
		return r.number()
	}
	r.wrong(field, "a number")
	return nil
}

func (r *simReader) float(field string, bits int) float64 {
	v, err := strconv.ParseFloat(string(r.numeric(field)), bits)
	if err != nil || v-v != 0 { // infinite or NaN
		r.report(field, "not a number")
		return 0
	}
	return v
}

func (r *simReader) duration(field string) time.Duration {
	text := r.string(field)
	d, err := time.ParseDuration(text)
	if err != nil || !strings.HasSuffix(text, "s") {
		r.report(field, "not a duration such as \"0.05s\"")
	}
	return d
}

// hexadecimal reads an EUI or another value in hexadecimal.
func (r *simReader) hexadecimal(field string) []byte {
	v, err := hex.DecodeString(r.string(field))
	if err != nil {
		r.report(field, "not hexadecimal")
		return nil
	}
	return append(radio.AppendHex([]byte{'"'}, v), '"')
}

// AppendSimulation appends the payload of a simulated message. For an uplink it
// returns where the results of the payload formatter belong. locations are those of
// the device.
func (e *Encoder) AppendSimulation(dst []byte, s *Simulation, ids *DeviceIDs, correlation []string, at time.Time,
	locations map[string]session.Location,
) ([]byte, Places) {
	var p Places
	w := writer{b: append(dst, '{')}
	w.envelope(ids, correlation, at)
	p.Member = len(w.b) - len(dst)
	w.open(s.member, '{')
	p.Inside = len(w.b) - len(dst)
	before, after := s.before, s.after
	if len(before) > 0 {
		before = before[1:]
	} else if len(after) > 0 {
		after = after[1:]
	}
	w.b = append(w.b, before...)
	p.Decoded = len(w.b) - len(dst)
	split := max(s.locationsBehind-(len(s.after)-len(after)), 0)
	w.b = append(w.b, after[:split]...)
	p.Locations = len(w.b) - len(dst)
	if s.Suffix == Up {
		w.locations(locations)
	}
	p.Behind = len(w.b) - len(dst)
	w.b = append(w.b, after[split:]...)
	w.b = append(w.b, `},"simulated":true}`...)
	return w.b, p
}
