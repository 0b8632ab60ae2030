package enddevice

import (
	"fmt"
	"slices"
	"testing"

	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
	"lorawand/radio"
)

// A personalised device that nobody has told channels has those that it was made with, and no
// others after an export and an import: neither as its own nor as a wish.
func TestChannelsOfThePersonalised(t *testing.T) {
	told := &session.Parameters{RX1Delay: 5, RX2DataRate: 3, RX2Frequency: 869_525_000}
	classB := &macstate.State{ClassB: true, Ping: &macstate.Ping{Periodicity: 5, Known: true}}
	others := []radio.Frequency{868_500_000, 867_900_000}
	three := []radio.Frequency{868_100_000, 868_300_000, 868_500_000}
	for _, tt := range []struct {
		name       string
		parameters *session.Parameters
		mac        *macstate.State
		made       []radio.Frequency
		want       []radio.Frequency
	}{
		{"Class B", nil, classB, nil, three},
		{"Class B, made with others", nil, classB, others, others},
		{"was told when to listen", told, nil, nil, three},
		{"the same, made with others", told, nil, []radio.Frequency{867_900_000}, []radio.Frequency{867_900_000}},
		{"the same in Class B", told, classB, nil, three},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := quiet(personalised)
			d.Session.Parameters, d.Session.MAC, d.Settings.Frequencies = tt.parameters, tt.mac, tt.made
			back, err := again(d)
			if err != nil {
				t.Fatal(err)
			}
			var got []radio.Frequency
			for _, c := range back.Session.Parameters.Channels {
				if c.Enabled {
					got = append(got, c.UplinkFrequency)
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(tt.want) {
				t.Errorf("channels %v, want %v", got, tt.want)
			}
			if w := back.Session.MAC; w != nil && w.Wish != nil && len(w.Wish.Channels) > 0 {
				t.Errorf("wished %+v", w.Wish.Channels)
			}
		})
	}
}

// The channels that are wished are still wished after an export and an import, whether the device
// has taken them or not: else it would be told those of the plan. Those of the plan are no wish.
func TestWishedChannelsAreHandedOver(t *testing.T) {
	on := func(list ...radio.Frequency) (out []session.Channel) {
		for _, f := range list {
			out = append(out, macstate.ChannelOn(f, 0, 5))
		}
		return out
	}
	three := on(868_100_000, 868_300_000, 868_500_000)
	four := on(868_100_000, 868_300_000, 868_500_000, 867_900_000)
	moved := on(868_100_000, 868_300_000, 868_500_000)
	moved[1].DownlinkFrequency = 869_000_000
	slower := on(868_100_000, 868_300_000, 868_500_000, 867_100_000)
	slower[3].MaxDataRate = 3
	own := planChannels(quiet(personalised))
	more := append(planChannels(quiet(personalised)), on(869_000_000)...)
	for _, tt := range []struct {
		name            string
		has, wish, want []session.Channel
	}{
		{"taken", three, three, three},
		{"taken, and more than the band's", four, four, four},
		{"taken, with RX1 on another frequency", moved, moved, moved},
		{"taken, with other data rates", slower, slower, slower},
		{"taken, and more than the plan's", more, more, more},
		{"not taken", own, four, four},
		{"not told what it has", nil, four, four},
		{"those of the plan, taken", own, own, nil},
		{"none, and it has others", three, nil, nil},
		{"none, and it has more than the plan's", more, nil, nil},
	} {
		for _, change := range []func(*session.Device){func(*session.Device) {}, personalised} {
			d := quiet(change)
			d.Session.Parameters = &session.Parameters{RX1Delay: 5, RX2DataRate: 3, RX2Frequency: 869_525_000, Channels: tt.has}
			if tt.wish != nil {
				d.Session.MAC = &macstate.State{Wish: &macstate.Wish{Channels: tt.wish}}
			}
			back, err := again(d)
			if err != nil {
				t.Fatalf("%s: %v", tt.name, err)
			}
			var got []session.Channel
			if m := back.Session.MAC; m != nil && m.Wish != nil {
				got = m.Wish.Channels
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("%s, joins %v: wished %v, want %v", tt.name, d.SupportsJoin, got, tt.want)
			}
		}
	}
}
