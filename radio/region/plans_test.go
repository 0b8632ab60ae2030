package region

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/brocaar/lorawan"

	"lorawand/radio"
)

// forAll runs a test on every plan.
func forAll(t *testing.T, test func(t *testing.T, p *Plan)) {
	t.Helper()
	for _, id := range IDs() {
		t.Run(id, func(t *testing.T) { test(t, lookup(t, id)) })
	}
}

// states are all that may be known of a device's dwell times.
func states(p *Plan) []*Plan {
	return []*Plan{
		p, p.Told(DwellLimits{}), p.Told(DwellLimits{Uplink: true}),
		p.Told(DwellLimits{Downlink: true}), p.Told(DwellLimits{Uplink: true, Downlink: true}),
	}
}

func TestPlanTable(t *testing.T) {
	seen := map[string]bool{}
	for _, d := range planTable {
		if seen[d.id] {
			t.Errorf("plan %s is there twice", d.id)
		}
		seen[d.id] = true
	}
}

// A channel is where devices number it, can be told from the others, lies in
// the plan's band, and has data rates that devices send with.
func TestPlanChannels(t *testing.T) {
	forAll(t, func(t *testing.T, p *Plan) {
		last := -1
		for _, c := range p.Channels() {
			if c.Frequency%100 != 0 || c.MinDR > c.MaxDR {
				t.Errorf("no device can be told of channel %+v", c)
			}
			for dr := c.MinDR; dr <= c.MaxDR; dr++ {
				n, err := p.UplinkChannel(c.Frequency, dr)
				if err != nil || dr == c.MinDR && n <= last || dr > c.MinDR && n != last {
					t.Errorf("%v DR%d is channel %d, %v; the one before is %d", c.Frequency, dr, n, err, last)
				}
				last = n
				if _, err := p.MaxMACPayload(dr); err != nil {
					t.Errorf("channel %d: %v", n, err)
				}
			}
			if !p.band.fixed && last > 15 {
				t.Errorf("channel %d: a device has 16", last)
			}
		}
		if !p.band.fixed && !joinElsewhere[p.ID()] && !slices.Equal(p.Channels()[:len(p.band.channels)], p.band.channels) {
			t.Errorf("the plan begins with %+v, the channels on which devices join are %+v", p.Channels(), p.band.channels)
		}
	})
}

// joinElsewhere are the plans whose gateways don't hear all channels on which
// devices of the band join, or don't send on the band's RX2.
var joinElsewhere = map[string]bool{
	"EU_868_1": true, "AS_920_923_TTN_JP_3": true, "AS_920_923_TTN_JP_3_LAND_MOBILE": true, "UZ_923_1": true,
}

// fskOutside are the FSK channels that plans hear on but lay no sub-band
// around: their answers go by RX2.
var fskOutside = []radio.Frequency{921_800_000, 922_100_000, 924_800_000}

// RX1 of all that devices may send, and RX2, are where the plan sends, with a
// data rate of downlinks.
func TestPlanWindows(t *testing.T) {
	forAll(t, func(t *testing.T, p *Plan) {
		check := func(what string, w Window, up Channel) {
			t.Helper()
			if _, err := p.DownlinkMaxMACPayload(w.DataRate); err != nil {
				t.Errorf("%s of %+v: %v", what, up, err)
			}
			if _, err := p.SubBand(w.Frequency); err != nil && !slices.Contains(fskOutside, w.Frequency) {
				t.Errorf("%s of %+v: %v", what, up, err)
			}
		}
		if !joinElsewhere[p.ID()] || p.BandID() != "AS_923" {
			check("RX2", p.RX2(), Channel{})
			check("band's RX2", p.BandRX2(), Channel{})
		}

		windows := 0
		channels := p.Channels()
		if p.band.fixed {
			channels = p.band.channels
		}
		for _, q := range states(p) {
			for _, c := range channels {
				for dr := c.MinDR; dr <= c.MaxDR; dr++ {
					for offset := range uint8(maxOffsets) {
						w, err := q.RX1(c.Frequency, dr, offset)
						if err == nil {
							check("RX1", w, c)
							windows++
						} else if !errors.Is(err, ErrDataRate) || offset == 0 && (q != p || !p.TxParamSetup()) {
							t.Errorf("RX1 of %+v DR%d offset %d: %v", c, dr, offset, err)
						}
					}
				}
			}
		}
		if windows == 0 {
			t.Error("no uplink has an RX1")
		}
	})
}

