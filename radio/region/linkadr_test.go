package region

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// maskOf reads the channels of a test: "2" is a block of 8 with its channel of
// 500 kHz, "2-" without, "+3" only that of 500 kHz, "all" all, "none" none.
func maskOf(t *testing.T, p *Plan, text string) (m ChannelMask) {
	t.Helper()
	for _, word := range strings.Fields(text) {
		var block int
		narrow, wide := true, p.band.wide
		switch {
		case word == "all":
			return p.StartMask()
		case word == "none":
			return ChannelMask{}
		case word == "narrow":
			m = p.StartMask()
			m[wideGroup] = 0
			return m
		case strings.HasPrefix(word, "+"):
			narrow = false
		case strings.HasSuffix(word, "-"):
			wide = false
		}
		if _, err := fmt.Sscan(strings.Trim(word, "+-"), &block); err != nil {
			t.Fatal(err)
		}
		for i := range blockChannels {
			if narrow {
				m.Set(blockChannels*(block-1) + i)
			}
		}
		if wide {
			m.Set(narrowChannels + block - 1)
		}
	}
	return m
}

// The masks are those of The Things Stack, except where its masks would leave wrong
// channels.
func TestLinkMasks(t *testing.T) {
	for _, tt := range []struct {
		plan            string
		version         Version
		current, wanted string
		want            string // ChMaskCntl:ChMask
	}{
		{"US_902_928_FSB_2", RP002_1_0_4, "all", "2", "7:0002 0:ff00"},
		{"US_902_928_FSB_2", RP002_1_0_4, "none", "2", "0:ff00 4:0002"},
		{"US_902_928_FSB_2", RP002_1_0_4, "2", "2", "0:ff00"},
		{"US_902_928_FSB_2", RP002_1_0_4, "2-", "2", "4:0002"},
		{"US_902_928_FSB_2", RP002_1_0_4, "1", "2", "0:ff00 4:0002"},
		{"US_902_928_FSB_2", V1_0_2B, "all", "2", "7:0002 0:ff00"},
		{"AU_915_928_FSB_2", V1_0_2B, "all", "2", "7:0002 0:ff00"},
		{"US_902_928_FSB_2", RP002_1_0_4, "all", "8", "7:0080 3:ff00"},
		{"US_902_928_FSB_2", RP002_1_0_4, "1", "3", "7:0004 1:00ff"},
		{"US_902_928_FSB_2", RP002_1_0_4, "all", "1 2", "7:0003 0:ffff"},
		{"US_902_928_FSB_2", RP002_1_0_4, "all", "2 7", "5:0042 4:0042"},
		{"US_902_928_FSB_2", V1_0_2B, "all", "2 7", "7:0042 0:ff00 3:00ff"},
		{"US_902_928_FSB_2", RP002_1_0_4, "none", "all", "6:00ff"},
		{"US_902_928_FSB_2", RP002_1_0_4, "1", "narrow", "6:0000"},
		{"US_902_928_FSB_2", RP002_1_0_4, "all", "all", "0:ffff"},
		// Each by itself: none may leave the device without a channel.
		{"US_902_928_FSB_2", V1_0, "all", "2", "0:ff00 4:0002 1:0000 2:0000 3:0000"},
		{"US_902_928_FSB_2", V1_0_1, "1", "3", "1:00ff 4:0004 0:0000"},
		{"AU_915_928_FSB_2", V1_0_1, "all", "2", "0:ff00 4:0002 1:0000 2:0000 3:0000"},
		// The Things Stack takes no notice of channel 64.
		{"US_902_928_FSB_2", RP002_1_0_4, "none", "1", "0:00ff 4:0001"},
		{"US_902_928_FSB_2", RP002_1_0_4, "1", "1-", "4:0000"},
		{"US_902_928_FSB_2", RP002_1_0_4, "1-", "1", "4:0001"},
		// It sends 5:0004, which switches channel 66 on in devices that obey RP002.
		{"US_902_928_FSB_2", RP002_1_0_4, "1", "3-", "7:0000 1:00ff"},
		// A mask of channels that are on, where it sends 0:0000.
		{"US_902_928_FSB_2", RP002_1_0_4, "3", "3", "1:00ff"},
		{"US_902_928_FSB_2", RP002_1_0_4, "+1", "+1", "4:0001"},
		{"EU_863_870_TTN", RP002_1_0_4, "1", "1", "0:00ff"},
		{"EU_863_870_TTN", V1_0, "none", "1", "0:00ff"},
	} {
		p := lookup(t, tt.plan).For(tt.version)
		got := ""
		for _, l := range p.LinkMasks(maskOf(t, p, tt.current), maskOf(t, p, tt.wanted)) {
			got += fmt.Sprintf(" %d:%04x", l.Cntl, l.Mask)
		}
		if got[1:] != tt.want {
			t.Errorf("%s, %v, %s to %s:%s, want %s", tt.plan, tt.version, tt.current, tt.wanted, got, tt.want)
		}
	}
}

