package board

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"periph.io/x/conn/v3/spi"

	"lorawand/concentrator"
	"lorawand/concentrator/sx1302"
	"lorawand/concentrator/sx1302/sx1302test"
	"lorawand/radio"
)

// fakeHost has a board with a model of the chip, whose sensor has power while the
// board has.
type fakeHost struct {
	model *sx1302test.Chip
	i2c   func() (I2CBus, error) // nil: there is no bus

	mu      sync.Mutex
	log     []string // what was done, in its order
	missing string   // what cannot be opened
	panics  string   // what panics when it is opened
	power   bool
}

var errMissing = errors.New("not there")

func (h *fakeHost) did(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.log = append(h.log, fmt.Sprintf(format, args...))
}

// done returns what was done since the last time.
func (h *fakeHost) done() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	log := h.log
	h.log = nil
	return log
}

// USB implements Host.
func (h *fakeHost) USB(device string) (USB, error) {
	_, err := h.open(device)
	if err != nil {
		return nil, err
	}
	return &fakeUSB{Chip: h.model, host: h, device: device}, nil
}

// fakeUSB is a bridge that has only lines and a sensor.
type fakeUSB struct {
	*sx1302test.Chip
	host   *fakeHost
	device string
	gone   error
}

func (*fakeUSB) Burst() int                               { return 4096 }
func (*fakeUSB) Modify(addr uint16, mask, now byte) error { return nil }
func (*fakeUSB) Queue()                                   {}
func (*fakeUSB) Flush() error                             { return nil }
func (*fakeUSB) Discard()                                 {}
func (u *fakeUSB) SX1261() spi.Conn                       { return u.Chip.SX1261() }
func (*fakeUSB) Temperature() (int32, error)              { return 7 * 256, nil }

func (u *fakeUSB) SetLine(pin byte, high bool) error {
	u.host.did("A%d %t", pin, high)
	return u.gone
}

func (u *fakeUSB) Close() error { u.host.did("close %s", u.device); return nil }

func (h *fakeHost) open(what string) (fakeThing, error) {
	if what == h.panics {
		panic("a fault of the test")
	}
	if what == h.missing {
		return fakeThing{}, fmt.Errorf("%s: %w", what, errMissing)
	}
	h.did("open %s", what)
	return fakeThing{h, what}, nil
}

// fakeThing is what was opened.
type fakeThing struct {
	host *fakeHost
	name string
}

func (f fakeThing) Close() error {
	f.host.did("close %s", f.name)
	return nil
}

type fakePort struct {
	*sx1302test.Chip
	fakeThing
}

func (h *fakeHost) SPI(device string) (Port, error) {
	f, err := h.open(device)
	return fakePort{h.model, f}, err
}

func (*fakeHost) MaxTransfer() int { return 4096 }

func (h *fakeHost) Lock(device string) (io.Closer, error) { return h.open("lock of " + device) }

type fakeLine struct{ fakeThing }

func (h *fakeHost) Line(name string, high bool) (Output, error) {
	f, err := h.open(name)
	if err != nil {
		return nil, err
	}
	l := fakeLine{f}
	return l, l.Set(high)
}

func (l fakeLine) Set(high bool) error {
	l.host.did("%s %v", l.name, high)
	l.host.mu.Lock()
	defer l.host.mu.Unlock()
	switch l.name {
	case "power":
		l.host.power = high
	case "reset":
		if !high {
			l.host.model.Reset()
		}
	}
	return nil
}

func (h *fakeHost) I2C(name string) (I2CBus, error) {
	if h.i2c == nil {
		return nil, fmt.Errorf("%s: %w", name, errMissing)
	}
	return h.i2c()
}

func (h *fakeHost) Run(_ context.Context, program string, args ...string) error {
	h.did("run %s", strings.Join(append([]string{program}, args...), " "))
	return nil
}

func noFirmware() (sx1302.Firmware, error) { return sx1302.Firmware{}, nil }

