package core

import (
	"testing"
	"time"

	"lorawand/bridge/event"
	"lorawand/bridge/gateway"
	"lorawand/radio"
	"lorawand/radio/region"
)

// configured are gateways of the stand as their owner has them.
func (s *stand) configured(euis ...radio.EUI64) (out []*gateway.Gateway) {
	for _, eui := range euis {
		g := s.gateway(eui)
		g.Configured = true
		out = append(out, &gateway.Gateway{ID: g.ID, EUI: g.EUI, Plan: g.Plan, Configured: true})
	}
	return out
}

func (s *stand) reconfigure(gws ...*gateway.Gateway) {
	s.Helper()
	n := len(s.answers)
	s.step(Reconfigured{Ticket: 77, Gateways: gws})
	if len(s.answers) != n+1 || s.answers[n].Ticket != 77 || s.answers[n].Err != nil {
		s.Fatalf("answers %+v", s.answers[n:])
	}
}

func TestGatewaySettings(t *testing.T) {
	s := newStand(t)
	s.late("dev1")
	s.answering(gwA)
	s.online(gwA)
	all := s.configured(gwA, gwB, gwC)
	all[0].ID, all[1].ID = all[1].ID, all[0].ID // gateways may swap their ids
	all[0].AntennaGain, all[0].EnforceDutyCycle = 300, true
	s.push("dev1", item("one"))
	s.hear(gwA, s.phy("dev1", 0, payload("x")))
	s.reconfigure(all...)
	s.wait(10 * time.Second)
	g := s.gateway(gwA)
	if len(s.sent) != 1 || s.sent[0].Power != 1400-300 || g.ID != "gw-b" || !g.EnforceDutyCycle || !g.Online ||
		!g.Answers {
		t.Errorf("sent %+v by %+v", s.sent, g)
	}
}

// A gateway that is taken out gets nothing that it has not got yet, and what was
// on its way from it is not taken, until it is there again.
func TestGatewayRemoved(t *testing.T) {
	s := newStand(t)
	s.late("dev1")
	s.answering(gwA)
	s.online(gwA)
	with := s.configured(gwA, gwB, gwC)
	s.push("dev1", item("one"))
	s.hear(gwA, s.phy("dev1", 0, confirmed("x")))
	s.reconfigure(with[1:]...)
	if s.count(event.GatewayDisconnected) != 1 || s.gateway(gwA) != nil || s.c.opts.Gateways.Online() != 0 {
		t.Errorf("%d gateways on line, events %+v", s.c.opts.Gateways.Online(), s.events)
	}
	s.gatewayEvent(gwA, radio.GatewayDisconnected)
	s.hear(gwA, s.phy("dev1", 1, confirmed("y")))
	s.wait(10 * time.Second)
	s.downs()
	if st := s.c.Stats(); st.Uplinks != 1 || s.gateway(gwA) != nil || s.devices["dev1"].Queue.Len() != 1 {
		t.Errorf("counts %+v, %d wait", st, s.devices["dev1"].Queue.Len())
	}
	s.reconfigure(with...)
	s.answering(gwA)
	s.online(gwA)
	s.hear(gwA, s.phy("dev1", 2, confirmed("z")))
	s.wait(4850 * ms)
	s.downs("gw-a " + rx1 + ", 150ms ahead: #1 ack 15:one")
}

// A downlink that a gateway has got counts as sent, also if the gateway goes or gets
// another plan: it must not be sent once more with another frame counter.
func TestGatewayRemovedWhileSending(t *testing.T) {
	s := oneDown(t)
	all := s.configured(gwA, gwB, gwC)
	s.reconfigure(all[1:]...)
	s.wait(10 * time.Second)
	s.tells("dev1 sent one #1")
	if n := s.devices["dev1"].Queue.Len(); n != 0 {
		t.Errorf("%d wait", n)
	}
}

// With another plan what was held by the old one is given up.
func TestGatewayPlan(t *testing.T) {
	s := newStand(t)
	s.late("dev1")
	s.answering(gwA)
	s.online(gwA)
	all := s.configured(gwA, gwB, gwC)
	plan, err := region.Lookup("US_902_928_FSB_2")
	if err != nil {
		t.Fatal(err)
	}
	all[0].Plan = plan
	s.push("dev1", item("one"))
	s.hear(gwA, s.phy("dev1", 0, payload("x")))
	s.reconfigure(all...)
	s.wait(10 * time.Second)
	s.downs()
	if s.gateway(gwA).Plan != plan || s.devices["dev1"].Queue.Len() != 1 {
		t.Errorf("%d wait", s.devices["dev1"].Queue.Len())
	}
}

// A driver that takes unknown gateways may take one that was taken out, which
// then gives way where another has its id.
func TestGatewayBecomesUnknown(t *testing.T) {
	s := newStand(t)
	s.online(gwA, gwB)
	all := s.configured(gwA, gwB, gwC)
	s.reconfigure(all[1:]...)
	s.gatewayEvent(gwA, radio.GatewayConnected)
	if g := s.gateway(gwA); g == nil || !g.Online || g.Configured || g.ID != gateway.DefaultID(gwA) {
		t.Fatalf("%+v", g)
	}
	all[1].ID = gateway.DefaultID(gwA)
	s.reconfigure(all[1:]...)
	if a := s.gateway(gwA); a.ID != gateway.DefaultID(gwA)+"-unknown" || !a.Online ||
		s.gateway(gwB).ID != gateway.DefaultID(gwA) {
		t.Errorf("%+v", a)
	}
}

// A configuration that was read before a gateway has told its EUI is one for that
// gateway all the same.
func TestReconfiguredByStandIn(t *testing.T) {
	standIn, told := radio.EUI64{7: 1}, radio.EUI64{0xEE, 1}
	s := newStand(t)
	plan := s.gateway(gwA).Plan
	as := func(eui radio.EUI64, gain radio.Decibel) *gateway.Gateway {
		return &gateway.Gateway{ID: gateway.DefaultID(eui), EUI: eui, Plan: plan, AntennaGain: gain, Configured: true}
	}
	identified := func() {
		s.step(GatewayChanged{radio.GatewayEvent{Gateway: told, Kind: radio.GatewayIdentified, At: s.now.Host, Was: standIn}})
		s.gatewayEvent(told, radio.GatewayConnected)
	}
	want := func(when string, gain radio.Decibel) {
		t.Helper()
		g := s.gateway(told)
		if s.gateway(standIn) != nil || g == nil || g.ID != "eui-ee01000000000000" || g.AntennaGain != gain || !g.Online ||
			!g.Configured {
			t.Errorf("%s: %+v, want it with %v", when, g, gain)
		}
	}
	s.reconfigure(as(standIn, 100))
	identified()
	want("at the start", 100)
	s.reconfigure(as(standIn, 200))
	want("still by the stand-in", 200)

	// Its owner names the EUI, and then does not any more.
	s.reconfigure(as(told, 300))
	want("by its EUI", 300)
	s.reconfigure(as(standIn, 400))
	want("by the stand-in that it has told", 400)
	s.reconfigure()
	other := radio.EUI64{7: 2}
	standIn = other
	s.reconfigure(as(standIn, 500))
	if g := s.gateway(told); g != nil {
		t.Errorf("%+v was taken out", g)
	}
	identified()
	want("by a new stand-in", 500)
}
