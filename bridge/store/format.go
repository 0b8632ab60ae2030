package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"unicode/utf8"
)

// Every file begins with a header of 36 bytes, which has the same layout in all
// later formats: the text "lorawand", the format in 4 bytes, the type of the file
// in 4 letters, its generation in 8 bytes, the number of the last commit before it
// in 8 bytes, and the CRC-32C of all that in 4 bytes.
//
// Groups follow: 4 bytes that mark a group, the size of its payload in 4 bytes, its
// number in 8 bytes, the CRC-32C of size, number and payload in 4 bytes, and the
// payload. In a journal each commit is a group. A group that fits into one page
// does not cross the end of a page: it begins at the next page, and zeros fill the
// gap; after a power cut other bytes may be in it. Behind the last one may be bytes 0xff,
// fewer than 512. In a snapshot the groups are parts, numbered from 1; a group with
// another mark is the end, and its payload is the number of records in 8 bytes.
//
// A payload is a sequence of records:
//
//	kind: 1 byte of length, text; the length 0 repeats the kind before
//	key: 2 bytes of length, text; version: 1 byte
//	data: 4 bytes of length, bytes; the length 0xffffffff deletes the record
const (
	magic      = "lorawand"
	format     = 2
	headerSize = len(magic) + 4 + 4 + 8 + 8 + 4
	groupHead  = 4 + 4 + 8 + 4
	deletes    = 0xffffffff

	maxData   = 8 << 20  // bytes of a record's data
	maxGroup  = 64 << 20 // bytes of a commit
	partSize  = 64 << 10 // a snapshot begins a new part after so many bytes
	pageSize  = 4096     // bytes that flash and file systems write at a time
	noCommits = 0        // the number of the last commit before the first one
)

// Types of files.
const (
	isJournal  = "jrnl" // continues the journal before it
	isRestart  = "jnew" // continues nothing: only its own snapshot comes before it
	isSnapshot = "snap"
	isMark     = "mark"
)

const (
	groupMark = "\xa5grp"
	endMark   = "\xa5end"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type header struct {
	what       string
	generation uint64
	base       uint64 // number of the last commit before this file
}

func appendHeader(b []byte, h header) []byte {
	at := len(b)
	b = binary.LittleEndian.AppendUint32(append(b, magic...), format)
	b = append(b, h.what...)
	b = binary.LittleEndian.AppendUint64(b, h.generation)
	b = binary.LittleEndian.AppendUint64(b, h.base)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[at:], castagnoli))
}

// decodeHeader returns ErrCorrupt for a damaged header, and ErrFormat for a good
// header of a newer version.
func decodeHeader(b []byte, what ...string) (header, error) {
	if len(b) < headerSize || string(b[:len(magic)]) != magic {
		return header{}, fmt.Errorf("%w: it does not begin as a file of lorawand", ErrCorrupt)
	}
	sum := binary.LittleEndian.Uint32(b[headerSize-4:])
	if crc32.Checksum(b[:headerSize-4], castagnoli) != sum {
		return header{}, fmt.Errorf("%w: wrong check sum of its header", ErrCorrupt)
	}
	f := binary.LittleEndian.Uint32(b[8:])
	if f > format {
		return header{}, fmt.Errorf("%w: format %d, this version knows %d", ErrFormat, f, format)
	}
	h := header{string(b[12:16]), binary.LittleEndian.Uint64(b[16:]), binary.LittleEndian.Uint64(b[24:])}
	if f != format || !slices.Contains(what, h.what) {
		return header{}, fmt.Errorf("%w: format %d, %q", ErrCorrupt, f, h.what)
	}
	return h, nil
}

// group is a numbered part of a file.
type group struct {
	number  uint64
	payload []byte // a slice of the bytes that were decoded
}

func appendGroup(b []byte, mark string, g group) []byte {
	at := len(b)
	b = binary.LittleEndian.AppendUint32(append(b, mark...), uint32(len(g.payload)))
	b = binary.LittleEndian.AppendUint64(b, g.number)
	sum := crc32.Update(crc32.Checksum(b[at+4:], castagnoli), castagnoli, g.payload)
	return append(binary.LittleEndian.AppendUint32(b, sum), g.payload...)
}

// decodeGroup decodes the group at the beginning of b, and returns its length.
func decodeGroup(b []byte, mark string) (g group, size int, ok bool) {
	if len(b) < groupHead || string(b[:4]) != mark {
		return g, 0, false
	}
	n := int64(binary.LittleEndian.Uint32(b[4:]))
	if n > maxGroup || n > int64(len(b)-groupHead) {
		return g, 0, false
	}
	size = groupHead + int(n)
	g = group{number: binary.LittleEndian.Uint64(b[8:]), payload: b[groupHead:size]}
	sum := crc32.Update(crc32.Checksum(b[4:16], castagnoli), castagnoli, g.payload)
	return g, size, sum == binary.LittleEndian.Uint32(b[16:])
}

