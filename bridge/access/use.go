package access

import "time"

// Day is a day of the calendar, counted from 1970-01-01 in UTC.
type Day int32

// dayLength is in s.
const dayLength = 24 * 60 * 60

// Time returns when the day begins.
func (d Day) Time() time.Time { return time.Unix(int64(d)*dayLength, 0).UTC() }

// String returns the day as in "2027-01-31".
func (d Day) String() string { return d.Time().Format(time.DateOnly) }

// Use records that a key is used now. It reports whether the last recorded use was
// on another day. now is the zero time where the calendar is not known: then
// nothing is recorded. A day is fine enough for an owner who looks for unused keys,
// and each new day costs a write to the flash.
func (r *Registry) Use(id string, now time.Time) (day Day, news bool) {
	if now.IsZero() {
		return 0, false
	}
	day = Day(now.Unix() / dayLength)
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.keys[id]; !ok {
		return day, false
	}
	before, known := r.used[id]
	if known && before == day {
		return day, false
	}
	r.used[id] = day
	return day, true
}

// SetUsed sets the day of the last use of a key as the store has it. The key must
// be in the registry.
func (r *Registry) SetUsed(id string, day Day) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.keys[id]; ok {
		r.used[id] = day
	}
}

// Used returns the day of the last use of a key, if it is known.
func (r *Registry) Used(id string) (Day, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	day, ok := r.used[id]
	return day, ok
}
