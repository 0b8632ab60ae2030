package enddevice

import (
	"encoding/json"
	"testing"

	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
	"lorawand/radio"
)

// What is wished for a session is still wished after an export and an import, whether the device
// has taken it or not: else it would be asked to go back. What it would be asked without is no wish,
// whatever it has.
func TestWishesAreHandedOver(t *testing.T) {
	yes, no := true, false
	n := func(v uint8) *uint8 { return &v }
	f := func(v radio.Frequency) *radio.Frequency { return &v }
	power := func(v radio.Decibel) *radio.Decibel { return &v }
	eu := session.Parameters{RX1Delay: 5, RX2DataRate: 3, RX2Frequency: 869_525_000, MaxEIRP: 1600}
	as := session.Parameters{RX1Delay: 5, RX2DataRate: 2, RX2Frequency: 923_200_000, UplinkDwell: &yes, DownlinkDwell: &yes}
	change := func(p session.Parameters, change func(*session.Parameters)) *session.Parameters {
		change(&p)
		return &p
	}
	type wish = macstate.Wish
	for _, tt := range []struct {
		name, plan string
		has        *session.Parameters
		wish       wish
		set        func(*session.Settings)
		want       string
	}{
		{"RX1 delay, taken", "", change(eu, func(p *session.Parameters) { p.RX1Delay = 3 }), wish{RX1Delay: n(3)}, nil, `{"RX1Delay":3}`},
		{"RX1 delay, not taken", "", &eu, wish{RX1Delay: n(3)}, nil, `{"RX1Delay":3}`},
		{"RX1 delay, none, and it has another", "", change(eu, func(p *session.Parameters) { p.RX1Delay = 1 }), wish{}, nil, `{}`},
		{
			"RX1 delay, taken, and set otherwise", "", &eu, wish{RX1Delay: n(5)},
			func(s *session.Settings) { s.Desired.RX1Delay = n(2) }, `{"RX1Delay":5}`,
		},
		{"RX1 delay, set", "", &eu, wish{}, func(s *session.Settings) { s.Desired.RX1Delay = n(2) }, `{}`},
		{
			"RX2, taken", "",
			change(eu, func(p *session.Parameters) { p.RX2DataRate, p.RX2Frequency = 0, 868_500_000 }),
			wish{RX2DataRate: n(0), RX2Frequency: f(868_500_000)}, nil, `{"RX2DataRate":0,"RX2Frequency":868500000}`,
		},
		{"RX2, not taken", "", &eu, wish{RX2DataRate: n(0)}, nil, `{"RX2DataRate":0}`},
		{
			"RX2, none, and it has another", "",
			change(eu, func(p *session.Parameters) { p.RX2DataRate, p.RX2Frequency = 0, 868_500_000 }), wish{}, nil, `{}`,
		},
		{
			"RX1 data rate offset, taken, and set otherwise", "",
			change(eu, func(p *session.Parameters) { p.RX1DROffset = 2 }), wish{RX1DROffset: n(2)},
			func(s *session.Settings) { s.Desired.RX1DROffset = n(0) }, `{"RX1DROffset":2}`,
		},
		{
			"duty cycle, taken, and set otherwise", "",
			change(eu, func(p *session.Parameters) { p.MaxDutyCycle = n(0) }), wish{MaxDutyCycle: n(0)},
			func(s *session.Settings) { s.MAC.MaxDutyCycle = n(6) }, `{"MaxDutyCycle":0}`,
		},
		{
			"power, taken", "AS_923", change(as, func(p *session.Parameters) { p.MaxEIRP = 1000 }), wish{MaxEIRP: power(1000)},
			nil, `{"MaxEIRP":1000}`,
		},
		{"power, not taken", "AS_923", &as, wish{MaxEIRP: power(1000)}, nil, `{"MaxEIRP":1000}`},
		{"power, none, and it has another", "AS_923", change(as, func(p *session.Parameters) { p.MaxEIRP = 1000 }), wish{}, nil, `{}`},
		{
			"dwell times, taken", "AS_923",
			change(as, func(p *session.Parameters) { p.UplinkDwell, p.DownlinkDwell = &no, &no }),
			wish{UplinkDwell: &no, DownlinkDwell: &no}, nil, `{"UplinkDwell":false,"DownlinkDwell":false}`,
		},
		{
			"dwell times, not taken", "AS_923", &as, wish{UplinkDwell: &no, DownlinkDwell: &no}, nil,
			`{"UplinkDwell":false,"DownlinkDwell":false}`,
		},
		{
			"dwell times, none, and it has others", "AS_923",
			change(as, func(p *session.Parameters) { p.UplinkDwell, p.DownlinkDwell = &no, &no }), wish{}, nil, `{}`,
		},
	} {
		for _, joins := range []func(*session.Device){func(*session.Device) {}, personalised} {
			d := quiet(joins)
			if tt.plan != "" {
				d.Plan = tt.plan
			}
			if d.Session.Parameters = tt.has; tt.set != nil {
				tt.set(&d.Settings)
			}
			wished := tt.wish
			d.Session.MAC = &macstate.State{Wish: &wished}
			back, err := again(d)
			if err != nil {
				t.Fatalf("%s: %v", tt.name, err)
			}
			got := wish{}
			if m := back.Session.MAC; m != nil && m.Wish != nil {
				got = *m.Wish
			}
			if b, err := json.Marshal(got); err != nil || string(b) != tt.want {
				t.Errorf("%s, joins %v: wished %s, want %s, %v", tt.name, d.SupportsJoin, b, tt.want, err)
			}
		}
	}
}

// What the network tells is no wish, and what is wished is one where the network tells another.
func TestWishBesideTheNetworks(t *testing.T) {
	for _, network := range []uint8{0, 1, 5, 7} {
		for _, wished := range []uint8{0, 1, 5, 7} {
			for _, has := range []uint8{1, 5, 7} {
				d := quiet(personalised)
				d.Session.Parameters = &session.Parameters{RX1Delay: has, RX2DataRate: 3, RX2Frequency: 869_525_000}
				want := max(network, 1)
				if network == 0 {
					want = 5
				}
				if wished != 0 {
					want = wished
					d.Session.MAC = &macstate.State{Wish: &macstate.Wish{RX1Delay: &wished}}
				}
				b, err := Append(nil, d, Form{Keys: true, Session: true, RX1Delay: network})
				if err != nil {
					t.Fatal(err)
				}
				entries, err := Parse(b, Options{Application: d.ID.Application, RX1Delay: network})
				if err != nil {
					t.Fatal(err)
				}
				back := entries[0].Device
				got := back.Wish(back.Session).RX1Delay
				if none := want == network || network == 0 && want == 5; none != (got == nil) || !none && *got != want {
					t.Errorf("the network tells %d, %d is wished, the device has %d: wished %v, asked %d", network, wished, has, got, want)
				}
			}
		}
	}
}