// recordHead is what a record takes beside its kind, key and data, in bytes: three lengths and the
// version.
const recordHead = 1 + 2 + 1 + 4

// appendRecord appends a record. before is the kind of the record in front of it.
func appendRecord(b []byte, r Record, before string) []byte {
	if r.Kind == before {
		b = append(b, 0)
	} else {
		b = append(append(b, byte(len(r.Kind))), r.Kind...)
	}
	b = binary.LittleEndian.AppendUint16(b, uint16(len(r.Key)))
	b = append(append(b, r.Key...), r.Version)
	if r.Data == nil {
		return binary.LittleEndian.AppendUint32(b, deletes)
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(len(r.Data)))
	return append(b, r.Data...)
}

func appendRecords(b []byte, records []Record) []byte {
	size := 0
	for i := range records {
		size += recordHead + len(records[i].Kind) + len(records[i].Key) + len(records[i].Data)
	}
	// That of an import is of many megabytes: one that grew would be allocated five times over.
	b = append(make([]byte, 0, len(b)+size), b...)
	before := ""
	for _, r := range records {
		b = appendRecord(b, r, before)
		before = r.Kind
	}
	return b
}

// decodeRecords decodes a payload. The records hold copies of the data.
func decodeRecords(b []byte) ([]Record, error) {
	var records []Record
	kind := ""
	for len(b) > 0 {
		var r Record
		n := int(b[0])
		if n > 0 {
			if len(b) < 1+n {
				return nil, errCut
			}
			kind = string(b[1 : 1+n])
		}
		if b = b[1+n:]; len(b) < 2 || kind == "" {
			return nil, errCut
		}
		n = int(binary.LittleEndian.Uint16(b))
		if b = b[2:]; len(b) < n+1+4 {
			return nil, errCut
		}
		r.Kind, r.Key, r.Version = kind, string(b[:n]), b[n]
		size := binary.LittleEndian.Uint32(b[n+1:])
		b = b[n+5:]
		if size != deletes {
			if size > maxData || int(size) > len(b) {
				return nil, errCut
			}
			r.Data = append(make([]byte, 0, size), b[:size]...)
			b = b[size:]
		}
		records = append(records, r)
	}
	return records, nil
}

var errCut = fmt.Errorf("%w: a record does not fit its group", ErrCorrupt)

// check returns why a record cannot be stored.
func check(r Record) error {
	if len(r.Kind) == 0 || len(r.Kind) > 255 || len(r.Key) > 65535 || len(r.Data) > maxData {
		return fmt.Errorf("a record of kind %.40q with a key of %d and data of %d bytes", r.Kind, len(r.Key), len(r.Data))
	}
	if !utf8.ValidString(r.Kind) || !utf8.ValidString(r.Key) {
		return fmt.Errorf("a record of kind %.40q, key %.80q: no text", r.Kind, r.Key)
	}
	return nil
}

// writeSnapshot writes sorted records and syncs them. It returns errStopped as soon
// as stop returns true.
func writeSnapshot(o *output, h header, records []Record, stop func() bool) error {
	b := appendHeader(nil, h)
	part, first := uint64(0), 0
	size := 0
	for i, r := range records {
		size += len(r.Kind) + len(r.Key) + len(r.Data)
		if size < partSize && i < len(records)-1 {
			continue
		}
		if stop() {
			return errStopped
		}
		part++
		b = appendGroup(b, groupMark, group{part, appendRecords(nil, records[first:i+1])})
		if err := o.write(b, o.end); err != nil {
			return err
		}
		b, first, size = b[:0], i+1, 0
	}
	end := binary.LittleEndian.AppendUint64(nil, uint64(len(records)))
	if err := o.write(appendGroup(b, endMark, group{part + 1, end}), o.end); err != nil {
		return err
	}
	return o.sync()
}

var errStopped = errors.New("stopped")

