package sx1302

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"lorawand/radio"
)

// Spectrum says how often the SX1261 has measured which power on a frequency, within
// 234 kHz around it.
//
// Source: sx1302_hal 2.1.0, loragw_sx1261.c and util_spectral_scan.
type Spectrum struct {
	Frequency radio.Frequency
	Offset    radio.Decibel          // of the board, dB: added to each level
	Counts    [SpectrumLevels]uint16 // by level, the highest first
}

// SpectrumLevels is the number of levels: 0, -4, … -124 dBm, and below that.
const SpectrumLevels = 33

// Limits of a scan.
const (
	MinScanFrequency = 150_000_000 // Hz, of the SX1261
	MaxScanFrequency = 960_000_000
	MaxScanCount     = 65_535 // measurements
)

// ErrNoSX1261 is the reason when there is no radio to scan with.
var ErrNoSX1261 = errors.New("sx1302: no SX1261 to scan with")

// scanWithin is how long the longest scan may take: 65 535 measurements take 0.6 s, and
// sx1302_hal waits so long.
const scanWithin = 2 * time.Second

// Level returns the power that Counts[i] has counted.
func (s *Spectrum) Level(i int) radio.Decibel {
	return radio.Decibel(min(i, SpectrumLevels-2))*-400 + s.Offset
}

// Total returns the number of measurements.
func (s *Spectrum) Total() (n int) {
	for _, c := range s.Counts {
		n += int(c)
	}
	return n
}

// Below returns the lowest level that so many percent of the measurements do not exceed:
// 50 is the noise floor of a channel that is free for most of the time, 100 the peak.
func (s *Spectrum) Below(percent int) radio.Decibel {
	need, seen := int64(s.Total())*int64(percent), int64(0)
	for i := SpectrumLevels - 1; i > 0; i-- {
		if seen += int64(s.Counts[i]); seen > 0 && 100*seen >= need {
			return s.Level(i)
		}
	}
	return s.Level(0)
}

// Commands and registers for spectral scans.
const (
	op61SpectralScan = 0x9B
	reg61ScanResults = 0x0401 // SpectrumLevels big-endian words
	reg61ScanStatus  = 0x07CD
	scanInterval     = 11 // 8.2 µs from one measurement to the next

	scanDone    = 0xFF
	scanAborted = 0xF0
)

// spectrumScan is a scan that was begun. One step after the other is sent; then its status
// is asked for.
type spectrumScan struct {
	frequency radio.Frequency
	steps     [][]byte // that were not sent yet
}

// SpectrumFault returns why the SX1261 cannot scan, though Config.Spectrum asks for it; nil:
// it can.
func (c *Chip) SpectrumFault() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !c.started:
		return ErrNotStarted
	case c.spectrumFault != nil:
		return c.spectrumFault
	case !c.config.usesSX1261():
		return ErrNoSX1261
	}
	return nil
}

// BeginSpectrum prepares a scan of a frequency: count measurements. It sends nothing;
// ContinueSpectrum works on it.
func (c *Chip) BeginSpectrum(f radio.Frequency, count int) error {
	if f < MinScanFrequency || f > MaxScanFrequency || count < 1 || count > MaxScanCount {
		return fmt.Errorf("%w: a scan of %d measurements at %s", ErrConfig, count, f)
	}
	if err := c.SpectrumFault(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lbt.state == lbtScans {
		return ErrBusy
	}
	c.spectrum = &spectrumScan{
		frequency: f,
		steps: append(
			listenOn(f, fskBandwidth125),
			[]byte{op61SpectralScan, byte(count >> 8), byte(count), scanInterval},
		),
	}
	return nil
}

// ContinueSpectrum sends one command of a scan, which takes little more than a
// millisecond. It is called until done, or for scanWithin. An LBT scan, or Abort of this
// one, ends it without a result.
func (c *Chip) ContinueSpectrum(ctx context.Context) (s Spectrum, done bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	scan := c.spectrum
	if scan == nil {
		return s, false, fmt.Errorf("sx1302: spectral scan: %w", ErrNotStarted)
	}
	if len(scan.steps) > 0 {
		next := scan.steps[0]
		scan.steps = scan.steps[1:]
		return s, false, c.tell(ctx, next)
	}
	status, err := c.askSX1261(ctx, 2, op61ReadRegister, reg61ScanStatus>>8, reg61ScanStatus&0xFF)
	switch {
	case err != nil:
		return s, false, err
	case status[1] == scanAborted:
		return s, false, errors.New("sx1302: the SX1261 has aborted a spectral scan")
	case status[1] != scanDone:
		return s, false, nil
	}
	answer, err := c.askSX1261(ctx, 1+2*SpectrumLevels, op61ReadRegister, reg61ScanResults>>8, reg61ScanResults&0xFF)
	if err != nil {
		return s, false, err
	}
	s.Frequency, s.Offset = scan.frequency, c.config.LBT.RSSIOffset
	for i := range s.Counts {
		s.Counts[i] = binary.BigEndian.Uint16(answer[1+2*i:])
	}
	return s, true, c.restSX1261(ctx)
}

// EndSpectrum ends a scan, if there is one.
func (c *Chip) EndSpectrum(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.spectrum == nil {
		return nil
	}
	return c.restSX1261(ctx)
}

// restSX1261 stops whatever the SX1261 does.
func (c *Chip) restSX1261(ctx context.Context) error {
	c.spectrum = nil
	return c.tell(ctx, writeRegister(reg61Frontend, 0), []byte{op61SetFS})
}

// Scan measures the power on a frequency count times, at most MaxScanCount, which takes
// about 8.2 µs each.
func (c *Chip) Scan(ctx context.Context, f radio.Frequency, count int) (Spectrum, error) {
	if err := c.BeginSpectrum(f, count); err != nil {
		return Spectrum{}, err
	}
	for waited := time.Duration(0); waited <= scanWithin; waited += pollEvery { // each command waits that long
		if s, done, err := c.ContinueSpectrum(ctx); done || err != nil {
			return s, errors.Join(err, c.EndSpectrum(context.WithoutCancel(ctx)))
		}
	}
	err := fmt.Errorf("sx1302: spectral scan at %s: %w", f, ErrNoAnswer)
	return Spectrum{}, errors.Join(err, c.EndSpectrum(ctx))
}
