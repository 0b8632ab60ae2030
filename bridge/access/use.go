package access

import "time"

// Day is a day of the calendar, counted from 1970-01-01 in UTC.
type Day int32

// dayLength is in s.
const dayLength = 24 * 60 * 60

// String returns the day as in "2027-01-31".
func (d Day) String() string { return time.Unix(int64(d)*dayLength, 0).UTC().Format(time.DateOnly) }

// Use notes that a key is in use now. It reports whether that is another day than
// was noted before. now is the zero time where the calendar is not known: then
// nothing is noted. Days are fine enough for an owner who looks for keys that nobody
// needs, and each news is written to the flash.
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

// SetUsed takes what the store knows of the last use of a key, which must be there.
func (r *Registry) SetUsed(id string, day Day) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.keys[id]; ok {
		r.used[id] = day
	}
}

// Used returns the day on which a key was used last, if that is known.
func (r *Registry) Used(id string) (Day, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	day, ok := r.used[id]
	return day, ok
}
