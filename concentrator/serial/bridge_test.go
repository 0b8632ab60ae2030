package serial_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/concentrator/serial"
	"lorawand/concentrator/serial/serialtest"
	"lorawand/concentrator/sx1302"
	"lorawand/concentrator/sx1302/sx1302test"
	"lorawand/radio/fuzztest"
)

// versionFrame reads the version of the chip, and is what comes back.
var (
	versionFrame  = []byte{0x00, 0x56, 0x06, 0x00, 0x00}
	versionAnswer = []byte{0x00, 0x00, 0x00, 0x00, 0x10}
)

// newBoard returns a bridge before a model of the chip.
func newBoard(b serialtest.Board) *serialtest.Bridge {
	b.SX1302 = sx1302test.New(sx1302test.Options{})
	return serialtest.New(b)
}

// TestResynchronises: whatever comes over the line besides, the answer to a request is found,
// or an error says that there is none and the next request is answered again.
func TestResynchronises(t *testing.T) {
	for name, tt := range map[string]struct {
		fault  serialtest.Fault
		failed int // requests until one is answered
	}{
		"garbage before each answer":        {serialtest.Fault{Garbage: []byte("AT+CGMI\r\nOK\r\n")}, 0},
		"garbage that looks like an answer": {serialtest.Fault{Garbage: []byte{0x7F, 0x00, 0x01, 0x45, 0x00}}, 0},
		"more garbage than an answer":       {serialtest.Fault{Garbage: bytes.Repeat([]byte{0xFF, 0x00}, 6000)}, 0},
		"byte by byte":                      {serialtest.Fault{Pieces: 1}, 0},
		"no answer to one request":          {serialtest.Fault{Mute: 1}, 1},
		"no answer to two requests":         {serialtest.Fault{Mute: 2}, 2},
		"an answer after the time":          {serialtest.Fault{Late: 1}, 1},
		"two answers after the time":        {serialtest.Fault{Late: 2}, 2},
		"a bus that fails":                  {serialtest.Fault{BadSPI: 3}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				far := newBoard(serialtest.Board{})
				b, err := serial.New(far.Memory(), serial.Options{Name: "memory"})
				if err != nil {
					t.Fatal(err)
				}
				far.Break(tt.fault)
				for n := range 6 {
					back := make([]byte, len(versionFrame))
					err := b.Tx(versionFrame, back)
					fails := n < tt.failed || tt.fault.BadSPI != 0
					if fails != (err != nil) || err == nil && !bytes.Equal(back, versionAnswer) {
						t.Errorf("request %d: %x, %v", n, back, err)
					}
				}
			})
		})
	}
}

// TestSilence: a bridge that answers no more is told to be gone after a few requests, so
// that the board is opened anew.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		far := newBoard(serialtest.Board{})
		b, err := serial.New(far.Memory(), serial.Options{})
		if err != nil {
			t.Fatal(err)
		}
		far.Break(serialtest.Fault{Mute: 100})
		began := time.Now()
		for n := range 4 {
			err := b.Tx(versionFrame, make([]byte, len(versionFrame)))
			if errors.Is(err, sx1302.ErrGone) != (n == 3) || err == nil {
				t.Errorf("request %d: %v", n, err)
			}
		}
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("after %v", took)
		}
	})
}

// TestGreeting: what waits in the line, and a request that somebody else has left
// unfinished, do not keep a bridge from being found; what is none, or one that is too old,
// is told.
func TestGreeting(t *testing.T) {
	for name, tt := range map[string]struct {
		board serialtest.Board
		fault serialtest.Fault
		left  []byte // that another program has written before
		fails string
	}{
		"answers to another program": {left: []byte{9, 0, 0, 0x00, 10, 0, 0, 0x01}},
		"half a request":             {left: []byte{9, 0, 0}},
		"a request without its end":  {left: []byte{9, 0x10, 0x08, 0x05, 0, 1, 0, 0x10, 0x03, 0x00, 0xC0, 0x00}},
		"firmware that is too old":   {board: serialtest.Board{Version: "V00.02.06"}, fails: "V00.02.06: update it"},
		"firmware that is newer":     {board: serialtest.Board{Version: "V01.02.00"}},
		"no bridge":                  {fault: serialtest.Fault{Mute: 5000}, fails: "is it the USB bridge"},
		"something that talks":       {fault: serialtest.Fault{Mute: 5000, Garbage: []byte("?")}, fails: "does not answer"},
		"a version that is no text":  {board: serialtest.Board{Version: "\x1b[2J\x00\x01\x02\x03\x04"}, fails: `"[2J"`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				far := newBoard(tt.board)
				far.Break(tt.fault)
				port := far.Memory()
				if _, err := port.Write(tt.left); err != nil {
					t.Fatal(err)
				}
				b, err := serial.New(port, serial.Options{Name: "memory"})
				if tt.fails != "" {
					if err == nil || !strings.Contains(err.Error(), tt.fails) {
						t.Errorf("%v, want %q", err, tt.fails)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				back := make([]byte, len(versionFrame))
				if err := b.Tx(versionFrame, back); err != nil || !bytes.Equal(back, versionAnswer) {
					t.Errorf("%x, %v", back, err)
				}
			})
		})
	}
}

