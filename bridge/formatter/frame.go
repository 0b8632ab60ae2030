//go:build !small

package formatter

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// What the daemon and the child say to each other is frames: the length in
// four bytes, big endian, and as many bytes. In them, numbers have eight bytes
// and texts their length before them.
//
//	daemon                          child
//	                            ←   hello: version, speed, CPU time so far
//	call: number, script, task  →
//	                            ←   answer: number, "script unknown"
//	call with the source        →
//	                            ←   answer: number, result
//
// Whoever hears something else ends: the daemon kills the child, the child
// exits.

// frameVersion is that of both ends. They are the same program, so another
// version is no child of ours.
const frameVersion = 1

// maxFrame bounds what either side has to keep: a script, decoded_payload and
// all that an answer may have.
const maxFrame = 512 << 10

var errFrame = errors.New("formatter: malformed frame")

// writeFrame sends a frame whose first four bytes are free for the length.
func writeFrame(w io.Writer, b []byte) error {
	if len(b)-4 > maxFrame {
		return fmt.Errorf("%w: %d bytes", errFrame, len(b)-4)
	}
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	_, err := w.Write(b)
	return err
}

// newFrame begins a frame in the memory of another.
func newFrame(old []byte) packer { return append(packer(old[:0]), 0, 0, 0, 0) }

// readFrame returns the next frame in buf, or in a larger one.
func readFrame(r io.Reader, buf []byte) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return buf, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > maxFrame {
		return buf, fmt.Errorf("%w: %d bytes", errFrame, n)
	}
	if int(n) > cap(buf) {
		buf = make([]byte, n)
	}
	buf = buf[:n]
	_, err := io.ReadFull(r, buf)
	return buf, err
}

// packer appends to a frame.
type packer []byte

func (p *packer) number(v int64) { *p = binary.BigEndian.AppendUint64(*p, uint64(v)) }

func (p *packer) bool(v bool) {
	if v {
		p.number(1)
	} else {
		p.number(0)
	}
}

func (p *packer) bytes(v []byte) {
	p.number(int64(len(v)))
	*p = append(*p, v...)
}

func (p *packer) text(v string) {
	p.number(int64(len(v)))
	*p = append(*p, v...)
}

func (p *packer) texts(vs []string) {
	p.number(int64(len(vs)))
	for _, v := range vs {
		p.text(v)
	}
}

// unpacker takes a frame apart. After the first thing that does not fit, all
// else is empty and err says so.
type unpacker struct {
	b   []byte
	err error
}

func (u *unpacker) number() int64 {
	if len(u.b) < 8 {
		u.b, u.err = nil, errFrame
		return 0
	}
	v := int64(binary.BigEndian.Uint64(u.b))
	u.b = u.b[8:]
	return v
}

func (u *unpacker) bool() bool { return u.number() != 0 }

// bytes returns a part of the frame; nil if it is empty.
func (u *unpacker) bytes() []byte {
	n := u.number()
	if n < 0 || n > int64(len(u.b)) {
		u.b, u.err = nil, errFrame
		return nil
	}
	if n == 0 {
		return nil
	}
	v := u.b[:n:n]
	u.b = u.b[n:]
	return v
}

func (u *unpacker) text() string { return string(u.bytes()) }

// count returns the length of a list, whose elements have at least 8 bytes.
func (u *unpacker) count() int {
	n := u.number()
	if n < 0 || n > int64(len(u.b)/8) {
		u.b, u.err = nil, errFrame
		return 0
	}
	return int(n)
}

func (u *unpacker) texts() []string {
	n := u.count()
	if n == 0 {
		return nil
	}
	vs := make([]string, n)
	for i := range vs {
		vs[i] = u.text()
	}
	return vs
}

// end returns the error, also when there is more than was read.
func (u *unpacker) end() error {
	if u.err == nil && len(u.b) > 0 {
		return errFrame
	}
	return u.err
}

// hello is what the child says first.
type hello struct {
	speed time.Duration // CPU time for the work that calibrate does
	used  time.Duration // CPU time of the child so far: its start is not held against a script
}

func (h hello) append(p packer) packer {
	p.number(frameVersion)
	p.number(int64(h.speed))
	p.number(int64(h.used))
	return p
}

