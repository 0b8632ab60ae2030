package gnss

// The longest sentence of NMEA 0183 has 82 characters; some receivers write longer ones.
const maxSentence = 128

// scanner finds sentences and frames in what comes over the line. Of what is neither, nothing is
// kept.
type scanner struct {
	buf  [maxSentence]byte
	n    int
	kind scanned // what buf begins with
}

type scanned uint8

const (
	nothing scanned = iota
	sentence
	timeFrame
)

// take takes a byte. It returns a sentence without "$" and the end of its line, or the payload of
// a NAV-TIMEGPS, when that is complete and its checksum is right; both are valid until the next call.
func (s *scanner) take(b byte) (kind scanned, text []byte) {
	switch {
	case s.kind == timeFrame:
		return s.takeFrame(b)
	case b == '$':
		s.kind, s.n = sentence, 0
	case b == timeHeader[0]:
		s.kind, s.n = timeFrame, 1
	case s.kind == nothing:
	case b == '\r' || b == '\n':
		s.kind = nothing
		if body, ok := checked(s.buf[:s.n]); ok {
			return sentence, body
		}
	case b < ' ' || b > '~' || s.n == len(s.buf):
		s.kind = nothing
	default:
		s.buf[s.n] = b
		s.n++
	}
	return nothing, nil
}

// takeFrame is take within a frame.
func (s *scanner) takeFrame(b byte) (kind scanned, payload []byte) {
	if s.n < len(timeHeader) {
		if b != timeHeader[s.n] {
			s.kind = nothing
			if b == '$' || b == timeHeader[0] {
				return s.take(b)
			}
			return nothing, nil
		}
		s.n++
		return nothing, nil
	}
	at := s.n - len(timeHeader)
	s.buf[at] = b
	if s.n++; at+1 < timePayload+2 {
		return nothing, nil
	}
	s.kind = nothing
	a, c := ubxChecksum(0, 0, timeHeader[2:])
	a, c = ubxChecksum(a, c, s.buf[:timePayload])
	if a != s.buf[timePayload] || c != s.buf[timePayload+1] {
		s.again()
		return nothing, nil
	}
	return timeFrame, s.buf[:timePayload]
}

// again takes the bytes that were no frame: a sentence may begin in them. There is no room for a
// whole one that means anything.
func (s *scanner) again() {
	var swallowed [timePayload + 2]byte
	copy(swallowed[:], s.buf[:])
	for _, b := range swallowed {
		s.take(b)
	}
}

// checked returns a sentence without its checksum, if that is right.
func checked(s []byte) ([]byte, bool) {
	n := len(s) - 3
	if n < 1 || s[n] != '*' {
		return nil, false
	}
	var sum byte
	for _, b := range s[:n] {
		sum ^= b
	}
	high, ok1 := nibble(s[n+1])
	low, ok2 := nibble(s[n+2])
	return s[:n], ok1 && ok2 && high<<4|low == sum
}

func nibble(b byte) (byte, bool) {
	switch {
	case b >= '0' && b <= '9':
		return b - '0', true
	case b >= 'A' && b <= 'F':
		return b - 'A' + 10, true
	case b >= 'a' && b <= 'f':
		return b - 'a' + 10, true
	}
	return 0, false
}
