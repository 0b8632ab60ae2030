package serial

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Commands of the bridge.
const (
	cmdPing      = 0x00
	cmdStatus    = 0x01
	cmdWriteGPIO = 0x04
	cmdSPI       = 0x05

	answerOffset = 0x40 // of the answer's command
	cmdRejected  = 0xFF // the bridge did not take a request
)

// Sizes of frames, bytes.
const (
	headerSize  = 4
	pingSize    = 21
	statusSize  = 6
	gpioSize    = 1
	rejectSize  = 1
	maxPayload  = 4200
	maxBurst    = 4096 // data bytes of one SPI frame
	spiHead     = 5    // index, type, target or status, length
	modifySize  = 6    // index, type, address, mask, value
	modifyReply = 5    // index, type, status, old, new
)

// Types of a request to the SPI bus.
const (
	spiFrame  = 0x01
	spiModify = 0x02
)

// Limits of one request with several to the SPI bus, as sx1302_hal has them.
const (
	maxQueued      = 255
	maxQueuedBytes = 4096
)

// Reasons why an answer is none.
var (
	ErrNoAnswer = errors.New("the bridge does not answer")
	ErrRejected = errors.New("the bridge does not know the request")
	ErrTransfer = errors.New("the bridge could not make the transfer")
)

// appendHeader appends the header of a request.
func appendHeader(b []byte, id, command byte, size int) []byte {
	b = append(b, id)
	b = binary.BigEndian.AppendUint16(b, uint16(size))
	return append(b, command)
}

// findAnswer looks for the answer to a request, of most bytes at most, among what was
// received: what lies before it is garbage, such as the answer to an earlier request, or
// what another program had asked for. end is 0 while the answer is not all there; skip is
// how many bytes can be forgotten.
func findAnswer(b []byte, id, command byte, most int) (payload []byte, rejected bool, skip, end int) {
	for i := 0; ; i++ {
		if len(b)-i < headerSize {
			return nil, false, i, 0
		}
		if b[i] != id {
			continue
		}
		size := int(binary.BigEndian.Uint16(b[i+1:]))
		switch rejected = b[i+3] == cmdRejected; {
		case rejected && size <= rejectSize:
		case b[i+3] != command+answerOffset || size > most:
			continue
		}
		end = i + headerSize + size
		if len(b) < end {
			return nil, false, i, 0
		}
		return b[i+headerSize : end], rejected, i, end
	}
}

// spiRequests are requests to the SPI bus that go out together.
type spiRequests struct {
	bytes []byte
	count int
	reply int // bytes of the answer if nothing fails
}

func (q *spiRequests) clear() { q.bytes, q.count, q.reply = q.bytes[:0], 0, 0 }

// takes reports whether there is room for one more of a size.
func (q *spiRequests) takes(size int) bool {
	return q.count == 0 || q.count < maxQueued && len(q.bytes)+size <= maxQueuedBytes
}

// addFrame adds a frame to a target, with so many zeros behind it.
func (q *spiRequests) addFrame(target byte, w []byte, zeros int) {
	q.bytes = append(q.bytes, byte(q.count), spiFrame, target)
	q.bytes = binary.BigEndian.AppendUint16(q.bytes, uint16(len(w)+zeros))
	q.bytes = append(q.bytes, w...)
	for range zeros {
		q.bytes = append(q.bytes, 0)
	}
	q.count++
	q.reply += spiHead + len(w) + zeros
}

// addModify adds a change of bits in a byte of the chip.
func (q *spiRequests) addModify(addr uint16, mask, value byte) {
	q.bytes = append(q.bytes, byte(q.count), spiModify, byte(addr>>8), byte(addr), mask, value)
	q.count++
	q.reply += modifyReply
}

// spiAnswers takes the answers to requests apart, in their order.
type spiAnswers struct {
	rest []byte
	next byte
}

// take returns what came back for the next request: the bytes of a frame, or the old and the
// new value.
func (a *spiAnswers) take() ([]byte, error) {
	index := a.next
	a.next++
	if len(a.rest) < 3 || a.rest[0] != index {
		return nil, fmt.Errorf("%w: no answer to request %d in the last %d bytes", ErrTransfer, index, len(a.rest))
	}
	if status := a.rest[2]; status != 0 {
		return nil, fmt.Errorf("%w: request %d: status %d", ErrTransfer, index, status)
	}
	head, size := 3, 2
	if a.rest[1] == spiFrame {
		if len(a.rest) < spiHead {
			return nil, fmt.Errorf("%w: the answer to request %d is cut short", ErrTransfer, index)
		}
		head, size = spiHead, int(binary.BigEndian.Uint16(a.rest[3:]))
	}
	if len(a.rest) < head+size {
		return nil, fmt.Errorf("%w: the answer to request %d is cut short", ErrTransfer, index)
	}
	out := a.rest[head : head+size]
	a.rest = a.rest[head+size:]
	return out, nil
}
