package activity

import (
	"errors"
	"slices"
	"sync"

	"lorawand/bridge/event"
	"lorawand/bridge/session"
	"lorawand/bridge/v3"
	"lorawand/radio"
)

// Limits of those who follow.
const (
	maxFollowers   = 16
	followerBuffer = 64 // items
)

// ErrFollowers is the reason for refusing one more follower.
var ErrFollowers = errors.New("too many clients follow already")

// Item is what happened to a device: an event, or a message that was published.
type Item struct {
	Device  session.ID
	Event   *event.Event // nil: a message; must not be changed
	Message v3.Message
	At      radio.HostTime
}

// follower wants the items of some devices.
type follower struct {
	of    []session.ID // Device "": all of the application; the zero ID: all
	items chan Item
}

// Follow sends what happens to devices from now on; a Device "" is all of the
// application, and the zero ID all devices. A follower that does not keep up misses items. The caller calls stop in
// the end.
func (l *Log) Follow(of []session.ID) (items <-chan Item, stop func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.follow(of)
}

// Uplinks returns the remembered uplinks of all devices, in no order, and what Follow
// sends of all devices.
func (l *Log) Uplinks() (before []Message, items <-chan Item, stop func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if items, stop, err = l.follow([]session.ID{{}}); err != nil {
		return nil, nil, nil, err
	}
	for _, d := range l.devices {
		for _, r := range d.uplinks {
			before = append(before, Message{Device: d.id, At: r.at, Payload: r.payload, seq: r.seq})
		}
	}
	return before, items, stop, nil
}

// follow is Follow for callers that hold the lock.
func (l *Log) follow(of []session.ID) (items <-chan Item, stop func(), err error) {
	if len(l.followers) >= maxFollowers {
		return nil, nil, ErrFollowers
	}
	f := &follower{of: of, items: make(chan Item, followerBuffer)}
	l.followers = append(l.followers, f)
	return f.items, sync.OnceFunc(func() { l.unfollow(f) }), nil
}

func (l *Log) unfollow(f *follower) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.followers = slices.DeleteFunc(l.followers, func(other *follower) bool { return other == f })
}

// tell sends an item to those who follow its device. The lock is held.
func (l *Log) tell(i Item) {
	for _, f := range l.followers {
		all := slices.Contains(f.of, session.ID{Application: i.Device.Application}) || slices.Contains(f.of, session.ID{})
		if !all && !slices.Contains(f.of, i.Device) {
			continue
		}
		select {
		case f.items <- i:
		default:
		}
	}
}
