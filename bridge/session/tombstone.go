package session

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"lorawand/radio"
	"lorawand/radio/frame"
)

// MaxTombstones is how many tombstones are kept of each sort: nonces, sessions
// that an owner has given, sessions of joins. The oldest goes when there are
// more. Then a device that was deleted before so many others were, and that is
// registered again with the same keys, begins as if it had never been here.
const MaxTombstones = 4096

// Tombstones are what remains of devices that were deleted, and of sessions
// that devices have no more: their counters and nonces, so that these never
// begin anew under the same keys. A tombstone stays when its device comes back,
// and is written anew when that goes again.
//
// They belong to one goroutine. What is not asked for is kept as bytes.
type Tombstones struct {
	last   uint64 // the highest number so far
	all    map[string][]byte
	byAddr map[radio.DevAddr][]string // keys of those of sessions
	ages   map[remains]*ages
}

// remains are what a tombstone is of.
type remains uint8

const (
	ofNonces remains = iota + 1
	ofSession
	ofJoinedSession // that a join has given: there is one with each join
)

// ages has tombstones of one sort, the oldest first. Those that were written anew
// since stand there twice, with their old number too.
type ages struct {
	count int
	queue []aged
}

type aged struct {
	number uint64
	key    string
}

// NewTombstones returns none.
func NewTombstones() *Tombstones {
	t := &Tombstones{all: map[string][]byte{}, byAddr: map[radio.DevAddr][]string{}, ages: map[remains]*ages{}}
	for _, k := range []remains{ofNonces, ofSession, ofJoinedSession} {
		t.ages[k] = new(ages)
	}
	return t
}

// Tombstone is what a store keeps of one. Without data it is gone.
type Tombstone struct {
	Key  string
	Data []byte
}

// The layout: version, remains, flags, number, and what lost* say; numbers are in
// little-endian. Flag 1 stands for what a bool of the remains says.
const (
	tombstoneVersion = 1
	tombstoneHead    = 1 + 1 + 1 + 8
	nonceSize        = 2
	rjCountSize      = 4 // of RJcount1, last and with its flag; of RJcount0, last if there is one
	flagRJCount      = 2
	lostNoncesSize   = tombstoneHead + 2 + 4
	lostSessionSize  = tombstoneHead + 4 + 5*4 + 4*hashSize
	hashSize         = 8
)

// ErrTombstone is the reason for bytes that are no tombstone.
var ErrTombstone = errors.New("no tombstone")

// lostSession is what is known of a session that is no more.
type lostSession struct {
	addr       radio.DevAddr
	heard      bool
	fCntUp     uint32
	used, sent Marks
	keys       [4][hashSize]byte // hashes, in the order of keysOf

	nextRJCount0 uint32
}

func keysOf(k *frame.SessionKeys) [4]frame.Key {
	return [4]frame.Key{k.FNwkSIntKey, k.SNwkSIntKey, k.NwkSEncKey, k.AppSKey}
}

// hashOf names a key on a DevAddr, and does not tell it.
func hashOf(a radio.DevAddr, k frame.Key) (h [hashSize]byte) {
	sum := sha256.Sum256(append(append([]byte("lorawand session key"), a[:]...), k[:]...))
	copy(h[:], sum[:])
	return h
}

// hashes names the keys of a session, in the order of keysOf.
func (s *Session) hashes() (h [4][hashSize]byte) {
	for i, k := range keysOf(&s.Keys) {
		h[i] = hashOf(s.DevAddr, k)
	}
	return h
}

// lost returns what is to be known of a session.
func (s *Session) lost() lostSession {
	return lostSession{
		addr: s.DevAddr, heard: s.Heard, fCntUp: s.FCntUp, used: s.Settled(), sent: s.LastSent(), keys: s.hashes(),
		nextRJCount0: s.MAC.RJCount0(),
	}
}

// after has counters go on behind those of a session with the same DevAddr and
// any of its keys: each of them makes a key stream or a MIC. FCntUp is of those
// with the same key for uplinks. own are the session's hashes. It reports
// whether there is such a key.
func (s *Session) after(l *lostSession, own [4][hashSize]byte, v Version) bool {
	shares := func(h [hashSize]byte) bool { return slices.Contains(l.keys[:], h) }
	if s.DevAddr != l.addr || !slices.ContainsFunc(own[:], shares) {
		return false
	}
	if own[0] == l.keys[0] && l.heard {
		s.Heard, s.FCntUp = true, max(s.FCntUp, l.fCntUp)
	}
	used, sent := l.used, s.LastSent()
	if v < V1_1 {
		used.N = max(used.N, used.A)
		used.A = used.N
	}
	s.NFCntDown, s.AFCntDown = max(s.NFCntDown, used.N), max(s.AFCntDown, used.A)
	s.NStored, s.AStored = max(s.NStored, s.NFCntDown), max(s.AStored, s.AFCntDown)
	s.SetLastSent(Marks{max(sent.N, l.sent.N), max(sent.A, l.sent.A)})
	s.MAC = s.MAC.WithRJCount0(l.nextRJCount0)
	return true
}

