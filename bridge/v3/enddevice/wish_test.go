package enddevice

import (
	"encoding/json"
	"testing"

	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
	"lorawand/radio"
)

func small(v uint8) *uint8 { return &v }

func on(f radio.Frequency) *radio.Frequency { return &f }

func dBm(v radio.Decibel) *radio.Decibel { return &v }

// inEurope returns what a device has that was told all there, with a change.
func inEurope(change func(*session.Parameters)) *session.Parameters {
	p := session.Parameters{RX1Delay: 5, RX2DataRate: 3, RX2Frequency: 869_525_000, MaxEIRP: 1600}
	change(&p)
	return &p
}

func inAsia(change func(*session.Parameters)) *session.Parameters {
	up, down := true, true
	p := session.Parameters{RX1Delay: 5, RX2DataRate: 2, RX2Frequency: 923_200_000, UplinkDwell: &up, DownlinkDwell: &down}
	change(&p)
	return &p
}

func nothing(*session.Parameters) {}

var isNot = false

var wishesOf = []struct {
	name, plan string
	has        *session.Parameters
	wish       macstate.Wish
	set        func(*session.Settings)
	want       string
}{
	{
		"RX1 delay, taken", "", inEurope(func(p *session.Parameters) { p.RX1Delay = 3 }),
		macstate.Wish{RX1Delay: small(3)},
		nil, `{"RX1Delay":3}`,
	},
	{"RX1 delay, not taken", "", inEurope(nothing), macstate.Wish{RX1Delay: small(3)}, nil, `{"RX1Delay":3}`},
	{
		"RX1 delay, none, and it has another", "", inEurope(func(p *session.Parameters) { p.RX1Delay = 1 }),
		macstate.Wish{},
		nil, `{}`,
	},
	{
		"RX1 delay, taken, and set otherwise", "", inEurope(nothing),
		macstate.Wish{RX1Delay: small(5)},
		func(s *session.Settings) { s.Desired.RX1Delay = small(2) }, `{"RX1Delay":5}`,
	},
	{
		"RX1 delay, set", "", inEurope(nothing),
		macstate.Wish{},
		func(s *session.Settings) { s.Desired.RX1Delay = small(2) }, `{}`,
	},
	{
		"RX2, taken", "",
		inEurope(func(p *session.Parameters) { p.RX2DataRate, p.RX2Frequency = 0, 868_500_000 }),
		macstate.Wish{RX2DataRate: small(0), RX2Frequency: on(868_500_000)},
		nil,
		`{"RX2DataRate":0,"RX2Frequency":868500000}`,
	},
	{"RX2, not taken", "", inEurope(nothing), macstate.Wish{RX2DataRate: small(0)}, nil, `{"RX2DataRate":0}`},
	{
		"RX2, none, and it has another", "",
		inEurope(func(p *session.Parameters) { p.RX2DataRate, p.RX2Frequency = 0, 868_500_000 }),
		macstate.Wish{},
		nil, `{}`,
	},
	{
		"RX1 data rate offset, taken, and set otherwise", "",
		inEurope(func(p *session.Parameters) { p.RX1DROffset = 2 }),
		macstate.Wish{RX1DROffset: small(2)},
		func(s *session.Settings) { s.Desired.RX1DROffset = small(0) }, `{"RX1DROffset":2}`,
	},
	{
		"duty cycle, taken, and set otherwise", "",
		inEurope(func(p *session.Parameters) { p.MaxDutyCycle = small(0) }),
		macstate.Wish{MaxDutyCycle: small(0)},
		func(s *session.Settings) { s.MAC.MaxDutyCycle = small(6) }, `{"MaxDutyCycle":0}`,
	},
	{
		"power, taken", "AS_923", inAsia(func(p *session.Parameters) { p.MaxEIRP = 1000 }),
		macstate.Wish{MaxEIRP: dBm(1000)},
		nil, `{"MaxEIRP":1000}`,
	},
	{"power, not taken", "AS_923", inAsia(nothing), macstate.Wish{MaxEIRP: dBm(1000)}, nil, `{"MaxEIRP":1000}`},
	{
		"power, none, and it has another", "AS_923", inAsia(func(p *session.Parameters) { p.MaxEIRP = 1000 }),
		macstate.Wish{},
		nil, `{}`,
	},
	{
		"dwell times, taken", "AS_923",
		inAsia(func(p *session.Parameters) { p.UplinkDwell, p.DownlinkDwell = &isNot, &isNot }),
		macstate.Wish{UplinkDwell: &isNot, DownlinkDwell: &isNot},
		nil, `{"UplinkDwell":false,"DownlinkDwell":false}`,
	},
	{
		"dwell times, not taken", "AS_923", inAsia(nothing),
		macstate.Wish{UplinkDwell: &isNot, DownlinkDwell: &isNot},
		nil,
		`{"UplinkDwell":false,"DownlinkDwell":false}`,
	},
	{
		"dwell times, none, and it has others", "AS_923",
		inAsia(func(p *session.Parameters) { p.UplinkDwell, p.DownlinkDwell = &isNot, &isNot }),
		macstate.Wish{},
		nil, `{}`,
	},
}

// What is wished for a session is still wished after an export and an import, whether the device
// has taken it or not: else it would be asked to go back. What it would be asked without is no wish,
// whatever it has.
func TestWishesAreHandedOver(t *testing.T) {
	for _, tt := range wishesOf {
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
			got := macstate.Wish{}
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
					t.Errorf("the network tells %d, %d is wished, it has %d: %v is wished, %d asked", network, wished, has, got, want)
				}
			}
		}
	}
}
