package mac

import (
	"fmt"
	"slices"
	"testing"

	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
	"lorawand/radio"
)

// channelWords says which channels a device is known to use: "868.1 (867.1)" uses the
// first and has the second.
func channelWords(e *endDevice) (s string) {
	for n, c := range channels(e.d, e.d.Session, e.plan, nil) {
		switch f := string(c.UplinkFrequency.AppendMHz(nil)); {
		case c.UplinkFrequency == 0:
		case c.Enabled:
			s += fmt.Sprintf(" %d:%s", n, f)
		default:
			s += fmt.Sprintf(" %d:(%s)", n, f)
		}
	}
	return s
}

// wishes change the channels that a device is to use, whether it lets ADR decide or not.
var wishes = []struct {
	name    string
	wish    func(has []session.Channel) []session.Channel
	refuses func(macstate.Command) (byte, bool)
	asked   string // in all
	use     string // in the end
}{
	{
		"as they are", func(has []session.Channel) []session.Channel { return has }, nil, "",
		" 0:868.1 1:868.3 2:868.5 3:867.1 4:867.3 5:867.5 6:867.7 7:867.9",
	},
	{
		"fewer", func(has []session.Channel) []session.Channel { return has[:6] }, nil,
		"070600000000" + "070700000000", " 0:868.1 1:868.3 2:868.5 3:867.1 4:867.3 5:867.5",
	},
	{
		"one without frequency",
		func(has []session.Channel) []session.Channel { has[4] = session.Channel{}; return has }, nil,
		"070400000000", " 0:868.1 1:868.3 2:868.5 3:867.1 5:867.5 6:867.7 7:867.9",
	},
	{
		"one disabled", func(has []session.Channel) []session.Channel { has[4].Enabled = false; return has }, nil,
		"0330ef0001", " 0:868.1 1:868.3 2:868.5 3:867.1 4:(867.3) 5:867.5 6:867.7 7:867.9",
	},
	{
		"the band's own disabled, and left out", func(has []session.Channel) []session.Channel {
			has[0], has[1].Enabled = session.Channel{}, false
			return has
		}, nil, "0330fc0001", " 0:(868.1) 1:(868.3) 2:868.5 3:867.1 4:867.3 5:867.5 6:867.7 7:867.9",
	},
	{
		"one that it has not, disabled", func(has []session.Channel) []session.Channel {
			c := macstate.ChannelOn(868_800_000, 0, 5)
			c.Enabled = false
			return append(has, c)
		}, nil, "", " 0:868.1 1:868.3 2:868.5 3:867.1 4:867.3 5:867.5 6:867.7 7:867.9",
	},
	{
		"another one, one taken away, one disabled", func(has []session.Channel) []session.Channel {
			has[3], has[4].Enabled = macstate.ChannelOn(868_800_000, 0, 5), false
			return has[:7]
		}, nil, "070380918450" + "070700000000" + "03306f0001", " 0:868.1 1:868.3 2:868.5 3:868.8 4:(867.3) 5:867.5 6:867.7",
	},
	{
		"all disabled: no device is without", func(has []session.Channel) []session.Channel {
			for i := range has {
				has[i].Enabled = false
			}
			return has
		}, nil, "", " 0:868.1 1:868.3 2:868.5 3:867.1 4:867.3 5:867.5 6:867.7 7:867.9",
	},
	{
		"fewer, refused: not used at least", func(has []session.Channel) []session.Channel { return has[:7] },
		func(c macstate.Command) (byte, bool) { return 2, c.CID == cidNewChannel },
		"070700000000" + "03307f0001", " 0:868.1 1:868.3 2:868.5 3:867.1 4:867.3 5:867.5 6:867.7 7:(867.9)",
	},
	{
		"a frequency that it refuses, on two channels", func(has []session.Channel) []session.Channel {
			has[3] = macstate.ChannelOn(869_100_000, 0, 5)
			return append(has, macstate.ChannelOn(869_100_000, 0, 5))
		},
		func(c macstate.Command) (byte, bool) { return 2, c.CID == cidNewChannel },
		"0703389d8450" + "0708389d8450", " 0:868.1 1:868.3 2:868.5 3:867.1 4:867.3 5:867.5 6:867.7 7:867.9",
	},
}

