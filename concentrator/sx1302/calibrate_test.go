package sx1302

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"lorawand/concentrator/sx1302/sx1302test"
	"lorawand/radio"
)

// sx1255Config is a board for 434 MHz with two SX1255, of which the second
// transmits with three settings, two of them of the same gains before the
// amplifier.
func sx1255Config() Config {
	c := testConfig()
	for i := range c.Radios {
		c.Radios[i] = Radio{Enabled: true, Type: SX1255, Frequency: [Chains]radio.Frequency{434_100_000, 434_900_000}[i]}
	}
	c.Radios[1].Transmit = true
	c.Radios[1].Gains = []Gain{
		{Power: 10, DACGain: 3, MixGain: 8},
		{Power: 14, DACGain: 3, MixGain: 12},
		{Power: 20, PAGain: 1, DACGain: 3, MixGain: 8},
	}
	return c
}

func newSX125x(t *testing.T, c Config, o sx1302test.Options) (*sx1302test.Chip, *Chip) {
	t.Helper()
	return newSX125xOnWire(t, c, o, func(_, _ []byte) error { return nil })
}

// newSX125xOnWire has a hook behind each transfer.
func newSX125xOnWire(t *testing.T, c Config, o sx1302test.Options, after func(w, r []byte) error) (*sx1302test.Chip,
	*Chip,
) {
	t.Helper()
	o.Radio = sx1302test.SX125x
	model := sx1302test.New(o)
	chip, err := New(&wire{model, after}, c, Options{
		Firmware: Firmware{
			AGC: sx1302test.Image(sx1302test.AGCSX125x), ARB: sx1302test.Image(sx1302test.ARB),
			Calibration: sx1302test.Image(sx1302test.Calibration),
		},
		Sleep: noWait, Reset: func(context.Context) error { model.Reset(); return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return model, chip
}

// Registers of the radios that a run of the calibration goes by.
const (
	regRxWord    = 0x01
	regTxWord    = 0x04
	regTxGains   = 0x08
	regLoopback  = 0x10
	loopbackMode = 15
)

// looped reports whether a run of the calibration has a radio hear itself.
func looped(r sx1302test.CalibrationRun) bool {
	own := r.Radios[r.Test&1]
	return own[regLoopback]&4 != 0 && own[0] == loopbackMode
}

// word returns a frequency as the registers of a radio have it.
func word(registers []byte) uint32 {
	return uint32(registers[0])<<16 | uint32(registers[1])<<8 | uint32(registers[2])
}

// TestSX1255 has the words of frequencies and the register of the oscillator,
// which are others than those of the SX1257.
func TestSX1255(t *testing.T) {
	var tones, transmitters []sx1302test.CalibrationRun
	model, chip := newSX125x(t, sx1255Config(),
		sx1302test.Options{Calibrate: func(r sx1302test.CalibrationRun) sx1302test.CalibrationResult {
			if r.Test < 2 {
				tones = append(tones, r)
			} else {
				transmitters = append(transmitters, r)
			}
			return sx1302test.CalibrationResult{Signal: 0x4000, Left: 10, Noise: 8}
		}})
	if err := chip.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	centres := [Chains]uint32{0xD90CCC, 0xD97333}
	for i, centre := range centres {
		r := model.Radio(i).Raw
		if got := word(r[regRxWord:]); got != centre || r[0x28] != 0x2D || r[0x26] != 0 {
			t.Errorf("radio %d: word 0x%06X, 0x28 is 0x%02X, 0x26 is 0x%02X; want 0x%06X", i, got, r[0x28], r[0x26], centre)
		}
	}
	for _, r := range tones {
		c := int(r.Test)
		rx, tx := word(r.Radios[c][regRxWord:]), word(r.Radios[1-c][regTxWord:])
		if want := [Chains]uint32{0xD92CCC, 0xD99333}[c]; rx != centres[c] || tx != want || looped(r) {
			t.Errorf("receiver %d: heard on 0x%06X, the tone is on 0x%06X, want 0x%06X and 0x%06X", c, rx, tx, centres[c], want)
		}
	}
	for _, r := range transmitters {
		rx, tx := word(r.Radios[1][regRxWord:]), word(r.Radios[1][regTxWord:])
		if rx != 0xD95333 || tx != centres[1] || r.Test != 3 || !looped(r) {
			t.Errorf("test %d: sent on 0x%06X, heard on 0x%06X", r.Test, tx, rx)
		}
	}
	if len(tones) != 2*calRuns || len(transmitters) != 2*calRuns { // two pairs of gains
		t.Errorf("%d and %d runs", len(tones), len(transmitters))
	}
	tx := loraTransmission()
	tx.Chain, tx.Frequency, tx.Trigger = 1, 434_100_000, TriggerNow
	if err := chip.Send(tx); err != nil {
		t.Fatal(err)
	}
	e := model.Emissions()
	if got := word(e[len(e)-1].Block[0x25:]); got != 0x6C8666 {
		t.Errorf("sent on 0x%06X, want 0x6C8666", got)
	}
}

// TestFullDuplex: the amplifiers stay on, and the AGC is told and has understood.
func TestFullDuplex(t *testing.T) {
	for _, duplex := range []byte{0, 1} {
		t.Run(fmt.Sprint(duplex), func(t *testing.T) {
			c := sx1255Config()
			c.FullDuplex = duplex == 1
			deaf := false
			var at uint16
			model, chip := newSX125x(t, c, sx1302test.Options{Read: func(addr uint16) (byte, bool) {
				return 1 - duplex, deaf && addr == at
			}})
			if err := chip.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			changed := model.Changed()
			pa, lna := [2]byte{0x04, 0x0C}[duplex], [2]byte{0x02, 0x0F}[duplex]
			for _, tt := range []struct {
				f    field
				want byte
			}{{paLUTA, pa}, {lnaLUTA, lna}, {paLUTB, 0x04}, {lnaLUTB, 0x02}} {
				if got := changed[tt.f.addr] & tt.f.mask() >> tt.f.shift; got != tt.want {
					t.Errorf("register 0x%04X has 0x%02X, want 0x%02X", tt.f.addr, got, tt.want)
				}
			}
			agc, _ := model.Logs()
			for _, radio := range []byte{0x80, 0x20} {
				if !slices.Contains(agc, [4]byte{radio, duplex, 0xFF, 0xFF}) {
					t.Errorf("the AGC was not told 0x%02X with %d: %x", radio, duplex, agc)
				}
			}
			deaf, at = true, mailRead3.plus(1).addr
			want := fmt.Sprintf("it understood 0x%02x as 0x%02x", duplex, 1-duplex)
			if err := chip.Start(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("when the AGC understands something else: %v", err)
			}
		})
	}
}

// TestCalibrateReceiver takes the other radio for the tone, then the radio itself,
// and keeps the best run of those that agree.
func TestCalibrateReceiver(t *testing.T) {
	for chain := range Chains {
		for _, tt := range receiverTests() {
			t.Run(tt.name+" on "+chainName(chain), func(t *testing.T) {
				c := &receiverRuns{TB: t, chain: chain, tone: tt.tone, itself: tt.itself}
				model, chip := newSX125x(t, sx1255Config(), sx1302test.Options{Calibrate: c.calibrate})
				err := chip.Start(t.Context())
				if c.straight != calRuns || c.loops != tt.loops {
					t.Errorf("%d runs with a tone and %d of the loopback, want %d", c.straight, c.loops, tt.loops)
				}
				if tt.fails {
					if !errors.Is(err, errCalibration) || !strings.Contains(err.Error(), "receiver of radio "+chainName(chain)) {
						t.Errorf("Start: %v", err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				changed := model.Changed()
				amp, phi := feIQAmpA.of(chain, radioFEStride), feIQPhiA.of(chain, radioFEStride)
				want := [2]byte{byte(tt.want[0]) & amp.mask(), byte(tt.want[1]) & phi.mask()}
				if got := [2]byte{changed[amp.addr] & amp.mask(), changed[phi.addr] & phi.mask()}; got != want {
					t.Errorf("amplitude and phase are % x, want % x", got, want)
				}
				if chain == 1 && (len(c.known) == 0 || c.known[0] != [2]byte{byte(tt.want[0]), byte(tt.want[1])}) {
					t.Errorf("the test of the transmitter was told % x", c.known)
				}
			})
		}
	}
}

type receiverTest struct {
	name         string
	tone, itself []sx1302test.CalibrationResult
	want         [2]int8
	loops        int
	fails        bool
}

func receiverTests() []receiverTest {
	run := receiverRun
	runs := func(first, second, third sx1302test.CalibrationResult) []sx1302test.CalibrationResult {
		return []sx1302test.CalibrationResult{first, second, third}
	}
	// 0x4000 over 51 is 50.1 dB, over 52 is 49.9 dB.
	good := runs(run(-2, 1, 12, 9), run(2, 5, 10, 9), run(0, 3, 11, 9))
	single := good
	return []receiverTest{
		{name: "best is the second", tone: good, want: [2]int8{2, 5}},
		{name: "best is the last", tone: runs(run(1, 1, 12, 9), run(1, 1, 11, 9), run(2, 2, 10, 9)), want: [2]int8{2, 2}},
		{name: "best is the first", tone: runs(run(2, 2, 10, 9), run(1, 1, 12, 9), run(1, 1, 11, 9)), want: [2]int8{2, 2}},
		{name: "all the same", tone: runs(run(1, 1, 10, 9), run(2, 2, 10, 9), run(3, 3, 10, 9)), want: [2]int8{1, 1}},
		{name: "just good enough", tone: runs(run(1, 1, 51, 51), run(2, 2, 51, 51), run(3, 3, 45, 51)), want: [2]int8{3, 3}},
		{
			name: "amplitudes apart", tone: runs(run(-2, 1, 12, 9), run(3, 1, 10, 9), run(0, 1, 11, 9)), itself: single,
			want: [2]int8{2, 5}, loops: calRuns,
		},
		{
			name: "phases apart", tone: runs(run(0, 1, 12, 9), run(0, 6, 10, 9), run(0, 3, 11, 9)), itself: single,
			want: [2]int8{2, 5}, loops: calRuns,
		},
		{
			name: "one with much of the image", tone: runs(run(0, 1, 12, 9), run(0, 1, 52, 9), run(0, 1, 11, 9)),
			itself: single, want: [2]int8{2, 5}, loops: calRuns,
		},
		{
			name: "one with much noise", tone: runs(run(0, 1, 12, 9), run(0, 1, 11, 52), run(0, 1, 11, 9)), itself: single,
			want: [2]int8{2, 5}, loops: calRuns,
		},
		{
			name: "both fail", tone: runs(run(-2, 1, 12, 9), run(3, 1, 10, 9), run(0, 1, 11, 9)),
			itself: runs(run(0, 0, 12, 9), run(0, 0, 12, 9), run(0, 0, 52, 9)), loops: calRuns, fails: true,
		},
	}
}

func receiverRun(amp, phi int8, left, noise uint16) sx1302test.CalibrationResult {
	return sx1302test.CalibrationResult{Signal: 0x4000, Left: left, Noise: noise, Found: [2]int8{amp, phi}}
}

// receiverRuns answers the calibration of one radio's receiver: with tone, the results of
// the runs with the other radio's tone, and with itself, those of the loopback.
type receiverRuns struct {
	testing.TB
	chain           int
	tone, itself    []sx1302test.CalibrationResult
	straight, loops int       // runs of each
	known           [][2]byte // what the runs of the transmitter were told
}

func (c *receiverRuns) calibrate(r sx1302test.CalibrationRun) sx1302test.CalibrationResult {
	switch {
	case r.Test >= 2:
		c.known = append(c.known, r.Known)
		return receiverRun(0, 0, 10, 9)
	case int(r.Test) != c.chain:
		return receiverRun(7, -7, 10, 9)
	case looped(r):
		if gains := r.Radios[c.chain][regTxGains]; gains != 3<<4|10 {
			c.Errorf("the loopback has gains 0x%02X", gains)
		}
		c.loops++
		return c.itself[(c.loops-1)%calRuns]
	}
	if gains := r.Radios[1-c.chain][regTxGains]; gains != 3<<4|15 {
		c.Errorf("the tone has gains 0x%02X", gains)
	}
	c.straight++
	return c.tone[(c.straight-1)%calRuns]
}

// TestUnlocked has PLLs that do not lock. There are twelve runs of the calibration,
// in each of which the lock of the receiver and of the transmitter is asked for;
// then that of each radio, a few times if need be.
func TestUnlocked(t *testing.T) {
	for name, tt := range map[string]struct {
		from, to int // which of these say no
		says     string
	}{
		"receiver, calibration":      {0, 1, "receiver of radio A: the PLL does not lock"},
		"transmitter, calibration":   {1, 2, "receiver of radio A: the PLL does not lock"},
		"loopback, calibration":      {12, 13, "transmitter of radio B: gain for 10 dBm: the PLL does not lock"},
		"radio A after a while":      {24, 24 + lockAttempts - 1, ""},
		"radio A never":              {24, 24 + lockAttempts, "radio A: the PLL does not lock"},
		"radio B not the first time": {25, 26, ""},
	} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			_, chip := newSX125xOnWire(t, sx1255Config(), sx1302test.Options{}, func(w, r []byte) error {
				if (w[0] == targetRadio || w[0] == targetRadio+1) && w[1] == byte(xRxLocked.addr) {
					if asked >= tt.from && asked < tt.to {
						r[2] &^= xRxLocked.mask() | xTxLocked.mask()
					}
					asked++
				}
				return nil
			})
			err := chip.Start(t.Context())
			if tt.says == "" && err != nil || tt.says != "" &&
				(!errors.Is(err, errUnlocked) || !strings.Contains(err.Error(), tt.says)) {
				t.Errorf("Start: %v, want %q, asked %d times", err, tt.says, asked)
			}
		})
	}
}

func TestCalibrationVersion(t *testing.T) {
	_, chip := newSX125x(t, sx1255Config(),
		sx1302test.Options{Read: func(addr uint16) (byte, bool) { return 2, addr == mailRead3.plus(3).addr }})
	if err := chip.Start(t.Context()); err == nil ||
		!strings.Contains(err.Error(), "calibration firmware: version 2, want 1") {
		t.Errorf("Start: %v", err)
	}
}

// TestCalibrateAlone: a radio without another of its type has its own tone.
func TestCalibrateAlone(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"no other": func(c *Config) { c.Radios[0].Enabled = false },
		"another type": func(c *Config) {
			c.Radios[0].Type, c.Radios[0].Frequency = SX1257, 868_000_000
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := sx1255Config()
			c.ClockSource = 1
			for i := range c.Channels {
				c.Channels[i].Chain = 1
			}
			change(&c)
			straight, loops := 0, 0
			calibrate := func(r sx1302test.CalibrationRun) sx1302test.CalibrationResult {
				if r.Test == 1 && looped(r) {
					loops++
				} else if r.Test == 1 {
					straight++
				}
				return sx1302test.CalibrationResult{Signal: 0x4000, Left: 10, Noise: 8}
			}
			_, chip := newSX125x(t, c, sx1302test.Options{Calibrate: calibrate})
			if err := chip.Start(t.Context()); err != nil || straight > 0 || loops != calRuns {
				t.Errorf("%d runs with a tone, %d of the loopback, %v", straight, loops, err)
			}
		})
	}
}

// TestCalibrateTransmitter: each setting is sent with the offsets of its gains,
// those of the best run.
func TestCalibrateTransmitter(t *testing.T) {
	run := func(i, q int8, left uint16) sx1302test.CalibrationResult {
		return sx1302test.CalibrationResult{Signal: 1000, Left: left, Found: [2]int8{i, q}}
	}
	good := []sx1302test.CalibrationResult{run(9, -9, 12), run(10, -8, 10), run(11, -7, 11)}
	tests := []struct {
		name  string
		runs  []sx1302test.CalibrationResult // of the second pair of gains
		want  [2]int8
		fails bool
	}{
		{name: "best is the second", runs: good, want: [2]int8{10, -8}},
		{
			name: "best is the last", runs: []sx1302test.CalibrationResult{run(1, 1, 12), run(2, 2, 11), run(3, 3, 10)},
			want: [2]int8{3, 3},
		},
		{
			name: "just good enough", runs: []sx1302test.CalibrationResult{run(-2, 2, 316), run(2, -2, 280), run(0, 0, 316)},
			want: [2]int8{2, -2},
		},
		{name: "I apart", runs: []sx1302test.CalibrationResult{run(-2, 0, 10), run(3, 0, 10), run(0, 0, 10)}, fails: true},
		{name: "Q apart", runs: []sx1302test.CalibrationResult{run(0, -2, 10), run(0, 3, 10), run(0, 0, 10)}, fails: true},
		{
			name: "one with much DC", runs: []sx1302test.CalibrationResult{run(0, 0, 10), run(0, 0, 10), run(0, 0, 317)},
			fails: true,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			counts := map[byte]int{} // runs by gains
			model, chip := newSX125x(t, sx1255Config(),
				sx1302test.Options{Calibrate: func(r sx1302test.CalibrationRun) sx1302test.CalibrationResult {
					if r.Test < 2 {
						return sx1302test.CalibrationResult{Signal: 0x4000, Left: 10, Noise: 8}
					}
					gains := r.Radios[1][regTxGains]
					counts[gains]++
					if gains == 3<<4|12 {
						return tt.runs[counts[gains]-1]
					}
					return run(-20, 21, 10)
				}})
			err := chip.Start(t.Context())
			if tt.fails {
				if !errors.Is(err, errCalibration) || !strings.Contains(err.Error(), "transmitter of radio B: gain for 14 dBm") {
					t.Errorf("Start: %v", err)
				}
				return
			}
			if err != nil || len(counts) != 2 || counts[3<<4|8] != calRuns || counts[3<<4|12] != calRuns {
				t.Fatalf("%v, runs %v", err, counts)
			}
			for power, want := range map[radio.Decibel][2]int8{1000: {-20, 21}, 1400: tt.want, 2000: {-20, 21}} {
				sentWithOffsets(t, model, chip, power, want)
			}
		})
	}
}

// sentWithOffsets sends a packet and checks the DC offsets that the chip sends it with.
func sentWithOffsets(t *testing.T, model *sx1302test.Chip, chip *Chip, power radio.Decibel, want [2]int8) {
	t.Helper()
	tx := loraTransmission()
	tx.Chain, tx.Frequency, tx.Power, tx.Trigger = 1, 434_100_000, power, TriggerNow
	if err := chip.Send(tx); err != nil {
		t.Fatal(err)
	}
	e := model.Emissions()
	block := e[len(e)-1].Block
	if got := [2]int8{int8(block[0x23]), int8(block[0x24])}; got != want {
		t.Errorf("%s dBm is sent with offsets %d, want %d", power, got, want)
	}
	if err := chip.Abort(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
}
