package sx1302

import (
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/concentrator/sx1302/sx1302test"
	"lorawand/radio"
)

// spectrumConfig is testConfig with an SX1261 that does not listen before talk.
func spectrumConfig() Config {
	c := testConfig()
	c.Spectrum = true
	return c
}

// noise has each frequency at another level: 868.1 MHz at -100 dBm, 868.3 MHz at -92 dBm.
func noise(hz uint32) (w [sx1302test.SpectrumLevels]uint16) {
	switch (hz + 500) / 1000 {
	case 868_100:
		w[25] = 1
	case 868_300:
		w[23], w[10] = 3, 1
	default:
		w[SpectrumLevels-1] = 1
	}
	return w
}

func TestSpectrum(t *testing.T) {
	counts := func(at map[int]uint16) (s Spectrum) {
		for i, n := range at {
			s.Counts[i] = n
		}
		return s
	}
	for name, tt := range map[string]struct {
		counts                   Spectrum
		floor, ninth, peak, step radio.Decibel
	}{
		"quiet":           {counts(map[int]uint16{28: 1000}), -112_00, -112_00, -112_00, 0},
		"half is above":   {counts(map[int]uint16{28: 499, 20: 501}), -80_00, -80_00, -80_00, 0},
		"half is not":     {counts(map[int]uint16{28: 500, 20: 500}), -112_00, -80_00, -80_00, 0},
		"a tenth is":      {counts(map[int]uint16{28: 900, 20: 99, 3: 1}), -112_00, -112_00, -12_00, 0},
		"below all":       {counts(map[int]uint16{32: 9}), -124_00, -124_00, -124_00, 0},
		"the loudest":     {counts(map[int]uint16{0: 9}), 0, 0, 0, 0},
		"with an offset":  {counts(map[int]uint16{28: 1}), -110_50, -110_50, -110_50, 1_50},
		"as many as fit":  {counts(map[int]uint16{28: 65535, 0: 65535}), -112_00, 0, 0, 0},
		"nothing counted": {Spectrum{}, 0, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := tt.counts
			s.Offset = tt.step
			if a, b, c := s.Below(50), s.Below(90), s.Below(100); a != tt.floor || b != tt.ninth || c != tt.peak {
				t.Errorf("floor %v, 90 %% %v, peak %v; want %v, %v, %v", a, b, c, tt.floor, tt.ninth, tt.peak)
			}
		})
	}
}

// TestScan compares what the SX1261 is told with what sx1302_hal tells it.
func TestScan(t *testing.T) {
	var now time.Duration
	c := spectrumConfig()
	c.LBT.RSSIOffset = 2_00
	model, chip := newLBTChipOf(t, c, sx1302test.Options{Now: func() time.Duration { return now }, Noise: noise},
		func(ctx context.Context, d time.Duration) error { now += d; return ctx.Err() })
	if err := chip.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	before, began := len(model.SX1261().Commands), now
	s, err := chip.Scan(t.Context(), 868_300_000, 2000)
	if err != nil {
		t.Fatal(err)
	}
	if s.Frequency != 868_300_000 || s.Counts[23] != 1500 || s.Counts[10] != 500 || s.Total() != 2000 ||
		s.Below(50) != -90_00 || s.Below(100) != -38_00 {
		t.Errorf("%+v", s)
	}
	if took := now - began; took < 2000*8200*time.Nanosecond || took > 50*time.Millisecond {
		t.Errorf("it took %v", took)
	}
	want := []string{
		"0d089b00", "c1", "863644cccc", "0d089b14", "8a00", "8b001400000a02e90f", "8c0020052000" + "01ff0000", "82ffffff",
		"9b07d00b", "0d089b00", "c1",
	}
	var got []string
	for _, command := range model.SX1261().Commands[before:] {
		got = append(got, hex.EncodeToString(command))
	}
	if !slices.Equal(got, want) {
		t.Errorf("commands\n%v, want\n%v", got, want)
	}
}

