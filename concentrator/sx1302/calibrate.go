package sx1302

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lorawand/radio"
)

// Limits of the calibration of SX1255 and SX1257, as sx1302_hal has them.
const (
	calRuns         = 3
	imageSpread     = 4   // largest difference between amplitudes, and between phases, of the runs
	imageRejection  = 50  // dB, of the worst run
	offsetSpread    = 4   // the same for the DC offset of the transmitter
	offsetRejection = 10  // dB
	toneOffset      = 250 // kHz from the centre
	toneStep        = 16  // toneOffset · 64e-6, the value for the program
)

// errCalibration is the reason for rejecting the results of the runs.
var errCalibration = errors.New("the results of the runs differ too much or are too bad")

// imageResult is the result of a run of the receiver's calibration.
type imageResult struct {
	amp, phi       int8
	rejection, snr int // dB
}

// dcOffset is the result of a run of the transmitter's calibration.
type dcOffset struct {
	i, q      int8
	rejection int // dB
}

// calibrateSX125x runs the calibration program: the image rejection of both
// receivers, then the DC offset of the transmitters for each gain.
func (c *Chip) calibrateSX125x(ctx context.Context) error {
	if err := c.load(agcMCU, c.firmware.Calibration); err != nil {
		return err
	}
	if err := c.await(ctx, agcMCU, 0x01); err != nil {
		return err
	}
	version, err := c.get(mailRead3.plus(3))
	if err != nil {
		return err
	}
	if version != versionCalibration {
		return fmt.Errorf("calibration firmware: version %d, want %d", version, versionCalibration)
	}
	if err := c.post(0xFF); err != nil {
		return err
	}
	if err := c.await(ctx, agcMCU, 0x00); err != nil {
		return err
	}
	var images [Chains]imageResult
	for chain := range c.config.Radios {
		if c.config.Radios[chain].Enabled {
			if images[chain], err = c.calibrateReceiver(ctx, chain); err != nil {
				return fmt.Errorf("receiver of radio %s: %w", chainName(chain), err)
			}
		}
	}
	for chain, m := range images {
		amp, phi := feIQAmpA.of(chain, radioFEStride), feIQPhiA.of(chain, radioFEStride)
		if err := c.setAll([]setting{{amp, int(m.amp)}, {phi, int(m.phi)}}); err != nil {
			return err
		}
	}
	for chain := range c.config.Radios {
		if err := c.calibrateTransmitter(ctx, chain, images[chain]); err != nil {
			return fmt.Errorf("transmitter of radio %s: %w", chainName(chain), err)
		}
	}
	return nil
}

// calibrateReceiver measures with a tone from the other radio. If the results are
// bad, it measures again with a tone from the radio itself, through its loopback.
func (c *Chip) calibrateReceiver(ctx context.Context, chain int) (imageResult, error) {
	other := 1 - chain
	sources := []int{other, chain}
	if r := c.config.Radios; !r[other].Enabled || r[other].Type != r[chain].Type {
		sources = sources[1:]
	}
	for _, source := range sources {
		best, err := c.imageRuns(ctx, chain, source)
		if err == nil || !errors.Is(err, errCalibration) {
			return best, err
		}
	}
	return imageResult{}, errCalibration
}

func (c *Chip) imageRuns(ctx context.Context, chain, source int) (imageResult, error) {
	var runs [calRuns]imageResult
	var amp, phi [calRuns]int8
	best, worst, snr := 0, 0, 0
	for i := range runs {
		r, err := c.imageRun(ctx, chain, source)
		if err != nil {
			return r, err
		}
		runs[i], amp[i], phi[i] = r, r.amp, r.phi
		if r.rejection > runs[best].rejection {
			best = i
		}
		if r.rejection < runs[worst].rejection {
			worst = i
		}
		if r.snr < runs[snr].snr {
			snr = i
		}
	}
	if spread(amp) > imageSpread || spread(phi) > imageSpread || runs[worst].rejection < imageRejection ||
		runs[snr].snr < imageRejection {
		return runs[best], errCalibration
	}
	return runs[best], nil
}

// spread returns the difference of the largest and the smallest value.
func spread(v [calRuns]int8) int {
	return int(max(v[0], v[1], v[2])) - int(min(v[0], v[1], v[2]))
}

