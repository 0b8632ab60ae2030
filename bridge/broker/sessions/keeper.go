package sessions

import (
	"bytes"
	"maps"
	"slices"
)

// Kept is a session as it is to be kept, and what waits for it: first what is on its
// way, then the others, oldest first.
type Kept struct {
	Session
	Waiting []Message
}

// Limits bound what is kept, in bytes.
type Limits struct {
	Session int // of messages of one session
	Total   int // of all messages
}

// Keeper knows what a store has, and says what is to change there. So a message that
// still waits is written once and deleted once, and one that does not wait when the
// Keeper is asked is never written. It is for one goroutine.
type Keeper struct {
	stored map[string]stored // by the session's ID
}

// stored is what the store has of a session.
type stored struct {
	data     []byte
	messages map[uint64]state // by Seq
}

// state is what can change of a message.
type state struct {
	packetID uint16
	released bool
}

// Find tells the Keeper of records that the store has. It returns what they hold, and
// a fault for each that cannot be understood: those are deleted with the next change.
func (k *Keeper) Find(records []Record) (found []Kept, faults []error) {
	k.stored = map[string]stored{}
	byID := map[string]*Kept{}
	for _, r := range records {
		if r.Kind != KindSession {
			continue
		}
		k.stored[r.Key] = stored{r.Data, map[uint64]state{}}
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
			continue
		}
		if k.stored[id].messages == nil {
			k.stored[id] = stored{messages: map[uint64]state{}}
		}
		m, err := ParseMessage(r.Key, r.Data)
		k.stored[id].messages[seq] = state{m.PacketID, m.Released}
		if err != nil {
			faults = append(faults, err)
		} else if s := byID[id]; s != nil {
			s.Waiting = append(s.Waiting, m)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(byID)) {
		s := byID[id]
		slices.SortFunc(s.Waiting, inOrder)
		found = append(found, *s)
	}
	return found, faults
}

// Changes returns the records that bring the store up to date. done is to be called
// when they are stored.
func (k *Keeper) Changes(now []Kept, l Limits) (records []Record, done func()) {
	next := map[string]stored{}
	for i := range now {
		s := &now[i]
		before := k.stored[s.ID]
		after := stored{before.data, map[uint64]state{}}
		if r, err := s.Record(); err == nil && !bytes.Equal(r.Data, before.data) {
			records, after.data = append(records, r), r.Data
		}
		for _, m := range s.newest(l.Session, &l.Total) {
			was, ok := before.messages[m.Seq]
			is := state{m.PacketID, m.Released}
			if after.messages[m.Seq] = is; ok && was == is {
				continue
			}
			if r, err := m.Record(); err == nil {
				records = append(records, r)
			}
		}
		next[s.ID] = after
	}
	for id, before := range k.stored {
		after, ok := next[id]
		if !ok && before.data != nil {
			records = append(records, Record{KindSession, id, nil})
		}
		for seq := range before.messages {
			if _, ok := after.messages[seq]; !ok {
				records = append(records, Record{KindMessage, MessageKey(id, seq), nil})
			}
		}
	}
	return records, func() { k.stored = next }
}

// newest returns the messages that there is room for.
func (s *Kept) newest(room int, all *int) []Message {
	for i, m := range slices.Backward(s.Waiting) {
		size := m.size()
		if room -= size; room < 0 || *all < size {
			return s.Waiting[i+1:]
		}
		*all -= size
	}
	return s.Waiting
}