func TestScanRefuses(t *testing.T) {
	_, chip := newLBTChipOf(t, spectrumConfig(), sx1302test.Options{}, noWait)
	if _, err := chip.Scan(t.Context(), 868_300_000, 1); !errors.Is(err, ErrNotStarted) {
		t.Errorf("before Start: %v", err)
	}
	if err := chip.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		f     radio.Frequency
		count int
	}{{149_999_999, 1}, {960_000_001, 1}, {868_300_000, 0}, {868_300_000, 65_536}} {
		if _, err := chip.Scan(t.Context(), tt.f, tt.count); !errors.Is(err, ErrConfig) {
			t.Errorf("%d measurements at %v: %v", tt.count, tt.f, err)
		}
	}
	if _, _, err := chip.ContinueSpectrum(t.Context()); !errors.Is(err, ErrNotStarted) {
		t.Errorf("a scan that was not begun: %v", err)
	}
	model := sx1302test.New(sx1302test.Options{})
	chip, err := New(model, testConfig(), Options{Firmware: testFirmware(), Sleep: noWait})
	if err == nil {
		err = chip.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := chip.Scan(t.Context(), 868_300_000, 1); !errors.Is(err, ErrNoSX1261) {
		t.Errorf("without an SX1261: %v", err)
	}
}

// TestScanFails: a scan that never ends or is aborted is told, and the SX1261 rests.
func TestScanFails(t *testing.T) {
	var now time.Duration
	model, chip := newLBTChipOf(t, lbtConfig(), sx1302test.Options{Now: func() time.Duration { return now }},
		func(ctx context.Context, d time.Duration) error { return ctx.Err() })
	if err := chip.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := chip.Scan(t.Context(), 868_300_000, 100); !errors.Is(err, ErrNoAnswer) {
		t.Errorf("with time that stands still: %v", err)
	}
	if last := model.SX1261().Commands; !slices.Equal(last[len(last)-1], []byte{op61SetFS}) {
		t.Errorf("its last command is %x", last[len(last)-1])
	}
	if err := chip.BeginSpectrum(868_300_000, 100); err != nil {
		t.Fatal(err)
	}
	for range 9 {
		if _, done, err := chip.ContinueSpectrum(t.Context()); done || err != nil {
			t.Fatal(done, err)
		}
	}
	if err := model.SX1261().Tx([]byte{0x0D, 0x08, 0x9B, 0x00}, nil); err != nil {
		t.Fatal(err)
	}
	_, done, err := chip.ContinueSpectrum(t.Context())
	if done || err == nil || !strings.Contains(err.Error(), "aborted") {
		t.Errorf("aborted by others: %t, %v", done, err)
	}
}

// TestSpectrumIsOptional: a gateway works without an SX1261 that only scans.
func TestSpectrumIsOptional(t *testing.T) {
	for name, tt := range map[string]struct {
		fault sx1302test.Fault
		spoil func(*Chip)
		says  string
	}{
		"all is there":   {says: ""},
		"none connected": {spoil: func(c *Chip) { c.sx1261 = newPort(nil, maxSX1261Frame) }, says: "no SX1261"},
		"dead":           {fault: sx1302test.Fault{DeadSX1261: true}, says: "check its device node"},
		"no patch":       {spoil: func(c *Chip) { c.firmware.SX1261 = nil }, says: "sx1261_pram.var"},
		"another patch":  {spoil: func(c *Chip) { c.firmware.SX1261 = make([]byte, PatchSize) }, says: "after the patch"},
	} {
		t.Run(name, func(t *testing.T) {
			model, chip := newLBTChipOf(t, spectrumConfig(), sx1302test.Options{}, noWait)
			if tt.spoil != nil {
				tt.spoil(chip)
			}
			model.Break(tt.fault)
			if err := chip.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			err := chip.SpectrumFault()
			if (err == nil) != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v, want %q", err, tt.says)
			}
			if err := chip.Send(loraTransmission()); err != nil {
				t.Errorf("Send: %v", err)
			}
		})
	}
}

// newSurvey is newBench with an SX1261 and a survey each minute.
func newSurvey(t *testing.T, c Config, every time.Duration) *bench {
	t.Helper()
	b := &bench{t: t, sink: &testSink{acks: map[uint64][]radio.TxResult{}}, begin: time.Now(), done: make(chan error, 1)}
	var chip *Chip
	b.model, chip = newLBTChipOf(t, c, sx1302test.Options{EUI: testEUI, Noise: noise}, nil)
	var err error
	b.driver, err = NewDriver(DriverOptions{
		Chip: chip, EUI: testEUI, Now: func() radio.HostTime { return radio.HostTime(time.Since(b.begin)) },
		Logger: slog.New(slog.DiscardHandler), NoiseEvery: every,
	})
	if err != nil {
		t.Fatal(err)
	}
	var ctx context.Context
	ctx, b.cancel = context.WithCancel(t.Context())
	go func() { b.done <- b.driver.Run(ctx, b.sink) }()
	time.Sleep(6 * time.Second)
	return b
}

