package core

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"lorawand/bridge/session"
	"lorawand/radio"
	"lorawand/radio/region"
)

// onPlan puts a device and its gateway on a plan.
func (s *stand) onPlan(plan string, d *session.Device) {
	s.Helper()
	p, err := region.Lookup(plan)
	if err != nil {
		s.Fatal(err)
	}
	d.Plan, s.gateway(gwA).Plan = plan, p
	s.answering(gwA)
	s.online(gwA)
}

func on(f radio.Frequency) func(*radio.Uplink) { return func(up *radio.Uplink) { up.Frequency = f } }

// A join-accept tells channels as the device's regional parameters have it.
func TestJoinAcceptByVersion(t *testing.T) {
	for _, tt := range []struct {
		plan    string
		version session.Version
		phy     string
		on      radio.Frequency
		want    int // bytes
	}{
		{"US_902_928_FSB_2", session.V1_0_0, "", 903_900_000, 17},
		{"US_902_928_FSB_2", session.V1_0_1, "", 903_900_000, 17},
		{"US_902_928_FSB_2", session.V1_0_2, "", 903_900_000, 17},
		{"US_902_928_FSB_2", session.V1_0_2, "PHY_V1_0_2_REV_A", 903_900_000, 17},
		{"US_902_928_FSB_2", session.V1_0_2, "PHY_V1_0_3_REV_A", 903_900_000, 33},
		{"US_902_928_FSB_2", session.V1_0_3, "", 903_900_000, 33},
		{"US_902_928_FSB_2", session.V1_0_3, "PHY_V1_0_2_REV_B", 903_900_000, 17},
		{"US_902_928_FSB_2", session.V1_0_4, "RP002_V1_0_1", 903_900_000, 33},
		{"US_902_928_FSB_2", session.V1_1, "", 903_900_000, 33},
		{"AU_915_928_FSB_2", session.V1_0_2, "", 916_800_000, 17},
		{"AU_915_928_FSB_2", session.V1_0_3, "", 916_800_000, 33},
		{"EU_863_870_TTN", session.V1_0_0, "", 868_300_000, 33},
		{"AS_923_925", session.V1_0_2, "", 923_200_000, 33},
	} {
		t.Run(fmt.Sprintf("%s %v %s", tt.plan, tt.version, tt.phy), func(t *testing.T) {
			s := newStand(t)
			d := s.otaa("dev3", tt.version)
			d.PHYVersion = tt.phy
			s.onPlan(tt.plan, d)
			s.hear(gwA, s.joinRequest(d, 7), on(tt.on))
			s.wait(6 * time.Second)
			if len(s.sent) != 1 || len(s.sent[0].PHYPayload) != tt.want {
				t.Errorf("%d downlinks, %+v; want %d bytes", len(s.sent), s.sent, tt.want)
			}
		})
	}
}

// A device of AS923 that was not told of its dwell times gets no downlink that is
// longer, or of another data rate, than it would have with or without them.
func TestDwellOfDevice(t *testing.T) {
	no, yes := false, true
	const rx1, rx2 = "gw-a +1s 923.2 MHz SF%dBW125 13.85 dBm, 150ms ahead: #1 15:",
		"gw-a +2s 923.2 MHz SF10BW125 13.85 dBm, 1.15s ahead: #1 15:"
	for _, tt := range []struct {
		name       string
		plan       string
		sf         uint8
		settings   *bool // owner's word on downlinks
		parameters *bool // what the device was told
		size       int   // FRMPayload
		want       string
	}{
		{"not told, short", "AS_923_NDT", 10, nil, nil, 11, fmt.Sprintf(rx1, 10)},
		{"not told, long", "AS_923_NDT", 10, nil, nil, 12, ""},
		{"told of none, long", "AS_923_NDT", 10, nil, &no, 51, fmt.Sprintf(rx1, 10)},
		{"registered without, long", "AS_923_NDT", 10, &no, nil, 51, fmt.Sprintf(rx1, 10)},
		{"told of a limit that its registration does not have", "AS_923_NDT", 10, &no, &yes, 12, ""},
		{"told of none, in a plan with limits", "AS_923_DT", 10, nil, &no, 12, ""},
		{"not told, RX1 at DR0 or DR2", "AS_923_NDT", 12, nil, nil, 1, rx2},
		{"told of none, RX1 at DR0", "AS_923_NDT", 12, nil, &no, 1, fmt.Sprintf(rx1, 12)},
		{"told of a limit, RX1 at DR2", "AS_923_NDT", 12, nil, &yes, 1, fmt.Sprintf(rx1, 10)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStand(t)
			d := s.devices["dev1"]
			s.onPlan(tt.plan, d)
			d.Settings.DownlinkDwell = tt.settings
			d.Session.Parameters = &session.Parameters{RX1Delay: 1, RX2DataRate: 2, DownlinkDwell: tt.parameters}
			settle(d)
			text := strings.Repeat("l", tt.size)
			s.push("dev1", item(text))
			s.hear(gwA, s.phy("dev1", 1, payload("x")), with(tt.sf), on(923_200_000))
			s.wait(3 * time.Second)
			if tt.want == "" {
				s.downs()
				return
			}
			s.downs(tt.want + text[:min(len(text), 16)])
		})
	}
}

// The fast data rates of AS923 are answered by the version: with DR5 at most below
// RP002.
func TestRX1ByVersion(t *testing.T) {
	for phy, want := range map[string]string{
		"PHY_V1_0_3_REV_A": "SF7BW125", "PHY_V1_1_REV_B": "SF7BW125",
		"RP002_V1_0_1": "SF7BW250",
	} {
		s := newStand(t)
		d := s.devices["dev1"]
		s.onPlan("AS_923_925", d)
		d.PHYVersion = phy
		s.push("dev1", item("x"))
		s.hear(gwA, s.phy("dev1", 1, payload("x")), on(924_500_000),
			func(up *radio.Uplink) { up.DataRate = radio.LoRaDataRate(7, 250_000) })
		s.wait(3 * time.Second)
		if len(s.sent) != 1 || !strings.Contains(s.sent[0].DataRate.String(), want) {
			t.Errorf("%s: %+v, want %s", phy, s.sent, want)
		}
	}
}
