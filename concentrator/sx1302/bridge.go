package sx1302

import (
	"errors"

	"periph.io/x/conn/v3/spi"
)

// ErrGone is the reason when a port was unplugged, or answers nothing any more: it has to
// be opened anew.
var ErrGone = errors.New("the port is gone")

// Bridge is a port that every request takes a round trip to, as a USB bridge has it.
type Bridge interface {
	spi.Conn

	// Burst is how many data bytes a frame may have.
	Burst() int

	// Modify sets the bits of mask in a byte of the register map, in one request.
	Modify(addr uint16, mask, value byte) error

	// Queue keeps what nobody waits for an answer to, writes and Modify, until Flush
	// sends all of it at once, in its order; whatever has an answer sends it first.
	// Discard ends that without sending.
	Queue()
	Flush() error
	Discard()
}

// together collects what do writes, where the port can, and sends it at once. If do
// fails, nothing of it that was not sent yet is sent.
func (b *bus) together(do func() error) error {
	if b.bridge == nil {
		return do()
	}
	b.bridge.Queue()
	if err := do(); err != nil {
		b.bridge.Discard()
		return err
	}
	if err := b.bridge.Flush(); err != nil {
		return &busError{"write", err}
	}
	return nil
}