// A join-accept without CFList, 17 bytes, goes wherever devices listen first.
func TestPlanJoinAcceptFits(t *testing.T) {
	forAll(t, func(t *testing.T, p *Plan) {
		if n, err := p.DownlinkMaxMACPayload(p.BandRX2().DataRate); err != nil || n < 17-5 {
			t.Errorf("RX2 carries %d bytes, %v; a join-accept has 12", n, err)
		}
		if n := p.MaxDownlinkPayload(); n != 242 {
			t.Errorf("downlinks carry %d bytes, want 242", n)
		}
	})
}

// The longest frame of each data rate lasts no longer than 400 ms if dwell time is limited.
func TestPlanDwellTime(t *testing.T) {
	forAll(t, func(t *testing.T, p *Plan) {
		check := func(direction string, dr uint8, size int, err error, noCRC bool) {
			t.Helper()
			if err != nil || size == 0 {
				return // not of this direction, or nothing fits
			}
			rate, err := p.DataRate(dr)
			if err != nil {
				t.Fatal(err)
			}
			airtime, err := radio.TimeOnAir(radio.Packet{DataRate: rate, Size: size + 5, NoCRC: noCRC})
			if err != nil || airtime > dwellTime {
				t.Errorf("DR%d %s: %d bytes last %v, %v", dr, direction, size, airtime, err)
			}
		}
		for dr := range uint8(maxDataRates) {
			if p.DwellLimits().Uplink {
				n, err := p.MaxMACPayload(dr)
				check("up", dr, n, err, false)
			}
			if p.DwellTime() != 0 {
				n, err := p.DownlinkMaxMACPayload(dr)
				check("down", dr, n, err, true)
			}
		}
	})
}

// A device makes channels of the CFList of a join-accept that the plan's gateways hear: the
// encoding is that of brocaar/lorawan.
func TestPlanCFListRoundTrip(t *testing.T) {
	forAll(t, func(t *testing.T, p *Plan) {
		l := p.CFList()
		switch {
		case p.band.fixed:
			checkMasks(t, p, l)
		case len(p.band.channels) < len(multiRateOf(p)):
			checkFrequencies(t, p, l)
		case l.Frequencies != nil || l.Masks != nil:
			t.Errorf("CFList is %+v, though devices have all channels", l)
		}
	})
}

// multiRateOf returns the channels of a plan that devices use without being
// asked to.
func multiRateOf(p *Plan) []Channel {
	return slices.DeleteFunc(slices.Clone(p.Channels()), func(c Channel) bool { return c.MinDR == c.MaxDR })
}

func checkFrequencies(t *testing.T, p *Plan, l CFList) {
	t.Helper()
	if len(l.Frequencies) == 0 || len(l.Frequencies) > cfListFrequencies || l.Masks != nil {
		t.Fatalf("CFList is %+v, want frequencies", l)
	}
	payload := &lorawan.CFListChannelPayload{}
	for i, f := range l.Frequencies {
		payload.Channels[i] = uint32(f)
	}
	b, err := lorawan.CFList{CFListType: lorawan.CFListChannel, Payload: payload}.MarshalBinary()
	if err != nil || len(b) != 16 || b[15] != 0 {
		t.Fatalf("CFList encodes to %x, %v", b, err)
	}
	device := slices.Clone(p.band.channels)
	for ; len(b) > 3; b = b[3:] {
		if f := uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16; f != 0 {
			device = append(device, Channel{Frequency: radio.Frequency(f) * 100, MaxDR: 5})
		}
	}
	want := slices.Clone(p.band.channels)
	for _, c := range multiRateOf(p) {
		if !slices.Contains(want, c) {
			want = append(want, c)
		}
	}
	if want = want[:len(device)]; !slices.Equal(device, want) {
		t.Errorf("a device has %+v, want %+v", device, want)
	}
}

func checkMasks(t *testing.T, p *Plan, l CFList) {
	t.Helper()
	if len(l.Masks) != (p.MaxChannels()+15)/16 || l.Frequencies != nil {
		t.Fatalf("CFList is %+v, want masks", l)
	}
	payload := &lorawan.CFListChannelMaskPayload{}
	for _, m := range l.Masks {
		var mask lorawan.ChMask
		for bit := range mask {
			mask[bit] = m>>bit&1 == 1
		}
		payload.ChannelMasks = append(payload.ChannelMasks, mask)
	}
	b, err := lorawan.CFList{CFListType: lorawan.CFListChannelMask, Payload: payload}.MarshalBinary()
	if err != nil || len(b) != 16 || b[15] != 1 {
		t.Fatalf("CFList encodes to %x, %v", b, err)
	}
	var device []Channel
	for n, c := range p.band.channels {
		if binary.LittleEndian.Uint16(b[n/16*2:])>>(n%16)&1 == 1 {
			device = append(device, c)
		}
	}
	if !slices.Equal(device, p.Channels()) {
		t.Errorf("a device has %+v, want %+v", device, p.Channels())
	}
}

