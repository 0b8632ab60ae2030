package sx1302

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/concentrator/sx1302/sx1302test"
	"lorawand/radio"
)

// TestTooManyBytes: a number of bytes that the FIFO cannot hold is refused, and
// the next one is believed.
func TestTooManyBytes(t *testing.T) {
	for _, tt := range []struct {
		bytes uint16
		is    error
	}{{fifoSize, nil}, {fifoSize + 1, ErrFIFO}, {0xFFFF, ErrFIFO}} {
		t.Run(fmt.Sprint(tt.bytes), func(t *testing.T) {
			lies := false
			model, chip := newTestChip(t, sx1302test.Options{Read: func(addr uint16) (byte, bool) {
				return byte(tt.bytes >> (8 * (rxBytes.addr + 1 - addr))), lies && (addr == rxBytes.addr || addr == rxBytes.addr+1)
			}})
			if err := chip.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			lies = true
			if _, err := chip.Receive(); !errors.Is(err, tt.is) {
				t.Errorf("Receive: %v, want %v", err, tt.is)
			}
			lies = false
			f := sx1302test.Frame{Payload: []byte("next"), Channel: 2, Modem: 3, SF: 7, CodingRate: 1}
			model.Deliver(f.Record())
			if packets, err := chip.Receive(); err != nil || len(packets) != 1 || string(packets[0].Payload) != "next" {
				t.Errorf("afterwards %+v, %v", packets, err)
			}
		})
	}
}

// TestDriverTooManyBytes: nor does the driver start the chip again for a few of
// them.
func TestDriverTooManyBytes(t *testing.T) {
	for lies, starts := range map[int32]uint64{1: 1, maxBusErrors - 1: 1, maxBusErrors: 2} {
		t.Run(fmt.Sprint(lies), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var left atomic.Int32
				b := onWire(t, sx1302test.Options{}, func(w, r []byte) error {
					if reads(w, rxBytes.addr) && left.Load() > 0 {
						left.Add(-1)
						r[readHeader] = 0xFF
					}
					return nil
				}, nil)
				defer b.stop()
				left.Store(2*lies - 1) // it is read twice, if it is not 0
				time.Sleep(100 * time.Millisecond)
				b.hear("afterwards", nil)
				time.Sleep(20 * time.Second)
				ups, _, _ := b.sink.seen()
				if s := b.driver.Stats(); s.Starts != starts || starts == 1 && len(ups) != 1 {
					t.Errorf("%d frames, %+v", len(ups), s)
				}
			})
		})
	}
}