// The masks bring a device from any channels to the wanted ones. ChMaskCntl 5 may change
// the channels of 500 kHz or not. A device that obeys each mask by itself is never without
// a channel.
func TestLinkMasksReachWhatIsWanted(t *testing.T) {
	seen := map[string]bool{}
	forAll(t, func(t *testing.T, plan *Plan) {
		if seen[plan.BandID()] {
			return // the rules are those of the band
		}
		seen[plan.BandID()] = true
		for v := VersionUnknown; v < numVersions; v++ {
			p := plan.For(v)
			all := p.StartMask()
			masks := []ChannelMask{all, p.PlanMask()}
			for seed := range uint32(6) {
				var m ChannelMask
				for i := range p.MaxChannels() {
					if (uint32(i)/uint32(1+seed%9)*2654435761+seed*40503)>>16&3 == 0 {
						m.Set(i)
					}
				}
				masks = append(masks, m)
			}
			for _, current := range masks {
				for _, wanted := range masks {
					if wanted != (ChannelMask{}) {
						reach(t, v, p, current, wanted)
					}
				}
			}
		}
	})
}

func reach(t *testing.T, v Version, p *Plan, current, wanted ChannelMask) {
	t.Helper()
	sent := p.LinkMasks(current, wanted)
	if len(sent) == 0 || len(sent) > maskGroups {
		t.Fatalf("%v: %04x to %04x: %d masks", v, current, wanted, len(sent))
	}
	for _, leavesWide := range []bool{false, true} {
		m, ok := current, true
		for _, l := range sent {
			wide := m[wideGroup]
			if m, ok = p.ApplyLinkMask(m, l); !ok {
				t.Fatalf("%v: %04x to %04x: no such mask %+v", v, current, wanted, l)
			}
			if l.Cntl == cntlBlocks && p.band.wide && leavesWide {
				m[wideGroup] = wide
			}
			if p.band.edition.oneByOne && m == (ChannelMask{}) {
				t.Fatalf("%v: %04x to %04x: no channel is left by %+v", v, current, wanted, l)
			}
		}
		if m != wanted {
			t.Fatalf("%v: %04x to %04x ends in %04x by %+v", v, current, wanted, m, sent)
		}
	}
}

// Devices read a ChMaskCntl as RP002-1.0.4, 2.5.5 and 2.4.5 say.
func TestApplyLinkMask(t *testing.T) {
	us, eu := lookup(t, "US_902_928_FSB_2"), lookup(t, "EU_863_870_TTN")
	start := maskOf(t, us, "1")
	for _, tt := range []struct {
		p    *Plan
		l    LinkMask
		want ChannelMask
		ok   bool
	}{
		{us, LinkMask{3, 0xffff}, ChannelMask{0x00ff, 0, 0, 0xffff, 1}, true},
		{us, LinkMask{4, 0xffff}, ChannelMask{0x00ff, 0, 0, 0, 0x00ff}, true},
		{us, LinkMask{5, 0x0006}, ChannelMask{0xff00, 0x00ff, 0, 0, 6}, true},
		{us, LinkMask{6, 0x0003}, ChannelMask{0xffff, 0xffff, 0xffff, 0xffff, 3}, true},
		{us, LinkMask{7, 0xffff}, ChannelMask{0, 0, 0, 0, 0x00ff}, true},
		{us, LinkMask{8, 0xffff}, start, false},
		{eu, LinkMask{0, 0x1234}, ChannelMask{0x1234, 0, 0, 0, 1}, true},
		{eu, LinkMask{6, 0}, ChannelMask{0xffff, 0, 0, 0, 1}, true},
		{eu, LinkMask{1, 0xffff}, start, false},
		{eu, LinkMask{7, 0xffff}, start, false},
	} {
		if m, ok := tt.p.ApplyLinkMask(start, tt.l); m != tt.want || ok != tt.ok {
			t.Errorf("%s, %+v: %04x, %t; want %04x, %t", tt.p.ID(), tt.l, m, ok, tt.want, tt.ok)
		}
	}
}

func TestChannelMask(t *testing.T) {
	var m ChannelMask
	for _, n := range []int{-1, 0, 17, 95, 96, 1 << 20} {
		m.Set(n)
	}
	if want := (ChannelMask{1, 2, 0, 0, 0, 0x8000}); m != want {
		t.Errorf("%04x, want %04x", m, want)
	}
	for n, want := range map[int]bool{-1: false, 0: true, 1: false, 17: true, 95: true, 96: false} {
		if m.Has(n) != want {
			t.Errorf("channel %d: %t", n, !want)
		}
	}
	if m := lookup(t, "EU_863_870_TTN").PlanMask(); m != (ChannelMask{0x00ff}) {
		t.Errorf("EU868 uses %04x, want 00ff: FSK and SF7BW250 have no channel of devices", m)
	}
	if m := lookup(t, "US_902_928_FSB_2").PlanMask(); !slices.Equal(m[:5], lookup(t, "US_902_928_FSB_2").CFList().Masks) {
		t.Errorf("US915 uses %04x", m)
	}
}