func parseHello(b []byte) (hello, error) {
	u := unpacker{b: b}
	version := u.number()
	h := hello{speed: time.Duration(u.number()), used: time.Duration(u.number())}
	if err := u.end(); err != nil {
		return h, err
	}
	if version != frameVersion {
		return h, fmt.Errorf("%w: version %d", errFrame, version)
	}
	return h, nil
}

// call is a request as the child hears it.
type call struct {
	number   int64
	sum      [32]byte
	source   string // with hasSource
	task     Task
	fPort    uint8
	bytes    []byte
	data     []byte
	received time.Time
	limit    time.Duration // of CPU time
	slack    time.Duration // how much longer it may take in all
	measure  bool

	hasSource bool
}

func (c *call) append(p packer) packer {
	p.number(c.number)
	p.bytes(c.sum[:])
	p.bool(c.hasSource)
	if c.hasSource {
		p.text(c.source)
	}
	p.number(int64(c.task))
	p.number(int64(c.fPort))
	p.bytes(c.bytes)
	p.bytes(c.data)
	p.bool(!c.received.IsZero())
	p.number(c.received.UnixMilli())
	p.number(int64(c.limit))
	p.number(int64(c.slack))
	p.bool(c.measure)
	return p
}

func parseCall(b []byte) (*call, error) {
	u := unpacker{b: b}
	c := &call{number: u.number()}
	if copy(c.sum[:], u.bytes()) != len(c.sum) {
		return nil, errFrame
	}
	if c.hasSource = u.bool(); c.hasSource {
		c.source = u.text()
	}
	c.task, c.fPort = Task(u.number()), uint8(u.number())
	c.bytes, c.data = u.bytes(), u.bytes()
	known, ms := u.bool(), u.number()
	if known {
		c.received = time.UnixMilli(ms)
	}
	c.limit, c.slack, c.measure = time.Duration(u.number()), time.Duration(u.number()), u.bool()
	if c.task < DecodeUplink || c.task > DecodeDownlink {
		return nil, errFrame
	}
	return c, u.end()
}

// answer is what the child says to a call.
type answer struct {
	number  int64
	unknown bool // the script is to be sent
	used    time.Duration
	result  Result
}

func (a *answer) append(p packer) packer {
	p.number(a.number)
	p.bool(a.unknown)
	p.number(int64(a.used))
	r := &a.result
	p.bytes(r.Data)
	p.texts(r.Warnings)
	p.number(int64(len(r.Normalized)))
	for _, n := range r.Normalized {
		p.bytes(n)
	}
	p.texts(r.NormalizedWarnings)
	p.bytes(r.Bytes)
	p.number(int64(r.FPort))
	p.texts(r.Log)
	p.number(int64(r.Cost.CPU))
	p.number(r.Cost.Allocated)
	return appendError(p, r.Fail)
}

func parseAnswer(b []byte) (*answer, error) {
	u := unpacker{b: b}
	a := &answer{number: u.number(), unknown: u.bool(), used: time.Duration(u.number())}
	r := &a.result
	r.Data, r.Warnings = u.bytes(), u.texts()
	for range u.count() {
		r.Normalized = append(r.Normalized, u.bytes())
	}
	r.NormalizedWarnings, r.Bytes, r.FPort, r.Log = u.texts(), u.bytes(), uint8(u.number()), u.texts()
	r.Cost.CPU, r.Cost.Allocated = time.Duration(u.number()), u.number()
	r.Fail = parseError(&u)
	return a, u.end()
}

// maxCauses bounds the chain of an error.
const maxCauses = 4

func appendError(p packer, e *Error) packer {
	for range maxCauses {
		p.bool(e != nil)
		if e == nil {
			return p
		}
		p.text(e.Namespace)
		p.text(e.Name)
		p.text(e.MessageFormat)
		p.number(int64(e.Code))
		p.number(int64(len(e.Attributes)))
		for _, a := range e.Attributes {
			p.text(a.Name)
			p.text(a.Text)
		}
		e = e.Cause
	}
	p.bool(false) // what lies deeper is not told
	return p
}

func parseError(u *unpacker) *Error {
	var first *Error
	at, n := &first, 0
	for ; u.bool(); n++ {
		if n == maxCauses {
			u.b, u.err = nil, errFrame
			return first
		}
		e := &Error{Namespace: u.text(), Name: u.text(), MessageFormat: u.text(), Code: int(u.number())}
		for range u.count() {
			e.Attributes = append(e.Attributes, Attribute{u.text(), u.text()})
		}
		*at, at = e, &e.Cause
	}
	return first
}
