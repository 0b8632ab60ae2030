package session

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"lorawand/radio"
)

// Reasons for not taking a device into a Registry.
var (
	ErrExists = errors.New("exists already")
	ErrFull   = errors.New("too many devices")
)

// Limits of a Registry.
const (
	MaxPerDevAddr = 256 // devices on one DevAddr
	addrBudget    = 64  // wrong MICs a second for each DevAddr
	deviceBudget  = 8   // and for each device on it
)

// Registry holds the devices. It belongs to one goroutine.
type Registry struct {
	devices map[ID]*Device
	byAddr  map[radio.DevAddr]*addrGroup
	byEUI   map[euis]*Device
	budget  Budget
	scratch []candidate
}

// addrGroup is the devices that share a DevAddr.
type addrGroup struct {
	devices []*Device
	budget  Budget
}

// euis are what a join-request names a device by.
type euis struct{ join, dev radio.EUI64 }

// NewRegistry returns an empty Registry that pays for at most wrongMICs wrong
// MICs a second; 0 is no bound.
func NewRegistry(wrongMICs int) *Registry {
	return &Registry{
		devices: map[ID]*Device{}, byAddr: map[radio.DevAddr]*addrGroup{}, byEUI: map[euis]*Device{},
		budget: NewBudget(wrongMICs),
	}
}

// Len returns the number of devices.
func (r *Registry) Len() int { return len(r.devices) }

// Device returns a device, or nil.
func (r *Registry) Device(id ID) *Device { return r.devices[id] }

// ByEUI returns the device that joins with these EUIs, or nil.
func (r *Registry) ByEUI(joinEUI, devEUI radio.EUI64) *Device { return r.byEUI[euis{joinEUI, devEUI}] }

// All returns the devices, sorted by application and id.
func (r *Registry) All() []*Device {
	out := make([]*Device, 0, len(r.devices))
	for _, d := range r.devices {
		out = append(out, d)
	}
	slices.SortFunc(out, func(a, b *Device) int {
		return cmp.Or(cmp.Compare(a.ID.Application, b.ID.Application), cmp.Compare(a.ID.Device, b.ID.Device))
	})
	return out
}

// Add takes a device. It returns ErrInvalid, ErrExists or ErrFull, and then
// changes nothing. From then on the device belongs to the Registry.
func (r *Registry) Add(d *Device) error {
	if err := d.Check(); err != nil {
		return err
	}
	if r.devices[d.ID] != nil {
		return fmt.Errorf("%v: %w", d.ID, ErrExists)
	}
	if other := r.byEUI[euis{d.JoinEUI, d.DevEUI}]; other != nil && d.SupportsJoin {
		return fmt.Errorf("%v: %w: %v has the same join_eui and dev_eui", d.ID, ErrExists, other.ID)
	}
	if d.Session != nil {
		if g := r.byAddr[d.Session.DevAddr]; g != nil && len(g.devices) >= MaxPerDevAddr {
			return fmt.Errorf("%v: %w: %d on dev_addr %v", d.ID, ErrFull, MaxPerDevAddr, d.Session.DevAddr)
		}
	}
	r.devices[d.ID] = d
	if d.SupportsJoin {
		r.byEUI[euis{d.JoinEUI, d.DevEUI}] = d
	}
	if d.Session != nil {
		addr := d.Session.DevAddr
		g := r.byAddr[addr]
		if g == nil {
			g = new(addrGroup)
			r.byAddr[addr] = g
		}
		g.devices = append(g.devices, d)
		g.budget.rate = addrBudget + deviceBudget*int64(len(g.devices))
	}
	return nil
}

// Remove takes a device out. It reports whether there was one.
func (r *Registry) Remove(id ID) bool {
	d := r.devices[id]
	if d == nil {
		return false
	}
	delete(r.devices, id)
	if d.SupportsJoin {
		delete(r.byEUI, euis{d.JoinEUI, d.DevEUI})
	}
	if d.Session == nil {
		return true
	}
	g := r.byAddr[d.Session.DevAddr]
	g.devices = slices.DeleteFunc(g.devices, func(x *Device) bool { return x == d })
	if len(g.devices) == 0 {
		delete(r.byAddr, d.Session.DevAddr)
	}
	return true
}
