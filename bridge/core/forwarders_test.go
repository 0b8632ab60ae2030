package core

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"lorawand/bridge/event"
	"lorawand/bridge/session"
	"lorawand/radio"
	"lorawand/radio/region"
)

// in puts a device and the gateways on another plan.
func (s *stand) in(device, plan string) {
	s.Helper()
	p, err := region.Lookup(plan)
	if err != nil {
		s.Fatal(err)
	}
	s.devices[device].Plan = plan
	settle(s.devices[device])
	for _, g := range s.c.opts.Gateways.All() {
		g.Plan = p
	}
}

// A gateway that does not tell how well it heard is asked only where no other
// can be: an RSSI that is not known is no RSSI of 0 dBm.
func TestUnknownSignal(t *testing.T) {
	s := newStand(t)
	s.answering(gwA, gwB)
	s.online(gwA, gwB)
	phy := s.phy("dev1", 0, confirmed("x"))
	s.hear(gwA, phy, func(up *radio.Uplink) {
		up.Receptions[0] = radio.Reception{Unknown: radio.FieldRSSI | radio.FieldSNR}
	})
	s.hear(gwB, phy, at(-130))
	s.wait(10 * time.Second)
	s.downs("gw-b +1s 868.3 MHz SF7BW125 14 dBm, 150ms ahead: #1 ack")
}

// Forwarders tell frequencies as they have computed them: the answer goes by
// the channel that is meant, and so does the message.
func TestToldFrequencies(t *testing.T) {
	tests := []struct {
		name, plan string
		rate       radio.DataRate
		told       radio.Frequency
		want, says string
		unknown    int
	}{
		{
			"US915, single precision", "US_902_928_FSB_2", radio.LoRaDataRate(7, 125_000), 904_099_976,
			"gw-a +1s 923.9 MHz SF7BW500 26 dBm, 150ms ahead: #1 ack", "904100000", 0,
		},
		{
			"AU915, single precision", "AU_915_928_FSB_2", radio.LoRaDataRate(7, 125_000), 916_999_969,
			"gw-a +1s 923.9 MHz SF7BW500 27.85 dBm, 150ms ahead: #1 ack", "917000000", 0,
		},
		{
			"IN865, rounded to 100 kHz", "IN_865_867", radio.LoRaDataRate(7, 125_000), 865_100_000,
			"gw-a +1s 865.0625 MHz SF7BW125 14 dBm, 150ms ahead: #1 ack", "865062500", 0,
		},
		{
			"EU868, a channel of the device's own", "EU_863_870_TTN", radio.LoRaDataRate(7, 125_000), 867_850_000,
			"gw-a +1s 867.85 MHz SF7BW125 14 dBm, 150ms ahead: #1 ack", "867850000", 0,
		},
		{
			"US915, no channel", "US_902_928_FSB_2", radio.LoRaDataRate(7, 125_000), 904_200_000,
			"gw-a +2s 923.3 MHz SF12BW500 26 dBm, 1.15s ahead: #1 ack", "904200000", 1,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStand(t)
			s.in("dev1", tt.plan)
			s.answering(gwA)
			s.online(gwA)
			s.hear(gwA, s.phy("dev1", 0, confirmed("x")), func(up *radio.Uplink) {
				up.DataRate, up.Frequency = tt.rate,
					tt.told
			})
			s.wait(10 * time.Second)
			s.downs(tt.want)
			if up := string(s.ups[0].Payload); !strings.Contains(up, `"frequency":"`+tt.says+`"`) {
				t.Errorf("%s says not %s", up, tt.says)
			}
			if n := s.count(event.RX1Unknown); n != tt.unknown {
				t.Errorf("%d events that RX1 has no channel, want %d", n, tt.unknown)
			}
		})
	}
}

