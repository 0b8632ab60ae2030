package sx1302

import (
	"context"
	"encoding/binary"
	"log/slog"
	"os"
	"syscall"
	"testing"
	"time"

	"periph.io/x/conn/v3/spi"

	"lorawand/concentrator/sx1302/sx1302test"
	"lorawand/radio"
)

// quietConn is a chip that hears nothing, and costs as little as can be: only
// the counter runs, with the host's clock as the driver has read it last. It
// ends the run after so many polls.
type quietConn struct {
	*sx1302test.Chip
	begin time.Time
	now   time.Duration // since begin
	left  int
	stop  func()
	call  func() // what a message takes, besides; nil: nothing
}

// hostTime is the clock of the driver.
func (c *quietConn) hostTime() radio.HostTime {
	c.now = time.Since(c.begin)
	return radio.HostTime(c.now)
}

// Tx implements conn.Conn.
func (c *quietConn) Tx(w, r []byte) error {
	clear(r)
	switch binary.BigEndian.Uint16(w[1:]) {
	case counters.addr:
		binary.BigEndian.PutUint32(r[readHeader+4:], uint32(c.now.Microseconds())*ticksPerMicrosecond)
	case rxBytes.addr:
		if c.left--; c.left == 0 {
			c.stop()
		}
	case version.addr:
		r[readHeader] = chipVersion
	case globalEnable.addr:
		r[readHeader] = byte(globalEnable.mask())
	}
	return nil
}

// TxPackets implements spi.Conn.
func (c *quietConn) TxPackets(p []spi.Packet) error {
	if c.call != nil {
		c.call()
	}
	for i := range p {
		if err := c.Tx(p[i].W, p[i].R); err != nil {
			return err
		}
	}
	return nil
}

// MaxTxSize implements conn.Limits.
func (*quietConn) MaxTxSize() int { return 0 }

// newIdle returns what polls a quiet chip so many times, with a call for each message.
func newIdle(t testing.TB, polls int, timer func() (Timer, error), call func()) (run func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	conn := &quietConn{begin: time.Now(), left: polls, stop: cancel, call: call}
	chip, err := New(conn, testConfig(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	chip.tryTogether(chipVersion)
	if chip.started = true; !chip.batches {
		t.Fatal("a poll is more than one message")
	}
	d, err := NewDriver(DriverOptions{
		Chip: chip, EUI: testEUI, Now: conn.hostTime, Timer: timer, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	s := &session{driver: d, sink: &testSink{}, eui: testEUI}
	return func() error { return s.loop(ctx) }
}

// TestIdle has the loop poll by each kind of timer, in real time: not more often
// than it is to.
func TestIdle(t *testing.T) {
	const polls = 20
	for name, timer := range map[string]func() (Timer, error){"kernel": NewKernelTimer, "runtime": nil} {
		t.Run(name, func(t *testing.T) {
			run := newIdle(t, polls, timer, nil)
			began := time.Now()
			if err := run(); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took < (polls-1)*receiveEvery {
				t.Errorf("%d polls in %v", polls, took)
			}
		})
	}
}

// BenchmarkIdle polls a quiet chip every 10 ms: an operation is one poll, with
// all that the driver and the runtime do between two, but no transfer. With raw the poll is
// a call of the system as the SPI port makes it, to a device that refuses it; with call the
// scheduler is told of that.
// packaging/README.md has what it costs a MIPS processor, and how that was
// counted.
func BenchmarkIdle(b *testing.B) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		b.Fatal(err)
	}
	defer null.Close()
	fd := null.Fd()
	told := func() { _, _, _ = syscall.Syscall(syscall.SYS_IOCTL, fd, 0, 0) }
	raw := func() { _, _, _ = syscall.RawSyscall(syscall.SYS_IOCTL, fd, 0, 0) }
	for _, bb := range []struct {
		name  string
		timer func() (Timer, error)
		call  func()
	}{
		{"kernel", NewKernelTimer, nil}, {"runtime", nil, nil}, {"call", NewKernelTimer, told}, {"raw", NewKernelTimer, raw},
	} {
		b.Run(bb.name, func(b *testing.B) {
			run := newIdle(b, b.N, bb.timer, bb.call)
			b.ReportAllocs()
			b.ResetTimer()
			if err := run(); err != nil {
				b.Fatal(err)
			}
		})
	}
}