// newFineChip is an SX1303 with fine timestamps, and a clock that is set by hand.
// It has seen so many pulses.
func newFineChip(t *testing.T, pulses int) (model *sx1302test.Chip, chip *Chip, now *time.Duration) {
	t.Helper()
	now = new(time.Duration)
	model = sx1302test.New(sx1302test.Options{Model: 3, Now: func() time.Duration { return *now }})
	c := testConfig()
	c.FineTimestamps = FineTimestampsAll
	chip, err := New(model, c, Options{Firmware: testFirmware(), Sleep: noWait})
	if err == nil {
		err = chip.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	*now = 500 * time.Millisecond
	for range pulses {
		*now += time.Second
		if _, err := chip.Receive(); err != nil {
			t.Fatal(err)
		}
	}
	return model, chip, now
}

// fineFrame is a frame with metrics whose header ended at a time since power-up.
func fineFrame(at time.Duration) sx1302test.Frame {
	return sx1302test.Frame{
		Payload: []byte("twin"), Channel: 2, Modem: 3, SF: 7, CodingRate: 1, Metrics: []int8{0, 0},
		Ticks: uint32(at.Microseconds() * ticksPerMicrosecond),
	}
}

// TestTwins has both demodulations of a frame come in one reading.
func TestTwins(t *testing.T) {
	type heard struct {
		crc  CRCStatus
		fine bool
	}
	first := func(*sx1302test.Frame) {}
	later := func(us int32, change func(*sx1302test.Frame)) func(*sx1302test.Frame) {
		return func(f *sx1302test.Frame) { change(f); f.Ticks += uint32(us * ticksPerMicrosecond) }
	}
	plain := func(f *sx1302test.Frame) { f.Metrics = nil }
	spoilt := func(f *sx1302test.Frame) { f.CRCError = true }
	one, two := []heard{{GoodCRC, true}}, []heard{{GoodCRC, true}, {GoodCRC, true}}
	tests := []struct {
		name string
		a, b func(*sx1302test.Frame)
		want []heard
	}{
		{"10 µs apart", first, later(10, first), one},
		{"24 µs apart", first, later(24, first), one},
		{"24 µs before", first, later(-24, first), one},
		{"25 µs apart", first, later(25, first), two},
		{"25 µs before", first, later(-25, first), two},
		{"good behind bad", spoilt, later(10, first), one},
		{"bad behind good", first, later(10, spoilt), one},
		{"good without fine timestamp behind bad", spoilt, later(10, plain), []heard{{GoodCRC, false}}},
		{"bad behind good without fine timestamp", plain, later(10, spoilt), []heard{{GoodCRC, false}}},
		{"both bad", spoilt, later(10, spoilt), []heard{{BadCRC, false}}},
		{"fine timestamp behind none", plain, later(10, first), one},
		{"none behind fine timestamp", first, later(10, plain), one},
		{"neither with fine timestamp", plain, later(10, plain), []heard{{GoodCRC, false}}},
		{"other channel", first, func(f *sx1302test.Frame) { f.Channel = 1 }, two},
		{"other spreading factor", first, func(f *sx1302test.Frame) {
			seven, eight := frameShape{7, 125_000, 1, 4, true}, frameShape{8, 125_000, 1, 4, true}
			f.SF = 8
			f.Ticks += uint32(seven.precisionCorrection()-eight.precisionCorrection()) * ticksPerMicrosecond
		}, two},
		{"other payload", first, func(f *sx1302test.Frame) { f.Payload = []byte("twig") }, two},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			model, chip, now := newFineChip(t, pulsesKept)
			for _, change := range []func(*sx1302test.Frame){tt.a, tt.b} {
				f := fineFrame(*now)
				change(&f)
				model.Deliver(f.Record())
			}
			*now += 10 * time.Millisecond
			packets, err := chip.Receive()
			var got []heard
			for _, p := range packets {
				got = append(got, heard{p.CRC, p.HasFineTimestamp})
			}
			if err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("%v, %v, want %v", got, err, tt.want)
			}
			if len(packets) == 2 && int32(packets[1].Time-packets[0].Time) < 0 {
				t.Errorf("not in their order: %d, %d", packets[0].Time, packets[1].Time)
			}
			if s := chip.ReceiveStats(); s.Packets != uint64(len(tt.want)) {
				t.Errorf("%+v", s)
			}
		})
	}
	t.Run("without fine timestamps", func(t *testing.T) {
		model, chip := newTestChip(t, sx1302test.Options{})
		if err := chip.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		f := fineFrame(0)
		model.Deliver(slices.Concat(f.Record(), f.Record()))
		if packets, err := chip.Receive(); err != nil || len(packets) != 2 {
			t.Errorf("%d packets, %v", len(packets), err)
		}
	})
}

var implicitHeaderTests = []struct {
	name    string
	service Service
	change  func(*sx1302test.Frame)
	crc     CRCStatus
	coding  radio.CodingRate
}{
	{
		"with CRC",
		Service{Implicit: true, ImplicitCRC: true, ImplicitCodingRate: radio.CodingRate47},
		func(f *sx1302test.Frame) { f.NoCRC = true }, GoodCRC, radio.CodingRate47,
	},
	{
		"with bad CRC",
		Service{Implicit: true, ImplicitCRC: true, ImplicitCodingRate: radio.CodingRate47},
		func(f *sx1302test.Frame) { f.NoCRC, f.CRCError = true, true }, BadCRC, radio.CodingRate47,
	},
	{
		"without CRC",
		Service{Implicit: true, ImplicitCodingRate: radio.CodingRate48},
		func(f *sx1302test.Frame) { f.NoCRC = true }, NoCRC, radio.CodingRate48,
	},
	{
		"with header",
		Service{ImplicitCRC: true, ImplicitCodingRate: radio.CodingRate48},
		func(f *sx1302test.Frame) { f.NoCRC = true }, NoCRC, radio.CodingRate45,
	},
	{
		"other modem",
		Service{Implicit: true, ImplicitCRC: true, ImplicitCodingRate: radio.CodingRate48},
		func(f *sx1302test.Frame) { f.NoCRC, f.Modem, f.Channel = true, 3, 2 }, NoCRC, radio.CodingRate45,
	},
}