// TestOpen: devices first, then the lines, with the power on and nothing in reset from
// the first moment; all is given back the other way round.
func TestOpen(t *testing.T) {
	all := Board{
		Device: "spi", SX1261: "spi of SX1261", Power: "power", Reset: "reset", SX1261Reset: "SX1261 reset",
		I2C: "i2c",
	}
	opened := []string{
		"open spi", "open lock of spi", "open spi of SX1261", "open power", "power true", "open reset", "reset false",
		"open SX1261 reset", "SX1261 reset true",
	}
	closed := []string{
		"close SX1261 reset", "close reset", "close power", "close spi of SX1261", "close lock of spi",
		"close spi",
	}
	h := &fakeHost{model: sx1302test.New(sx1302test.Options{})}
	hw, err := Open(h, &all, noFirmware)
	if err != nil || hw.SX1261 == nil || hw.Temperature == nil || hw.Reset == nil || hw.Timer == nil ||
		hw.MaxTransfer != 4096 {
		t.Fatalf("%+v, %v", hw, err)
	}
	if log := h.done(); !slices.Equal(log, opened) {
		t.Errorf("%v, want %v", log, opened)
	}
	if err := errors.Join(hw.Close(), hw.Close()); err != nil {
		t.Error(err)
	}
	if log := h.done(); !slices.Equal(log, closed) {
		t.Errorf("%v, want %v, once", log, closed)
	}
	for i, missing := range []string{"spi", "lock of spi", "spi of SX1261", "power", "reset", "SX1261 reset"} {
		h.missing = missing
		if _, err := Open(h, &all, noFirmware); !errors.Is(err, errMissing) {
			t.Errorf("without %s: %v", missing, err)
		}
		log := h.done()
		if want := closed[len(closed)-i:]; !slices.Equal(log[len(log)-i:], want) {
			t.Errorf("without %s: %v, want %v in the end", missing, log, want)
		}
	}
	h.missing, h.panics = "", "SX1261 reset"
	func() {
		defer func() { _ = recover() }()
		_, _ = Open(h, &all, noFirmware)
	}()
	log, want := h.done(), closed[1:]
	if h.panics = ""; len(log) < len(want) || !slices.Equal(log[len(log)-len(want):], want) {
		t.Errorf("with a panic: %v, want %v in the end", log, want)
	}
	bare, err := Open(h, &Board{Device: "spi", Reset: "exec:/reset.sh"}, noFirmware)
	if err != nil || bare.SX1261 != nil || bare.Temperature != nil {
		t.Fatalf("%+v, %v", bare, err)
	}
	if err := bare.Reset(t.Context()); err != nil ||
		!slices.Equal(h.done(), []string{"open spi", "open lock of spi", "run /reset.sh"}) {
		t.Errorf("%v", err)
	}
}

// syntheticFirmware has programs that the model knows.
func syntheticFirmware() (sx1302.Firmware, error) {
	return sx1302.Firmware{AGC: sx1302test.Image(sx1302test.AGCSX1250), ARB: sx1302test.Image(sx1302test.ARB)}, nil
}

// openFake is Open with a timer that goes by fake time.
func openFake(h *fakeHost, b *Board) (*Hardware, error) {
	hw, err := Open(h, b, syntheticFirmware)
	if err == nil {
		hw.Timer = nil
	}
	return hw, err
}

// newGateway returns a gateway on a host.
func newGateway(t *testing.T, h *fakeHost, b *Board, open func() (*Hardware, error)) *Gateway {
	t.Helper()
	began := time.Now()
	h.model = sx1302test.New(sx1302test.Options{EUI: [8]byte{7: 1}})
	c, err := Arrange(b, []Wanted{{Frequency: 868_100_000, DataRate: radio.LoRaDataRate(7, 125_000), AllSF: true}})
	if err != nil {
		t.Fatal(err)
	}
	if open == nil {
		open = func() (*Hardware, error) { return openFake(h, b) }
	}
	return NewGateway(GatewayOptions{
		Board: b, Chip: c, Until: radio.EUI64{7: 9}, Open: open, Logger: slog.New(slog.DiscardHandler),
		Now: func() radio.HostTime { return radio.HostTime(time.Since(began)) },
	})
}

// run has a gateway work for a minute and hear a frame at 120 raw at the end; it returns
// the level that was told.
func run(t *testing.T, h *fakeHost, b *Board) radio.Decibel {
	t.Helper()
	g, s := newGateway(t, h, b, nil), &concentrator.FakeSink{}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx, s) }()
	time.Sleep(time.Minute)
	frame := sx1302test.Frame{
		Payload: []byte("a frame"), SF: 7, CodingRate: 1, RSSI: 120, Ticks: uint32(h.model.Counter() * 32),
	}
	h.model.Deliver(frame.Record())
	time.Sleep(time.Second)
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	ups := s.Uplinks()
	if len(ups) != 1 {
		t.Fatalf("%d frames", len(ups))
	}
	return ups[0].Receptions[0].RSSI
}

// TestGatewayRetries: a board that cannot be opened is told of and tried again, later
// each time; a downlink until then is refused.
func TestGatewayRetries(t *testing.T) {
	b, err := FindBoard("rak2287", "EU868")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		h, tries, began := &fakeHost{}, []time.Duration(nil), time.Now()
		g := newGateway(t, h, &b, func() (*Hardware, error) {
			tries = append(tries, time.Since(began))
			if len(tries) < 4 {
				return nil, errMissing
			}
			return openFake(h, &b)
		})
		s := &concentrator.FakeSink{}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- g.Run(ctx, s) }()
		time.Sleep(6 * time.Second)
		down := radio.Downlink{Gateway: g.EUI(), PHYPayload: []byte{0x60}}
		if err := g.Transmit(down); !errors.Is(err, concentrator.ErrGateway) || !errors.Is(g.Fault(), errMissing) {
			t.Errorf("Transmit: %v; fault %v", err, g.Fault())
		}
		time.Sleep(10 * time.Second)
		if want := []time.Duration{0, time.Second, 3 * time.Second, 7 * time.Second}; !slices.Equal(tries, want) {
			t.Errorf("tried after %v, want %v", tries, want)
		}
		if g.EUI() != (radio.EUI64{7: 1}) || g.Until() != (radio.EUI64{7: 9}) || g.Fault() != nil || g.Stats().Starts != 1 {
			t.Errorf("%v, until then %v, fault %v, %+v", g.EUI(), g.Until(), g.Fault(), g.Stats())
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		failed := 0
		for _, e := range s.GatewayEvents() {
			if e.Kind == radio.GatewayFailed && e.Gateway == g.Until() && e.Address == b.Device {
				failed++
			}
		}
		if failed != 3 || g.Stats().Starts != 1 {
			t.Errorf("%d failures told, want 3: %+v", failed, s.GatewayEvents())
		}
	})
}

