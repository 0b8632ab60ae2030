package sx1302

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"lorawand/concentrator/sx1302/sx1302test"
	"lorawand/radio"
)

// testConfig is a board with two radios, eight channels and both other modems.
func testConfig() Config {
	gains := []Gain{{Power: 12, PowerIndex: 15}, {Power: 14, PowerIndex: 17}, {Power: 20, PAGain: 1, PowerIndex: 3}}
	c := Config{
		Radios: [Chains]Radio{
			{
				Enabled: true, Frequency: 867_500_000, RSSIOffset: -21540, RSSITemperature: [5]int32{0, 0, 20410, 2162560, 0},
				Transmit: true, Gains: gains,
			},
			{Enabled: true, Frequency: 868_500_000, RSSIOffset: -21540, RSSITemperature: [5]int32{0, 0, 20410, 2162560, 0}},
		},
		Service: Service{Channel: Channel{Enabled: true, Chain: 1, Offset: -200_000}, SpreadingFactor: 7, Bandwidth: 250_000},
		FSK:     FSKModem{Channel: Channel{Enabled: true, Chain: 1, Offset: 300_000}, BitRate: 50_000},
	}
	for i, offset := range []int32{-400_000, -200_000, 0, -400_000, -200_000, 0, 200_000, 400_000} {
		c.Channels[i] = Channel{Enabled: true, Offset: offset}
		if i < 3 {
			c.Channels[i].Chain = 1
		}
	}
	return c
}

func testFirmware() Firmware {
	return Firmware{AGC: sx1302test.Image(sx1302test.AGCSX1250), ARB: sx1302test.Image(sx1302test.ARB)}
}

// noWait lets waits take no time.
func noWait(ctx context.Context, _ time.Duration) error { return ctx.Err() }

func newTestChip(t *testing.T, o sx1302test.Options) (*sx1302test.Chip, *Chip) {
	t.Helper()
	model := sx1302test.New(o)
	chip, err := New(model, testConfig(), Options{
		Firmware: testFirmware(), Sleep: noWait,
		Reset: func(context.Context) error { model.Reset(); return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return model, chip
}

func TestProbe(t *testing.T) {
	eui := radio.EUI64{0x00, 0x16, 0xC0, 0x01, 0xF1, 0x23, 0x45, 0x67}
	tests := []struct {
		name  string
		opts  sx1302test.Options
		model string
		says  string // in the error
	}{
		{name: "SX1302", opts: sx1302test.Options{EUI: eui}, model: "SX1302"},
		{name: "SX1303", opts: sx1302test.Options{EUI: eui, Model: 3}, model: "SX1303"},
		{name: "nothing there", opts: sx1302test.Options{Version: 0xFF}, says: "check the power and the reset line"},
		{name: "never reset", opts: sx1302test.Options{Version: 0x05}, says: "check the reset GPIO"},
		{
			name: "bus", opts: sx1302test.Options{Fail: func([]byte) error { return errors.New("no such device") }},
			says: "read 0x5606: no such device",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			model, chip := newTestChip(t, tt.opts)
			id, err := chip.Probe(t.Context())
			if tt.says != "" {
				if err == nil || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("Probe: %v, want %q", err, tt.says)
				}
				return
			}
			if err != nil || id.EUI != eui || id.Version != chipVersion || id.Model.String() != tt.model || model.Resets() != 1 {
				t.Errorf("Probe = %+v (%s), %v after %d resets", id, id.Model, err, model.Resets())
			}
		})
	}
}

func TestStartFaults(t *testing.T) {
	tests := []struct {
		name     string
		opts     sx1302test.Options
		firmware func(*Firmware)
		is       error
		says     string
	}{
		{
			name: "no clock", opts: sx1302test.Options{NoClock: true}, is: ErrNoAnswer,
			says: "check that the radio that gives the clock runs",
		},
		{name: "hang", opts: sx1302test.Options{Hang: true}, is: ErrNoAnswer},
		{name: "no firmware", firmware: func(f *Firmware) { f.ARB = nil }, is: ErrImage, says: "ARB"},
		{name: "check bits", firmware: func(f *Firmware) { f.AGC[100] ^= 1 }, is: ErrImage, says: "word 50"},
		{
			name: "firmware of other radios", firmware: func(f *Firmware) { f.AGC = sx1302test.Image(sx1302test.AGCSX125x) },
			says: "version 6, want 10",
		},
		{name: "parity", opts: sx1302test.Options{Read: func(addr uint16) (byte, bool) {
			return 0x11,
				addr == agcParity.addr
		}}, says: "parity error"},
		{
			name: "memory", opts: sx1302test.Options{Read: func(addr uint16) (byte, bool) { return 0xA5, addr == 0x0123 }},
			says: "read back",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, chip := newTestChip(t, tt.opts)
			if tt.firmware != nil {
				tt.firmware(&chip.firmware)
			}
			err := chip.Start(t.Context())
			if err == nil || tt.is != nil && !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("Start: %v, want %v, %q", err, tt.is, tt.says)
			}
			if err := chip.Health(); !errors.Is(err, ErrNotStarted) {
				t.Errorf("Health: %v", err)
			}
		})
	}
	t.Run("fine timestamps", func(t *testing.T) {
		_, chip := newTestChip(t, sx1302test.Options{})
		chip.config.FineTimestamps = FineTimestampsAll
		if err := chip.Start(t.Context()); !errors.Is(err, ErrConfig) {
			t.Errorf("Start: %v, want %v", err, ErrConfig)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		_, chip := newTestChip(t, sx1302test.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := chip.Start(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Start: %v", err)
		}
	})
}

// TestSmallTransfers starts and receives through a port that takes little.
func TestSmallTransfers(t *testing.T) {
	_, chip := newTestChip(t, sx1302test.Options{MaxTxSize: minTransfer})
	if err := chip.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := New(sx1302test.New(sx1302test.Options{MaxTxSize: minTransfer - 1}), testConfig(), Options{}); err == nil {
		t.Error("New took a port of 15 bytes")
	}
}

func TestHealth(t *testing.T) {
	bad := uint16(0xFFFF)
	_, chip := newTestChip(t, sx1302test.Options{Read: func(addr uint16) (byte, bool) { return 0x11, addr == bad }})
	if err := chip.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		addr uint16
		ok   bool
	}{{0xFFFF, true}, {agcParity.addr, false}, {arbParity.addr, false}, {version.addr, false}, {0xFFFF, true}} {
		bad = tt.addr
		if err := chip.Health(); (err == nil) != tt.ok {
			t.Errorf("Health with 0x%04x at fault: %v", tt.addr, err)
		}
	}
}