// AddSession keeps what is to be known of a session of a device that is no
// more, also that nothing was sent in it. It returns what the store is to keep.
func (t *Tombstones) AddSession(d *Device, s *Session) []Tombstone {
	if s == nil {
		return nil
	}
	l, of := s.lost(), ofSession
	if d.SupportsJoin {
		of = ofJoinedSession
	}
	sum := sha256.New()
	for i := range l.keys {
		sum.Write(l.keys[i][:])
	}
	key := fmt.Sprintf("session/%v/%s", s.DevAddr, hex.EncodeToString(sum.Sum(nil)[:hashSize]))
	return t.addLost(key, of, l)
}

// addLost keeps a session, behind what is kept of it already.
func (t *Tombstones) addLost(key string, of remains, l lostSession) []Tombstone {
	if before, ok := t.session(key); ok {
		l.used = Marks{max(l.used.N, before.used.N), max(l.used.A, before.used.A)}
		l.nextRJCount0 = max(l.nextRJCount0, before.nextRJCount0)
	}
	b := t.head(of, l.heard)
	b = append(b, l.addr[:]...)
	for _, n := range []uint32{l.fCntUp, l.used.N, l.used.A, l.sent.N, l.sent.A} {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	for i := range l.keys {
		b = append(b, l.keys[i][:]...)
	}
	if l.nextRJCount0 > 0 {
		b = binary.LittleEndian.AppendUint32(b, l.nextRJCount0)
	}
	return t.add(key, b)
}

// AddNonces keeps what is to be known of a device that is no more. It returns
// what the store is to keep. Devices with one DevEUI and other JoinEUIs share it:
// no JoinNonce goes back. DevNonces are those of d, as its owner may have had
// them forgotten.
func (t *Tombstones) AddNonces(d *Device) []Tombstone {
	n := d.Nonces()
	if !n.used() || d.DevEUI.IsZero() {
		return nil
	}
	if before, ok := t.nonces(d.DevEUI); ok {
		n.LastJoinNonce = max(n.LastJoinNonce, before.LastJoinNonce)
	}
	b := t.head(ofNonces, n.DevNoncesForgotten)
	b = binary.LittleEndian.AppendUint16(b, n.LastDevNonce)
	b = binary.LittleEndian.AppendUint32(b, n.LastJoinNonce)
	for _, u := range n.UsedDevNonces {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	if n.NextRJCount1 > 0 {
		b[2] |= flagRJCount
		b = binary.LittleEndian.AppendUint32(b, n.NextRJCount1)
	}
	return t.add(noncesKey(d.DevEUI), b)
}

const noncesPrefix = "dev_eui/"

func noncesKey(e radio.EUI64) string { return noncesPrefix + e.String() }

func (t *Tombstones) head(of remains, flag bool) []byte {
	var flags byte
	if flag {
		flags = 1
	}
	t.last++
	return binary.LittleEndian.AppendUint64([]byte{tombstoneVersion, byte(of), flags}, t.last)
}

// Load takes what a store has. It belongs to the Tombstones from then on.
func (t *Tombstones) Load(key string, b []byte) error {
	if len(b) < tombstoneHead || b[0] != tombstoneVersion {
		return fmt.Errorf("%w: %d bytes", ErrTombstone, len(b))
	}
	nonces := len(b) - lostNoncesSize // bytes of them
	switch of := remains(b[1]); {
	case of == ofNonces && nonces >= 0 && nonces%nonceSize == 0 && nonces <= MaxDevNonces*nonceSize+rjCountSize:
	case isLostSession(b):
	default:
		return fmt.Errorf("%w: of sort %d, %d bytes", ErrTombstone, of, len(b))
	}
	t.last = max(t.last, number(b))
	t.put(key, b)
	return nil
}

// isLostSession reports whether a tombstone is one of a session: some of nonces are as long.
func isLostSession(b []byte) bool {
	size := len(b) == lostSessionSize || len(b) == lostSessionSize+rjCountSize
	return size && (remains(b[1]) == ofSession || remains(b[1]) == ofJoinedSession)
}

func number(b []byte) uint64 { return binary.LittleEndian.Uint64(b[3:]) }

// Settle orders by age what was loaded.
func (t *Tombstones) Settle() {
	for _, a := range t.ages {
		slices.SortFunc(a.queue, func(x, y aged) int { return cmp.Compare(x.number, y.number) })
	}
}

// put takes a tombstone, or one that takes the place of another.
func (t *Tombstones) put(key string, b []byte) {
	of := remains(b[1])
	old, there := t.all[key]
	if there {
		t.ages[remains(old[1])].count--
	} else if of != ofNonces {
		addr := radio.DevAddr(b[tombstoneHead:])
		t.byAddr[addr] = append(t.byAddr[addr], key)
	}
	t.all[key] = b
	a := t.ages[of]
	a.count++
	a.queue = append(a.queue, aged{number(b), key})
}

// add takes a new tombstone; the oldest ones go for it.
func (t *Tombstones) add(key string, b []byte) []Tombstone {
	t.put(key, b)
	out := []Tombstone{{key, b}}
	a := t.ages[remains(b[1])]
	for len(a.queue) > 0 && (a.count > MaxTombstones || !t.current(a.queue[0])) {
		if oldest := a.queue[0]; t.current(oldest) {
			t.remove(oldest.key)
			out = append(out, Tombstone{Key: oldest.key})
		}
		a.queue = a.queue[1:]
	}
	if len(a.queue) > 2*MaxTombstones {
		a.queue = slices.DeleteFunc(a.queue, func(o aged) bool { return !t.current(o) })
	}
	return out
}

// current reports whether a tombstone was not written anew.
func (t *Tombstones) current(a aged) bool {
	b := t.all[a.key]
	return b != nil && number(b) == a.number
}

func (t *Tombstones) remove(key string) {
	b := t.all[key]
	delete(t.all, key)
	t.ages[remains(b[1])].count--
	if remains(b[1]) == ofNonces {
		return
	}
	addr := radio.DevAddr(b[tombstoneHead:])
	t.byAddr[addr] = slices.DeleteFunc(t.byAddr[addr], func(k string) bool { return k == key })
	if len(t.byAddr[addr]) == 0 {
		delete(t.byAddr, addr)
	}
}

// session reads a tombstone.
func (t *Tombstones) session(key string) (l lostSession, ok bool) {
	b := t.all[key]
	if !isLostSession(b) {
		return l, false
	}
	if rest := b[lostSessionSize:]; len(rest) > 0 {
		l.nextRJCount0 = binary.LittleEndian.Uint32(rest)
	}
	l.heard = b[2] != 0
	b = b[tombstoneHead:]
	copy(l.addr[:], b)
	word := func(i int) uint32 { return binary.LittleEndian.Uint32(b[4+4*i:]) }
	l.fCntUp, l.used, l.sent = word(0), Marks{word(1), word(2)}, Marks{word(3), word(4)}
	for i := range l.keys {
		copy(l.keys[i][:], b[24+hashSize*i:])
	}
	return l, true
}

// nonces reads a tombstone.
func (t *Tombstones) nonces(e radio.EUI64) (n Nonces, ok bool) {
	b := t.all[noncesKey(e)]
	if len(b) < lostNoncesSize {
		return n, false
	}
	n.DevNoncesForgotten = b[2]&1 != 0
	if end := len(b) - rjCountSize; b[2]&flagRJCount != 0 && end >= lostNoncesSize {
		n.NextRJCount1, b = binary.LittleEndian.Uint32(b[end:]), b[:end]
	}
	n.LastDevNonce = binary.LittleEndian.Uint16(b[tombstoneHead:])
	n.LastJoinNonce = binary.LittleEndian.Uint32(b[tombstoneHead+2:])
	for b = b[lostNoncesSize:]; len(b) > 0; b = b[nonceSize:] {
		n.UsedDevNonces = append(n.UsedDevNonces, binary.LittleEndian.Uint16(b))
	}
	return n, true
}

// noncesOf is nonces by the key.
func (t *Tombstones) noncesOf(key string) (n Nonces, e radio.EUI64, ok bool) {
	name, ok := strings.CutPrefix(key, noncesPrefix)
	if !ok || e.UnmarshalText([]byte(name)) != nil {
		return n, e, false
	}
	n, ok = t.nonces(e)
	return n, e, ok
}

// Revive has a session go on behind those that are no more and had the same
// DevAddr and a key of it. It reports whether there were any.
func (t *Tombstones) Revive(s *Session, v Version) (found bool) {
	keys := t.byAddr[s.DevAddr]
	if len(keys) == 0 {
		return false
	}
	own := s.hashes()
	for _, key := range keys {
		if l, ok := t.session(key); ok && s.after(&l, own, v) {
			found = true
		}
	}
	return found
}

// ReviveNonces has a device that joins go on behind one with the same DevEUI
// that is no more. It reports whether there was one.
func (t *Tombstones) ReviveNonces(d *Device) bool {
	n, ok := t.nonces(d.DevEUI)
	if ok {
		d.setNonces(n)
	}
	return ok
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
		l := m.session.lost()
		found = s.after(&l, s.hashes(), v) || found
	}
	return found
}