// That a counter has begun anew voids what was planned before, and not what was
// heard since.
func TestResetKeepsWhatIsNew(t *testing.T) {
	s := newStand(t)
	s.late("dev1")
	s.late("dev2")
	s.answering(gwA)
	s.online(gwA)
	s.hear(gwA, s.phy("dev1", 0, confirmed("old")))
	const since = radio.ConcentratorTime(1 << 33)
	anew := func(up *radio.Uplink) { up.Time += since } // the stand's clock knows nothing of that
	s.hear(gwA, s.phy("dev2", 0, confirmed("new")), anew)
	s.wait(time.Second)
	s.step(GatewayChanged{radio.GatewayEvent{Gateway: gwA, Kind: radio.GatewayCounterReset, At: s.now.Host, Since: since}})
	s.wait(10 * time.Second)
	s.downs("gw-a +5s 868.3 MHz SF7BW125 14 dBm, 2h23m10.085s ahead: #1 ack")
	if len(s.sent) != 1 || s.sent[0].Time < since {
		t.Errorf("sent %+v", s.sent)
	}
}

// A frame that only a second antenna has heard is answered by that.
func TestSecondAntenna(t *testing.T) {
	s := newStand(t)
	s.answering(gwA)
	s.online(gwA)
	s.hear(gwA, s.phy("dev1", 0, confirmed("x")), func(up *radio.Uplink) { up.Receptions[0].Antenna = 1 })
	s.wait(10 * time.Second)
	s.downs("gw-a +1s 868.3 MHz SF7BW125 14 dBm, 150ms ahead: #1 ack")
	if s.sent[0].Antenna != 1 {
		t.Errorf("sent by antenna %d", s.sent[0].Antenna)
	}
}

// A power that the gateway refuses is asked for once: the next lower one is
// tried in the same window, by the next transmission too, until the gateway
// begins anew.
func TestRefusedPower(t *testing.T) {
	s := newStand(t)
	s.late("dev1")
	s.answering(gwA)
	s.online(gwA)
	fCnt := uint32(0)
	up := func() {
		s.hear(gwA, s.phy("dev1", fCnt, confirmed("x")))
		s.wait(4900 * ms)
		fCnt++
	}
	up()
	s.downs("gw-a +5s 868.3 MHz SF7BW125 14 dBm, 150ms ahead: #1 ack")
	s.ack(radio.TxPower)
	s.downs("gw-a +5s 868.3 MHz SF7BW125 13 dBm, 100ms ahead: #1 ack")
	s.ack(radio.TxPower)
	s.downs("gw-a +5s 868.3 MHz SF7BW125 12 dBm, 100ms ahead: #1 ack")
	s.ack(radio.TxOK)
	s.wait(10 * time.Second)
	up()
	s.downs("gw-a +5s 868.3 MHz SF7BW125 12 dBm, 150ms ahead: #2 ack")
	for want := range 4 { // and no more in one transmission
		s.ack(radio.TxPower)
		s.downs(fmt.Sprintf("gw-a +5s 868.3 MHz SF7BW125 %d dBm, 100ms ahead: #2 ack", 11-want))
	}
	s.ack(radio.TxPower)
	s.downs("gw-a +6s 869.525 MHz SF9BW125 27 dBm, 1.1s ahead: #2 ack")
	s.ack(radio.TxOK)
	s.wait(10 * time.Second)
	if n := s.count(event.GatewayPower); n != 7 {
		t.Errorf("%d events, want one for each power", n)
	}

	anew := map[string]func(){
		"reconnected": func() { s.gatewayEvent(gwA, radio.GatewayDisconnected); s.online(gwA) },
		"restarted":   func() { s.gatewayEvent(gwA, radio.GatewayCounterReset) },
		"configured": func() {
			g := *s.gateway(gwA)
			if err := s.c.opts.Gateways.Configure(s.gateway(gwA), &g); err != nil {
				t.Error(err)
			}
		},
	}
	for name, begin := range anew {
		up()
		if s.sent[len(s.sent)-1].Power >= 1400 {
			t.Errorf("%s: that 14 dBm is refused is not known", name)
		}
		s.ack(radio.TxOK)
		s.wait(10 * time.Second)
		begin()
		up()
		if got := s.sent[len(s.sent)-1].Power; got != 1400 {
			t.Errorf("%s: %v dBm, want 14", name, got)
		}
		s.ack(radio.TxPower)
		s.ack(radio.TxOK)
		s.wait(10 * time.Second)
	}
}

