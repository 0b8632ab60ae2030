package sx1302

import (
	"encoding/binary"
	"fmt"

	"periph.io/x/conn/v3"
	"periph.io/x/conn/v3/spi"
)

// Targets of a frame: its first byte.
const (
	targetChip  = 0x00
	targetRadio = 0x01 // radio A; B is one higher
)

// Sizes of frames.
const (
	writeHeader = 3    // target, address
	readHeader  = 4    // target, address, and a byte until the chip answers
	maxBurst    = 1024 // data bytes in one frame that the chip is known to take
	minTransfer = 16   // a port that takes less is of no use
	writeBit    = 0x80
)

// bus turns reads and writes of the register map and of the radios into frames
// on the SPI port. It is not safe for use by several goroutines.
type bus struct {
	conn  spi.Conn
	burst int // data bytes in one frame
	w, r  []byte
}

// newBus cuts frames to what the port takes. maxTransfer is what else limits
// them, in bytes with the header; 0 is no limit.
func newBus(c spi.Conn, maxTransfer int) (*bus, error) {
	limit := maxBurst + readHeader
	if maxTransfer > 0 {
		limit = min(limit, maxTransfer)
	}
	if l, ok := c.(conn.Limits); ok && l.MaxTxSize() > 0 {
		limit = min(limit, l.MaxTxSize())
	}
	if limit < minTransfer {
		return nil, fmt.Errorf("sx1302: %s takes only %d bytes in a transfer, need at least %d", c, limit, minTransfer)
	}
	return &bus{conn: c, burst: limit - readHeader, w: make([]byte, limit), r: make([]byte, limit)}, nil
}

// read fills dst from consecutive addresses; from one address in rxFIFO, where
// every byte that is read makes room for the next.
func (b *bus) read(addr uint16, dst []byte) error {
	for first := addr; len(dst) > 0; {
		n := min(len(dst), b.burst)
		w, r := b.w[:readHeader+n], b.r[:readHeader+n]
		clear(w)
		w[0] = targetChip
		binary.BigEndian.PutUint16(w[1:], addr)
		if err := b.conn.Tx(w, r); err != nil {
			return fmt.Errorf("sx1302: read 0x%04x: %w", addr, err)
		}
		copy(dst, r[readHeader:])
		dst = dst[n:]
		if first != rxFIFO {
			addr += uint16(n)
		}
	}
	return nil
}

// write writes data to consecutive addresses.
func (b *bus) write(addr uint16, data []byte) error {
	for len(data) > 0 {
		n := min(len(data), b.burst)
		w := b.w[:writeHeader+n]
		w[0] = targetChip
		binary.BigEndian.PutUint16(w[1:], addr)
		w[1] |= writeBit
		copy(w[writeHeader:], data)
		if err := b.conn.Tx(w, b.r[:len(w)]); err != nil {
			return fmt.Errorf("sx1302: write 0x%04x: %w", addr, err)
		}
		data = data[n:]
		addr += uint16(n)
	}
	return nil
}

// radio sends a frame to the radio of a chain, 0 or 1, and returns what came
// back in the same places. The answer is valid until the next transfer.
func (b *bus) radio(chain int, frame ...byte) ([]byte, error) {
	w := b.w[:1+len(frame)]
	w[0] = targetRadio + byte(chain)
	copy(w[1:], frame)
	r := b.r[:len(w)]
	if err := b.conn.Tx(w, r); err != nil {
		return nil, fmt.Errorf("sx1302: radio %s: %w", chainName(chain), err)
	}
	return r[1:], nil
}

// chainName returns the letter of a chain as the documents have it.
func chainName(chain int) string { return string(rune('A' + chain)) }
