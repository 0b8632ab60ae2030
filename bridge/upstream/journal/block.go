package journal

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"math"
)

// block is the header of a block, little-endian in a file:
//
//	offset 0  bytes of the data, uint32
//	       4  CRC-32C of all that follows here, data included
//	       8  number of the first message, uint64
//	      16  calendar time in Unix seconds, int64; 0: not known
//	      24  messages, uint16; 0: this is the cursor, and first is where it stands
//	      26  bytes of the shares, uint16; 0: of an older version
//	      28  data: deflated; each message with its length before it, as uvarint
//	          at the end of the data: the shares
type block struct {
	first  uint64
	at     int64
	count  int
	owners shares
	data   []byte // without the shares
}

const (
	headerLength = 28
	maxCount     = math.MaxUint16
	maxData      = 2 * (maxRawBlock + MaxMessage)
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encoder writes blocks. It has a compressor of 1.2 MB, once there are messages to write.
type encoder struct{ z *flate.Writer }

// compressor returns one that writes to out. Messages of the same devices are much alike:
// some ten of them take a tenth.
func (e *encoder) compressor(out *bytes.Buffer) (w *flate.Writer, err error) {
	if e.z == nil {
		e.z, err = flate.NewWriter(out, flate.BestSpeed)
		return e.z, err
	}
	e.z.Reset(out)
	return e.z, nil
}

// block returns a block as in a file.
func (e *encoder) block(b block, messages [][]byte) ([]byte, error) {
	out := bytes.NewBuffer(make([]byte, headerLength, headerLength+512))
	if b.count > 0 {
		w, err := e.compressor(out)
		if err != nil {
			return nil, err
		}
		var length [binary.MaxVarintLen64]byte
		for _, m := range messages {
			if len(m) > MaxMessage {
				return nil, errors.New("a message is too long")
			}
			if _, err := w.Write(length[:binary.PutUvarint(length[:], uint64(len(m)))]); err != nil {
				return nil, err
			}
			if _, err := w.Write(m); err != nil {
				return nil, err
			}
		}
		if err := w.Close(); err != nil {
			return nil, err
		}
	}
	compressed := out.Len()
	data := b.owners.append(out.Bytes())
	binary.LittleEndian.PutUint32(data, uint32(len(data)-headerLength))
	binary.LittleEndian.PutUint64(data[8:], b.first)
	binary.LittleEndian.PutUint64(data[16:], uint64(b.at))
	binary.LittleEndian.PutUint16(data[24:], uint16(b.count))
	binary.LittleEndian.PutUint16(data[26:], uint16(len(data)-compressed))
	binary.LittleEndian.PutUint32(data[4:], crc32.Checksum(data[8:], castagnoli))
	return data, nil
}

// parseBlock returns the first block in data and how long it is; 0: there is none.
func parseBlock(data []byte) (b block, n int) {
	if len(data) < headerLength {
		return b, 0
	}
	length := binary.LittleEndian.Uint32(data)
	if length > maxData || int(length) > len(data)-headerLength {
		return b, 0
	}
	n = headerLength + int(length)
	if binary.LittleEndian.Uint32(data[4:]) != crc32.Checksum(data[8:n], castagnoli) {
		return b, 0
	}
	end := n - int(binary.LittleEndian.Uint16(data[26:]))
	if end < headerLength {
		return b, 0
	}
	return block{
		first: binary.LittleEndian.Uint64(data[8:]), at: int64(binary.LittleEndian.Uint64(data[16:])),
		count: int(binary.LittleEndian.Uint16(data[24:])), data: data[headerLength:end],
		owners: parseShares(data[end:n]),
	}, n
}

// messages returns the messages of a block.
func (b *block) messages() ([][]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(b.data)), maxData))
	if err != nil {
		return nil, err
	}
	out := make([][]byte, 0, b.count)
	for range b.count {
		length, n := binary.Uvarint(raw)
		if n <= 0 || length > uint64(len(raw)-n) {
			return nil, io.ErrUnexpectedEOF
		}
		end := n + int(length)
		out = append(out, raw[n:end:end])
		raw = raw[end:]
	}
	return out, nil
}
