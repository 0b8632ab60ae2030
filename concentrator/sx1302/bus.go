package sx1302

import (
	"encoding/binary"
	"errors"
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
	readHeader  = 4    // address, and one byte of delay before the answer
	maxBurst    = 1024 // data bytes in one frame that the chip is known to accept
	minTransfer = 24   // a port with shorter transfers cannot be used

	// shortTransfer is the length of transfers on a port that corrupts longer ones.
	// Old kernels are suspected of it on the MT7621 and MT7628, whose controllers
	// take 32 bytes at once.
	shortTransfer = 32
	writeBit      = 0x80
)

// busError is a transfer that failed.
type busError struct {
	what string
	err  error
}

// Error implements error.
func (e *busError) Error() string { return "sx1302: " + e.what + ": " + e.err.Error() }

// Unwrap returns the error of the port.
func (e *busError) Unwrap() error { return e.err }

// isBus reports whether an error comes from a transfer. The next transfer may
// succeed.
func isBus(err error) bool {
	var e *busError
	return errors.As(err, &e)
}

// port sends frames through an SPI port: in both directions at once or, on
// controllers that cannot do that (MT7621, MT7628), first out and then in, while
// the chip select is held. The signals on the wire are the same.
type port struct {
	conn    spi.Conn
	half    bool
	w, r    []byte
	packets [2]spi.Packet
}

// frame returns room for a frame of n bytes.
func (p *port) frame(n int) []byte { return p.w[:n] }

// send sends a frame that has no answer.
func (p *port) send(w []byte) error {
	if p.half {
		return p.conn.Tx(w, nil)
	}
	return p.conn.Tx(w, p.r[:len(w)])
}

// ask sends a frame and returns the answer: the bytes received in place of the
// frame's bytes from head on, which are zeros. The answer is valid until the next
// transfer.
func (p *port) ask(w []byte, head int) ([]byte, error) {
	r := p.r[:len(w)]
	clear(w[head:])
	if !p.half {
		return r[head:], p.conn.Tx(w, r)
	}
	p.packets = [2]spi.Packet{{W: w[:head], KeepCS: true}, {R: r[head:]}}
	return r[head:], p.conn.TxPackets(p.packets[:])
}

// bus turns reads and writes of the register map and of the radios into frames.
// It is not safe for use by several goroutines.
type bus struct {
	port
	burst int // data bytes in one frame
}

// newBus returns a bus whose frames fit the port and maxTransfer, in bytes with the
// header; 0 is no limit.
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
	return &bus{port: newPort(c, limit), burst: limit - readHeader}, nil
}

// shorten limits transfers to shortTransfer from now on. It returns false if they
// were limited already.
func (b *bus) shorten() bool {
	short := b.burst > shortTransfer-readHeader
	b.burst = min(b.burst, shortTransfer-readHeader)
	return short
}

// shortened reports whether transfers are limited to shortTransfer.
func (b *bus) shortened() bool { return b.burst == shortTransfer-readHeader }

func newPort(c spi.Conn, limit int) port {
	return port{conn: c, half: c != nil && c.Duplex() == conn.Half, w: make([]byte, limit), r: make([]byte, limit)}
}

// read fills dst from consecutive addresses. In rxFIFO it reads one address, and
// each byte that is read makes room for the next.
func (b *bus) read(addr uint16, dst []byte) error {
	for first := addr; len(dst) > 0; {
		n := min(len(dst), b.burst)
		w := b.frame(readHeader + n)
		w[0] = targetChip
		binary.BigEndian.PutUint16(w[1:], addr)
		answer, err := b.ask(w, writeHeader)
		if err != nil {
			return &busError{fmt.Sprintf("read 0x%04x", addr), err}
		}
		copy(dst, answer[readHeader-writeHeader:])
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
		w := b.frame(writeHeader + n)
		w[0] = targetChip
		binary.BigEndian.PutUint16(w[1:], addr)
		w[1] |= writeBit
		copy(w[writeHeader:], data)
		if err := b.send(w); err != nil {
			return &busError{fmt.Sprintf("write 0x%04x", addr), err}
		}
		data = data[n:]
		addr += uint16(n)
	}
	return nil
}

// tellRadio sends a command to the radio of a chain, 0 or 1.
func (b *bus) tellRadio(chain int, command ...byte) error {
	w := b.frame(1 + len(command))
	w[0] = targetRadio + byte(chain)
	copy(w[1:], command)
	return radioError(chain, b.send(w))
}

// askRadio sends a command of one byte to a radio and returns its answer of n
// bytes. The answer is valid until the next transfer.
func (b *bus) askRadio(chain int, command byte, n int) ([]byte, error) {
	w := b.frame(2 + n)
	w[0], w[1] = targetRadio+byte(chain), command
	answer, err := b.ask(w, 2)
	return answer, radioError(chain, err)
}

func radioError(chain int, err error) error {
	if err != nil {
		return &busError{"radio " + chainName(chain), err}
	}
	return nil
}

// chainName returns the letter of a chain as the documents have it.
func chainName(chain int) string { return string(rune('A' + chain)) }
