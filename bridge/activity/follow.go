package activity

import (
	"errors"
	"slices"
	"sync"

	"lorawand/bridge/event"
	"lorawand/bridge/session"
	"lorawand/bridge/v3"
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
}

// follower wants the items of some devices.
type follower struct {
	of    []session.ID // Device "": all of the application
	items chan Item
}

// Follow sends what happens to devices from now on; a Device "" is all of the
// application. A follower that does not keep up misses items. The caller calls stop in
// the end.
func (l *Log) Follow(of []session.ID) (items <-chan Item, stop func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
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
		if !slices.Contains(f.of, i.Device) && !slices.Contains(f.of, session.ID{Application: i.Device.Application}) {
			continue
		}
		select {
		case f.items <- i:
		default:
		}
	}
}