// imageRun sets up both radios and makes the program do one measurement.
func (c *Chip) imageRun(ctx context.Context, chain, source int) (imageResult, error) {
	if err := c.setUpImageRun(ctx, chain, source); err != nil {
		return imageResult{}, err
	}
	if err := c.beginRun(ctx, chain, chain); err != nil {
		return imageResult{}, err
	}
	for _, step := range []int{0x02, 0x03} {
		if err := c.step(ctx, step, step); err != nil {
			return imageResult{}, err
		}
	}
	if err := c.mail(-1, 8, 0); err != nil {
		return imageResult{}, err
	}
	level, err := c.measure(ctx, 0x04, 0x06)
	if err != nil {
		return imageResult{}, err
	}
	image, err := c.measure(ctx, 0x06, 0x07)
	if err != nil {
		return imageResult{}, err
	}
	after, err := c.measure(ctx, 0x07, 0x08)
	if err != nil {
		return imageResult{}, err
	}
	signal := int(level[1])<<8 | int(level[0])
	return imageResult{
		amp: int8(image[1]), phi: int8(image[0]),
		rejection: decibels(signal, int(after[3])<<8|int(after[2])),
		snr:       decibels(signal, int(after[1])<<8|int(after[0])),
	}, c.step(ctx, 0x08, [Chains]int{0x11, 0x22}[chain])
}

func (c *Chip) setUpImageRun(ctx context.Context, chain, source int) error {
	centre := c.config.Radios[chain].Frequency
	if err := c.xFrequency(chain, xRxFreq, centre); err != nil {
		return err
	}
	if err := c.xFrequency(source, xTxFreq, centre+toneOffset*1000); err != nil {
		return err
	}
	mixer := 15
	if source == chain {
		mixer = 10
	}
	receive, transmit := []setting{{xMode, 3}}, []setting{{xMode, 13}}
	if source == chain {
		receive, transmit = nil, []setting{{xRFLoopback, 1}, {xMode, 15}}
	}
	for _, s := range []struct {
		chain int
		list  []setting
	}{
		{chain, []setting{{xBBBW, 0}, {xADCTrim, 6}, {xRxPLLBW, 0}}},
		{source, []setting{{xTxPLLBW, 0}, {xTxDACBW, 5}, {xDACGain, 3}, {xMixGain, mixer}}},
		{chain, receive},
		{source, transmit},
	} {
		if err := c.xSetAll(s.chain, s.list); err != nil {
			return err
		}
	}
	if err := c.sleep(ctx, settle); err != nil {
		return err
	}
	return c.locked(chain, source)
}

// locked checks that the PLLs of a receiver and a transmitter are locked.
func (c *Chip) locked(receiver, transmitter int) error {
	rx, err := c.xGet(receiver, xRxLocked)
	if err != nil {
		return err
	}
	tx, err := c.xGet(transmitter, xTxLocked)
	if err != nil {
		return err
	}
	if rx == 0 || tx == 0 {
		return errUnlocked
	}
	return nil
}

// beginRun tells the program which test to run on which chain.
func (c *Chip) beginRun(ctx context.Context, chain, test int) error {
	if err := c.set(sigAnaRadio, 1-chain); err != nil {
		return err
	}
	return c.beginTest(ctx, test)
}

func (c *Chip) beginTest(ctx context.Context, test int) error {
	if err := c.mail(0, toneStep, test); err != nil {
		return err
	}
	if err := c.post(0x00); err != nil {
		return err
	}
	return c.step(ctx, 0x01, 0x01)
}

// step posts a step and waits for the status that ends it.
func (c *Chip) step(ctx context.Context, step, status int) error {
	if err := c.post(step); err != nil {
		return err
	}
	return c.await(ctx, agcMCU, status)
}

// measure makes a step after which bytes 0 to 3 of the mailbox hold results.
func (c *Chip) measure(ctx context.Context, step, status int) (result [4]byte, err error) {
	if err := c.step(ctx, step, status); err != nil {
		return result, err
	}
	for i := range result {
		v, err := c.get(mailRead3.plus(3 - i))
		if err != nil {
			return result, err
		}
		result[i] = byte(v)
	}
	return result, nil
}

// calibrateTransmitter finds the DC offset for each pair of gains in the table
// of a chain.
func (c *Chip) calibrateTransmitter(ctx context.Context, chain int, image imageResult) error {
	r := &c.config.Radios[chain]
	if !r.Enabled || !r.Transmit {
		return nil
	}
	type pair struct{ dac, mix uint8 }
	known := map[pair]dcOffset{}
	offsets := make([]dcOffset, len(r.Gains))
	for i, g := range r.Gains {
		p := pair{g.DACGain, g.MixGain}
		found, ok := known[p]
		if !ok {
			var err error
			if found, err = c.offsetRuns(ctx, chain, g, image); err != nil {
				return fmt.Errorf("gain for %d dBm: %w", g.Power, err)
			}
			known[p] = found
		}
		offsets[i] = found
	}
	c.offsets[chain] = offsets
	return nil
}

func (c *Chip) offsetRuns(ctx context.Context, chain int, g Gain, image imageResult) (dcOffset, error) {
	var runs [calRuns]dcOffset
	var is, qs [calRuns]int8
	best, worst := 0, 0
	for i := range runs {
		r, err := c.offsetRun(ctx, chain, g, image)
		if err != nil {
			return r, err
		}
		runs[i], is[i], qs[i] = r, r.i, r.q
		if r.rejection > runs[best].rejection {
			best = i
		}
		if r.rejection < runs[worst].rejection {
			worst = i
		}
	}
	if spread(is) > offsetSpread || spread(qs) > offsetSpread || runs[worst].rejection < offsetRejection {
		return runs[best], errCalibration
	}
	return runs[best], nil
}

