package session

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
)

// Frame counters of downlinks must never go back: with the same counter, two
// plaintexts would be encrypted with the same key stream. So they are reserved
// in blocks: the store has a mark, at or above the last counter that was used,
// and a counter is used only up to the mark that is known to be stored. After
// a crash the session goes on behind the mark.
//
// Nor may they run away: a device takes a downlink whose counter is less than
// MAX_FCNT_GAP, 16384, above the last one that it has heard (LoRaWAN L2 1.0.3,
// 4.3.1.5). What is passed over, by crashes, restores and hand-overs, is counted
// from the last downlink that was sent, and what is passed over next depends on
// what is left of the gap: see skippable and block.
//
// LoRaWAN 1.0.x has one counter, which stands in both fields.

const (
	reservation = 64 // counters in a block, at the most
	lowReserve  = 4  // with less than this part of a block left, the next one is asked for
)

// skippedJoinNonces is how far JoinNonces skip ahead when it is not known what
// was used last. Devices have no limit for these.
const skippedJoinNonces = 4096

// skippable returns how far to skip ahead when it is not known what was used
// last. unsent is how many counters were passed over already since the last
// downlink that was sent.
//
// It is half of what is left of the gap: 8192, then 4096, 2048 … A skip can not
// simply be left out because the one before was not used up: behind that one
// counters may have been used since, by this home or by the one that has taken
// the session over, and only those who lost the state could say so. Where they
// were used the device has moved on with them, and there is more room than it
// seems; where they were not, the device still hears what comes next. No number
// of skips adds up to the whole gap. A session that has passed it anyhow, in
// frames that every gateway has refused, has nothing to lose by a long skip.
func skippable(unsent uint32) uint32 {
	if unsent >= maxFCntGap {
		return maxFCntGap / 2
	}
	const last = maxFCntGap - 2 // that can be passed over: the next counter is one above
	return min((maxFCntGap-unsent)/2, last-min(unsent, last))
}

// block returns how many counters to reserve above a mark, below which unsent
// counters were passed over or reserved since the last downlink that was sent.
// A block is lost with each crash. So that a host that crashes again and again
// before anything is sent does not use the gap up, blocks become small in its
// second half; a write for each downlink is the price. Never less than one: a
// session must be able to go on, and the store may know less than was sent.
func block(unsent uint32) uint32 {
	if unsent >= maxFCntGap {
		return reservation
	}
	return min(max((maxFCntGap-unsent)/(2*reservation), 1), reservation)
}

// FirstJoinNonce is the JoinNonce of a device's first join here: a device that
// was moved here may remember an old one.
const FirstJoinNonce = 65536

// NextFCntDown returns the counter of the next downlink. app says that it
// carries an application's payload, which counts apart with LoRaWAN 1.1. ok is
// false while no reserved counter is left, and for ever when all were used.
func (s *Session) NextFCntDown(v Version, app bool) (fCnt uint32, ok bool) {
	used, stored := s.NFCntDown, s.NStored
	if v >= V1_1 && app {
		used, stored = s.AFCntDown, s.AStored
	}
	return used + 1, used < stored
}

// Superseded reports whether a later counter than that of a downlink was used.
func (s *Session) Superseded(v Version, app bool, fCnt uint32) bool {
	next, _ := s.NextFCntDown(v, app)
	return next != fCnt+1
}

// UseFCntDown notes that the counter of NextFCntDown was used.
func (s *Session) UseFCntDown(v Version, app bool) {
	if v < V1_1 || !app {
		s.NFCntDown++
		s.NUnsent++
	}
	if v < V1_1 || app {
		s.AFCntDown++
		s.AUnsent++
	}
}

// Sent notes that the downlink with a counter was sent. It reports whether the
// store should know at once, because many counters had been passed over before.
func (s *Session) Sent(v Version, app bool, fCnt uint32) (closed bool) {
	sent := func(used uint32, unsent *uint32) {
		if before := *unsent; fCnt <= used && used-fCnt < before {
			*unsent = used - fCnt
			closed = closed || before-*unsent > reservation
		}
	}
	if v < V1_1 || !app {
		sent(s.NFCntDown, &s.NUnsent)
	}
	if v < V1_1 || app {
		sent(s.AFCntDown, &s.AUnsent)
	}
	return closed
}

