package recording

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"

	"lorawand/bridge/core"
	"lorawand/bridge/gateway"
	"lorawand/bridge/v3"
	"lorawand/radio"
	"lorawand/radio/region"
)

// ErrRecording is the reason for refusing a file, or what is left of it.
var ErrRecording = errors.New("unusable recording")

const (
	magic     = "recording"
	format    = 1
	begins    = `{"lorawand":"recording",`
	sumLength = 8
	maxLine   = 64 << 20 // bytes: the largest import of devices has far less
)

// header is what a core is made with, apart from its records.
type header struct {
	Lorawand string `json:"lorawand"` // magic
	Format   int    `json:"format"`
	Version  string `json:"version"`

	Seed          [32]byte      `json:"seed"` // of all random values
	DefaultPlan   string        `json:"default_plan"`
	Encoder       v3.Encoder    `json:"encoder"`
	Deduplication time.Duration `json:"deduplication"` // ns
	RX1Delay      time.Duration `json:"rx1_delay"`     // ns
	DevAddrs      []prefix      `json:"dev_addrs"`
	NotBefore     time.Time     `json:"not_before"`
	Forwards      bool          `json:"forwards"`
	Relays        bool          `json:"relays,omitempty"`
	Leases        bool          `json:"leases,omitempty"`
	WrongMICs     int           `json:"wrong_mics"` // a second, see session.NewRegistry
	Gateways      []configured  `json:"gateways"`
	Records       int           `json:"records"` // that follow
}

// prefix is a radio.DevAddrPrefix, which JSON would read as text.
type prefix struct {
	DevAddr radio.DevAddr
	Length  int
}

// configured is a gateway with the name of its plan.
type configured struct {
	gateway.Gateway
	Plan string
}

func headerOf(o *core.Options) *header {
	h := &header{
		Lorawand: magic, Format: format, DefaultPlan: o.DefaultPlan.ID(), Encoder: o.Encoder,
		Deduplication: o.Deduplication, RX1Delay: o.RX1Delay, NotBefore: o.NotBefore, Forwards: o.Forwards, Relays: o.Relays,
		Leases:   o.Leases,
		Gateways: configurations(o.Gateways.All()),
	}
	for _, p := range o.DevAddrs {
		h.DevAddrs = append(h.DevAddrs, prefix(p))
	}
	return h
}

func configurations(all []*gateway.Gateway) (out []configured) {
	for _, g := range all {
		out = append(out, configured{*g, g.Plan.ID()})
	}
	return out
}

// gatewaysOf returns gateways that were read.
func gatewaysOf(all []configured) (out []*gateway.Gateway, err error) {
	for i := range all {
		g := &all[i].Gateway
		if g.Plan, err = region.Lookup(all[i].Plan); err != nil {
			return nil, err
		}
		out = append(out, g)
	}
	return out, nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendLine appends a line. sum is that of the line before.
func appendLine(dst []byte, sum *uint32, v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return dst, err
	}
	*sum = crc32.Update(*sum, castagnoli, text)
	return fmt.Appendf(dst, "%0*x %s\n", sumLength, *sum, text), nil
}

// lines reads a recording line by line.
type lines struct {
	scan *bufio.Scanner
	sum  uint32
	n    int  // lines so far
	torn bool // the last line has no end
}

func newLines(r io.Reader, longest int) *lines {
	l := &lines{scan: bufio.NewScanner(r)}
	l.scan.Buffer(nil, longest)
	l.scan.Split(func(data []byte, atEOF bool) (advance int, token []byte, err error) {
		advance, token, err = bufio.ScanLines(data, atEOF)
		l.torn = advance > 0 && data[advance-1] != '\n'
		return advance, token, err
	})
	return l
}

// next reads the JSON of the next line, or returns io.EOF.
func (l *lines) next() ([]byte, error) {
	if !l.scan.Scan() {
		if l.scan.Err() == nil {
			return nil, io.EOF
		}
		l.n++
		return nil, l.fault(l.scan.Err())
	}
	l.n++
	sum, text, found := bytes.Cut(l.scan.Bytes(), []byte(" "))
	l.sum = crc32.Update(l.sum, castagnoli, text)
	switch begin := text[:min(len(text), len(begins))]; {
	case found && string(sum) == fmt.Sprintf("%0*x", sumLength, l.sum):
		return text, nil
	case l.n == 1 && (!found || string(begin) != begins[:len(begin)]):
		return nil, l.fault(errNoRecording)
	case l.torn:
		return nil, l.fault(errors.New("the file is cut off in this line"))
	}
	return nil, l.fault(errors.New("wrong check sum: the file is damaged"))
}

// read reads the next line, or returns io.EOF.
func (l *lines) read(v any) error {
	text, err := l.next()
	if err != nil {
		return err
	}
	if err := unmarshal(text, v); err != nil {
		return l.fault(err)
	}
	return nil
}

// unmarshal reads JSON. Unknown fields are an error: they could decide something.
func unmarshal(text []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil && d.InputOffset() != int64(len(text)) {
		err = errors.New("text after the JSON")
	}
	return err
}

func (l *lines) fault(err error) error { return fmt.Errorf("%w: line %d: %w", ErrRecording, l.n, err) }

// cutOff says that io.EOF has come too early.
func (l *lines) cutOff(err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: the file is cut off behind line %d", ErrRecording, l.n)
	}
	return err
}

var errNoRecording = errors.New("it does not begin as a recording of lorawand")

// Is reports whether a file begins as a recording.
func Is(r io.Reader) bool {
	begin := make([]byte, sumLength+1+len(begins))
	_, err := io.ReadFull(r, begin)
	return err == nil && string(begin[sumLength+1:]) == begins
}