func TestValidate(t *testing.T) {
	if err := testConfig().Validate(); err != nil {
		t.Fatal(err)
	}
	tests := map[string]func(*Config){
		"clock":            func(c *Config) { c.ClockSource = 2 },
		"clock from none":  func(c *Config) { c.Radios[0].Enabled = false },
		"centre":           func(c *Config) { c.Radios[0].Frequency = 99_000_000 },
		"no band":          func(c *Config) { c.Radios[0].Frequency = 600_000_000 },
		"type":             func(c *Config) { c.Radios[0].Type = 3 },
		"full duplex":      func(c *Config) { c.FullDuplex = true },
		"no gains":         func(c *Config) { c.Radios[0].Gains = nil },
		"too many gains":   func(c *Config) { c.Radios[0].Gains = make([]Gain, MaxGains+1) },
		"order of gains":   func(c *Config) { c.Radios[0].Gains[2].Power = 13 },
		"power index":      func(c *Config) { c.Radios[0].Gains[2].PowerIndex = 23 },
		"channel":          func(c *Config) { c.Channels[3].Offset = 737_501 },
		"channel below":    func(c *Config) { c.Channels[3].Offset = math32Min },
		"channel chain":    func(c *Config) { c.Channels[3].Chain = 2 },
		"service SF":       func(c *Config) { c.Service.SpreadingFactor = 4 },
		"service width":    func(c *Config) { c.Service.Bandwidth = 125 },
		"service edge":     func(c *Config) { c.Service.Bandwidth, c.Service.Offset = 500_000, 550_001 },
		"service coding":   func(c *Config) { c.Service.ImplicitCodingRate = 5 },
		"FSK rate":         func(c *Config) { c.FSK.BitRate = 250_001 },
		"FSK sync word":    func(c *Config) { c.FSK.SyncWordSize = 9 },
		"fine timestamps":  func(c *Config) { c.FineTimestamps = 3 },
		"single input 125": func(c *Config) { c.Radios[1].Type, c.Radios[1].SingleInput = SX1257, true },
	}
	for name, spoil := range tests {
		t.Run(name, func(t *testing.T) {
			c := testConfig()
			spoil(&c)
			if err := c.Validate(); !errors.Is(err, ErrConfig) {
				t.Errorf("Validate: %v, want %v", err, ErrConfig)
			}
		})
	}
}

