package serialtest

import (
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"slices"
	"sync"
	"syscall"
	"time"

	"periph.io/x/conn/v3/spi"
)

// Board is what is behind a bridge.
type Board struct {
	SX1302 spi.Conn
	SX1261 spi.Conn // nil: none
	Reset  func()   // the reset line of the SX1302 has gone high and low

	Unique  [12]byte
	Version string        // default "V01.00.00"
	Celsius func() uint16 // 1/100 °C, or 0xFFFF; nil has none

	// Observe is told each request, with its header.
	Observe func(request []byte)
}

// Fault is what is wrong with a bridge. The zero value is nothing.
type Fault struct {
	Garbage []byte // before each answer
	Mute    int    // so many answers are not given
	Late    int    // so many answers are given only before the next one
	Pieces  int    // bytes of an answer that are written at once; 0 is all
	OldSPI  bool   // firmware 00.02.06 and older: several requests to the SPI bus at once are not known
	BadSPI  byte   // status of each request to the SPI bus
}

// Bridge is the model. It takes its requests from a stream of bytes, as the microcontroller
// does: one that is cut off is completed by what comes next.
type Bridge struct {
	board Board

	mu      sync.Mutex
	fault   Fault
	late    []byte
	pending []byte
	lines   [16]bool
	changes []Line
}

// Line is a line of port A that was set.
type Line struct {
	Pin  byte
	High bool
}

// New returns a bridge before a board.
func New(b Board) *Bridge {
	if b.Version == "" {
		b.Version = "V01.00.00"
	}
	return &Bridge{board: b}
}

// Break breaks the bridge, or mends what was broken.
func (b *Bridge) Break(f Fault) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fault = f
}

// Lines returns what was set so far.
func (b *Bridge) Lines() []Line {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.changes)
}

// Serve answers what comes until the stream ends. A tty that nobody has open is one from
// which nothing comes.
func (b *Bridge) Serve(tty io.ReadWriter) error {
	buf := make([]byte, 8192)
	for {
		n, err := tty.Read(buf)
		switch {
		case errors.Is(err, fs.ErrClosed), errors.Is(err, io.EOF), errors.Is(err, io.ErrClosedPipe):
			return nil
		case errors.Is(err, syscall.EIO): // nobody has the pty open
			time.Sleep(time.Millisecond)
		case err != nil:
			return err
		}
		for _, part := range b.take(buf[:n]) {
			if _, err := tty.Write(part); err != nil && !errors.Is(err, syscall.EIO) {
				return err
			}
		}
	}
}

// take takes bytes and returns what is written for them.
func (b *Bridge) take(p []byte) (parts [][]byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pending = append(b.pending, p...)
	for len(b.pending) >= 4 {
		size := int(binary.BigEndian.Uint16(b.pending[1:]))
		if len(b.pending) < 4+size {
			break
		}
		request := slices.Clone(b.pending[:4+size])
		b.pending = slices.Delete(b.pending, 0, 4+size)
		if b.board.Observe != nil {
			b.board.Observe(request)
		}
		command, payload := b.execute(request[3], request[4:])
		answer := append([]byte{request[0], byte(len(payload) >> 8), byte(len(payload)), command}, payload...)
		parts = append(parts, b.spoil(answer)...)
	}
	return parts
}

// spoil does to an answer what is wrong with the bridge.
func (b *Bridge) spoil(answer []byte) [][]byte {
	f := &b.fault
	answer = slices.Concat(f.Garbage, b.late, answer)
	b.late = nil
	switch {
	case f.Mute > 0:
		f.Mute--
		return nil
	case f.Late > 0:
		f.Late--
		b.late = answer
		return nil
	case f.Pieces > 0:
		return slices.Collect(slices.Chunk(answer, f.Pieces))
	}
	return [][]byte{answer}
}

// execute does what a request wants and returns the answer.
func (b *Bridge) execute(command byte, payload []byte) (byte, []byte) {
	rejected := func() (byte, []byte) { return 0xFF, []byte{0} }
	switch command {
	case 0x00:
		return 0x40, append(slices.Clone(b.board.Unique[:]), b.board.Version...)
	case 0x01:
		celsius := uint16(0xFFFF)
		if b.board.Celsius != nil {
			celsius = b.board.Celsius()
		}
		return 0x41, binary.BigEndian.AppendUint16([]byte{0, 0, 0x2E, 0xE2}, celsius)
	case 0x04:
		if len(payload) != 3 || payload[0] != 0 || int(payload[1]) >= len(b.lines) {
			return rejected()
		}
		b.line(payload[1], payload[2] != 0)
		return 0x44, []byte{0}
	case 0x05:
		if b.fault.OldSPI {
			return rejected()
		}
		return 0x45, b.spi(payload)
	}
	return rejected()
}

// line sets a line.
func (b *Bridge) line(pin byte, high bool) {
	if pin == 2 && b.lines[pin] && !high && b.board.Reset != nil {
		b.board.Reset()
	}
	b.lines[pin] = high
	b.changes = append(b.changes, Line{pin, high})
}

// spi makes requests to the SPI bus, one after the other.
func (b *Bridge) spi(p []byte) (out []byte) {
	for len(p) >= 6 {
		index, kind := p[0], p[1]
		switch length := int(binary.BigEndian.Uint16(p[3:])); {
		case b.fault.BadSPI != 0:
			return append(out, index, kind, b.fault.BadSPI)
		case kind == 0x02:
			out = append(out, b.modify(p[:6])...)
			p = p[6:]
		case kind == 0x01 && length > 0 && len(p) >= 5+length:
			r, ok := b.transfer(p[2], p[5:5+length])
			if !ok {
				return append(out, index, kind, 1)
			}
			out = append(out, index, kind, 0, byte(length>>8), byte(length))
			out = append(out, r...)
			p = p[5+length:]
		default:
			return append(out, index, kind, 2)
		}
	}
	return out
}

// modify reads a byte of the SX1302 and writes it with other bits.
func (b *Bridge) modify(p []byte) []byte {
	addr, mask, value := binary.BigEndian.Uint16(p[2:]), p[4], p[5]
	r, ok := b.transfer(0, []byte{0, byte(addr >> 8), byte(addr), 0, 0})
	if !ok {
		return []byte{p[0], p[1], 1}
	}
	old := r[4]
	now := old&^mask | value&mask
	if _, ok := b.transfer(0, []byte{0, byte(addr>>8) | 0x80, byte(addr), now}); !ok {
		return []byte{p[0], p[1], 1}
	}
	return []byte{p[0], p[1], 0, old, now}
}

// transfer sends a frame to a chip.
func (b *Bridge) transfer(target byte, w []byte) (r []byte, ok bool) {
	to := b.board.SX1302
	if target == 1 {
		to = b.board.SX1261
	}
	r = make([]byte, len(w))
	if to == nil {
		return r, true // nobody drives the line
	}
	return r, to.Tx(w, r) == nil
}
