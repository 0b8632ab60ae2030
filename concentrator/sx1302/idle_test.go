package sx1302

import (
	"context"
	"encoding/binary"
	"log/slog"
	"testing"
	"time"

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

// MaxTxSize implements conn.Limits.
func (*quietConn) MaxTxSize() int { return 0 }

// BenchmarkIdle polls a quiet chip every 10 ms: an operation is one poll, with
// all that the driver and the runtime do between two. The instructions of a MIPS
// processor are the difference between two runs of different length under
// qemu-mips-static -d exec,nochain,in_asm, each block counted with its size.
func BenchmarkIdle(b *testing.B) {
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	conn := &quietConn{begin: time.Now(), left: b.N, stop: cancel}
	chip, err := New(conn, testConfig(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	chip.started = true
	d, err := NewDriver(DriverOptions{
		Chip: chip, EUI: testEUI, Now: conn.hostTime, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatal(err)
	}
	w := &watch{driver: d, sink: &testSink{}, eui: testEUI}
	b.ReportAllocs()
	b.ResetTimer()
	if err := w.loop(ctx); err != nil {
		b.Fatal(err)
	}
}
