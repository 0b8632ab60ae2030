package eventlines

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"lorawand/bridge/activity"
	"lorawand/bridge/event"
	"lorawand/bridge/session"
	"lorawand/radio"
)

var dev1 = session.ID{Application: "app1", Device: "dev1"}

const second = radio.HostTime(time.Second)

// uplink is an "up" of dev1 with frame counter n, which came n s after the start. more
// stands before the end of uplink_message.
func uplink(n int, more string) activity.Message {
	return activity.Message{Device: dev1, At: radio.HostTime(n) * second, Payload: []byte(fmt.Sprintf(
		`{"end_device_ids":{"device_id":"dev1","application_ids":{"application_id":"app1"},"dev_eui":"70B3D57ED0000001"},`+
			`"uplink_message":{"f_cnt":%d,"f_port":7,"frm_payload":"AQL/","rx_metadata":[`+
			`{"gateway_ids":{"gateway_id":"far"},"rssi":-110,"snr":-7.5},{"gateway_ids":{"gateway_id":"near"},"rssi":-60,"snr":9}],`+
			`"settings":{"data_rate":{"lora":{"bandwidth":125000,"spreading_factor":7}},"frequency":"868100000"}%s}}`, n, more))}
}

// tell collects what a Teller answers, in short: kind and frame counter of events and
// uplinks, or the lines of text.
func tell(t *testing.T, args Args, f func(*Teller) error) (got []string) {
	t.Helper()
	err := f(&Teller{Args: &args, Reply: func(v any) error {
		switch v := v.(type) {
		case string:
			got = append(got, v)
		case event.Event:
			got = append(got, fmt.Sprintf("%s %d", v.Kind.Word(), v.FCnt))
		case UplinkEvent:
			got = append(got, fmt.Sprintf("%s %d", v.Kind, v.FCnt))
		default:
			t.Errorf("it answers with a %T", v)
		}
		return nil
	}})
	if err != nil {
		t.Error(err)
	}
	return got
}

// Terse leaves out repeated uplinks; each other member selects by its name.
func TestMatches(t *testing.T) {
	joins := event.Event{HasEUIs: true, DevEUI: radio.EUI64{0x70, 0xb3, 0xd5, 0x7e, 0xd0, 7: 1}}
	for _, tt := range []struct {
		name string
		args Args
		e    event.Event
		want bool
	}{
		{"everything", Args{}, event.Event{Kind: event.UplinkRepeated}, true},
		{"terse, a repetition", Args{Terse: true}, event.Event{Kind: event.UplinkRepeated}, false},
		{"terse, a drop", Args{Terse: true}, event.Event{Kind: event.UplinkDropped}, true},
		{"of its application", Args{Application: "app1"}, event.Event{Device: dev1}, true},
		{"of another application", Args{Application: "app2"}, event.Event{Device: dev1}, false},
		{"of no device", Args{Application: "app1"}, event.Event{Gateway: "gw1"}, false},
		{"by id", Args{Device: "dev1"}, event.Event{Device: dev1}, true},
		{"by application and id", Args{Device: "app1/dev1"}, event.Event{Device: dev1}, true},
		{"by the id of another application", Args{Device: "app2/dev1"}, event.Event{Device: dev1}, false},
		{"by DevEUI", Args{Device: "70b3d57ed0000001"}, joins, true},
		{"by another DevEUI", Args{Device: "70b3d57ed0000002"}, joins, false},
		{"by half a DevEUI", Args{Device: "70b3d57e"}, joins, false},
	} {
		if got := tt.args.Matches(&tt.e); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

func TestMatchesUplink(t *testing.T) {
	other := `,"decoded_payload":{"dev_eui":"70B3D57ED0000002"}`
	for _, tt := range []struct {
		name string
		args Args
		more string
		want bool
	}{
		{"everything", Args{}, "", true},
		{"of its application", Args{Application: "app1"}, "", true},
		{"of another application", Args{Application: "app2"}, "", false},
		{"through the best gateway", Args{Gateway: "near"}, "", true},
		{"through another that has heard it", Args{Gateway: "far"}, "", true},
		{"through one that has not", Args{Gateway: "fa"}, "", false},
		{"by id", Args{Device: "dev1"}, "", true},
		{"by application and id", Args{Device: "app1/dev1"}, "", true},
		{"by DevEUI", Args{Device: "70b3d57ed0000001"}, "", true},
		{"by another DevEUI", Args{Device: "70B3D57ED0000002"}, "", false},
		{"by the DevEUI that a payload names", Args{Device: "70B3D57ED0000002"}, other, false},
		{"by its own, whatever the payload names", Args{Device: "70B3D57ED0000001"}, other, true},
		{"by a part of JSON", Args{Device: `70B3D57ED0000001"`}, "", false},
	} {
		m := uplink(1, tt.more)
		got := tell(t, tt.args, func(t *Teller) error { return t.Uplink(&m) })
		if (len(got) == 1) != tt.want {
			t.Errorf("%s: %q", tt.name, got)
		}
	}
}

// Events and uplinks are told in the order of their times. The event comes first of two at
// one time.
func TestAll(t *testing.T) {
	at := func(n int) event.Event {
		return event.Event{Kind: event.DownlinkSent, FCnt: uint32(n), Host: radio.HostTime(n) * second}
	}
	broken := activity.Message{Device: dev1, At: 2 * second, Payload: []byte("{")}
	for _, tt := range []struct {
		name    string
		events  []event.Event
		uplinks []activity.Message
		want    string
	}{
		{"nothing", nil, nil, ""},
		{"events alone", []event.Event{at(1), at(2)}, nil, "downlink_sent 1, downlink_sent 2"},
		{"uplinks alone, of two devices", nil, []activity.Message{uplink(2, ""), uplink(1, "")}, "uplink 1, uplink 2"},
		{
			"one between others",
			[]event.Event{at(1), at(3)},
			[]activity.Message{uplink(4, ""), uplink(2, ""), uplink(0, "")},
			"uplink 0, downlink_sent 1, uplink 2, downlink_sent 3, uplink 4",
		},
		{"at one time", []event.Event{at(1)}, []activity.Message{uplink(1, "")}, "downlink_sent 1, uplink 1"},
		{
			"one that cannot be read",
			[]event.Event{at(1), at(3)},
			[]activity.Message{broken},
			"downlink_sent 1, downlink_sent 3",
		},
	} {
		got := tell(t, Args{}, func(t *Teller) error { return t.All(tt.events, tt.uplinks) })
		if strings.Join(got, ", ") != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, strings.Join(got, ", "), tt.want)
		}
	}
}

