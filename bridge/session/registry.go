package session

import (
	"errors"
	"fmt"
	"slices"
	"sort"

	"lorawand/radio"
)

// Reasons for not taking a device into a Registry.
var (
	ErrExists = errors.New("exists already")
	ErrFull   = errors.New("too many devices")
	ErrTwin   = errors.New("its frames could not be told from those of another device")
)

// Limits of a Registry.
const (
	MaxPerDevAddr = 256 // devices on one DevAddr
	addrBudget    = 64  // wrong MICs a second for each DevAddr, with counters that are not plausible
	deviceBudget  = 8   // and for each device on it
)

// Registry holds the devices. It belongs to one goroutine.
type Registry struct {
	devices map[ID]*Device
	byAddr  map[radio.DevAddr]*addrGroup
	byEUI   map[euis]*Device
	byDev   map[radio.EUI64][]*Device // devices that join, by DevEUI alone
	budget  Budget
	sources map[Source]*Budget
	scratch []candidate
	changed []*Device         // those with a mark, see NextChanged
	shares  map[string]*share // by application

	wrongMICs uint64
}

// addrGroup is the sessions that share a DevAddr.
type addrGroup struct {
	members []member
	budget  Budget
}

// member is a session with its device. A device can have two: the one in use,
// and the one that its last join has offered.
type member struct {
	device  *Device
	session *Session
}

// euis are what a join-request names a device by.
type euis struct{ join, dev radio.EUI64 }

// NewRegistry returns an empty Registry that pays for at most wrongMICs wrong
// MICs a second; 0 is no bound.
func NewRegistry(wrongMICs int) *Registry {
	return &Registry{
		devices: map[ID]*Device{}, byAddr: map[radio.DevAddr]*addrGroup{}, byEUI: map[euis]*Device{},
		byDev:  map[radio.EUI64][]*Device{},
		budget: NewBudget(wrongMICs), sources: map[Source]*Budget{}, shares: map[string]*share{},
	}
}

// Len returns the number of devices.
func (r *Registry) Len() int { return len(r.devices) }

// Device returns a device, or nil.
func (r *Registry) Device(id ID) *Device { return r.devices[id] }

// ByEUI returns the device that joins with these EUIs, or nil. known says that
// a device with the DevEUI is there, if only with another JoinEUI.
func (r *Registry) ByEUI(joinEUI, devEUI radio.EUI64) (d *Device, known bool) {
	return r.byEUI[euis{joinEUI, devEUI}], len(r.byDev[devEUI]) > 0
}

// ByDevEUI returns the devices that join with this DevEUI. The caller must not change the slice.
func (r *Registry) ByDevEUI(devEUI radio.EUI64) []*Device { return r.byDev[devEUI] }

// InUse reports whether a session has the address.
func (r *Registry) InUse(addr radio.DevAddr) bool { return r.byAddr[addr] != nil }

// Uses reports whether a device is in the Registry and has the session, in use
// or offered.
func (r *Registry) Uses(d *Device, s *Session) bool {
	return r.devices[d.ID] == d && (d.Session == s || d.Pending == s || d.Earlier == s)
}

// All returns the devices, sorted by application and id.
func (r *Registry) All() []*Device {
	out := make([]*Device, 0, len(r.devices))
	for _, d := range r.devices {
		out = append(out, d)
	}
	slices.SortFunc(out, func(a, b *Device) int { return a.ID.Compare(b.ID) })
	return out
}

// Waiting returns how many items wait in the queues of all devices.
func (r *Registry) Waiting() (n int) {
	for _, d := range r.devices {
		n += d.Queue.Len()
	}
	return n
}

// IDs returns the ids of the devices of an application, or of all if that is
// "", sorted.
func (r *Registry) IDs(application string) []ID {
	var out []ID
	for id := range r.devices {
		if application == "" || id.Application == application {
			out = append(out, id)
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Compare(out[j]) < 0 })
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
		return sameEUIs(d, other)
	}
	for _, s := range d.Sessions() {
		if g := r.byAddr[s.DevAddr]; g != nil && len(g.members) >= MaxPerDevAddr {
			return fullAddr(d, s.DevAddr)
		}
	}
	r.devices[d.ID] = d
	d.registry = r
	r.countIn(d)
	if d.SupportsJoin {
		r.byEUI[euis{d.JoinEUI, d.DevEUI}] = d
		r.byDev[d.DevEUI] = append(r.byDev[d.DevEUI], d)
	}
	for _, s := range d.Sessions() {
		r.index(d, s)
	}
	return nil
}

