package sx1302

import (
	"encoding/binary"
	"fmt"

	"periph.io/x/conn/v3/spi"
)

// span is a read of consecutive bytes.
type span struct {
	addr uint16
	size int
}

// maxSpan is the longest span of a message, bytes.
const maxSpan = countersSize

// countersSize is how many bytes both counters have.
const countersSize = 8

// message is several reads that go out with one call of the system, or one request of a
// bridge: the chip select rises between two of them. A call costs a slow processor more
// than the transfer.
type message struct {
	packets [3]spi.Packet
	w, r    [3][readHeader + maxSpan]byte
}

// readTogether makes up to three reads in one message. What was read is in the message
// until the next one; see answer.
func (b *bus) readTogether(m *message, spans []span) error {
	for i, s := range spans {
		w := m.w[i][:readHeader+s.size]
		w[0] = targetChip
		binary.BigEndian.PutUint16(w[1:], s.addr)
		m.packets[i] = spi.Packet{W: w, R: m.r[i][:len(w)]}
	}
	if err := b.conn.TxPackets(m.packets[:len(spans)]); err != nil {
		return &busError{fmt.Sprintf("read 0x%04x", spans[0].addr), err}
	}
	return nil
}

// answer returns what a read of the last message has got.
func (m *message) answer(i int) []byte { return m.packets[i].R[readHeader:] }

// What a poll reads of a chip that has heard nothing, and what it reads after the frames.
var (
	pollSpans    = []span{{rxBytes.addr, 2}, {counters.addr, countersSize}, {counters.addr, countersSize}}
	counterSpans = pollSpans[1:]
	trialSpans   = []span{{version.addr, 1}, {counters.addr, countersSize}, {version.addr, 1}}
)

// tryTogether finds out whether the port makes several reads in one message. Some
// controllers refuse it; others, such as those of the MT7621 and MT7628, keep the chip
// selected all the while, and what follows the first read is none: the last one must read
// the version again.
func (c *Chip) tryTogether(version int) {
	c.batches = false
	if c.half {
		return
	}
	err := c.readTogether(&c.message, trialSpans)
	c.batches = err == nil && int(c.message.answer(0)[0]) == version && int(c.message.answer(2)[0]) == version
}

// pollTogether is what poll does with one message, and a few more if frames wait.
func (c *Chip) pollTogether() (reading, error) {
	if err := c.readTogether(&c.message, pollSpans); err != nil {
		return reading{}, err
	}
	n := binary.BigEndian.Uint16(c.message.answer(0))
	if n == 0 {
		return c.readingOf(c.message.answer(1), c.message.answer(2))
	}
	if err := c.fetch(int(n)); err != nil {
		return reading{}, err
	}
	return c.readCounters() // after the frames: none of them may be later
}