// TestSurvey: all channels are measured, with LBT and without, each once in a while; never
// unless it is asked for.
func TestSurvey(t *testing.T) {
	for name, tt := range map[string]struct {
		config Config
		every  time.Duration
		scans  int
	}{
		"without LBT":    {spectrumConfig(), time.Minute, 16},
		"with LBT":       {lbtConfig(), time.Minute, 16},
		"not asked for":  {lbtConfig(), 0, 0},
		"and no SX1261":  {testConfig(), time.Minute, 0},
		"now and then":   {spectrumConfig(), time.Hour, 8},
		"without SX1261": {testConfig(), 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newSurvey(t, tt.config, tt.every)
				time.Sleep(100 * time.Second)
				b.stop()
				found := b.driver.Noise()
				if n := b.model.SX1261().Scans(); n != tt.scans || len(found) != min(tt.scans, 8) {
					t.Fatalf("%d scans, want %d; %v", n, tt.scans, found)
				}
				for _, n := range found {
					want := map[radio.Frequency]radio.Decibel{868_100_000: -100_00, 868_300_000: -92_00}[n.Frequency]
					if want == 0 {
						want = -124_00
					}
					if n.Floor != want {
						t.Errorf("%v: %v dBm, want %v", n.Frequency, n.Floor, want)
					}
				}
				if s := b.driver.Stats(); s.Failures > 0 || s.Starts != 1 {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

// TestSurveyGivesWay: a downlink that comes during a scan is sent in time, with and without
// LBT; the channel is measured after it.
func TestSurveyGivesWay(t *testing.T) {
	for name, c := range map[string]Config{"without LBT": spectrumConfig(), "with LBT": lbtConfig()} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newSurvey(t, c, time.Minute)
				for b.model.SX1261().Scans() == 0 {
					time.Sleep(10 * time.Millisecond)
				}
				at := b.model.Counter() + 150_000
				d := b.down(1, 0)
				d.Frequency, d.Time = 868_500_000, radio.ConcentratorTime(at)
				b.transmit(d)
				time.Sleep(400 * time.Millisecond)
				if n := b.model.SX1261().Scans(); n != 1 || len(b.driver.Noise()) != 0 {
					t.Errorf("%d scans, %v", n, b.driver.Noise())
				}
				time.Sleep(2 * time.Second)
				if e := b.model.Emissions(); b.result(1) != radio.TxOK || len(e) != 1 || e[0].Begin != at || e[0].Cut {
					t.Errorf("answered %v, sent %+v, want at %d", b.result(1), e, at)
				}
				if n := b.driver.Noise(); len(n) == 0 {
					t.Error("nothing was measured after it")
				}
				b.stop()
			})
		})
	}
}

// TestSurveyBeside: a downlink that waits for long, as a beacon does, holds no survey up.
func TestSurveyBeside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newSurvey(t, spectrumConfig(), time.Hour)
		at := b.model.Counter() + 30_000_000
		d := b.down(1, 0)
		d.Time = radio.ConcentratorTime(at)
		b.transmit(d)
		time.Sleep(20 * time.Second)
		if n := b.driver.Noise(); len(n) != 8 {
			t.Errorf("before it: %v", n)
		}
		time.Sleep(12 * time.Second)
		b.stop()
		if e := b.model.Emissions(); b.result(1) != radio.TxOK || len(e) != 1 || e[0].Begin != at {
			t.Errorf("answered %v, sent %+v, want at %d", b.result(1), e, at)
		}
	})
}

// TestSurveyFails: an SX1261 that falls silent costs the gateway nothing.
func TestSurveyFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newSurvey(t, spectrumConfig(), time.Minute)
		b.model.Break(sx1302test.Fault{DeadSX1261: true})
		time.Sleep(3 * time.Minute)
		if n, s := b.driver.Noise(), b.driver.Stats(); len(n) > 0 || s.Failures > 0 {
			t.Errorf("%v, %+v", n, s)
		}
		b.transmit(b.down(1, 150*time.Millisecond))
		time.Sleep(time.Second)
		if b.result(1) != radio.TxOK {
			t.Errorf("a downlink meanwhile: %v", b.result(1))
		}
		b.model.Break(sx1302test.Fault{})
		time.Sleep(3 * time.Minute)
		b.stop()
		if n := b.driver.Noise(); len(n) != 8 {
			t.Errorf("when it answers again: %v", n)
		}
	})
}
