package serial

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"time"

	"periph.io/x/conn/v3"
	"periph.io/x/conn/v3/spi"

	"lorawand/concentrator/sx1302"
)

// Port is a tty in raw mode. Read returns 0 bytes and no error when nothing has come for
// as long as SetReadTimeout says; an error of it means that the tty is gone. Write returns an
// error if it could not write everything in reasonable time.
type Port interface {
	io.ReadWriteCloser
	SetReadTimeout(time.Duration) error
}

// Options configures a Bridge.
type Options struct {
	Name string // of the port, for messages

	// Within is how long the bridge may take to answer; default 1 s. What takes it longest is
	// a transfer of 4 KiB: 20 ms on the SPI bus, and as much on a USB of full speed.
	Within time.Duration
}

// Figures of the protocol.
const (
	answerWithin = time.Second
	quietAfter   = 20 * time.Millisecond  // without a byte, a tty is drained
	drainWithin  = 500 * time.Millisecond // for whatever does not end
	oldestBridge = "01.00.00"             // the version that sx1302_hal 2.1.0 asks for
	maxGone      = 3                      // requests in a row without an answer, until the port is to be opened anew
)

// Identity is what a bridge says about itself.
type Identity struct {
	Unique  string // 12 bytes in hexadecimal, of its microcontroller
	Version string // as "V01.00.00"
}

// Bridge is a board behind a USB bridge. It is the port to the SX1302 of the board; its
// other methods reach the rest. They may be called from any goroutine, but Queue, Flush
// and Discard are for the one that works with the chip.
type Bridge struct {
	mu     sync.Mutex
	port   Port
	name   string
	within time.Duration

	identity Identity
	id       byte   // of the last request
	out      []byte // a request
	in       []byte // what was received, and is not looked at yet
	one      spiRequests
	queue    spiRequests
	queuing  bool
	dirty    bool // an answer may come for which nobody waits
	silent   int  // requests in a row without an answer
	gone     error
}

var (
	_ sx1302.Bridge = (*Bridge)(nil)
	_ conn.Limits   = (*Bridge)(nil)
)

// New returns the bridge on a port, which is its own from now on: it is closed on an error
// too. It drops what waits in the port, takes the bridge out of the middle of a request
// that somebody else has left unfinished, and asks it for its identity.
func New(port Port, o Options) (*Bridge, error) {
	if o.Within <= 0 {
		o.Within = answerWithin
	}
	b := &Bridge{port: port, name: o.Name, within: o.Within, in: make([]byte, 0, 2*(headerSize+maxPayload))}
	if err := b.greet(); err != nil {
		return nil, errors.Join(fmt.Errorf("serial: %s: %w", o.Name, err), port.Close())
	}
	return b, nil
}

// greet brings both sides to the same place and identifies the bridge.
func (b *Bridge) greet() error {
	b.dirty = true
	answer, err := b.request(cmdPing, nil, pingSize)
	if errors.Is(err, ErrNoAnswer) && b.finish() == nil {
		answer, err = b.request(cmdPing, nil, pingSize)
	}
	switch {
	case errors.Is(err, ErrNoAnswer):
		return fmt.Errorf("%w; is it the USB bridge of a concentrator? If so, unplug it and plug it in again", err)
	case err != nil:
		return err
	case len(answer) != pingSize:
		return fmt.Errorf("%w: %d bytes of identity, want %d", ErrNoAnswer, len(answer), pingSize)
	}
	b.identity = Identity{Unique: hex.EncodeToString(answer[:12]), Version: printable(answer[12:])}
	switch v := b.identity.Version; {
	case !versionForm.MatchString(v):
		return fmt.Errorf("%w: it says that its version is %q, which is none", ErrNoAnswer, v)
	case v[1:] < oldestBridge:
		return fmt.Errorf("the firmware of the USB bridge is %s: update it to %s, as its maker says (DFU)", v, oldestBridge)
	}
	_, err = b.status()
	return err
}

// versionForm is that of a version: the kind of build and the number.
var versionForm = regexp.MustCompile(`^[A-Za-z]\d\d\.\d\d\.\d\d$`)

// printable returns a text of the bridge without what is none.
func printable(text []byte) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, string(text))
}

// finish ends a request that the bridge may wait for the rest of, with zeros: as many as
// the longest needs. Four of them, when it waits for nothing, are a request for its
// identity with the number 0, which it answers; so the last ones are written one by one,
// until it has answered to the fourth.
func (b *Bridge) finish() error {
	zeros := make([]byte, 64)
	for sent := 0; sent < headerSize+maxPayload; sent += len(zeros) {
		if heard, err := b.writeAndDrain(zeros); err != nil {
			return err
		} else if heard > 0 {
			break
		}
	}
	for range headerSize {
		if heard, err := b.writeAndDrain(zeros[:1]); err != nil || heard > 0 {
			return err
		}
	}
	return nil
}

// writeAndDrain returns how many bytes come after some were written.
func (b *Bridge) writeAndDrain(p []byte) (int, error) {
	if err := b.write(p); err != nil {
		return 0, err
	}
	return b.drain()
}

// Identity returns what the bridge has said about itself.
func (b *Bridge) Identity() Identity { return b.identity }

