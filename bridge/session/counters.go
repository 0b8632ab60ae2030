package session

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// countersSize and the layout: version 1, flags, FCntUp, NFCntDown, AFCntDown,
// DevAddr; numbers in little-endian. The DevAddr ties them to their session.
const (
	countersVersion = 1
	countersSize    = 1 + 1 + 4 + 4 + 4 + 4
)

const flagHeard = 1

// ErrCounters is the reason for bytes that are no counters of this session.
var ErrCounters = errors.New("no counters of this session")

// AppendCounters appends the bytes that a store keeps of a session's counters.
func AppendCounters(dst []byte, s *Session) []byte {
	var flags byte
	if s.Heard {
		flags |= flagHeard
	}
	dst = append(dst, countersVersion, flags)
	dst = binary.LittleEndian.AppendUint32(dst, s.FCntUp)
	dst = binary.LittleEndian.AppendUint32(dst, s.NFCntDown)
	dst = binary.LittleEndian.AppendUint32(dst, s.AFCntDown)
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
	s.NFCntDown = binary.LittleEndian.Uint32(b[6:])
	s.AFCntDown = binary.LittleEndian.Uint32(b[10:])
	return nil
}