// A device is asked once for the channels that its owner wishes, and does not use others.
func TestChannelWishes(t *testing.T) {
	for _, tt := range wishes {
		for _, noADR := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, ADR %v", tt.name, !noADR), func(t *testing.T) {
				e := newEndDevice(t, "EU_863_870_TTN", session.V1_0_3, link{3, 0, 1})
				e.d.Settings.MAC.ADR.Disabled = !noADR // ADR's own requests are another matter
				e.noADR, e.refuses = noADR, tt.refuses
				has := slices.Clone(channels(e.d, e.d.Session, e.plan, nil))
				e.d.Session.MAC = &macstate.State{Wish: &macstate.Wish{Channels: tt.wish(has)}}
				for range 30 {
					e.uplink()
				}
				if got := hexOf(e.asked); got != tt.asked {
					t.Errorf("asked %s, want %s", got, tt.asked)
				}
				if got := channelWords(e); got != tt.use {
					t.Errorf("uses%s, want%s", got, tt.use)
				}
			})
		}
	}
}

// A wish that is taken back has the device use the plan's channels again.
func TestChannelWishTakenBack(t *testing.T) {
	e := newEndDevice(t, "EU_863_870_TTN", session.V1_0_3, link{3, 0, 1})
	e.noADR = true
	all := channelWords(e)
	wish := slices.Clone(channels(e.d, e.d.Session, e.plan, nil))[:7]
	wish[0].Enabled, wish[4].Enabled = false, false
	e.d.Session.MAC = &macstate.State{Wish: &macstate.Wish{Channels: wish}}
	for range 5 {
		e.uplink()
	}
	e.d.Session.SetMAC(e.d.Session.MAC.With(func(m *macstate.State) { m.Wish = nil }))
	for range 5 {
		e.uplink()
	}
	want := "070700000000" + "03306e0001" + "0707586e8450" + "0330ff0001"
	if got := hexOf(e.asked); got != want || channelWords(e) != all {
		t.Errorf("asked %s, want %s; uses%s", got, want, channelWords(e))
	}
}

// A device that falls back to the lowest data rate uses the band's own channels again, and
// is told once more.
func TestChannelWishAfterFallback(t *testing.T) {
	e := newEndDevice(t, "EU_863_870_TTN", session.V1_0_4, link{3, 0, 1})
	wish := slices.Clone(channels(e.d, e.d.Session, e.plan, nil))
	wish[0].Enabled = false
	e.d.Session.MAC = &macstate.State{Wish: &macstate.Wish{Channels: wish}}
	for range 200 {
		e.uplink()
	}
	e.asked, e.link, e.heard = nil, link{0, 0, 1}, snrAt(-1000)
	for range 5 {
		e.uplink()
	}
	if got := hexOf(e.asked); got != "0300fe0001" || channels(e.d, e.d.Session, e.plan, nil)[0].Enabled {
		t.Errorf("asked %s, uses%s", got, channelWords(e))
	}
}

// The channels that a personalised device was made with have the numbers that devices give
// them; then it is asked for those of the plan, as The Things Stack does.
func TestFactoryChannels(t *testing.T) {
	for _, tt := range []struct {
		name   string
		preset []radio.Frequency
		first  string // uses at the start
		asked  string
	}{
		{
			"those of the plan",
			[]radio.Frequency{
				868_100_000, 868_300_000, 868_500_000, 867_100_000, 867_300_000, 867_500_000, 867_700_000, 867_900_000,
			},
			" 0:868.1 1:868.3 2:868.5 3:867.1 4:867.3 5:867.5 6:867.7 7:867.9", "",
		},
		{
			"some, in another order, and not all of the band's own",
			[]radio.Frequency{
				867_100_000, 868_500_000, 867_900_000, 867_700_000, 867_500_000, 867_300_000, 868_100_000,
			},
			" 0:868.1 1:(868.3) 2:868.5 3:867.1 4:867.9 5:867.7 6:867.5 7:867.3", "0330ff0001",
		},
		{
			"one that the plan has not",
			[]radio.Frequency{868_100_000, 868_300_000, 868_500_000, 869_100_000},
			" 0:868.1 1:868.3 2:868.5 3:869.1",
			"0704184f8450" + "0705e8568450" + "0706b85e8450" + "070788668450" + "0708586e8450" + "0330f70101",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newEndDevice(t, "EU_863_870_TTN", session.V1_0_3, link{3, 0, 1})
			e.noADR, e.d.SupportsJoin, e.d.Settings.Frequencies = true, false, tt.preset
			if got := channelWords(e); got != tt.first {
				t.Errorf("uses%s, want%s", got, tt.first)
			}
			for range 30 {
				e.uplink()
			}
			if got := hexOf(e.asked); got != tt.asked {
				t.Errorf("asked %s, want %s", got, tt.asked)
			}
			for _, c := range e.plan.Channels() {
				uses := func(h session.Channel) bool { return h.Enabled && h.UplinkFrequency == c.Frequency }
				if c.MinDR < c.MaxDR && !slices.ContainsFunc(channels(e.d, e.d.Session, e.plan, nil), uses) {
					t.Errorf("does not use %v", c.Frequency)
				}
			}
		})
	}
}
