package sx1302

import (
	"context"
	"fmt"
	"slices"
	"time"

	"lorawand/radio"
)

// Noise is the noise floor of a channel.
type Noise struct {
	Frequency radio.Frequency
	Floor     radio.Decibel // dBm: half of the measurements were not above it
}

// Figures of the survey.
const (
	surveyAfter = 10 * time.Second // the start
	surveyPause = time.Second      // between two channels
	surveyCount = 10_000           // measurements of a channel, 82 ms
)

// survey measures the noise floor of one channel after the other with the SX1261, if
// nobody sends. A downlink that comes ends a scan at once.
//
//	waits ──▶ scans: one command with each poll ──▶ the floor is noted; waits for the next channel
//	  ▲          │ a downlink, an error or scanWithin
//	  └──────────┘
type survey struct {
	channels []radio.Frequency
	next     int // channel
	due      radio.HostTime
	scans    bool
	until    radio.HostTime // of the scan
	warned   bool
}

// Frequencies returns those of the multi-SF and the service channels, ascending.
func (c *Config) Frequencies() []radio.Frequency {
	var out []radio.Frequency
	for _, ch := range append(slices.Clone(c.Channels[:]), c.Service.Channel) {
		if ch.Enabled {
			out = append(out, radio.Frequency(int64(c.Radios[ch.Chain].Frequency)+int64(ch.Offset)))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Noise returns the noise floors measured since NewDriver.
func (d *Driver) Noise() []Noise {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.noise)
}

// note keeps the noise floor of a channel.
func (d *Driver) note(n Noise) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i, known := slices.BinarySearchFunc(d.noise, n, func(a, b Noise) int { return int(a.Frequency) - int(b.Frequency) })
	if !known {
		d.noise = slices.Insert(d.noise, i, n)
	}
	d.noise[i] = n
}

// beginSurvey prepares the survey of a run of the chip.
func (s *session) beginSurvey(now radio.HostTime) {
	chip := s.driver.chip
	if s.driver.opts.NoiseEvery <= 0 {
		return
	}
	if err := chip.SpectrumFault(); err != nil {
		s.driver.log.Warn("no noise floor is measured", "gateway", s.eui, "error", err)
		return
	}
	s.survey = survey{channels: chip.config.Frequencies(), due: now.Add(surveyAfter)}
}

// surveyOn goes on with the survey. It takes the time of a command to the SX1261.
func (s *session) surveyOn() {
	v, chip, now := &s.survey, s.driver.chip, s.driver.opts.Now()
	if len(v.channels) == 0 || !v.scans && (now < v.due || !s.quiet()) {
		return
	}
	if !v.scans {
		if chip.BeginSpectrum(v.channels[v.next], surveyCount) != nil {
			return
		}
		v.scans, v.until = true, now.Add(scanWithin)
	}
	found, done, err := chip.ContinueSpectrum(context.Background())
	switch {
	case err == nil && !done && now < v.until:
		return
	case err == nil && !done:
		err = fmt.Errorf("spectral scan: %w", ErrNoAnswer)
	case err == nil:
		s.driver.note(Noise{found.Frequency, found.Below(50)})
	}
	if err != nil && !v.warned {
		s.driver.log.Warn("the noise floor was not measured", "gateway", s.eui, "error", err)
	}
	v.warned = err != nil
	s.endScan()
	if v.next++; v.next == len(v.channels) {
		v.next, v.due = 0, now.Add(s.driver.opts.NoiseEvery)
	}
}

// quiet reports whether the board does not send, nor will before a scan is over.
func (s *session) quiet() bool {
	if s.clock.doubts > 0 || s.busErrors > 0 {
		return false
	}
	now := s.present()
	if at, ok := s.driver.jit.Next(now); ok && at.Sub(now) <= scanWithin+surveyPause {
		return false
	}
	for chain := range s.armed {
		if s.armed[chain].waits {
			return false
		}
		if state, err := s.driver.chip.TxStatus(chain); err != nil || state != TxFree {
			return false
		}
	}
	return true
}

// endScan ends the scan of a channel; the next one comes a little later.
func (s *session) endScan() {
	v := &s.survey
	if !v.scans {
		return
	}
	v.scans, v.due = false, s.driver.opts.Now().Add(surveyPause)
	if err := s.driver.chip.EndSpectrum(context.Background()); err != nil {
		s.driver.log.Warn("the scan did not end", "gateway", s.eui, "error", err)
	}
}