func sameEUIs(d, other *Device) error {
	return fmt.Errorf("%v: %w: %v has the same join_eui and dev_eui", d.ID, ErrExists, other.ID)
}

func fullAddr(d *Device, addr radio.DevAddr) error {
	return fmt.Errorf("%v: %w: %d on dev_addr %v", d.ID, ErrFull, MaxPerDevAddr, addr)
}

// Remove takes a device out. It reports whether there was one.
func (r *Registry) Remove(id ID) bool {
	d := r.devices[id]
	if d == nil {
		return false
	}
	delete(r.devices, id)
	d.registry, d.change = nil, Unchanged
	r.countOut(d)
	if d.SupportsJoin {
		delete(r.byEUI, euis{d.JoinEUI, d.DevEUI})
		same := slices.DeleteFunc(r.byDev[d.DevEUI], func(o *Device) bool { return o == d })
		if r.byDev[d.DevEUI] = same; len(same) == 0 {
			delete(r.byDev, d.DevEUI)
		}
	}
	for _, s := range d.Sessions() {
		r.unindex(s)
	}
	return true
}

// Offer gives a device of the Registry the session of a join. It comes into use
// with the first uplink in it; until then the one before stays in use.
//
// One earlier offer stays too: the device may be in that. Somebody may have kept its request for
// this offer from being heard until now; or the answer to this one is lost. It is the one that was
// asked for in another way, if there is one: each way has a counter of its own, so that of the
// requests of one way only the last can have come late.
func (r *Registry) Offer(d *Device, s *Session) {
	if d.Earlier == nil || d.Pending != nil && (d.Earlier.askedAs(s) || !d.Pending.askedAs(s)) {
		r.unindex(d.Earlier)
		d.Earlier, d.Pending = d.Pending, nil
	}
	r.unindex(d.Pending)
	d.Pending = s
	r.index(d, s)
	d.changed(RecordChanged)
}

// askedAs reports whether two sessions were asked for in one way.
func (s *Session) askedAs(o *Session) bool { return s.Anew == o.Anew && s.Rejoin1 == o.Rejoin1 }

// TakeUp puts a session that was offered to a device into use and ends the one before. A later
// offer stays.
func (r *Registry) TakeUp(d *Device, s *Session) {
	r.unindex(d.Session)
	if s == d.Pending {
		r.unindex(d.Earlier)
		d.Pending = nil
	}
	d.Session, d.Earlier = s, nil
	d.History.Joined()
	d.changed(RecordChanged)
}

// AllowMIC reports whether there is something left to pay for the MIC of a
// join-request; WrongMIC pays. The device has no budget of its own: whoever knows
// its EUIs could use that up, and keep it from joining.
func (r *Registry) AllowMIC(from Source, now radio.HostTime) bool {
	return r.affords(from, true, now)
}

// WrongMIC pays for a join-request with a wrong MIC.
func (r *Registry) WrongMIC(from Source) { r.pay(from, joinTokens) }

// WrongMICs returns how many MICs were computed in vain since the start.
func (r *Registry) WrongMICs() uint64 { return r.wrongMICs }

func (r *Registry) index(d *Device, s *Session) {
	g := r.byAddr[s.DevAddr]
	if g == nil {
		g = new(addrGroup)
		r.byAddr[s.DevAddr] = g
	}
	s.device = d
	g.members = append(g.members, member{d, s})
	g.budget.rate = addrBudget + deviceBudget*int64(len(g.members))
}

func (r *Registry) unindex(s *Session) {
	if s == nil {
		return
	}
	s.device = nil
	g := r.byAddr[s.DevAddr]
	g.members = slices.DeleteFunc(g.members, func(m member) bool { return m.session == s })
	if len(g.members) == 0 {
		delete(r.byAddr, s.DevAddr)
	}
}
