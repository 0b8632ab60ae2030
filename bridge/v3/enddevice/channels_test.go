package enddevice

import (
	"fmt"
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
