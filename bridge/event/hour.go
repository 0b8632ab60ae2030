package event

import (
	"time"

	"lorawand/radio"
)

// Hour counts what happens, and tells how much of it was in the last hour, to the minute.
// The zero value is ready.
type Hour struct {
	counts [60]uint32
	minute int64 // that counts[minute%60] is of
}

// Add counts one at now.
func (h *Hour) Add(now radio.HostTime) {
	h.turn(now)
	h.counts[h.minute%int64(len(h.counts))]++
}

// Count returns how many there were in the hour before now.
func (h *Hour) Count(now radio.HostTime) (n int) {
	h.turn(now)
	for _, c := range h.counts {
		n += int(c)
	}
	return n
}

// turn forgets the minutes that are over for an hour.
func (h *Hour) turn(now radio.HostTime) {
	minute := int64(time.Duration(now) / time.Minute)
	size := int64(len(h.counts))
	for m := max(h.minute+1, minute-size+1); m <= minute; m++ {
		h.counts[m%size] = 0
	}
	h.minute = max(h.minute, minute)
}
