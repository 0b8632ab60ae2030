package enddevice

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
	"lorawand/radio"
	"lorawand/radio/frame"
)

// quiet is a device of Class B and C with a session.
func quiet(change func(*session.Device)) *session.Device {
	k := frame.Key{1}
	d := &session.Device{
		ID: session.ID{Application: "app1", Device: "dev1"}, DevEUI: radio.EUI64{1}, HasJoinEUI: true,
		Version: session.V1_1, VersionName: "MAC_V1_1", Plan: "EU_863_870_TTN",
		SupportsJoin: true, ClassB: true, ClassC: true,
		RootKeys: frame.RootKeys{AppKey: k, NwkKey: k},
		Session: &session.Session{
			FCntUp: 9, Heard: true,
			Parameters: &session.Parameters{RX1Delay: 5, RX2DataRate: 3, RX2Frequency: 869_525_000},
			Keys:       frame.SessionKeys{FNwkSIntKey: k, SNwkSIntKey: k, NwkSEncKey: k, AppSKey: k},
		},
	}
	change(d)
	return d
}

// personalised makes the device one of ABP, of LoRaWAN 1.0.3 and without Class C.
func personalised(d *session.Device) {
	d.SupportsJoin, d.ClassC, d.RootKeys = false, false, frame.RootKeys{}
	d.Version, d.VersionName = session.V1_0_3, "MAC_V1_0_3"
}

// classesOf is what is known of a device in Class B and C.
func classesOf(d *session.Device) string {
	m := d.Session.MAC
	if m == nil {
		m = &macstate.State{}
	}
	w := m.Wish.Over(macstate.Wish{})
	text, err := json.Marshal([]any{
		m.ClassB, m.ClassC, m.Pings(), w.PingFrequency, w.PingDataRate, w.Beacon, d.Settings.MAC.Ping,
		d.Settings.MAC.ClassBTimeout,
	})
	if err != nil {
		panic(err)
	}
	return string(text)
}

// handedOver writes a device and reads it again. It returns the mac_state that was written too.
func handedOver(t *testing.T, d *session.Device) (back *session.Device, state string) {
	t.Helper()
	text, err := Append(nil, d, Form{Keys: true, Session: true})
	if err != nil {
		t.Fatal(err)
	}
	var j struct {
		State json.RawMessage `json:"mac_state"`
	}
	if err := json.Unmarshal(text, &j); err != nil {
		t.Fatal(err)
	}
	entries, err := Parse(text, Options{Application: "app1"})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return entries[0].Device, string(j.State)
}

// What a device of Class B or C has told, and was told, comes back as it was written, and stands
// there by the names of The Things Stack.
func TestClassesComeBack(t *testing.T) {
	rate, timeout := uint8(0), 90*time.Second
	f := radio.Frequency(868_500_000)
	told := macstate.Ping{Periodicity: 0, Known: true, Frequency: 868_300_000, DataRate: &rate, Beacon: 868_400_000}
	for _, tt := range []struct {
		name   string
		change func(*session.Device)
		has    []string // in mac_state
	}{
		{"nothing", func(*session.Device) {}, nil},
		{"Class C of 1.1", func(d *session.Device) {
			d.Session.MAC = &macstate.State{ClassC: true}
		}, []string{`"device_class":"CLASS_C"`}},
		{"Class B", func(d *session.Device) {
			d.Session.MAC = &macstate.State{ClassB: true, Ping: &macstate.Ping{Periodicity: 5, Known: true}}
		}, []string{`"device_class":"CLASS_B"`, `"ping_slot_periodicity":"PING_EVERY_32S"`}},
		{"was told where and how", func(d *session.Device) {
			d.Session.MAC = &macstate.State{ClassB: true, Ping: &told}
		}, []string{
			`"ping_slot_periodicity":"PING_EVERY_1S"`, `"ping_slot_frequency":"868300000"`,
			`"ping_slot_data_rate_index_value":0`, `"beacon_frequency":"868400000"`,
		}},
		{"the same, personalised", func(d *session.Device) {
			personalised(d)
			d.Session.MAC = &macstate.State{ClassB: true, Ping: &told}
		}, []string{`"ping_slot_data_rate_index_value":0`}},
		{"is wished something else", func(d *session.Device) {
			d.Session.MAC = &macstate.State{
				Ping: &told, Wish: &macstate.Wish{PingFrequency: &f, PingDataRate: new(uint8(3)), Beacon: new(radio.Frequency)},
			}
		}, []string{`"ping_slot_frequency":"868500000"`, `"beacon_frequency":"0"`}},
		{"the same, and has nothing", func(d *session.Device) {
			d.Session.MAC = &macstate.State{Wish: &macstate.Wish{PingFrequency: &f}}
		}, []string{`"ping_slot_frequency":"868500000"`}},
		{"its owner has said it", func(d *session.Device) {
			personalised(d)
			d.Multicast = true
			d.Settings.MAC.Ping, d.Settings.MAC.ClassBTimeout = told, &timeout
		}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := quiet(tt.change)
			back, state := handedOver(t, d)
			for _, want := range tt.has {
				if !strings.Contains(state, want) {
					t.Errorf("mac_state %s has not %s", state, want)
				}
			}
			was, is := classesOf(d), classesOf(back)
			if is != was {
				t.Errorf("came back as %s, want %s", is, was)
			}
		})
	}
}

