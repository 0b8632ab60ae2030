// Package gateway keeps what is known of the gateways: who they are, their
// frequency plan and antenna, where they stand, and whether they are on line.
//
// It does no I/O, takes no lock and reads no clock: whoever owns a Registry
// tells it what happened.
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

// ErrExists is the reason for not taking a gateway whose id or EUI is taken.
var ErrExists = errors.New("a gateway with this id or EUI exists already")

// Gateway is one gateway.
type Gateway struct {
	ID               string // "eui-0242020000247803" unless its owner gave it a name
	EUI              radio.EUI64
	Plan             *region.Plan
	AntennaGain      radio.Decibel // dBi
	EnforceDutyCycle bool
	Location         *Location // nil: not known
	Configured       bool      // its owner has named it; else its driver has just taken it

	Online     bool
	Since      radio.HostTime // of the last change of Online
	Connection string         // name of the connection, for correlation ids
	Address    string         // for people
	Fault      string         // why it does not work, in words; "" while it does or nothing is known
	Local      bool           // on this host: most likely no network lies in between
	Answers    bool           // has answered a downlink since the start
	LastUplink radio.HostTime // 0: none since the start
	HeardSince radio.HostTime // arrival of the first uplink since its counter began; 0: none
	Clock      Moment         // of the last uplink: what its counter shows, and when
	HasClock   bool           // Clock is known: an uplink has come since its counter began
	LastAck    radio.HostTime // the last answer to a downlink; 0: none since the start
	Status     radio.Status

	trips   roundTrips
	refused uint64 // powers, see RefusesPower
}

// Location is where a gateway stands.
type Location struct {
	Latitude  float64 // degrees, north is positive
	Longitude float64 // degrees, east is positive
	Altitude  int32   // m
}

// DefaultID returns the id of a gateway that its owner has not named.
func DefaultID(eui radio.EUI64) string { return "eui-" + strings.ToLower(eui.String()) }

// Registry holds the gateways. It belongs to one goroutine.
type Registry struct {
	byEUI      map[radio.EUI64]*Gateway
	removed    map[radio.EUI64]*Gateway    // taken out of the configuration
	identified map[radio.EUI64]radio.EUI64 // by the stand-in: the EUI that a gateway has told
	online     int
}

// NewRegistry returns an empty Registry.
func NewRegistry() *Registry {
	return &Registry{
		byEUI: map[radio.EUI64]*Gateway{}, removed: map[radio.EUI64]*Gateway{}, identified: map[radio.EUI64]radio.EUI64{},
	}
}

// Add takes a gateway, or returns ErrExists.
func (r *Registry) Add(g *Gateway) error {
	for _, other := range r.byEUI {
		if other.EUI == g.EUI || other.ID == g.ID {
			return fmt.Errorf("gateway %s (%v): %w", g.ID, g.EUI, ErrExists)
		}
	}
	r.byEUI[g.EUI] = g
	return nil
}

// Identify gives a gateway that went by a stand-in its EUI, and the id that goes
// with it unless its owner gave it one. It returns ErrExists, and changes nothing,
// if another gateway has one of them.
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

// Remove takes a gateway out.
func (r *Registry) Remove(g *Gateway) {
	if g.Online {
		r.online--
	}
	delete(r.byEUI, g.EUI)
}

// Configure gives a gateway what its owner says of it, or returns ErrExists for
// an id that another one has. What is known of its work stays.
func (r *Registry) Configure(g, as *Gateway) error {
	for _, other := range r.byEUI {
		if other != g && other.ID == as.ID {
			return fmt.Errorf("gateway %s (%v): %w", as.ID, g.EUI, ErrExists)
		}
	}
	g.ID, g.Plan, g.AntennaGain, g.EnforceDutyCycle = as.ID, as.Plan, as.AntennaGain, as.EnforceDutyCycle
	g.Location, g.Configured = as.Location, true
	g.ForgetPowers()
	return nil
}

// SetOnline notes that a gateway has come or gone. It reports whether that is new.
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