// LastSent returns the counters of the last downlinks that were sent, as far as
// is known; those that were passed over before, for want of knowledge, count as
// sent.
func (s *Session) LastSent() Marks {
	return Marks{s.NFCntDown - min(s.NUnsent, s.NFCntDown), s.AFCntDown - min(s.AUnsent, s.AFCntDown)}
}

// SetLastSent is for a session whose counters have changed otherwise. A counter
// above those that were used counts as that.
func (s *Session) SetLastSent(m Marks) {
	s.NUnsent, s.AUnsent = s.NFCntDown-min(m.N, s.NFCntDown), s.AFCntDown-min(m.A, s.AFCntDown)
}

// Marks are what the store has, or is to have, of the counters of downlinks.
type Marks struct{ N, A uint32 }

// Reserve returns the marks that are to be stored now. due is false while
// enough counters are left, or the store has not answered yet; its answer goes
// to Reserved.
func (s *Session) Reserve(v Version) (m Marks, due bool) {
	m = Marks{s.NStored, s.AStored}
	if s.asking {
		return m, false
	}
	raise := func(mark *uint32, used, unsent uint32) {
		more := block(*mark - used + unsent)
		if *mark-used < max(more/lowReserve, 1) && *mark < math.MaxUint32 {
			*mark += min(more, math.MaxUint32-*mark)
			due = true
		}
	}
	raise(&m.N, s.NFCntDown, s.NUnsent)
	if v < V1_1 {
		m.A = m.N
	} else {
		raise(&m.A, s.AFCntDown, s.AUnsent)
	}
	if due {
		s.asked, s.asking = m, true
	}
	return m, due
}

// Reserved ends a reservation: if its marks are stored, counters up to them may
// be used.
func (s *Session) Reserved(m Marks, stored bool) {
	s.asking = false
	if stored {
		s.Stored(m)
	}
}

// FirstMarks returns the marks with which the first downlink after a start finds
// a counter that is reserved: RX1 may be too near to ask the store by then. It is
// one counter only, since each start without a downlink skips it, and devices
// bear with less than MAX_FCNT_GAP.
func (s *Session) FirstMarks(v Version) Marks {
	m := s.Marks()
	raise := func(mark *uint32, used uint32) {
		if *mark == used && used < math.MaxUint32 {
			*mark++
		}
	}
	raise(&m.N, s.NFCntDown)
	if v < V1_1 {
		m.A = m.N
	} else {
		raise(&m.A, s.AFCntDown)
	}
	return m
}

// Ask notes that marks are on their way to the store.
func (s *Session) Ask(m Marks) { s.asked = Marks{max(s.asked.N, m.N), max(s.asked.A, m.A)} }

// Stored notes that the store has marks.
func (s *Session) Stored(m Marks) {
	s.NStored, s.AStored = max(s.NStored, m.N), max(s.AStored, m.A)
}

// Recorded notes the marks in the record of the device: they hold whatever the
// record of the counters says.
func (s *Session) Recorded(m Marks) { s.recorded = m }

// Lowers reports whether the record of the counters is enough to lower the marks
// to what was used.
func (s *Session) Lowers() bool { return s.recorded.N <= s.NFCntDown && s.recorded.A <= s.AFCntDown }

// Marks returns what a record of now has to say: never less than one that is
// on its way to the store.
func (s *Session) Marks() Marks {
	return Marks{max(s.NStored, s.asked.N), max(s.AStored, s.asked.A)}
}

// Settled returns the marks of a clean stop: exactly what was used.
func (s *Session) Settled() Marks { return Marks{s.NFCntDown, s.AFCntDown} }

