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
// LoRaWAN 1.0.x has one counter, which stands in both fields.

const (
	reservation = 64 // counters in a block
	lowReserve  = 16 // with fewer left, the next block is asked for
)

// How far to skip ahead when it is not known what was used last. A device takes
// a downlink whose counter is less than MAX_FCNT_GAP, 16384, above the last one
// that it has heard (LoRaWAN L2 1.0.3, 4.3.1.5): half of that is for what was
// sent, half for what the device has not heard. JoinNonces have no such limit.
const (
	skippedFCntDown   = 8192
	skippedJoinNonces = 4096
)

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

// UseFCntDown notes that the counter of NextFCntDown was used.
func (s *Session) UseFCntDown(v Version, app bool) {
	switch {
	case v < V1_1:
		s.NFCntDown++
		s.AFCntDown = s.NFCntDown
	case app:
		s.AFCntDown++
	default:
		s.NFCntDown++
	}
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
	raise := func(mark *uint32, used uint32) {
		if *mark-used < lowReserve && *mark < math.MaxUint32 {
			*mark += min(reservation, math.MaxUint32-*mark)
			due = true
		}
	}
	raise(&m.N, s.NFCntDown)
	if v < V1_1 {
		m.A = m.N
	} else {
		raise(&m.A, s.AFCntDown)
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

// resume goes on from what the store has.
func (s *Session) resume() {
	s.NFCntDown, s.AFCntDown = max(s.NFCntDown, s.NStored), max(s.AFCntDown, s.AStored)
	s.NStored, s.AStored = s.NFCntDown, s.AFCntDown
}

// skipAhead goes on with counters that nobody has used, although more may have
// been used than are known.
func (s *Session) skipAhead() {
	if s == nil {
		return
	}
	for _, used := range []*uint32{&s.NFCntDown, &s.AFCntDown} {
		*used += min(skippedFCntDown, math.MaxUint32-*used)
	}
	s.resume()
}

// countersSize and the layout: version 1, flags, FCntUp, the marks of NFCntDown
// and AFCntDown, DevAddr; numbers in little-endian. The DevAddr ties them to
// their session.
const (
	countersVersion = 1
	countersSize    = 1 + 1 + 4 + 4 + 4 + 4
)

const flagHeard = 1

// ErrCounters is the reason for bytes that are no counters of this session.
var ErrCounters = errors.New("no counters of this session")

// AppendCounters appends the bytes that a store keeps of a session's counters.
func AppendCounters(dst []byte, s *Session, m Marks) []byte {
	var flags byte
	if s.Heard {
		flags |= flagHeard
	}
	dst = append(slices.Grow(dst, countersSize), countersVersion, flags)
	dst = binary.LittleEndian.AppendUint32(dst, s.FCntUp)
	dst = binary.LittleEndian.AppendUint32(dst, m.N)
	dst = binary.LittleEndian.AppendUint32(dst, m.A)
	return append(dst, s.DevAddr[:]...)
}

// SetCounterBytes puts counters back that AppendCounters wrote. It returns
// ErrCounters, and changes nothing, for those of another session.
func (s *Session) SetCounterBytes(b []byte) error {
	if len(b) != countersSize || b[0] != countersVersion {
		return fmt.Errorf("%w: %d bytes", ErrCounters, len(b))
	}
	if string(b[14:]) != string(s.DevAddr[:]) {
		return fmt.Errorf("%w: of DevAddr %X, not %v", ErrCounters, b[14:], s.DevAddr)
	}
	s.Heard = b[1]&flagHeard != 0
	s.FCntUp = binary.LittleEndian.Uint32(b[2:])
	// Not below what the session itself says: never back.
	s.NStored = max(s.NStored, binary.LittleEndian.Uint32(b[6:]))
	s.AStored = max(s.AStored, binary.LittleEndian.Uint32(b[10:]))
	s.NFCntDown, s.AFCntDown = 0, 0
	s.resume()
	return nil
}
