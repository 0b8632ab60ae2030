package bridge

import (
	"sync"

	"lorawand/bridge/core"
	"lorawand/bridge/event"
	"lorawand/bridge/foreign"
	"lorawand/bridge/gateway"
	"lorawand/radio"
)

// Forwarder hands frames on to other networks. Its methods must not block.
type Forwarder interface {
	// Uplink takes a frame that a gateway has heard. own says that it is of a device of
	// ours. The frame must not be changed.
	Uplink(up radio.Uplink, own bool)
	// Gateway says that a gateway is connected, or is not any more. It is called as well
	// when the counter of a connected gateway has begun anew: nothing that another network
	// has planned by the old counter holds any more. at is where the gateway is; nil: not
	// known.
	Gateway(g radio.EUI64, connected bool, at *radio.Place)
}

// Forwarders hand frames on in several ways.
type Forwarders []Forwarder

// Uplink implements Forwarder.
func (f Forwarders) Uplink(up radio.Uplink, own bool) {
	for _, to := range f {
		to.Uplink(up, own)
	}
}

// Gateway implements Forwarder.
func (f Forwarders) Gateway(g radio.EUI64, connected bool, at *radio.Place) {
	for _, to := range f {
		to.Gateway(g, connected, at)
	}
}

// others are the other networks that frames are handed on to.
type others struct {
	to        Forwarder // nil: there are none
	connected map[radio.EUI64]bool

	mu      sync.Mutex
	last    uint64
	waiting map[uint64]func(foreign.Result) // for what becomes of their downlinks, by ticket
}

// Ask plans a downlink of another network. reply is called with each Result, in the goroutine of
// the core: it must not block. Who asks bounds how many downlinks wait for their last Result.
func (b *Bridge) Ask(r foreign.Request, reply func(foreign.Result)) {
	o := &b.others
	o.mu.Lock()
	if o.waiting == nil {
		o.waiting = map[uint64]func(foreign.Result){}
	}
	o.last++
	r.Ticket = o.last
	o.waiting[r.Ticket] = reply
	o.mu.Unlock()
	b.inbox.add(core.Asked(r))
}

// replied tells another network, and people, what becomes of a downlink.
func (b *Bridge) replied(r foreign.Result, now core.Now) {
	o := &b.others
	o.mu.Lock()
	reply := o.waiting[r.Ticket]
	if !r.Planned {
		delete(o.waiting, r.Ticket)
	}
	o.mu.Unlock()
	if reply != nil {
		reply(r)
	}
	if e, ok := r.Event(); ok {
		e.Host = now.Host
		if now.Wall.Known() {
			e.At = now.Wall.Time
		}
		b.tell(&e)
	}
}

// event tells the other networks which gateways are connected now, and whose counter has begun anew.
func (o *others) event(e *event.Event, gateways *gateway.Registry) {
	if o.to == nil {
		return
	}
	switch e.Kind {
	case event.GatewayConnected, event.GatewayDisconnected, event.GatewayCounterReset:
	default:
		return
	}
	for eui := range o.connected {
		if g := gateways.Gateway(eui); g == nil || !g.Online {
			delete(o.connected, eui)
			o.to.Gateway(eui, false, nil)
		}
	}
	gateways.EachOnline(func(g *gateway.Gateway) bool {
		if !o.connected[g.EUI] || e.Kind == event.GatewayCounterReset && g.ID == e.Gateway {
			o.connected[g.EUI] = true
			o.to.Gateway(g.EUI, true, placeOf(g))
		}
		return true
	})
}

func placeOf(g *gateway.Gateway) *radio.Place {
	if g.Location == nil {
		return nil
	}
	return &radio.Place{Latitude: g.Location.Latitude, Longitude: g.Location.Longitude, Altitude: g.Location.Altitude}
}
