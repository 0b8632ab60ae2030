package sx1302test

import (
	"errors"

	"periph.io/x/conn/v3/spi"
)

// ErrBothWays is what a controller says that cannot send and receive at once.
var ErrBothWays = errors.New("sx1302test: input/output error")

// ErrRefused is what a controller says that takes one frame in a message.
var ErrRefused = errors.New("sx1302test: invalid argument")

// TxPackets implements spi.Conn. A frame ends with a packet after which the chip select
// rises.
func (c *Chip) TxPackets(p []spi.Packet) error {
	c.count()
	return c.frames(p, c.transfer)
}

// count counts a call.
func (c *Chip) count() {
	if c.opts.Messages != nil {
		*c.opts.Messages++
	}
}

// frames sends the frames of a message.
func (c *Chip) frames(p []spi.Packet, transfer func(w, r []byte) error) error {
	begin := 0
	for i, q := range p {
		last := i == len(p)-1
		switch {
		case q.KeepCS && last:
			return ErrFrame
		case q.KeepCS || c.opts.Selected && !last:
			continue
		case c.opts.OneFrame && !last:
			return ErrRefused
		}
		var err error
		if i == begin && len(q.W) == len(q.R) && !c.opts.HalfDuplex {
			err = transfer(q.W, q.R)
		} else {
			err = txPackets(p[begin:i+1], c.opts.HalfDuplex, transfer)
		}
		if err != nil {
			return err
		}
		begin = i + 1
	}
	return nil
}

// txPackets puts packets, during which the chip is selected, together to one
// frame.
func txPackets(p []spi.Packet, halfDuplex bool, transfer func(w, r []byte) error) error {
	var w, r []byte
	for _, q := range p {
		if halfDuplex && len(q.W) > 0 && len(q.R) > 0 {
			return ErrBothWays
		}
		w = append(append(w, q.W...), make([]byte, max(len(q.R)-len(q.W), 0))...)
	}
	r = make([]byte, len(w))
	err := transfer(w, r)
	for _, q := range p {
		copy(q.R, r)
		r = r[max(len(q.W), len(q.R)):]
	}
	return err
}

// Tx implements conn.Conn. It is one frame: w and r have the same length, or r
// has none.
func (c *Chip) Tx(w, r []byte) error {
	c.count()
	switch {
	case len(r) == 0:
		r = make([]byte, len(w))
	case c.opts.HalfDuplex:
		return ErrBothWays
	}
	return c.transfer(w, r)
}
