package serial

import (
	"errors"

	"periph.io/x/conn/v3"
	"periph.io/x/conn/v3/spi"
)

// Targets on the SPI bus of the board.
const (
	targetSX1302 = 0
	targetSX1261 = 1
)

// errFrame is the reason for a transfer that is no frame.
var errFrame = errors.New("serial: what is sent and what is received differ in length")

// String implements conn.Conn. It names the tty.
func (b *Bridge) String() string { return b.name }

// Duplex implements conn.Conn.
func (*Bridge) Duplex() conn.Duplex { return conn.Full }

// MaxTxSize implements conn.Limits: a burst, with its header.
func (*Bridge) MaxTxSize() int { return maxBurst + 4 }

// Burst implements sx1302.Bridge.
func (*Bridge) Burst() int { return maxBurst }

// Tx implements conn.Conn.
func (b *Bridge) Tx(w, r []byte) error { return b.tx(targetSX1302, w, r) }

// TxPackets implements spi.Conn: all frames are one request.
func (b *Bridge) TxPackets(p []spi.Packet) error { return b.txPackets(targetSX1302, p) }

func (b *Bridge) tx(target byte, w, r []byte) error {
	if len(r) > 0 && len(r) != len(w) {
		return errFrame
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(r) == 0 && b.queuing {
		if err := b.makeRoom(spiHead + len(w)); err != nil {
			return err
		}
		b.queue.addFrame(target, w, 0)
		return nil
	}
	if err := b.flush(); err != nil {
		return err
	}
	b.one.clear()
	b.one.addFrame(target, w, 0)
	answers, err := b.transfer(&b.one)
	if err != nil {
		return err
	}
	back, err := answers.take()
	copy(r, back)
	return err
}

// txPackets sends frames, each of which is all packets to the next that does not keep the
// chip selected.
func (b *Bridge) txPackets(target byte, p []spi.Packet) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.flush(); err != nil {
		return err
	}
	b.one.clear()
	for begin, i := 0, 0; i < len(p); i++ {
		if p[i].KeepCS && i+1 < len(p) {
			continue
		}
		b.one.addFrame(target, nil, 0)
		if err := b.one.extend(p[begin : i+1]); err != nil {
			return err
		}
		begin = i + 1
	}
	answers, err := b.transfer(&b.one)
	if err != nil {
		return err
	}
	var back []byte
	for i := range p {
		if i == 0 || !p[i-1].KeepCS {
			if back, err = answers.take(); err != nil {
				return err
			}
		}
		n := max(len(p[i].W), len(p[i].R))
		if len(back) < n {
			return ErrTransfer
		}
		copy(p[i].R, back[:n])
		back = back[n:]
	}
	return nil
}

// extend makes the frame that was added last longer by packets.
func (q *spiRequests) extend(p []spi.Packet) error {
	length := len(q.bytes) - 2
	size := 0
	for _, packet := range p {
		if len(packet.W) > 0 && len(packet.R) > 0 && len(packet.W) != len(packet.R) {
			return errFrame
		}
		q.bytes = append(q.bytes, packet.W...)
		for range len(packet.R) - len(packet.W) {
			q.bytes = append(q.bytes, 0)
		}
		size += max(len(packet.W), len(packet.R))
	}
	q.bytes[length], q.bytes[length+1] = byte(size>>8), byte(size)
	q.reply += size
	return nil
}

// Modify implements sx1302.Bridge.
func (b *Bridge) Modify(addr uint16, mask, value byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.queuing {
		if err := b.makeRoom(modifySize); err != nil {
			return err
		}
		b.queue.addModify(addr, mask, value)
		return nil
	}
	b.one.clear()
	b.one.addModify(addr, mask, value)
	answers, err := b.transfer(&b.one)
	if err == nil {
		_, err = answers.take()
	}
	return err
}

// Queue implements sx1302.Bridge.
func (b *Bridge) Queue() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.queuing = true
}

// Flush implements sx1302.Bridge.
func (b *Bridge) Flush() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.queuing = false
	return b.flush()
}

// Discard implements sx1302.Bridge.
func (b *Bridge) Discard() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.queuing = false
	b.queue.clear()
}

// makeRoom sends the queue if there is no room in it for so many bytes more.
func (b *Bridge) makeRoom(size int) error {
	if b.queue.takes(size) {
		return nil
	}
	return b.flush()
}

// flush sends the queue.
func (b *Bridge) flush() error {
	if b.queue.count == 0 {
		return nil
	}
	defer b.queue.clear()
	answers, err := b.transfer(&b.queue)
	for i := 0; err == nil && i < b.queue.count; i++ {
		_, err = answers.take()
	}
	return err
}

// transfer makes requests to the SPI bus.
func (b *Bridge) transfer(q *spiRequests) (spiAnswers, error) {
	if len(q.bytes) > maxPayload || q.reply > maxPayload || q.count > maxQueued {
		return spiAnswers{}, errFrame
	}
	answer, err := b.request(cmdSPI, q.bytes, q.reply)
	return spiAnswers{rest: answer}, err
}

// listener is the port to the SX1261.
type listener struct{ b *Bridge }

// String implements conn.Conn.
func (l *listener) String() string { return l.b.name }

// Duplex implements conn.Conn.
func (*listener) Duplex() conn.Duplex { return conn.Full }

// Tx implements conn.Conn.
func (l *listener) Tx(w, r []byte) error { return l.b.tx(targetSX1261, w, r) }

// TxPackets implements spi.Conn.
func (l *listener) TxPackets(p []spi.Packet) error { return l.b.txPackets(targetSX1261, p) }