// Close implements io.Closer.
func (b *Bridge) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.port == nil {
		return nil
	}
	err := b.port.Close()
	if b.gone != nil {
		err = nil // the tty of a board that was unplugged
	}
	b.port, b.gone = nil, fmt.Errorf("%w: it was closed", sx1302.ErrGone)
	return err
}

// request makes a request and returns the payload of its answer, most bytes at most. It
// is valid until the next request.
func (b *Bridge) request(command byte, payload []byte, most int) ([]byte, error) {
	if b.gone != nil {
		return nil, b.gone
	}
	if b.dirty {
		if _, err := b.drain(); err != nil {
			return nil, err
		}
	}
	b.id++
	b.in = b.in[:0]
	b.out = append(appendHeader(b.out[:0], b.id, command, len(payload)), payload...)
	if err := b.write(b.out); err != nil {
		return nil, err
	}
	answer, rejected, err := b.receive(command, most)
	if errors.Is(err, ErrNoAnswer) {
		b.dirty = true
		if b.silent++; b.silent >= maxGone {
			b.lost(err)
		}
	}
	if err != nil {
		return nil, err
	}
	b.silent = 0
	if rejected {
		return nil, fmt.Errorf("%w 0x%02x: update the firmware of the USB bridge, as its maker says (DFU)", ErrRejected,
			command)
	}
	return answer, nil
}

// receive waits for the answer to the last request.
func (b *Bridge) receive(command byte, most int) (payload []byte, rejected bool, err error) {
	for deadline := time.Now().Add(b.within); ; {
		payload, rejected, skip, end := findAnswer(b.in, b.id, command, most)
		if end > 0 {
			b.dirty = end < len(b.in)
			return payload, rejected, nil
		}
		b.in = b.in[:copy(b.in, b.in[skip:])]
		left := time.Until(deadline)
		if left <= 0 {
			return nil, false, fmt.Errorf("%w within %v", ErrNoAnswer, b.within)
		}
		if _, err := b.read(left); err != nil {
			return nil, false, err
		}
	}
}

// read appends what comes within a time to what was received. There is always room: an
// answer fits, and what is none is dropped.
func (b *Bridge) read(within time.Duration) (int, error) {
	err := b.port.SetReadTimeout(within)
	n := 0
	if err == nil {
		n, err = b.port.Read(b.in[len(b.in):cap(b.in)])
	}
	if err != nil {
		return 0, b.lost(err)
	}
	b.in = b.in[:len(b.in)+n]
	return n, nil
}

// drain drops what comes until nothing does, and returns how much that was.
func (b *Bridge) drain() (heard int, err error) {
	for end := time.Now().Add(drainWithin); time.Now().Before(end); {
		b.in = b.in[:0]
		n, err := b.read(quietAfter)
		if err != nil {
			return heard, err
		}
		if n == 0 {
			break
		}
		heard += n
	}
	b.in, b.dirty = b.in[:0], false
	return heard, nil
}

// write writes all bytes.
func (b *Bridge) write(p []byte) error {
	if _, err := b.port.Write(p); err != nil {
		return b.lost(err)
	}
	return nil
}

// lost notes that the port cannot be used any more, and returns that.
func (b *Bridge) lost(err error) error {
	b.gone = fmt.Errorf("%w: %w", sx1302.ErrGone, err)
	return b.gone
}

// status asks for uptime and temperature.
func (b *Bridge) status() ([]byte, error) {
	answer, err := b.request(cmdStatus, nil, statusSize)
	if err == nil && len(answer) != statusSize {
		err = fmt.Errorf("%w: a status of %d bytes, want %d", ErrTransfer, len(answer), statusSize)
	}
	return answer, err
}

// ErrNoSensor is the reason when the bridge knows no temperature.
var ErrNoSensor = errors.New("serial: the board has no temperature sensor")

// noTemperature is what the bridge says then.
const noTemperature = 0xFFFF

// Temperature measures, in 1/256 °C.
func (b *Bridge) Temperature() (int32, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	answer, err := b.status()
	if err != nil {
		return 0, b.explain("temperature", err)
	}
	hundredths := binary.BigEndian.Uint16(answer[4:])
	if hundredths == noTemperature {
		return 0, ErrNoSensor
	}
	return int32(int16(hundredths)) * 256 / 100, nil
}

// Lines of the bridge, all of its port A.
const (
	LinePower       = 1 // high is on
	LineReset       = 2 // of the SX1302; high is reset
	LineSX1261Reset = 8 // low is reset
)

// SetLine sets a line of port A.
func (b *Bridge) SetLine(pin byte, high bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	state := byte(0)
	if high {
		state = 1
	}
	answer, err := b.request(cmdWriteGPIO, []byte{0, pin, state}, gpioSize)
	if err == nil && (len(answer) != gpioSize || answer[0] != 0) {
		err = fmt.Errorf("%w: answer %x", ErrTransfer, answer)
	}
	if err != nil {
		return b.explain(fmt.Sprintf("line A%d", pin), err)
	}
	return nil
}

// explain says of which port and of what an error is.
func (b *Bridge) explain(what string, err error) error {
	return fmt.Errorf("serial: %s: %s: %w", b.name, what, err)
}

// SX1261 returns the port to the radio that scans for LBT, where the board has one.
func (b *Bridge) SX1261() spi.Conn { return &listener{b} }