// RP002-1.0.4: 2.7 (EU433), 2.11 (KR920) and 2.12 (IN865).
func TestOtherPlans(t *testing.T) {
	tests := []struct {
		id     string
		rx2    Window
		cfList []radio.Frequency
		duty   int
		eirp   radio.Decibel
	}{
		{
			"EU_433",
			Window{434_665_000, 0},
			[]radio.Frequency{433_775_000, 433_975_000, 434_175_000, 434_375_000, 434_575_000},
			100, 1215,
		},
		{
			"KR_920_923_TTN",
			Window{921_900_000, 0},
			[]radio.Frequency{922_700_000, 922_900_000, 923_100_000, 923_300_000},
			1000, 1615,
		},
		{
			"IN_865_867",
			Window{866_550_000, 2},
			[]radio.Frequency{865_232_500, 866_185_000, 866_385_000, 866_585_000, 866_785_000},
			1000, 1615,
		},
	}
	for _, tt := range tests {
		p := lookup(t, tt.id)
		if p.RX2() != tt.rx2 || p.BandRX2() != tt.rx2 {
			t.Errorf("%s: RX2 is %+v, the band's %+v; want %+v", tt.id, p.RX2(), p.BandRX2(), tt.rx2)
		}
		if l := p.CFList(); !slices.Equal(l.Frequencies, tt.cfList) {
			t.Errorf("%s: CFList is %v, want %v", tt.id, l.Frequencies, tt.cfList)
		}
		if s, err := p.SubBand(tt.rx2.Frequency); err != nil || s.DutyCycle != tt.duty || s.MaxEIRP != tt.eirp {
			t.Errorf("%s: RX2 is in %+v, %v; want %d ‰ and %v dBm", tt.id, s, err, tt.duty, tt.eirp)
		}
		for dr := range uint8(6) {
			for offset := range uint8(6) {
				want := uint8(max(int(dr)-int(offset), 0))
				if w, err := p.RX1(tt.cfList[0], dr, offset); err != nil || w != (Window{tt.cfList[0], want}) {
					t.Errorf("%s: RX1 of DR%d offset %d is %+v, %v; want DR%d", tt.id, dr, offset, w, err, want)
				}
			}
		}
		if p.TxParamSetup() || p.DwellLimits() != (DwellLimits{}) {
			t.Errorf("%s: dwell times %+v, TxParamSetup %t", tt.id, p.DwellLimits(), p.TxParamSetup())
		}
		if tt.id == "KR_920_923_TTN" {
			continue // which has no FSK
		}
		if w, err := p.RX1(tt.cfList[0], 7, 0); err != nil || w.DataRate != 7 {
			t.Errorf("%s: RX1 of FSK is %+v, %v; want DR7", tt.id, w, err)
		}
	}
}

func TestNoRX1DataRate(t *testing.T) {
	for _, no := range [][2]uint8{{6, 0}, {7, 1}, {5, 6}} {
		if w, err := lookup(t, "IN_865_867").RX1(865_062_500, no[0], no[1]); !errors.Is(err, ErrDataRate) {
			t.Errorf("IN865: RX1 of DR%d offset %d is %+v, %v; want ErrDataRate", no[0], no[1], w, err)
		}
	}
}

// Gateways of these plans listen before they talk, on channels that the SX1261
// can listen to, for as long as it can; no other plan asks for that.
func TestPlanLBT(t *testing.T) {
	want := map[string]LBT{
		"AS_920_923_LBT":                  {-8400, 128 * time.Microsecond, 400 * time.Millisecond},
		"AS_923_925_LBT":                  {-8400, 128 * time.Microsecond, 400 * time.Millisecond},
		"AS_920_923_TTN_JP_1":             {-8400, 5 * time.Millisecond, 4 * time.Second},
		"AS_920_923_TTN_JP_1_LAND_MOBILE": {-8400, 5 * time.Millisecond, 4 * time.Second},
		"AS_920_923_TTN_JP_2":             {-8400, 5 * time.Millisecond, 4 * time.Second},
		"AS_920_923_TTN_JP_3":             {-8400, 5 * time.Millisecond, 4 * time.Second},
		"AS_920_923_TTN_JP_3_LAND_MOBILE": {-8400, 5 * time.Millisecond, 4 * time.Second},
		"KR_920_923_TTN":                  {-8400, 128 * time.Microsecond, 4 * time.Second},
	}
	forAll(t, func(t *testing.T, p *Plan) {
		if l, ok := p.LBT(); l != want[p.ID()] || ok != (l != LBT{}) {
			t.Errorf("LBT is %+v, %t; want %+v", l, ok, want[p.ID()])
		}
	})
}