// TestOldBridge: a bridge whose firmware knows no list of requests says so with the cure.
func TestOldBridge(t *testing.T) {
	far := newBoard(serialtest.Board{})
	far.Break(serialtest.Fault{OldSPI: true})
	b, err := serial.New(far.Memory(), serial.Options{})
	if err != nil {
		t.Fatal(err)
	}
	err = b.Tx(versionFrame, make([]byte, 5))
	if !errors.Is(err, serial.ErrRejected) || !strings.Contains(err.Error(), "DFU") {
		t.Error(err)
	}
}

// times calls do so many times, or until it fails.
func times(n int, do func(int) error) error {
	for i := range n {
		if err := do(i); err != nil {
			return err
		}
	}
	return nil
}

// TestQueue: what is queued goes out at once and in its order, before whatever has an
// answer, cut where a request is full; what is discarded never does.
func TestQueue(t *testing.T) {
	requests := 0
	far := newBoard(serialtest.Board{Observe: func([]byte) { requests++ }})
	b, err := serial.New(far.Memory(), serial.Options{})
	if err != nil {
		t.Fatal(err)
	}
	const addr = 0x5300 // a buffer
	write := func(v byte) []byte { return []byte{0, 0x80 | addr>>8, addr & 0xFF, v} }
	read := func() byte {
		back := make([]byte, 5)
		if err := b.Tx([]byte{0, addr >> 8, addr & 0xFF, 0, 0}, back); err != nil {
			t.Fatal(err)
		}
		return back[4]
	}
	for _, tt := range []struct {
		name string
		do   func() error
		want int // requests
		now  byte
	}{
		{"one by one", func() error { return errors.Join(b.Tx(write(1), nil), b.Modify(addr, 0xF0, 0x20)) }, 2, 0x21},
		{"queued", func() error {
			b.Queue()
			return errors.Join(b.Tx(write(3), nil), b.Modify(addr, 0xF0, 0x40), b.Tx(write(5), nil), b.Flush())
		}, 1, 5},
		{"queued, and read before the flush", func() error {
			b.Queue()
			err := b.Tx(write(6), nil)
			if v := read(); v != 6 {
				t.Errorf("read %d before the flush", v)
			}
			return errors.Join(err, b.Tx(write(7), nil), b.Flush())
		}, 3, 7},
		{"discarded", func() error {
			b.Queue()
			err := b.Tx(write(8), nil)
			b.Discard()
			return errors.Join(err, b.Flush())
		}, 0, 7},
		{"more than 255", func() error {
			b.Queue()
			return errors.Join(times(600, func(i int) error { return b.Modify(addr, 0xFF, byte(i)) }), b.Flush())
		}, 3, 599 & 0xFF},
		{"more than 4096 bytes", func() error {
			b.Queue()
			long := append(write(9), make([]byte, 2000)...)
			return errors.Join(times(3, func(int) error { return b.Tx(long, nil) }), b.Flush())
		}, 2, 9},
	} {
		before := requests
		if err := tt.do(); err != nil || requests-before != tt.want {
			t.Errorf("%s: %d requests, want %d; %v", tt.name, requests-before, tt.want, err)
		}
		if got := read(); got != tt.now {
			t.Errorf("%s: then 0x%02x, want 0x%02x", tt.name, got, tt.now)
		}
	}
}

// TestTemperature reads that of the board.
func TestTemperature(t *testing.T) {
	for says, want := range map[uint16]int32{3150: 31*256 + 128, 0: 0, 0xFFFF - 999: -10 * 256, 12_500: 125 * 256} {
		b, err := serial.New(newBoard(serialtest.Board{Celsius: func() uint16 { return says }}).Memory(), serial.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := b.Temperature(); err != nil || got != want {
			t.Errorf("0x%04x: %d/256 °C, %v; want %d/256", says, got, err, want)
		}
	}
	b, err := serial.New(newBoard(serialtest.Board{}).Memory(), serial.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Temperature(); !errors.Is(err, serial.ErrNoSensor) {
		t.Errorf("without a sensor: %v", err)
	}
}

// FuzzAnswer: whatever a bridge sends, a request ends, with an answer or an error.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte{2, 0, 10, 0x45, 0, 1, 0, 0, 5, 0, 0, 0, 0, 0x10})
	f.Add([]byte{2, 0, 3, 0x45, 0, 1, 3})
	f.Add([]byte{2, 0, 1, 0xFF, 0})
	f.Add([]byte{2, 0xFF, 0xFF, 0x45, 1, 2, 0, 0, 0})
	f.Fuzz(fuzztest.Quick(func(t *testing.T, said []byte) {
		far := newBoard(serialtest.Board{})
		port := &talker{Memory: far.Memory()}
		b, err := serial.New(port, serial.Options{Within: time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		port.says = said
		_ = b.Tx(versionFrame, make([]byte, len(versionFrame)))
		port.says = said
		_ = b.Modify(0x5300, 1, 1)
		port.says = said
		_, _ = b.Temperature()
	}))
}

// talker is a port that has something else to say.
type talker struct {
	*serialtest.Memory
	says []byte
}

func (p *talker) Read(b []byte) (int, error) {
	if p.says == nil {
		return p.Memory.Read(b)
	}
	n := copy(b, p.says)
	p.says = p.says[n:]
	return n, nil
}
