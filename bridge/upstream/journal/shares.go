package journal

import (
	"encoding/binary"
	"math"
	"slices"
)

// Shares. Of each owner (an application) the journal knows how many bytes of its files are
// that one's. While the journal has room anybody may fill it. When seven eighths are full, who
// has more than an equal share makes room out of its own: the oldest segment that has nothing
// of others goes, and where there is none, its new messages are lost. So one that writes
// without end drives out nobody, and no segment is written twice.

// share is how many bytes of the messages in a block an owner has, uncompressed.
type share struct {
	owner string
	bytes int64
}

// shares are those of a block. A file has them behind the compressed data: for each the
// length of the owner's name as uvarint, the name, and the bytes as uvarint.
type shares []share

func (s shares) of(owner string) int64 {
	for i := range s {
		if s[i].owner == owner {
			return s[i].bytes
		}
	}
	return 0
}

func (s shares) all() (bytes int64) {
	for i := range s {
		bytes += s[i].bytes
	}
	return bytes
}

func (s *shares) add(owner string, bytes int64) {
	for i := range *s {
		if (*s)[i].owner == owner {
			(*s)[i].bytes += bytes
			return
		}
	}
	*s = append(*s, share{owner, bytes})
}

// append writes them as in a file. Those that are too long, which names of applications
// never are, are left out.
func (s shares) append(dst []byte) []byte {
	begin := len(dst)
	for _, o := range s {
		dst = append(binary.AppendUvarint(dst, uint64(len(o.owner))), o.owner...)
		dst = binary.AppendUvarint(dst, uint64(o.bytes))
	}
	if len(dst)-begin > math.MaxUint16 {
		return dst[:begin]
	}
	return dst
}

// parseShares reads what append has written.
func parseShares(b []byte) (s shares) {
	for len(b) > 0 {
		length, n := binary.Uvarint(b)
		if n <= 0 || length > uint64(len(b)-n) {
			return nil
		}
		owner := string(b[n : n+int(length)])
		b = b[n+int(length):]
		bytes, n := binary.Uvarint(b)
		if n <= 0 || bytes == 0 || bytes > maxData {
			return nil
		}
		b = b[n:]
		s = append(s, share{owner, int64(bytes)})
	}
	return s
}

// credit counts a block of so many bytes in a segment for its owners. mu is held.
func (j *Journal) credit(s *segment, of shares, size int64) {
	all := of.all()
	for _, o := range of {
		n := max(size*o.bytes/all, 1)
		if s.owners == nil {
			s.owners = map[string]int64{}
		}
		s.owners[o.owner] += n
		j.owners[o.owner] += n
	}
}

// release takes back what a segment that goes was credited with. mu is held.
func (j *Journal) release(s *segment) {
	for owner, n := range s.owners {
		if j.owners[owner] -= n; j.owners[owner] == 0 {
			delete(j.owners, owner)
		}
	}
}

// admits reports whether there is room for a message behind those of a block that is begun,
// and makes it. mu is held.
func (j *Journal) admits(owner string, length int64, begun shares) bool {
	n := int64(len(j.owners))
	if j.owners[owner] == 0 {
		n++
	}
	if n == 1 {
		return true // nobody else has anything here
	}
	own, all := begun.of(owner)+length, begun.all()+length
	for j.owners[owner]+own > j.o.Bytes/n && j.bytes+all > j.o.Bytes-j.o.Bytes/segments {
		i := j.own(owner)
		if i < 0 {
			return false
		}
		if !j.drop(i) {
			return true // the write says what the disk has
		}
	}
	return true
}

// own returns the oldest segment that has nothing of others, but for the last; -1: there is none.
// mu is held.
func (j *Journal) own(owner string) int {
	return slices.IndexFunc(j.list[:max(len(j.list)-1, 0)], func(s *segment) bool {
		return len(s.owners) == 1 && s.owners[owner] > 0
	})
}

// largest returns who has the most, if that is more than an equal share; "": nobody has. mu is held.
func (j *Journal) largest() (owner string) {
	most := j.o.Bytes / int64(max(len(j.owners), 1))
	for of, n := range j.owners {
		if n > most {
			owner, most = of, n
		}
	}
	return owner
}
