package event

import (
	"slices"

	"lorawand/radio"
)

// maxUnknown bounds the gateways that are remembered, and the devices.
const maxUnknown = 128

// Stranger is a gateway or a device that is not known here and has tried: a gateway
// that is refused, or a device whose join-requests are.
type Stranger struct {
	Event Event          // the last
	First radio.HostTime // the first try that is remembered
	Tries uint64

	seq uint64 // of Event
}

// strangers holds them, the latest at the end.
type strangers []Stranger

// add adds an event. It reports whether the stranger is new.
func (s *strangers) add(e rememberedEvent, same func(a, b *Event) bool) bool {
	one := Stranger{Event: e.event, First: e.event.Host, Tries: 1, seq: e.seq}
	i := slices.IndexFunc(*s, func(old Stranger) bool { return same(&old.Event, &e.event) })
	switch {
	case i >= 0:
		one.First, one.Tries = (*s)[i].First, (*s)[i].Tries+1
		*s = slices.Delete(*s, i, i+1)
	case len(*s) >= maxUnknown:
		*s = slices.Delete(*s, 0, 1)
	}
	*s = append(*s, one)
	return i < 0
}

func sameGateway(a, b *Event) bool { return a.GatewayEUI == b.GatewayEUI }

func sameDevice(a, b *Event) bool { return a.DevEUI == b.DevEUI && a.JoinEUI == b.JoinEUI }

// isOfStranger reports whether a join-request is refused because nobody knows the device.
func (e *Event) isOfStranger() bool {
	return e.Kind == JoinRefused && e.HasEUIs &&
		(e.Word == string(JoinUnknownDevEUI) || e.Word == string(JoinUnknownJoinEUI))
}

// Strangers returns the gateways and the devices that are not known here, the latest
// last.
func (l *Log) Strangers() (gateways, devices []Stranger) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.unknown), slices.Clone(l.unknownDevices)
}
