// Package gateway keeps the state of the gateways: their identity, frequency plan,
// antenna and location, whether they are on line, and their clock.
//
// It does no I/O, takes no lock and reads no clock: the owner of a Registry tells
// it the events.
package gateway

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"lorawand/radio"
	"lorawand/radio/region"
)

// ErrExists is the reason for refusing a gateway with an id or EUI that another one
// has.
var ErrExists = errors.New("a gateway with this id or EUI exists already")

// Gateway is one gateway.
type Gateway struct {
	ID               string // "eui-0242020000247803" unless its owner has named it
	EUI              radio.EUI64
	Plan             *region.Plan
	AntennaGain      radio.Decibel // dBi
	EnforceDutyCycle bool
	Location         *Location // nil: not known
	Beacons          bool      // it sends beacons of Class B while it knows GPS time
	Configured       bool      // its owner has configured it; otherwise its driver serves unconfigured gateways

	Online     bool
	Since      radio.HostTime // when Online last changed
	Connection string         // name of the connection for correlation ids
	Address    string         // shown to people
	Fault      string         // why it does not work, as text; "" if it works or nothing is known
	Local      bool           // on this host, most likely with no network in between
	Answers    bool           // it has answered a downlink since the start
	LastUplink radio.HostTime // 0: none since the start
	HeardSince radio.HostTime // arrival of the first uplink since its counter started; 0: none
	Clock      Moment         // of the last uplink: what its counter shows, and when
	HasClock   bool           // Clock is known: an uplink has come since its counter started
	GPS        radio.GPSTime  // at Clock; 0: the gateway does not know it
	LastAck    radio.HostTime // time of the last answer to a downlink; 0: none since the start
	Status     radio.Status

	trips   roundTrips
	refused uint64 // set of refused powers, see RefusesPower
}

// Location is the position of a gateway.
type Location struct {
	Latitude  float64 // degrees, positive to the north
	Longitude float64 // degrees, positive to the east
	Altitude  int32   // m
	GPS       bool    // its receiver has told it; otherwise its owner has
}

// DefaultID returns the id of a gateway that its owner has not named.
func DefaultID(eui radio.EUI64) string { return "eui-" + strings.ToLower(eui.String()) }

// Registry holds the gateways. It belongs to one goroutine.
type Registry struct {
	byEUI      map[radio.EUI64]*Gateway
	removed    map[radio.EUI64]*Gateway    // gateways that were taken out of the configuration
	identified map[radio.EUI64]radio.EUI64 // key: stand-in; value: the EUI that the gateway has told
	online     int
}

// NewRegistry returns an empty Registry.
func NewRegistry() *Registry {
	return &Registry{
		byEUI: map[radio.EUI64]*Gateway{}, removed: map[radio.EUI64]*Gateway{}, identified: map[radio.EUI64]radio.EUI64{},
	}
}

// Add adds a gateway, or returns ErrExists.
func (r *Registry) Add(g *Gateway) error {
	for _, other := range r.byEUI {
		if other.EUI == g.EUI || other.ID == g.ID {
			return fmt.Errorf("gateway %s (%v): %w", g.ID, g.EUI, ErrExists)
		}
	}
	r.byEUI[g.EUI] = g
	return nil
}

// Identify gives a gateway its EUI in place of its stand-in, and the default id of
// that EUI unless its owner has named it. If another gateway has the id or EUI, it
// changes nothing and returns ErrExists.
func (r *Registry) Identify(was, eui radio.EUI64) error {
	r.identified[was] = eui
	g := r.byEUI[was]
	if g == nil || was == eui {
		return nil
	}
	id := g.ID
	if id == DefaultID(was) {
		id = DefaultID(eui)
	}
	for _, other := range r.byEUI {
		if other != g && (other.EUI == eui || other.ID == id) {
			delete(r.identified, was)
			return fmt.Errorf("gateway %s (%v): %w", id, eui, ErrExists)
		}
	}
	delete(r.byEUI, was)
	g.ID, g.EUI = id, eui
	r.byEUI[eui] = g
	return nil
}

// Gateway returns a gateway, or nil.
func (r *Registry) Gateway(eui radio.EUI64) *Gateway { return r.byEUI[eui] }

// All returns the gateways, sorted by id.
func (r *Registry) All() []*Gateway {
	out := make([]*Gateway, 0, len(r.byEUI))
	for _, g := range r.byEUI {
		out = append(out, g)
	}
	slices.SortFunc(out, func(a, b *Gateway) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// Online returns how many gateways are on line.
func (r *Registry) Online() int { return r.online }

// EachOnline calls f for every gateway that is on line, until it returns false.
func (r *Registry) EachOnline(f func(*Gateway) bool) {
	for _, g := range r.byEUI {
		if g.Online && !f(g) {
			return
		}
	}
}

// Remove removes a gateway.
func (r *Registry) Remove(g *Gateway) {
	if g.Online {
		r.online--
	}
	delete(r.byEUI, g.EUI)
}

// Configure gives a gateway the settings of its owner. The state of its work stays.
// It returns ErrExists if another gateway has the id.
func (r *Registry) Configure(g, as *Gateway) error {
	for _, other := range r.byEUI {
		if other != g && other.ID == as.ID {
			return fmt.Errorf("gateway %s (%v): %w", as.ID, g.EUI, ErrExists)
		}
	}
	g.ID, g.Plan, g.AntennaGain, g.EnforceDutyCycle = as.ID, as.Plan, as.AntennaGain, as.EnforceDutyCycle
	g.Configured = true
	if as.Location != nil || g.Location != nil && !g.Location.GPS {
		g.Location = as.Location
	}
	g.Beacons = as.Beacons
	g.ForgetPowers()
	return nil
}

// SetOnline records whether a gateway is on line. It reports whether that has
// changed.
func (r *Registry) SetOnline(g *Gateway, online bool, at radio.HostTime) bool {
	if g.Online == online {
		return false
	}
	g.Online, g.Since = online, at
	if online {
		r.online++
	} else {
		r.online--
	}
	return true
}

// Others returns the gateways on line that are likely to have heard what a first one has
// heard.
func (r *Registry) Others(first radio.EUI64, likely func(radio.EUI64) bool) (out []radio.EUI64) {
	if r.online < 2 {
		return nil
	}
	r.EachOnline(func(g *Gateway) bool {
		if g.EUI != first && likely(g.EUI) {
			out = append(out, g.EUI)
		}
		return true
	})
	return out
}