// Once the caller takes no more parts, the answer ends, at any place.
func TestAllEnds(t *testing.T) {
	gone := errors.New("the client has gone")
	events := []event.Event{{Kind: event.DownlinkSent, Host: 2 * second}, {Kind: event.DownlinkSent, Host: 4 * second}}
	uplinks := []activity.Message{uplink(1, ""), uplink(3, ""), uplink(5, ""), uplink(6, "")}
	for most := range len(events) + len(uplinks) {
		n := 0
		teller := Teller{Args: &Args{}, Reply: func(any) error {
			if n++; n > most {
				return gone
			}
			return nil
		}}
		if err := teller.All(events, uplinks); !errors.Is(err, gone) || n != most+1 {
			t.Errorf("after %d: %v, %d were told", most, err, n)
		}
	}
}

// An uplink is a line with what is known of it, and nothing in place of the rest.
func TestText(t *testing.T) {
	const begin = "3.000 s after the start  uplink  app1/dev1  f_cnt 3"
	for _, tt := range []struct{ name, old, new, want string }{
		{"bytes", "", "", begin + "  f_port 7  SF7BW125  RSSI -60 SNR 9.0  gateway near, far  0102FF"},
		{
			"with a time", `"settings"`, `"received_at":"2026-11-29T01:02:03.25Z","settings"`,
			"01:02:03.250  uplink  app1/dev1  f_cnt 3  f_port 7  SF7BW125  RSSI -60 SNR 9.0  gateway near, far  0102FF",
		},
		{
			"decoded, on one line", `"settings"`, "\"decoded_payload\":{\n \"t\": [1, 2]\n},\"settings\"",
			begin + `  f_port 7  SF7BW125  RSSI -60 SNR 9.0  gateway near, far  {"t":[1,2]}`,
		},
		{
			"without payload", `"f_port":7,"frm_payload":"AQL/",`, "",
			begin + "  SF7BW125  RSSI -60 SNR 9.0  gateway near, far",
		},
		{
			"FSK", `"lora":{"bandwidth":125000,"spreading_factor":7}`, `"fsk":{"bit_rate":50000}`,
			begin + "  f_port 7  FSK 50000  RSSI -60 SNR 9.0  gateway near, far  0102FF",
		},
	} {
		m := uplink(3, "")
		m.Payload = []byte(strings.Replace(string(m.Payload), tt.old, tt.new, 1))
		got := tell(t, Args{Text: true}, func(t *Teller) error { return t.Uplink(&m) })
		if len(got) != 1 || got[0] != tt.want {
			t.Errorf("%s:\ngot  %q\nwant %q", tt.name, got, tt.want)
		}
	}
	e := event.Event{Kind: event.DownlinkSent, Device: dev1, FCnt: 4, Host: 5 * second}
	got := tell(t, Args{Text: true}, func(t *Teller) error { return t.Event(e) })
	if want := "5.000 s after the start  downlink sent  app1/dev1  f_cnt 4"; len(got) != 1 || got[0] != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// The JSON of an uplink has where it is from and what came.
func TestJSON(t *testing.T) {
	m := uplink(3, "")
	var got map[string]any
	teller := Teller{Args: &Args{}, Reply: func(v any) error {
		b, err := json.Marshal(v)
		if err != nil {
			return err
		}
		return json.Unmarshal(b, &got)
	}}
	if err := teller.Uplink(&m); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"kind": "uplink", "uptime_s": 3.0, "application_id": "app1", "device_id": "dev1", "f_cnt": 3.0, "f_port": 7.0,
		"frm_payload": "AQL/", "data_rate": "SF7BW125", "rssi": -60.0, "snr": 9.0,
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	if _, has := got["time"]; has {
		t.Error("it has a time, which nobody knows")
	}
}
