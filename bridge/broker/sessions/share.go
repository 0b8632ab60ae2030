package sessions

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"lorawand/bridge/order"
)

// What is written in the long run, in bytes a second, and at least each time. Others
// wait for the same disk.
const (
	writtenASecond = 4 << 10
	writtenAtLeast = 8 << 10
)

// WriteLimit returns how many bytes of records may be written each time if that is so
// often.
func WriteLimit(every time.Duration) int {
	return max(writtenAtLeast, int(min(every.Seconds(), 3600)*writtenASecond))
}

// share returns the sessions that there is room for, sorted by ID, and leaves of each
// the newest messages that there is room for. All applications have the same right to
// the room, and so have the sessions of one: who needs less leaves the rest to the
// others. So one that floods costs itself, and what is kept does not go to and fro.
func share(all []Kept, l Limits) []Kept {
	now := make([]Kept, 0, len(all))
	for _, s := range all {
		var err error
		if s.record, err = s.Session.Record(); err == nil {
			s.Waiting = newest(s.Waiting, l.Session)
			now = append(now, s)
		}
	}
	order.By(now, func(x, y Kept) int { return cmp.Compare(x.ID, y.ID) })
	byApp := map[string][]*Kept{}
	for i := range now {
		a := application(now[i].ID)
		byApp[a] = append(byApp[a], &now[i])
	}
	apps := slices.Sorted(maps.Keys(byApp))
	for k, room := range fair(l.Total, apps, func(a string) (n int) {
		for _, s := range byApp[a] {
			n += s.size()
		}
		return n
	}) {
		own := byApp[apps[k]]
		for n, room := range fair(room, own, (*Kept).size) {
			own[n].shorten(room)
		}
	}
	return slices.DeleteFunc(now, func(s Kept) bool { return s.record.Data == nil })
}

// shorten leaves of a session what there is room for.
func (s *Kept) shorten(room int) {
	if room -= len(s.record.Key) + len(s.record.Data); room < 0 {
		s.record.Data, s.Waiting = nil, nil
		return
	}
	s.Waiting = newest(s.Waiting, room)
}

// size is what a session and its messages count for, in bytes.
func (s *Kept) size() int {
	n := len(s.record.Key) + len(s.record.Data)
	for i := range s.Waiting {
		n += s.Waiting[i].size()
	}
	return n
}

// fair shares out room. Nobody gets more than he needs; those who do not get all they
// need get the same.
func fair[T any](room int, among []T, need func(T) int) (shares []int) {
	needs, order := make([]int, len(among)), make([]int, len(among))
	for i, x := range among {
		needs[i], order[i] = need(x), i
	}
	slices.SortStableFunc(order, func(x, y int) int { return cmp.Compare(needs[x], needs[y]) })
	shares = make([]int, len(among))
	for n, i := range order {
		shares[i] = min(needs[i], room/(len(order)-n))
		room -= shares[i]
	}
	return shares
}

// newest returns the newest messages that there is room for.
func newest(all []Message, room int) []Message {
	for i := len(all) - 1; i >= 0; i-- {
		if room -= all[i].size(); room < 0 {
			return all[i+1:]
		}
	}
	return all
}