// Where nothing could be sent the decision says what stood in the way.
func TestNothingSentSaysWhy(t *testing.T) {
	const foreign = "it comes from 192.0.2.9, and the gateway is pinned to 192.0.2.4, which is alive"
	elsewhere := func(up *radio.Uplink) { up.NoPath, up.Receptions[0].NoDownlink = foreign, true }
	noPath := func(s *stand) {
		s.wait(4900 * ms)
		for range 2 { // RX1 and RX2
			d := &s.sent[len(s.sent)-1]
			d.over = true
			s.step(Acked{radio.TxAck{
				ID: d.ID, Gateway: d.Gateway, Result: radio.TxNoPath,
				Fault: "it has sent no PULL_DATA yet", At: s.now.Host,
			}})
		}
	}
	tests := []struct {
		name string
		up   []func(*radio.Uplink)
		then func(*stand)
		want string
	}{
		{
			"second address",
			[]func(*radio.Uplink){elsewhere},
			func(*stand) {},
			"; gateway gw-a cannot answer: " + foreign + "; nothing was sent",
		},
		{"no PULL_DATA", nil, noPath, ": gateway gw-a cannot be reached: it has sent no PULL_DATA yet; nothing was sent"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, join := range []bool{false, true} {
				s := newStand(t)
				s.late("dev1")
				s.answering(gwA)
				s.online(gwA)
				phy, kind := s.phy("dev1", 0, confirmed("x")), event.DownlinkUnsent
				if join {
					phy, kind = s.joinRequest(s.otaa("joins", session.V1_0_3), 7), event.JoinRefused
				}
				s.hear(gwA, phy, tt.up...)
				tt.then(s)
				s.wait(10 * time.Second)
				var text string
				for i := range s.events {
					if e := &s.events[i]; e.Kind == kind || e.Kind == event.DownlinkUnsent {
						text = e.Decision.Text()
					}
				}
				if !strings.HasSuffix(text, tt.want) {
					t.Errorf("join %v: %q, want %q", join, text, tt.want)
				}
			}
		})
	}
}

// What a driver drops is an event with the cause, of each gateway on its own.
func TestGatewayDropped(t *testing.T) {
	s := newStand(t)
	for _, eui := range []radio.EUI64{gwA, {0xff}, {}} {
		s.step(GatewayChanged{radio.GatewayEvent{
			Gateway: eui, Kind: radio.GatewayDropped, Cause: "second_address", Fault: "it comes from elsewhere",
			Address: "192.0.2.9:40000", At: s.now.Host,
		}})
	}
	const dropped = "what a gateway sends is dropped or cannot be answered (second_address)  "
	want := []string{
		dropped + "gateway gw-a  at 192.0.2.9:40000  it comes from elsewhere;  two packet",
		dropped + "gateway eui-ff00000000000000  at 192.0.2.9:40000  it comes from elsewhere;",
		dropped + "at 192.0.2.9:40000  it comes from elsewhere;",
	}
	if len(s.events) != len(want) {
		t.Fatalf("%d events", len(s.events))
	}
	for i := range want {
		if text := s.events[i].Text(); !strings.Contains(text, want[i]) {
			t.Errorf("%s\nwant %s", text, want[i])
		}
	}
	if n := len(s.c.opts.Gateways.All()); n != 3 {
		t.Errorf("%d gateways are known then, want 3 as before", n)
	}
}