// decodeSnapshot decodes a snapshot. For a damaged snapshot it returns the header
// if the header is good.
func decodeSnapshot(b []byte) (header, map[id]Record, error) {
	h, err := decodeHeader(b, isSnapshot)
	if err != nil {
		return header{}, nil, err
	}
	records := map[id]Record{}
	at := headerSize
	for part := uint64(1); ; part++ {
		if g, size, ok := decodeGroup(b[at:], groupMark); ok && g.number == part {
			rs, err := decodeRecords(g.payload)
			if err != nil {
				return h, nil, fmt.Errorf("%w, at byte %d", err, at)
			}
			for _, r := range rs {
				records[id{r.Kind, r.Key}] = r
			}
			at += size
			continue
		}
		g, size, ok := decodeGroup(b[at:], endMark)
		if !ok || g.number != part || len(g.payload) != 8 || at+size != len(b) {
			return h, nil, fmt.Errorf("%w: at byte %d of %d", ErrCorrupt, at, len(b))
		}
		if n := binary.LittleEndian.Uint64(g.payload); n != uint64(len(records)) {
			return h, nil, fmt.Errorf("%w: %d records, its end says %d", ErrCorrupt, len(records), n)
		}
		return h, records, nil
	}
}

// journal is the content of a journal file.
type journal struct {
	generation uint64
	restart    bool   // only its own snapshot comes before it
	known      bool   // base is known
	base       uint64 // number of the last commit before it
	groups     []group
	end        int64 // end of the last group
	size       int64
	padded     bool  // what follows the last group is padding
	damage     error // damage in front of the last group
}

// decodeJournal decodes as much of a journal as is readable. It skips bytes that
// are not a group up to the next group with a higher number; the numbers show
// whether groups are missing. In front of a page at which the next commit begins they
// are no damage: a sector of the gap may be older than the page. Its only error is
// ErrFormat.
func decodeJournal(generation uint64, b []byte) (journal, error) {
	j := journal{generation: generation, size: int64(len(b))}
	h, err := decodeHeader(b, isJournal, isRestart)
	if err == nil && h.generation != generation {
		err = fmt.Errorf("%w: of generation %d", ErrCorrupt, h.generation)
	}
	switch {
	case errors.Is(err, ErrFormat):
		return j, err
	case err != nil:
		j.damage = err
	default:
		j.restart, j.known, j.base = h.what == isRestart, true, h.base
		j.end = int64(headerSize)
	}
	last, work := j.base, 16*int64(len(b))
	for at := int(j.end); at < len(b); {
		if g, size, ok := decodeGroup(b[at:], groupMark); ok && g.number > last {
			if !j.known {
				j.known, j.base = true, g.number-1
			}
			j.groups = append(j.groups, g)
			at += size
			last, j.end = g.number, int64(at)
			continue
		}
		next := min(nextPage(at), len(b))
		if g, _, ok := decodeGroup(b[next:], groupMark); ok && g.number == last+1 { // whatever is in the gap
			at = next
			continue
		}
		if next = min(nextPage(at+1), len(b)); allZero(b[at:next]) {
			at = next
			continue
		}
		if next = findGroup(b, at+1, last, &work); next < len(b) && j.damage == nil {
			j.damage = fmt.Errorf("%w: no group at byte %d", ErrCorrupt, at)
		}
		at = next
	}
	j.padded = isPadding(b[j.end:])
	return j, nil
}

// padding fills the sector behind the last group of a journal that is open. Older versions take it
// for a write that a power cut has interrupted, and drop it.
const padding = 0xff

// isPadding reports whether the bytes behind the last group are such.
func isPadding(b []byte) bool {
	return len(b) < sector && !slices.ContainsFunc(b, func(c byte) bool { return c != padding })
}

// findGroup returns where the next group with a number above last begins, or the
// end of b. It computes check sums over at most work bytes: bytes that look like
// the beginning of many groups cannot make it slow.
func findGroup(b []byte, at int, last uint64, work *int64) int {
	for at < len(b) {
		i := bytes.Index(b[at:], []byte(groupMark))
		if i < 0 || *work < 0 {
			break
		}
		at += i
		if len(b)-at > groupHead {
			*work -= min(int64(binary.LittleEndian.Uint32(b[at+4:])), int64(len(b)))
		}
		if g, _, ok := decodeGroup(b[at:], groupMark); ok && g.number > last {
			return at
		}
		at++
	}
	return len(b)
}

// place returns where a group of a size is written after end: at end, or at the
// beginning of the next page if it touches one page less there. The flash writes
// each touched page again.
func place(end int64, size int) int64 {
	n := int64(size)
	if next := nextPage(end); pages(end, end+n) > pages(next, next+n) {
		return next
	}
	return end
}

// nextPage returns the first beginning of a page that is not before at.
func nextPage[T int | int64](at T) T { return (at + pageSize - 1) / pageSize * pageSize }

// pages returns how many pages the bytes from one offset to another touch.
func pages(from, to int64) int64 { return nextPage(to)/pageSize - from/pageSize }

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
