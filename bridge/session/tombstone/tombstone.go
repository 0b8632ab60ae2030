// Package tombstone keeps what remains of devices and sessions that are no more: their counters and
// nonces, so that these never begin anew under the same keys.
package tombstone

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"lorawand/bridge/order"
	"lorawand/bridge/session"
	"lorawand/radio"
)

// Max is how many tombstones are kept of each sort: nonces, sessions
// that an owner has given, sessions of joins. The oldest goes when there are
// more. Then a device that was deleted before so many others were, and that is
// registered again with the same keys, begins as if it had never been here.
const Max = 4096

// Set is what remains of devices that were deleted, and of sessions
// that devices have no more: their counters and nonces, so that these never
// begin anew under the same keys. A tombstone stays when its device comes back,
// and is written anew when that goes again.
//
// It belongs to one goroutine. What is not asked for is kept as bytes.
type Set struct {
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

// New returns an empty Set.
func New() *Set {
	t := &Set{all: map[string][]byte{}, byAddr: map[radio.DevAddr][]string{}, ages: map[remains]*ages{}}
	for _, k := range []remains{ofNonces, ofSession, ofJoinedSession} {
		t.ages[k] = new(ages)
	}
	return t
}

// Entry is what a store keeps of a tombstone. Without data it is gone.
type Entry struct {
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
	lostSessionSize  = tombstoneHead + 4 + 5*4 + 4*session.HashSize
)

// ErrEntry is the reason for bytes that are no tombstone.
var ErrEntry = errors.New("no tombstone")

// AddSession keeps what is to be known of a session of a device that is no
// more, also that nothing was sent in it. It returns what the store is to keep.
func (t *Set) AddSession(d *session.Device, s *session.Session) []Entry {
	if s == nil {
		return nil
	}
	l, of := s.Lost(), ofSession
	if d.SupportsJoin {
		of = ofJoinedSession
	}
	sum := sha256.New()
	for i := range l.Keys {
		sum.Write(l.Keys[i][:])
	}
	key := fmt.Sprintf("session/%v/%s", s.DevAddr, hex.EncodeToString(sum.Sum(nil)[:session.HashSize]))
	return t.addLost(key, of, l)
}

// addLost keeps a session, behind what is kept of it already.
func (t *Set) addLost(key string, of remains, l session.Lost) []Entry {
	if before, ok := t.session(key); ok {
		l.Used = session.Marks{N: max(l.Used.N, before.Used.N), A: max(l.Used.A, before.Used.A)}
		l.NextRJCount0 = max(l.NextRJCount0, before.NextRJCount0)
	}
	b := t.head(of, l.Heard)
	b = append(b, l.Addr[:]...)
	for _, n := range []uint32{l.FCntUp, l.Used.N, l.Used.A, l.Sent.N, l.Sent.A} {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	for i := range l.Keys {
		b = append(b, l.Keys[i][:]...)
	}
	if l.NextRJCount0 > 0 {
		b = binary.LittleEndian.AppendUint32(b, l.NextRJCount0)
	}
	return t.add(key, b)
}

// AddNonces keeps what is to be known of a device that is no more. It returns
// what the store is to keep. Devices with one DevEUI and other JoinEUIs share it:
// no JoinNonce goes back. DevNonces are those of d, as its owner may have had
// them forgotten.
func (t *Set) AddNonces(d *session.Device) []Entry {
	n := d.Nonces()
	if !n.Used() || d.DevEUI.IsZero() {
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

func (t *Set) head(of remains, flag bool) []byte {
	var flags byte
	if flag {
		flags = 1
	}
	t.last++
	return binary.LittleEndian.AppendUint64([]byte{tombstoneVersion, byte(of), flags}, t.last)
}

// Load takes what a store has. It belongs to the Set from then on.
func (t *Set) Load(key string, b []byte) error {
	if len(b) < tombstoneHead || b[0] != tombstoneVersion {
		return fmt.Errorf("%w: %d bytes", ErrEntry, len(b))
	}
	nonces := len(b) - lostNoncesSize // bytes of them
	switch of := remains(b[1]); {
	case of == ofNonces && nonces >= 0 && nonces%nonceSize == 0 && nonces <= session.MaxDevNonces*nonceSize+rjCountSize:
	case isLostSession(b):
	default:
		return fmt.Errorf("%w: of sort %d, %d bytes", ErrEntry, of, len(b))
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
func (t *Set) Settle() {
	for _, a := range t.ages {
		order.By(a.queue, func(x, y aged) int { return cmp.Compare(x.number, y.number) })
	}
}

// put takes a tombstone, or one that takes the place of another.
func (t *Set) put(key string, b []byte) {
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
func (t *Set) add(key string, b []byte) []Entry {
	t.put(key, b)
	out := []Entry{{key, b}}
	a := t.ages[remains(b[1])]
	for len(a.queue) > 0 && (a.count > Max || !t.current(a.queue[0])) {
		if oldest := a.queue[0]; t.current(oldest) {
			t.remove(oldest.key)
			out = append(out, Entry{Key: oldest.key})
		}
		a.queue = a.queue[1:]
	}
	if len(a.queue) > 2*Max {
		a.queue = slices.DeleteFunc(a.queue, func(o aged) bool { return !t.current(o) })
	}
	return out
}

// current reports whether a tombstone was not written anew.
func (t *Set) current(a aged) bool {
	b := t.all[a.key]
	return b != nil && number(b) == a.number
}

func (t *Set) remove(key string) {
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
func (t *Set) session(key string) (l session.Lost, ok bool) {
	b := t.all[key]
	if !isLostSession(b) {
		return l, false
	}
	if rest := b[lostSessionSize:]; len(rest) > 0 {
		l.NextRJCount0 = binary.LittleEndian.Uint32(rest)
	}
	l.Heard = b[2] != 0
	b = b[tombstoneHead:]
	copy(l.Addr[:], b)
	word := func(i int) uint32 { return binary.LittleEndian.Uint32(b[4+4*i:]) }
	l.FCntUp, l.Used, l.Sent = word(0), session.Marks{N: word(1), A: word(2)}, session.Marks{N: word(3), A: word(4)}
	for i := range l.Keys {
		copy(l.Keys[i][:], b[24+session.HashSize*i:])
	}
	return l, true
}

// nonces reads a tombstone.
func (t *Set) nonces(e radio.EUI64) (n session.Nonces, ok bool) {
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
func (t *Set) noncesOf(key string) (n session.Nonces, e radio.EUI64, ok bool) {
	name, ok := strings.CutPrefix(key, noncesPrefix)
	if !ok || e.UnmarshalText([]byte(name)) != nil {
		return n, e, false
	}
	n, ok = t.nonces(e)
	return n, e, ok
}

// Revive has a session go on behind those that are no more and had the same
// DevAddr and a key of it. It reports whether there were any.
func (t *Set) Revive(s *session.Session, v session.Version) (found bool) {
	keys := t.byAddr[s.DevAddr]
	if len(keys) == 0 {
		return false
	}
	own := s.Hashes()
	for _, key := range keys {
		if l, ok := t.session(key); ok && s.GoOnBehind(&l, own, v) {
			found = true
		}
	}
	return found
}

// ReviveNonces has a device that joins go on behind one with the same DevEUI
// that is no more. It reports whether there was one.
func (t *Set) ReviveNonces(d *session.Device) bool {
	n, ok := t.nonces(d.DevEUI)
	if ok {
		d.AddNonces(n)
	}
	return ok
}