// WithMarks returns a copy for the store that says that it has other marks.
func (s *Session) WithMarks(m Marks) *Session {
	c := *s
	c.NStored, c.AStored, c.asked = m.N, m.A, Marks{}
	return &c
}

// resume goes on from what the store has. What was reserved and may not have
// been used is passed over.
func (s *Session) resume() {
	sent := s.LastSent()
	s.NFCntDown, s.AFCntDown = max(s.NFCntDown, s.NStored), max(s.AFCntDown, s.AStored)
	s.NStored, s.AStored = s.NFCntDown, s.AFCntDown
	s.SetLastSent(sent)
}

// SkipAhead goes on with counters that nobody has used, although more may have
// been used than are known.
func (s *Session) SkipAhead() {
	if s == nil {
		return
	}
	m := s.Marks()
	s.NStored, s.AStored = m.N, m.A
	s.resume()
	for _, c := range []struct{ used, unsent *uint32 }{{&s.NFCntDown, &s.NUnsent}, {&s.AFCntDown, &s.AUnsent}} {
		n := min(skippable(*c.unsent), math.MaxUint32-*c.used)
		*c.used += n
		*c.unsent += n
	}
	s.resume()
}

// The layout of counters in the store: version, flags, FCntUp, the marks of
// NFCntDown and AFCntDown, DevAddr; from version 2 on NFCntDown and AFCntDown of
// the last downlinks that were sent. Numbers are in little-endian. The DevAddr
// ties them to their session.
const (
	countersVersion = 2
	countersSize1   = 1 + 1 + 4 + 4 + 4 + 4
	countersSize    = countersSize1 + 4 + 4
)

const flagHeard = 1

// Reasons for bytes that are no counters of this session.
var (
	ErrCounters     = errors.New("unusable counters")
	ErrOtherSession = errors.New("counters of another session")
)

// AppendCounters appends the bytes that a store keeps of a session's counters.
func AppendCounters(dst []byte, s *Session, m Marks) []byte {
	var flags byte
	if s.Heard {
		flags |= flagHeard
	}
	sent := s.LastSent()
	dst = append(slices.Grow(dst, countersSize), countersVersion, flags)
	dst = binary.LittleEndian.AppendUint32(dst, s.FCntUp)
	dst = binary.LittleEndian.AppendUint32(dst, m.N)
	dst = binary.LittleEndian.AppendUint32(dst, m.A)
	dst = append(dst, s.DevAddr[:]...)
	dst = binary.LittleEndian.AppendUint32(dst, sent.N)
	return binary.LittleEndian.AppendUint32(dst, sent.A)
}

// SetCounterBytes puts counters back that AppendCounters wrote. It returns
// ErrOtherSession or, for bytes that cannot be read, ErrCounters, and then
// changes nothing.
func (s *Session) SetCounterBytes(b []byte) error {
	if !(len(b) == countersSize && b[0] == countersVersion) && !(len(b) == countersSize1 && b[0] == 1) {
		return fmt.Errorf("%w: %d bytes", ErrCounters, len(b))
	}
	if string(b[14:18]) != string(s.DevAddr[:]) {
		return fmt.Errorf("%w: of DevAddr %X, not %v", ErrOtherSession, b[14:18], s.DevAddr)
	}
	marks := Marks{binary.LittleEndian.Uint32(b[6:]), binary.LittleEndian.Uint32(b[10:])}
	sent := marks // version 1 does not say
	if len(b) == countersSize {
		sent = Marks{binary.LittleEndian.Uint32(b[18:]), binary.LittleEndian.Uint32(b[22:])}
	}
	s.Heard = b[1]&flagHeard != 0
	s.FCntUp = binary.LittleEndian.Uint32(b[2:])
	// Not below what the session itself says: never back.
	own := s.LastSent()
	s.NStored, s.AStored = max(s.NStored, marks.N), max(s.AStored, marks.A)
	s.NFCntDown, s.AFCntDown = s.NStored, s.AStored
	s.SetLastSent(Marks{max(own.N, sent.N), max(own.A, sent.A)})
	return nil
}
