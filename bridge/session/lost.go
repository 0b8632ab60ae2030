package session

import (
	"crypto/sha256"
	"slices"

	"lorawand/radio"
	"lorawand/radio/frame"
)

// HashSize is how many bytes name a key.
const HashSize = 8

// Lost is what is known of a session that is no more: tombstones keep it.
type Lost struct {
	Addr       radio.DevAddr
	Heard      bool
	FCntUp     uint32
	Used, Sent Marks
	Keys       [4][HashSize]byte // hashes, in the order of keysOf

	NextRJCount0 uint32
}

func keysOf(k *frame.SessionKeys) [4]frame.Key {
	return [4]frame.Key{k.FNwkSIntKey, k.SNwkSIntKey, k.NwkSEncKey, k.AppSKey}
}

// hashOf names a key on a DevAddr, and does not tell it.
func hashOf(a radio.DevAddr, k frame.Key) (h [HashSize]byte) {
	sum := sha256.Sum256(append(append([]byte("lorawand session key"), a[:]...), k[:]...))
	copy(h[:], sum[:])
	return h
}

// Hashes names the keys of a session, in the order of keysOf.
func (s *Session) Hashes() (h [4][HashSize]byte) {
	for i, k := range keysOf(&s.Keys) {
		h[i] = hashOf(s.DevAddr, k)
	}
	return h
}

// Lost returns what is to be known of a session.
func (s *Session) Lost() Lost {
	return Lost{
		Addr: s.DevAddr, Heard: s.Heard, FCntUp: s.FCntUp, Used: s.Settled(), Sent: s.LastSent(), Keys: s.Hashes(),
		NextRJCount0: s.MAC.RJCount0(),
	}
}

// GoOnBehind has counters go on behind those of a session with the same DevAddr and
// any of its keys: each of them makes a key stream or a MIC. FCntUp is of those
// with the same key for uplinks. own are the session's Hashes. It reports
// whether there is such a key.
func (s *Session) GoOnBehind(l *Lost, own [4][HashSize]byte, v Version) bool {
	shares := func(h [HashSize]byte) bool { return slices.Contains(l.Keys[:], h) }
	if s.DevAddr != l.Addr || !slices.ContainsFunc(own[:], shares) {
		return false
	}
	if own[0] == l.Keys[0] && l.Heard {
		s.Heard, s.FCntUp = true, max(s.FCntUp, l.FCntUp)
	}
	used, sent := l.Used, s.LastSent()
	if v < V1_1 {
		used.N = max(used.N, used.A)
		used.A = used.N
	}
	s.NFCntDown, s.AFCntDown = max(s.NFCntDown, used.N), max(s.AFCntDown, used.A)
	s.NStored, s.AStored = max(s.NStored, s.NFCntDown), max(s.AStored, s.AFCntDown)
	s.SetLastSent(Marks{max(sent.N, l.Sent.N), max(sent.A, l.Sent.A)})
	s.MAC = s.MAC.WithRJCount0(l.NextRJCount0)
	return true
}

// Continue has a session that is to come into the Registry go on behind those
// in it that have the same DevAddr and a key of it. It reports whether there
// are any.
func (r *Registry) Continue(s *Session, v Version) (found bool) {
	g := r.byAddr[s.DevAddr]
	if g == nil {
		return false
	}
	own := keysOf(&s.Keys)
	for _, m := range g.members {
		keys := keysOf(&m.session.Keys)
		if m.session == s || !slices.ContainsFunc(keys[:], func(k frame.Key) bool { return slices.Contains(own[:], k) }) {
			continue
		}
		l := m.session.Lost()
		found = s.GoOnBehind(&l, s.Hashes(), v) || found
	}
	return found
}