// TestGatewayContains: a panic where the board is opened is a failure as any other, tried again
// later each time; one of its sensor costs nothing but the temperature.
func TestGatewayContains(t *testing.T) {
	b, err := FindBoard("rak2287", "EU868")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		h, tries, began := &fakeHost{}, []time.Duration(nil), time.Now()
		g := newGateway(t, h, &b, func() (*Hardware, error) {
			if tries = append(tries, time.Since(began)); len(tries) < 4 {
				panic("a fault of the test")
			}
			hw, err := openFake(h, &b)
			hw.Temperature = func() (int32, error) { panic("a fault of the sensor") }
			return hw, err
		})
		s := &concentrator.FakeSink{}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- g.Run(ctx, s) }()
		time.Sleep(6 * time.Second)
		if err := g.Fault(); !errors.Is(err, sx1302.ErrFault) {
			t.Errorf("fault %v", err)
		}
		time.Sleep(time.Minute)
		if want := []time.Duration{0, time.Second, 3 * time.Second, 7 * time.Second}; !slices.Equal(tries, want) {
			t.Errorf("tried after %v, want %v", tries, want)
		}
		if st := g.Stats(); st.Faults != 4 || st.Starts != 1 || st.Failures != 0 || g.Fault() != nil {
			t.Errorf("%+v, fault %v", st, g.Fault())
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		failed := 0
		for _, e := range s.GatewayEvents() {
			if e.Kind == radio.GatewayFailed && strings.Contains(e.Fault, "a fault of the test") {
				failed++
			}
		}
		if failed != 3 {
			t.Errorf("%d failures told, want 3: %+v", failed, s.GatewayEvents())
		}
	})
}

// poweredBus is a bus whose sensor answers while the board has power.
type poweredBus struct {
	testI2C
	host  *fakeHost
	early *atomic.Int32 // how often it was asked before
}

func (b *poweredBus) Tx(addr uint16, w, r []byte) error {
	b.host.mu.Lock()
	power := b.host.power
	b.host.mu.Unlock()
	if !power {
		b.early.Add(1)
		return errNoAnswer
	}
	return b.testI2C.Tx(addr, w, r)
}

// hangingBus never answers.
type hangingBus struct{ release chan struct{} }

func (b hangingBus) Tx(uint16, []byte, []byte) error { <-b.release; return errNoAnswer }
func (b hangingBus) Close() error                    { return nil }

// TestSensorOfBoard: a board works without its sensor and with a bus that hangs, and
// the sensor is asked when the board has power.
func TestSensorOfBoard(t *testing.T) {
	b, err := FindBoard("wm1302", "EU868")
	if err != nil {
		t.Fatal(err)
	}
	b.Power, b.Reset = "power", "reset"
	at25, at31 := radio.Decibel(-9540+102), radio.Decibel(-9540+135) // the correction at 25 and at 31.5 °C
	t.Run("no bus", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			if got := run(t, &fakeHost{}, &b); got != at25 {
				t.Errorf("RSSI %v, want %v", got, at25)
			}
		})
	})
	t.Run("a bus without a sensor", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := &fakeHost{i2c: func() (I2CBus, error) { return &testI2C{}, nil }}
			if got := run(t, h, &b); got != at25 {
				t.Errorf("RSSI %v, want %v", got, at25)
			}
		})
	})
	t.Run("a bus that hangs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			release := make(chan struct{})
			h := &fakeHost{i2c: func() (I2CBus, error) { return hangingBus{release}, nil }}
			if got := run(t, h, &b); got != at25 {
				t.Errorf("RSSI %v, want %v", got, at25)
			}
			close(release)
		})
	})
	t.Run("a sensor that gets its power with the board", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := &fakeHost{}
			var early atomic.Int32
			registers := map[byte]byte{0xFE: 0x53, 0x00: 31, 0x02: 0x80}
			h.i2c = func() (I2CBus, error) {
				return &poweredBus{testI2C{addr: 0x39, registers: registers}, h, &early}, nil
			}
			if got := run(t, h, &b); got != at31 || early.Load() > 0 {
				t.Errorf("RSSI %v, want %v; asked %d times before the board had power", got, at31, early.Load())
			}
		})
	})
}
