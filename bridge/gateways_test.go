package bridge

import (
	"testing"
	"time"

	"lorawand/bridge/gateway"
	"lorawand/radio"
	"lorawand/radio/region"
)

// configured are gateways of the stand as their owner has them, those of euis.
func (s *stand) configured(euis ...radio.EUI64) []gateway.Gateway {
	var out []gateway.Gateway
	for _, eui := range euis {
		g := s.gateway(eui)
		out = append(out, gateway.Gateway{ID: g.ID, EUI: g.EUI, Plan: g.Plan})
	}
	return out
}

func (s *stand) configure(unknown bool, gws ...gateway.Gateway) {
	s.Helper()
	n := len(s.answers)
	s.step(GatewaysConfigured{Ticket: 77, Gateways: gws, AcceptUnknown: unknown})
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
	all[0].ID, all[1].ID = all[1].ID, all[0].ID // names may be swapped
	all[0].AntennaGain, all[0].EnforceDutyCycle = 300, true
	s.push("dev1", item("one"))
	s.hear(gwA, s.phy("dev1", 0, payload("x")))
	s.configure(false, all...)
	s.wait(10 * time.Second)
	g := s.gateway(gwA)
	if len(s.sent) != 1 || s.sent[0].Power != 1400-300 || g.ID != "gw-b" || !g.EnforceDutyCycle || !g.Online || !g.Answers {
		t.Errorf("sent %+v by %+v", s.sent, g)
	}
}

// A gateway that is taken out gets nothing that it has not got yet, and nothing
// is taken from it, until it is there again.
func TestGatewayRemoved(t *testing.T) {
	s := newStand(t)
	s.late("dev1")
	s.answering(gwA)
	s.online(gwA)
	without, with := s.configured(gwB, gwC), s.configured(gwA, gwB, gwC)
	s.push("dev1", item("one"))
	s.hear(gwA, s.phy("dev1", 0, confirmed("x")))
	s.configure(false, without...)
	if s.count(GatewayDisconnected) != 1 || s.gateway(gwA) != nil || s.c.opts.Gateways.Online() != 0 {
		t.Errorf("%d gateways on line, events %+v", s.c.opts.Gateways.Online(), s.events)
	}
	s.tell(gwA, radio.GatewayConnected)
	s.hear(gwA, s.phy("dev1", 1, confirmed("y")))
	s.wait(10 * time.Second)
	s.downs()
	if st := s.c.Stats(); st.Uplinks != 1 || s.gateway(gwA) != nil || s.devices["dev1"].Queue.Len() != 1 {
		t.Errorf("counts %+v, %d wait", st, s.devices["dev1"].Queue.Len())
	}
	s.configure(false, with...)
	s.answering(gwA)
	s.online(gwA)
	s.hear(gwA, s.phy("dev1", 2, confirmed("z")))
	s.wait(4850 * ms)
	s.downs("gw-a " + rx1 + ", 150ms ahead: #1 ack 15:one")
}

// What a gateway has got is sent, though the gateway goes.
func TestGatewayRemovedWhileSending(t *testing.T) {
	s := oneDown(t)
	s.configure(false, s.configured(gwB, gwC)...)
	s.wait(10 * time.Second)
	s.tells("dev1 sent one #1")
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
	s.configure(false, all...)
	s.wait(10 * time.Second)
	s.downs()
	if s.gateway(gwA).Plan != plan || s.devices["dev1"].Queue.Len() != 1 {
		t.Errorf("%d wait", s.devices["dev1"].Queue.Len())
	}
}

// Where unknown gateways are taken, one that is taken out is one of them.
func TestGatewayBecomesUnknown(t *testing.T) {
	s := newStand(t)
	s.online(gwA, gwB)
	rest := s.configured(gwB)
	rest[0].ID = gateway.DefaultID(gwA)
	s.configure(true, rest...)
	if a := s.gateway(gwA); a.ID != gateway.DefaultID(gwA)+unknownMark || !a.Online || !a.EnforceDutyCycle || s.gateway(gwB).ID != gateway.DefaultID(gwA) {
		t.Errorf("%+v", a)
	}
	fresh := gateway.Gateway{ID: "new-one", EUI: radio.EUI64{9}, Plan: rest[0].Plan, Location: &gateway.Location{Altitude: 7}}
	s.configure(false, append(rest, fresh)...)
	if g := s.gateway(radio.EUI64{9}); g == nil || g.Location.Altitude != 7 || s.gateway(gwA) != nil || len(s.c.opts.Gateways.All()) != 2 {
		t.Errorf("%+v", g)
	}
}