// What The Things Stack had of the device of e-classb, after it has asked for its ping slots.
func TestClassBOfTheThingsStack(t *testing.T) {
	d := quiet(func(d *session.Device) { d.ClassC = false })
	text, err := Append(nil, d, Form{Keys: true, Session: true})
	if err != nil {
		t.Fatal(err)
	}
	theirs := `"mac_state":{"current_parameters":{"rx1_delay":5,"rx2_data_rate_index":3,"rx2_frequency":"869525000",` +
		`"beacon_frequency":"869525000","ping_slot_data_rate_index_value":3,"ping_slot_frequency":"869525000"},` +
		`"desired_parameters":{"rx1_delay":5,"rx2_data_rate_index":3,"rx2_frequency":"869525000",` +
		`"beacon_frequency":"869525000","ping_slot_data_rate_index_value":3,"ping_slot_frequency":"869525000"},` +
		`"device_class":"CLASS_B","ping_slot_periodicity":"PING_EVERY_2S"}`
	all := map[string]json.RawMessage{}
	if err := json.Unmarshal([]byte(strings.TrimSuffix(string(text), "}")+","+theirs+"}"), &all); err != nil {
		t.Fatal(err)
	}
	text, _ = json.Marshal(all)
	entries, err := Parse(text, Options{Application: "app1"})
	if err != nil {
		t.Fatal(err)
	}
	rate := uint8(3)
	want := macstate.Ping{Periodicity: 1, Known: true, Frequency: 869_525_000, DataRate: &rate, Beacon: 869_525_000}
	m := entries[0].Device.Session.MAC
	if m == nil || !m.ClassB || m.Wish != nil || m.Ping == nil || !reflect.DeepEqual(*m.Ping, want) {
		t.Errorf("%+v, want %+v", m, want)
	}
}

// The owner says it in seconds, or as The Things Stack does.
func TestPingSlotPeriodicityField(t *testing.T) {
	for said, want := range map[string]uint8{"1": 0, "2s": 1, "PING_EVERY_32S": 5, "128": 7} {
		var d session.Device
		err := ParseFields(&d, map[string]string{"ping_slot_periodicity": said})
		if err != nil || d.Settings.MAC.Ping != (macstate.Ping{Periodicity: want, Known: true}) {
			t.Errorf("%q: %+v, %v", said, d.Settings.MAC.Ping, err)
		}
	}
	for _, said := range []string{"0", "3", "256", "often", "PING_EVERY_S", "-1"} {
		var d session.Device
		if err := ParseFields(&d, map[string]string{"ping_slot_periodicity": said}); err == nil || d.Settings.MAC.Ping.Known {
			t.Errorf("%q is taken: %+v", said, d.Settings.MAC.Ping)
		}
	}
}