// offsetRun sets up the loopback of a radio and makes the program do one
// measurement.
func (c *Chip) offsetRun(ctx context.Context, chain int, g Gain, image imageResult) (dcOffset, error) {
	if err := c.setUpOffsetRun(ctx, chain, g); err != nil {
		return dcOffset{}, err
	}
	err := c.setAll([]setting{
		{sigAnaRadio, 1 - chain},
		{txMode.of(chain, txStride), 0},
		{txTrigImmediate.of(chain, txStride), 1},
		{txTrigImmediate.of(chain, txStride), 0},
		{feDCNotchA.of(chain, radioFEStride), 1},
	})
	if err != nil {
		return dcOffset{}, err
	}
	if err := c.beginTest(ctx, chain+2); err != nil {
		return dcOffset{}, err
	}
	for _, s := range []struct{ mail2, mail1, step int }{
		{int(byte(image.amp)), int(byte(image.phi)), 0x02}, {0, 0, 0x03},
	} {
		if err := c.mail(-1, s.mail1, s.mail2); err != nil {
			return dcOffset{}, err
		}
		if err := c.step(ctx, s.step, s.step); err != nil {
			return dcOffset{}, err
		}
	}
	if err := c.mail(-1, 64, 0); err != nil {
		return dcOffset{}, err
	}
	level, err := c.measure(ctx, 0x04, 0x06)
	if err != nil {
		return dcOffset{}, err
	}
	offset, err := c.measure(ctx, 0x06, 0x07)
	if err != nil {
		return dcOffset{}, err
	}
	return dcOffset{
		i: int8(offset[1]), q: int8(offset[0]),
		rejection: decibels(int(level[1])<<8|int(level[0]), int(offset[3])<<8|int(offset[2])),
	}, c.endOffsetRun(ctx, chain)
}

func (c *Chip) setUpOffsetRun(ctx context.Context, chain int, g Gain) error {
	centre := c.config.Radios[chain].Frequency
	for _, f := range []struct {
		msb field
		hz  radio.Frequency
	}{{xRxFreq, centre - toneOffset*1000}, {xTxFreq, centre}} {
		if err := c.xFrequency(chain, f.msb, f.hz); err != nil {
			return err
		}
	}
	err := c.xSetAll(chain, []setting{
		{xBBBW, 0},
		{xADCTrim, 6},
		{xRxPLLBW, 0},
		{xTxPLLBW, 0},
		{xTxDACBW, 5},
		{xDACClock, 1},
		{xDACGain, int(g.DACGain)},
		{xMixGain, int(g.MixGain)},
		{xRFLoopback, 1},
		{xMode, 15},
	})
	if err != nil {
		return err
	}
	if err := c.sleep(ctx, time.Millisecond); err != nil {
		return err
	}
	return c.locked(chain, chain)
}

// endOffsetRun makes the program end, and ignores its reports until then.
func (c *Chip) endOffsetRun(ctx context.Context, chain int) error {
	steps := []int{0x07, 0x08, 0x09, 0x0A}
	for s := 0x0C; s <= 0x20; s++ {
		steps = append(steps, s)
	}
	for i, s := range steps {
		next := [Chains]int{0x33, 0x44}[chain]
		if i+1 < len(steps) {
			next = steps[i+1]
		}
		if err := c.step(ctx, s, next); err != nil {
			return err
		}
	}
	return nil
}

// decibels returns floor(20·log10(a / b)) of two amplitudes of at most 16 bits; 127
// and -128 stand for infinity.
func decibels(a, b int) int {
	if b <= 0 {
		return 127
	}
	if a <= 0 {
		return -128
	}
	d, a64, b64 := 0, int64(a), int64(b)
	for ; a64 < b64; a64 *= 10 {
		d -= 20
	}
	for ; a64 >= 10*b64; b64 *= 10 {
		d += 20
	}
	return d + stepsOf(a64, b64)
}

// decade has 10^(i/20) in millionths.
var decade = [...]int64{
	1000000, 1122018, 1258925, 1412537, 1584893, 1778279, 1995262, 2238721, 2511886, 2818383,
	3162278, 3548134, 3981072, 4466836, 5011872, 5623413, 6309573, 7079458, 7943282, 8912509,
}

// stepsOf returns floor(20·log10(a / b)) for 1 <= a/b < 10.
func stepsOf(a, b int64) int {
	n := 0
	for n+1 < len(decade) && a*1_000_000 >= b*decade[n+1] {
		n++
	}
	return n
}
