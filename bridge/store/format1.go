package store

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// Format 1 was one file that each commit wrote again as a whole: the text
// "lorawand", the format in 4 bytes, then for each record its length in 4 bytes,
// its CRC-32C in 4 bytes, and
//
//	kind: 1 byte of length, text; key: 2 bytes of length, text;
//	version: 1 byte; data: the rest
//
// and an end: the length 0xffffffff and the number of records in 4 bytes.
const (
	format1          = 1
	format1End       = 0xffffffff
	format1MaxRecord = 16 << 20
)

// isFormat1 reports whether bytes begin as a file of format 1.
func isFormat1(b []byte) bool {
	return len(b) >= len(magic)+4 && string(b[:len(magic)]) == magic &&
		binary.LittleEndian.Uint32(b[len(magic):]) == format1
}

// decodeFormat1 reads the file of format 1, or returns ErrCorrupt.
func decodeFormat1(b []byte) (map[id]Record, error) {
	if !isFormat1(b) {
		return nil, fmt.Errorf("%w: it does not begin as a file of lorawand", ErrCorrupt)
	}
	whole := len(b)
	b = b[len(magic)+4:]
	records := map[id]Record{}
	for {
		at := whole - len(b)
		if len(b) < 8 {
			return nil, fmt.Errorf("%w: cut off at byte %d", ErrCorrupt, at)
		}
		size, sum := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
		if size == format1End {
			if int64(sum) != int64(len(records)) || len(b) != 8 {
				return nil, fmt.Errorf("%w: %d records, its end says %d, at byte %d", ErrCorrupt, len(records), sum, at)
			}
			return records, nil
		}
		b = b[8:]
		if size > format1MaxRecord || int(size) > len(b) {
			return nil, fmt.Errorf("%w: a record of %d bytes at byte %d", ErrCorrupt, size, at)
		}
		r, ok := decodeFormat1Record(b[:size])
		if crc32.Checksum(b[:size], castagnoli) != sum || !ok {
			return nil, fmt.Errorf("%w: wrong check sum at byte %d", ErrCorrupt, at)
		}
		if err := check(r); err != nil {
			return nil, fmt.Errorf("%w: at byte %d: %w", ErrCorrupt, at, err)
		}
		records[id{r.Kind, r.Key}] = r
		b = b[size:]
	}
}

// decodeFormat1Record decodes one record. It copies the data.
func decodeFormat1Record(b []byte) (r Record, ok bool) {
	if len(b) < 1 || len(b) < 1+int(b[0])+2 {
		return r, false
	}
	r.Kind, b = string(b[1:1+b[0]]), b[1+b[0]:]
	n := int(binary.LittleEndian.Uint16(b))
	if len(b) < 2+n+1 {
		return r, false
	}
	r.Key, r.Version = string(b[2:2+n]), b[2+n]
	r.Data = append([]byte{}, b[2+n+1:]...)
	return r, r.Kind != ""
}
