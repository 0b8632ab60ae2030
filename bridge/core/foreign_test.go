package core

import (
	"slices"
	"strings"
	"testing"
	"time"

	"lorawand/bridge/foreign"
	"lorawand/bridge/state"
	"lorawand/radio"
)

// neighbour is another network that gets frames and asks a stand's gateways to send.
type neighbour struct {
	*stand
	own     []bool // of the frames that it gets
	results []foreign.Result
}

func newNeighbour(t *testing.T) *neighbour {
	n := &neighbour{stand: newStand(t)}
	n.c.opts.Forwards = true
	n.answering(gwA)
	n.online(gwA)
	n.trace = func(e Effect) {
		switch e := e.(type) {
		case Forward:
			n.own = append(n.own, e.Own)
		case Replied:
			n.results = append(n.results, foreign.Result(e))
		}
	}
	return n
}

// asks has the network ask for a join-accept, a time from now.
func (n *neighbour) asks(ahead time.Duration, change ...func(*radio.Downlink)) {
	n.Helper()
	d := radio.Downlink{
		Gateway: gwA, PHYPayload: append([]byte{0x20}, make([]byte, 16)...), Frequency: 868_300_000,
		DataRate: radio.LoRaDataRate(7, 125_000), Power: 1400,
		Time: radio.ConcentratorTime(uint32(n.now.Host.Add(ahead) / 1000)),
	}
	for _, f := range change {
		f(&d)
	}
	n.step(Asked{Ticket: 7, Network: "server:1700", Downlink: d})
}

// told returns what the network was told since the last call.
func (n *neighbour) told() (out []string) {
	for _, r := range n.results {
		if r.Ticket != 7 {
			n.Errorf("%+v", r)
		}
		text := r.Answer.String()
		if r.Planned {
			text = "planned"
		}
		out = append(out, strings.TrimSpace(text+" "+r.Reason))
	}
	n.results = nil
	return out
}

func (n *neighbour) isTold(want ...string) {
	n.Helper()
	n.compare("told the other network", n.told(), want)
}

// Every frame is handed on once, before anything else is done with it, and it is said whose it is.
func TestForward(t *testing.T) {
	n := newNeighbour(t)
	mine := n.phy("dev1", 0, payload("x"))
	strange := slices.Clone(mine)
	strange[4]++ // of DevAddr
	spoiled := slices.Clone(mine)
	spoiled[len(spoiled)-1]++ // of the MIC
	for _, phy := range [][]byte{mine, mine, strange, spoiled, {0xe0, 1, 2}} {
		n.hear(gwA, phy)
	}
	if want := []bool{true, true, false, true, false}; !slices.Equal(n.own, want) {
		t.Errorf("handed on as ours: %v, want %v", n.own, want)
	}
	n.c.opts.Relays = true
	before := n.c.Stats()
	n.hear(gwA, n.phy("dev1", 1, payload("y")))
	if after := n.c.Stats(); len(n.own) != 6 || after.Uplinks != before.Uplinks+1 || after.Published != before.Published {
		t.Errorf("what is for others alone: %d frames handed on, %+v", len(n.own), after)
	}
	n.own, n.c.opts.Relays = n.own[:5], false
	n.c.opts.Forwards = false
	n.hear(gwA, strange)
	if len(n.own) != 5 {
		t.Error("a frame is handed on though there is no other network")
	}
}

// A downlink of another network is sent at its time, and is in the ledger, in the store too.
func TestForeignDownlink(t *testing.T) {
	n := newNeighbour(t)
	n.gateway(gwA).EnforceDutyCycle = true
	n.hear(gwA, n.phy("dev1", 0, payload("x")))
	n.asks(time.Second)
	n.isTold("planned")
	n.downs("gw-a +1m1s 868.3 MHz SF7BW125 14 dBm, 1s ahead: join_accept") // of the counter itself
	spent := slices.ContainsFunc(n.commits, func(k Commit) bool {
		return slices.ContainsFunc(k.Records, func(r state.Record) bool { return r.Kind == state.KindLedger })
	})
	if sent := n.c.Airtime(n.gateway(gwA), n.now).Sent; len(sent) != 1 || sent[0].Why.Device != "server:1700" || !spent {
		t.Errorf("in the ledger: %+v; in the store: %v", sent, spent)
	}
	n.ack(radio.TxOK)
	n.isTold("NONE")
	n.wait(time.Minute)
	n.isTold()
}

// A gateway that may have no queue gets it later; and one whose counter has begun anew, not at all.
func TestForeignHandedOver(t *testing.T) {
	for _, reset := range []bool{false, true} {
		n := newNeighbour(t)
		n.online(gwB)
		n.hear(gwB, n.phy("dev1", 0, payload("x")))
		n.asks(5*time.Second, func(d *radio.Downlink) { d.Gateway = gwB })
		n.isTold("planned")
		n.wait(4 * time.Second)
		n.downs()
		if reset {
			n.gatewayEvent(gwB, radio.GatewayCounterReset)
		}
		n.wait(time.Second)
		if reset {
			n.isTold("NO_PATH")
			n.downs()
			continue
		}
		n.downs("gw-b +1m5s 868.3 MHz SF7BW125 14 dBm, 800ms ahead: join_accept")
	}
}

// The rule between networks: what is taken or held when it is asked for stays.
func TestForeignConflicts(t *testing.T) {
	n := newNeighbour(t)
	n.late("dev1")
	n.hear(gwA, n.phy("dev1", 0, confirmed("x"))) // its acknowledgement is held in RX1
	n.asks(5 * time.Second)
	n.isTold("COLLISION_PACKET conflict")
	n.wait(5 * time.Second)
	n.downs("gw-a " + rx1 + ", 150ms ahead: #1 ack")
	n.ack(radio.TxOK)
	n.wait(10 * time.Second)

	n.hear(gwA, n.phy("dev1", 1, payload("x"))) // nothing is due: its window is free
	n.asks(5 * time.Second)
	n.isTold("planned")
	n.push("dev1", item("one"))
	n.wait(6 * time.Second)
	n.downs("gw-a +1m20s 868.3 MHz SF7BW125 14 dBm, 5s ahead: join_accept", "gw-a "+rx2+", 1.15s ahead: #2 15:one")
}

// Nothing of it is left where the gateway refuses it.
func TestForeignRefused(t *testing.T) {
	n := newNeighbour(t)
	n.hear(gwA, n.phy("dev1", 0, payload("x")))
	n.asks(time.Second)
	n.ack(radio.TxFreq)
	n.isTold("planned", "TX_FREQ")
	n.asks(time.Second)
	n.isTold("planned")
	n.asks(time.Second, func(d *radio.Downlink) { d.Gateway = radio.EUI64{9} })
	n.isTold("NO_PATH gateway_offline")
}
