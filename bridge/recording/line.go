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
	magic  = "recording"
	format = 1

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
	WrongMICs     int           `json:"wrong_mics"` // a second, see session.NewRegistry
	Gateways      []settings    `json:"gateways"`
	Records       int           `json:"records"` // that follow
}

// prefix is a radio.DevAddrPrefix.
type prefix struct {
	DevAddr radio.DevAddr
	Length  int
}

// settings are what is configured of a gateway.
type settings struct {
	ID               string            `json:"id"`
	EUI              radio.EUI64       `json:"eui"`
	Plan             string            `json:"plan"`
	AntennaGain      radio.Decibel     `json:"antenna_gain"`
	EnforceDutyCycle bool              `json:"enforce_duty_cycle"`
	Location         *gateway.Location `json:"location,omitempty"`
	Beacons          bool              `json:"beacons"`
	Configured       bool              `json:"configured"`
}

// record is a record of the store.
type record struct {
	Kind    string `json:"kind"`
	Key     string `json:"key"`
	Version uint8  `json:"version"`
	Data    []byte `json:"data"`
}

// last is the last line.
type last struct {
	End string `json:"end"`
}

func headerOf(o *core.Options) header {
	h := header{
		Lorawand: magic, Format: format, DefaultPlan: o.DefaultPlan.ID(), Encoder: o.Encoder,
		Deduplication: o.Deduplication, RX1Delay: o.RX1Delay, NotBefore: o.NotBefore, Forwards: o.Forwards,
		Gateways: settingsOf(o.Gateways.All()),
	}
	for _, p := range o.DevAddrs {
		h.DevAddrs = append(h.DevAddrs, prefix(p))
	}
	return h
}

func settingsOf(all []*gateway.Gateway) []settings {
	out := make([]settings, len(all))
	for i, g := range all {
		out[i] = settings{
			ID: g.ID, EUI: g.EUI, Plan: g.Plan.ID(), AntennaGain: g.AntennaGain, EnforceDutyCycle: g.EnforceDutyCycle,
			Location: g.Location, Beacons: g.Beacons, Configured: g.Configured,
		}
	}
	return out
}

// gatewaysOf makes gateways of their settings.
func gatewaysOf(all []settings) ([]*gateway.Gateway, error) {
	out := make([]*gateway.Gateway, len(all))
	for i := range all {
		s := &all[i]
		plan, err := region.Lookup(s.Plan)
		if err != nil {
			return nil, err
		}
		out[i] = &gateway.Gateway{
			ID: s.ID, EUI: s.EUI, Plan: plan, AntennaGain: s.AntennaGain, EnforceDutyCycle: s.EnforceDutyCycle,
			Location: s.Location, Beacons: s.Beacons, Configured: s.Configured,
		}
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
		if err := l.scan.Err(); err != nil {
			l.n++
			return nil, l.fault(err)
		}
		return nil, io.EOF
	}
	l.n++
	sum, text, found := bytes.Cut(l.scan.Bytes(), []byte(" "))
	if next := crc32.Update(l.sum, castagnoli, text); !found || string(sum) != fmt.Sprintf("%0*x", sumLength, next) {
		switch begin := text[:min(len(text), len(begins))]; {
		case l.n == 1 && (!found || string(begin) != begins[:len(begin)]):
			return nil, l.fault(errNoRecording)
		case l.torn:
			return nil, l.fault(errors.New("the file is cut off in this line"))
		}
		return nil, l.fault(errors.New("wrong check sum: the file is damaged"))
	}
	l.sum = crc32.Update(l.sum, castagnoli, text)
	return text, nil
}

// read reads the next line, which must be there.
func (l *lines) read(v any) error {
	text, err := l.next()
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: the file is cut off behind line %d", ErrRecording, l.n)
	}
	if err != nil {
		return err
	}
	return l.decode(text, v)
}

// decode reads JSON. Unknown fields are an error: they could decide something.
func (l *lines) decode(text []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil && d.InputOffset() != int64(len(text)) {
		err = errors.New("text after the JSON")
	}
	if err != nil {
		return l.fault(err)
	}
	return nil
}

func (l *lines) fault(err error) error { return fmt.Errorf("%w: line %d: %w", ErrRecording, l.n, err) }

var errNoRecording = errors.New("it does not begin as a recording of lorawand")
