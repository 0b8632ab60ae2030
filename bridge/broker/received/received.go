// Package received has the packet ids of the QoS 2 publishes that a client has sent.
package received

import (
	"slices"
	"sync"
)

// IDs are those of one session (MQTT 5.0, 4.3.3): of publishes that were taken and that the
// client has not released yet, and of some that are over. Each costs 2 bytes. The zero value
// takes none until Begin. It may be used by several goroutines.
type IDs struct {
	mu         sync.Mutex
	unfinished []uint16 // oldest first
	earlier    int      // so many of them were taken on earlier connections
	finished   []uint16 // oldest first
	most       int      // publishes of this connection that are unfinished
	remembered int      // that are finished
}

// Begin begins a connection, on which most publishes may be unfinished at a time. Of those of
// earlier connections as many stay, the newest; of those that are finished, the last so many.
func (i *IDs) Begin(most, remembered int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.most, i.remembered = most, remembered
	i.unfinished, i.finished = newest(i.unfinished, most), newest(i.finished, remembered)
	i.earlier = len(i.unfinished)
}

// newest returns the last n of ids, and keeps no room for others.
func newest(ids []uint16, n int) []uint16 {
	return slices.Clone(ids[max(0, len(ids)-n):])
}

// Restore takes up what Unfinished has returned.
func (i *IDs) Restore(unfinished []uint16) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.unfinished = slices.Clone(unfinished)
}

// Takes reports whether a publish with that id was taken before and is not finished, or else whether the
// connection may have no further unfinished publish.
func (i *IDs) Takes(id uint16) (again, full bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	again = slices.Contains(i.unfinished, id)
	return again, !again && len(i.unfinished)-i.earlier >= i.most
}

// Add notes that a publish was taken. Its id may be that of one that is finished.
func (i *IDs) Add(id uint16) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.unfinished = append(i.unfinished, id)
	i.finished = slices.DeleteFunc(i.finished, func(f uint16) bool { return f == id })
}

// Release notes that the client has released a publish. known is false if there was none
// with that id, neither now nor among those that are finished.
func (i *IDs) Release(id uint16) (known bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	at := slices.Index(i.unfinished, id)
	if at < 0 {
		return slices.Contains(i.finished, id)
	}
	if i.unfinished = slices.Delete(i.unfinished, at, at+1); at < i.earlier {
		i.earlier--
	}
	if len(i.finished) == i.remembered && i.remembered > 0 {
		i.finished = slices.Delete(i.finished, 0, 1)
	}
	if len(i.finished) < i.remembered {
		i.finished = append(i.finished, id)
	}
	return true
}

// Unfinished returns the ids of the publishes that are not finished, the one that was taken
// first before the others.
func (i *IDs) Unfinished() []uint16 {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.unfinished)
}
