package sessions

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"strings"

	"lorawand/bridge/order"
)

// Kept is a session as it is to be kept, and what waits for it: first what is on its
// way, then the others, oldest first.
type Kept struct {
	Session
	Waiting []Message

	record Record // of the session
}

// Limits bound what is kept and what is written, in bytes of records.
type Limits struct {
	Session int // of messages of one session
	Total   int // of all sessions and messages
	Write   int // of the records of one Changes, one record at least
}

// Keeper knows what a store has, and says what is to change there. So a message that
// still waits is written once and deleted once, and one that does not wait when the
// Keeper is asked is never written. It is for one goroutine.
type Keeper struct {
	stored map[string]stored // by the session's ID
}

// stored is what the store has of a session, or one of KindMessage that is of none.
type stored struct {
	kind     Kind
	data     []byte
	messages map[uint64]state // by Seq
}

// state is what can change of a message.
type state struct {
	packetID uint16
	released bool
}

// unusable is the state of a record that nobody can use.
var unusable = state{released: true}

// Find tells the Keeper of records that the store has. It returns what they hold, the
// highest Seq, and a fault for each record that cannot be understood: those are
// deleted with the next changes.
func (k *Keeper) Find(records []Record) (found []Kept, last uint64, faults []error) {
	k.stored = map[string]stored{}
	byID := map[string]*Kept{}
	for _, r := range records {
		if r.Kind != KindSession {
			continue
		}
		k.stored[r.Key] = stored{data: r.Data, messages: map[uint64]state{}}
		if s, err := ParseSession(r.Key, r.Data); err != nil {
			faults = append(faults, err)
		} else {
			byID[s.ID] = &Kept{Session: s}
		}
	}
	for _, r := range records {
		if r.Kind != KindMessage {
			continue
		}
		id, seq, err := parseKey(r.Key)
		if err != nil {
			faults = append(faults, err)
			if _, ok := k.stored[r.Key]; !ok {
				k.stored[r.Key] = stored{kind: KindMessage}
			}
			continue
		}
		last = max(last, seq)
		if k.stored[id].messages == nil {
			k.stored[id] = stored{messages: map[uint64]state{}}
		}
		k.stored[id].messages[seq] = unusable
		m, err := ParseMessage(r.Key, r.Data)
		if err != nil {
			faults = append(faults, err)
		} else if s := byID[id]; s != nil {
			s.Waiting = append(s.Waiting, m)
			k.stored[id].messages[seq] = state{m.PacketID, m.Released}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(byID)) {
		s := byID[id]
		order.By(s.Waiting, inOrder)
		found = append(found, *s)
	}
	return found, last, faults
}

// change is a record to write, and the state of the message that it is of.
type change struct {
	Record
	session string
	seq     uint64
	state   state
	last    bool // nothing of the session is left
}

// size is what a change counts for, in bytes.
func (c *change) size() int { return len(c.Key) + len(c.Data) + 16 }

// Changes returns records that bring the store closer to now: all of them if there is
// room in Limits.Write, else as many, in turn of each application; what is left
// follows when it is asked again. done is to be called when they are stored.
func (k *Keeper) Changes(now []Kept, l Limits) (records []Record, done func()) {
	now = share(now, l)
	due := map[string][]change{} // by application
	kept := map[string]bool{}
	for i := range now {
		s := &now[i]
		kept[s.ID] = true
		if c := k.changes(s); len(c) > 0 {
			due[application(s.ID)] = append(due[application(s.ID)], c...)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(k.stored)) {
		if !kept[id] {
			a := application(id)
			due[a] = append(k.deletions(id), due[a]...)
		}
	}
	next := maps.Clone(k.stored)
	if next == nil {
		next = map[string]stored{}
	}
	touched := map[string]bool{}
	for _, c := range inTurn(due, l.Write) {
		if !touched[c.session] {
			touched[c.session] = true
			before := next[c.session]
			before.messages = maps.Clone(before.messages)
			next[c.session] = before
		}
		c.apply(next)
		records = append(records, c.Record)
	}
	return records, func() { k.stored = next }
}

// changes returns what is to be written of a session: first what makes room, and
// never a message of a session that the store does not have.
func (k *Keeper) changes(s *Kept) (out []change) {
	before := k.stored[s.ID]
	waits := make(map[uint64]bool, len(s.Waiting))
	for i := range s.Waiting {
		waits[s.Waiting[i].Seq] = true
	}
	for _, seq := range slices.Sorted(maps.Keys(before.messages)) {
		if !waits[seq] {
			out = append(out, change{Record{KindMessage, MessageKey(s.ID, seq), nil}, s.ID, seq, state{}, false})
		}
	}
	if !bytes.Equal(s.record.Data, before.data) {
		out = append(out, change{s.record, s.ID, 0, state{}, false})
	}
	for i := range s.Waiting {
		m := &s.Waiting[i]
		is := state{m.PacketID, m.Released}
		if was, ok := before.messages[m.Seq]; ok && was == is {
			continue
		}
		if r, err := m.Record(); err == nil {
			out = append(out, change{r, s.ID, m.Seq, is, false})
		}
	}
	return out
}

// deletions returns what deletes all that the store has of a session.
func (k *Keeper) deletions(id string) (out []change) {
	before := k.stored[id]
	for _, seq := range slices.Sorted(maps.Keys(before.messages)) {
		out = append(out, change{Record{KindMessage, MessageKey(id, seq), nil}, id, seq, state{}, false})
	}
	return append(out, change{Record{before.kind, id, nil}, id, 0, state{}, true})
}

// apply notes that the store has a change. What it had before is not touched.
func (c *change) apply(to map[string]stored) {
	s := to[c.session]
	if s.messages == nil {
		s.messages = map[uint64]state{}
	}
	switch {
	case c.last:
		delete(to, c.session)
		return
	case c.Kind == KindSession:
		s.data = c.Data
	case c.Data == nil:
		delete(s.messages, c.seq)
	default:
		s.messages[c.seq] = c.state
	}
	to[c.session] = s
}

// inTurn returns as much of what is due as there is room for: of the application that
// has the least of it so far comes the next.
func inTurn(due map[string][]change, room int) (out []change) {
	taken := map[string]int{}
	waiting := slices.Sorted(maps.Keys(due))
	for len(waiting) > 0 {
		a := slices.MinFunc(waiting, func(x, y string) int { return cmp.Compare(taken[x], taken[y]) })
		c := due[a][0]
		if room -= c.size(); room < 0 && len(out) > 0 {
			return out
		}
		taken[a] += c.size()
		out = append(out, c)
		if due[a] = due[a][1:]; len(due[a]) == 0 {
			waiting = slices.DeleteFunc(waiting, func(x string) bool { return x == a })
		}
	}
	return out
}

// application returns whose a session is.
func application(id string) string {
	a, _, _ := strings.Cut(id, "/")
	return a
}