// TestImplicitHeader: what a header would tell is taken from the configuration,
// for frames of the service modem.
func TestImplicitHeader(t *testing.T) {
	const ticks = 1 << 20
	for _, tt := range implicitHeaderTests {
		t.Run(tt.name, func(t *testing.T) {
			c := testConfig()
			tt.service.Channel, tt.service.SpreadingFactor, tt.service.Bandwidth, tt.service.ImplicitLength = c.Service.Channel,
				7, 250_000, 14
			c.Service = tt.service
			model := sx1302test.New(sx1302test.Options{Tick: ticks})
			chip, err := New(model, c, Options{Firmware: testFirmware(), Sleep: noWait})
			if err == nil {
				err = chip.Start(t.Context())
			}
			if err != nil {
				t.Fatal(err)
			}
			changed := model.Changed()
			for _, r := range []struct {
				f    field
				want int
			}{
				{svcImplicit, bit(c.Service.Implicit)},
				{svcCRC, bit(c.Service.ImplicitCRC)},
				{svcCodingRate, int(c.Service.ImplicitCodingRate)},
			} {
				if got := int(changed[r.f.addr]&r.f.mask()) >> r.f.shift; got != r.want {
					t.Errorf("register 0x%04X has %d, want %d", r.f.addr, got, r.want)
				}
			}
			if got := changed[svcPayloadLength.addr]; got != 14 {
				t.Errorf("length is %d", got)
			}
			f := sx1302test.Frame{
				Payload: []byte("fourteen bytes"), Channel: ServiceChannel, Modem: serviceModem, SF: 7,
				CodingRate: 1, Ticks: ticks,
			}
			tt.change(&f)
			model.Deliver(f.Record())
			packets, err := chip.Receive()
			if err != nil || len(packets) != 1 {
				t.Fatal(packets, err)
			}
			p := packets[0]
			shape := frameShape{7, p.DataRate.Bandwidth, int64(tt.coding), 14, tt.crc != NoCRC}
			if want := ticks/ticksPerMicrosecond + uint32(shape.legacyCorrection()); p.CRC != tt.crc ||
				p.CodingRate != tt.coding || p.Time != want {
				t.Errorf("CRC %s, %v, at %d; want %s, %v, at %d", p.CRC, p.CodingRate, p.Time, tt.crc, tt.coding, want)
			}
		})
	}
}

// TestVersions: what to check depends on the version that was read.
func TestVersions(t *testing.T) {
	const power, reset = "check the power and the reset line", "check the reset GPIO"
	for _, tt := range []struct {
		version byte
		any     bool
		says    string
	}{
		{0x00, false, power},
		{0xFF, false, power},
		{0x05, false, reset},
		{0x11, false, reset},
		{0x10, false, ""},
		{0x00, true, power},
		{0xFF, true, power},
		{0x05, true, ""},
	} {
		t.Run(fmt.Sprintf("%02x %t", tt.version, tt.any), func(t *testing.T) {
			_, chip := newTestChip(t, sx1302test.Options{Read: func(addr uint16) (byte, bool) {
				return tt.version,
					addr == version.addr
			}})
			chip.options.AnyVersion = tt.any
			id, err := chip.Probe(t.Context())
			if id.Version != tt.version || (err == nil) != (tt.says == "") || err != nil &&
				(!errors.Is(err, ErrNoChip) || !strings.Contains(err.Error(), tt.says)) {
				t.Errorf("Probe = %+v, %v, want %q", id, err, tt.says)
			}
			if err := chip.Start(t.Context()); (err == nil) != (tt.says == "") {
				t.Errorf("Start: %v", err)
			}
		})
	}
}

// TestMaxTransfer cuts frames to what both the port and its module take.
func TestMaxTransfer(t *testing.T) {
	for _, tt := range []struct{ module, port, longest int }{
		{0, 0, maxBurst + readHeader},
		{64, 0, 64},
		{64, 4096, 64},
		{64, 32, 32},
		{4096, 0, maxBurst + readHeader},
		{4096, 100, 100},
		{minTransfer, 0, minTransfer},
		{minTransfer - 1, 0, 0},
		{64, minTransfer - 1, 0},
	} {
		t.Run(fmt.Sprintf("%d and %d", tt.module, tt.port), func(t *testing.T) {
			longest := 0
			model := sx1302test.New(sx1302test.Options{
				MaxTxSize: tt.port,
				Fail:      func(w []byte) error { longest = max(longest, len(w)); return nil },
			})
			chip, err := New(model, testConfig(), Options{
				MaxTransfer: tt.module, Firmware: testFirmware(), Sleep: noWait,
				Reset: func(context.Context) error { model.Reset(); return nil },
			})
			if (err == nil) != (tt.longest > 0) {
				t.Fatal(err)
			}
			if err != nil {
				return
			}
			if err := chip.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			f := sx1302test.Frame{Payload: make([]byte, 250), Channel: 2, Modem: 3, SF: 7, CodingRate: 1}
			f.Payload[249] = 0xA5
			model.Deliver(f.Record())
			if packets, err := chip.Receive(); err != nil || len(packets) != 1 || !slices.Equal(packets[0].Payload, f.Payload) {
				t.Errorf("%+v, %v", packets, err)
			}
			if longest != tt.longest {
				t.Errorf("%d bytes at once, want %d", longest, tt.longest)
			}
		})
	}
}