const math32Min = -1 << 31

func TestDecibels(t *testing.T) {
	for _, tt := range []struct{ a, b, want int }{
		{0x4000, 10, 64},
		{100, 10, 20},
		{99, 10, 19},
		{10, 100, -20},
		{1, 3, -10},
		{7, 7, 0},
		{5, 0, 127},
		{0, 5, -128},
		{65535, 1, 96},
	} {
		if got := decibels(tt.a, tt.b); got != tt.want {
			t.Errorf("decibels(%d, %d) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}

// A controller that cannot send and receive at once is found out, and served
// with the same frames.
func TestHalfDuplex(t *testing.T) {
	var now time.Duration
	model, chip := newLBTChip(t, sx1302test.Options{
		EUI: testEUI, HalfDuplex: true,
		Now: func() time.Duration { return now },
	},
		func(ctx context.Context, d time.Duration) error { now += d; return ctx.Err() })
	if err := chip.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if id := chip.Identity(); id.EUI != testEUI {
		t.Errorf("%+v", id)
	}
	f := sx1302test.Frame{Payload: []byte("heard"), Channel: 2, Modem: 3, SF: 7, CodingRate: 1}
	model.Deliver(f.Record())
	if packets, err := chip.Receive(); err != nil || len(packets) != 1 || string(packets[0].Payload) != "heard" {
		t.Errorf("%+v, %v", packets, err)
	}
	tx := loraTransmission()
	tx.Frequency, tx.Trigger = 868_500_000, TriggerNow
	if err := chip.Send(tx); err != nil {
		t.Fatal(err)
	}
	if err := chip.AwaitLBT(t.Context(), 0); err != nil {
		t.Error(err)
	}
	if e := model.Emissions(); len(e) != 1 || string(e[0].Payload) != "hello" || e[0].Cut {
		t.Errorf("%+v", e)
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = chip.Receive() }); n > 8 {
		t.Errorf("an empty poll allocates %v times", n) // those of the model
	}
}

// With a controller that does both, all goes both ways at once: nothing but an
// error changes that, and one that stays is told as it was.
func TestFullDuplexStays(t *testing.T) {
	fails := 0
	_, chip := newTestChip(t, sx1302test.Options{Fail: func([]byte) error {
		if fails > 0 {
			fails--
			return errors.New("bus")
		}
		return nil
	}})
	if _, err := chip.Probe(t.Context()); err != nil || chip.half {
		t.Errorf("half duplex %t, %v", chip.half, err)
	}
	fails = 2
	if _, err := chip.Probe(t.Context()); err == nil || chip.half {
		t.Errorf("half duplex %t, %v", chip.half, err)
	}
}

// TestShortTransfers: where a port spoils long transfers without a word, the firmware
// is loaded by short ones, and all else is done by them then.
func TestShortTransfers(t *testing.T) {
	for _, tt := range []struct {
		longest int
		short   bool
		says    string
	}{
		{0, false, ""},
		{maxBurst + readHeader, false, ""},
		{512, true, ""},
		{36, true, ""},
		{32, true, ""},
		{31, false, "what was read back differs"},
	} {
		model, chip := newTestChip(t, sx1302test.Options{})
		model.Break(sx1302test.Fault{Longest: tt.longest})
		err := chip.Start(t.Context())
		if (err == nil) != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) ||
			chip.Identity().Short != tt.short {
			t.Errorf("a port for %d bytes: %v, short %v; want %q, %v", tt.longest, err, chip.Identity().Short, tt.says, tt.short)
		}
		if err != nil {
			continue
		}
		payload := strings.Repeat("a long frame", 20)
		model.Deliver((&sx1302test.Frame{Payload: []byte(payload), SF: 7, CodingRate: 1}).Record())
		if packets, err := chip.Receive(); err != nil || len(packets) != 1 || string(packets[0].Payload) != payload {
			t.Errorf("a port for %d bytes: %+v, %v", tt.longest, packets, err)
		}
	}
}
