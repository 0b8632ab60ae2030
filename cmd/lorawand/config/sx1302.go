package config

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"lorawand/concentrator/sx1302"
	"lorawand/concentrator/sx1302/board"
	"lorawand/radio"
	"lorawand/radio/region"
)

// DefaultFirmware is the folder of the chip's firmware images.
const DefaultFirmware = "/usr/lib/lorawand/firmware"

// Special values of keys that name a line, a bus or a device.
const (
	None      = "none"
	SimDevice = "sim" // the model of the chip
)

// Limits of [gateway.sx1302].
const (
	minRSSIOffset = -300.0 // dB
	maxRSSIOffset = 0.0
	minSilence    = time.Minute
	maxSilence    = 30 * 24 * time.Hour
)

// regions has the table of boards' names for bands of The Things Stack, where they
// differ.
var regions = map[string]string{
	"EU_863_870": "EU868", "EU_433": "EU433", "US_902_928": "US915", "AU_915_928": "AU915", "AS_923": "AS923", "KR_920_923": "KR920",
	"IN_865_867": "IN865", "RU_864_870": "RU864", "CN_470_510": "CN470",
	"MA_869_870_DRAFT": "EU868",
}

// Concentrator is the set-up of a gateway's chip and its board.
type Concentrator struct {
	Board board.Board
	Chip  sx1302.Config
	GNSS  string // the line of the receiver; "": there is none
}

// keyError is a fault of a key in [gateway.sx1302].
type keyError struct {
	key string
	err error
}

// Error implements error.
func (e *keyError) Error() string { return e.key + ": " + e.err.Error() }

// Unwrap returns the fault.
func (e *keyError) Unwrap() error { return e.err }

// Concentrator combines the row in the table of boards, the keys that override it,
// and the channels of the plan or of the global_conf.json. It returns one error for
// each faulty key.
func (s *SX1302) Concentrator(planID string) (Concentrator, error) {
	var c Concentrator
	plan, err := region.Lookup(planID)
	if err != nil {
		return c, &keyError{"frequency_plan", err}
	}
	if c.Board, err = s.find(func(name string) (board.Board, error) {
		return board.FindBoard(name, boardRegion(plan))
	}); err != nil {
		return c, err
	}
	err = errors.Join(s.override(&c.Board), s.overrideRadios(&c.Board.Radios, &c.Board.ClockSource))
	if err != nil {
		return c, err
	}
	if s.GlobalConf == "" {
		if c.Chip, err = board.Arrange(&c.Board, wanted(plan)); err != nil {
			return c, &keyError{"sx1302", err}
		}
		c.Chip.LBT = listening(plan)
	} else if err := s.takeGlobalConf(&c, plan); err != nil {
		return c, err
	}
	if err := s.findGNSS(&c, plan); err != nil {
		return c, err
	}
	if s.FineTime != "" {
		if c.Chip.FineTimestamps, err = sx1302.ParseFineTimestamps(s.FineTime); err != nil {
			return c, &keyError{"sx1302.fine_timestamps", err}
		}
	}
	c.Chip.Spectrum = s.NoiseFloor.D() > 0
	return c, errors.Join(s.checkListening(&c, plan), s.checkNoise(&c))
}

// takeGlobalConf sets up the chip from the global_conf.json and the keys that
// override it.
func (s *SX1302) takeGlobalConf(c *Concentrator, p *region.Plan) error {
	g, err := s.readGlobalConf()
	if err == nil {
		err = checkRegion(&g, p)
	}
	if err != nil {
		return ofGlobalConf(err)
	}
	c.Chip, c.GNSS = g.Config, g.GNSS
	if err := errors.Join(s.overrideRadios(&c.Chip.Radios, &c.Chip.ClockSource), c.Chip.Validate()); err != nil {
		return ofGlobalConf(err)
	}
	if c.Chip.LBT.Enabled || s.NoiseFloor.D() > 0 {
		c.Board.SX1261 = cmp.Or(c.Board.SX1261, g.SX1261)
	}
	return nil
}

// ofGlobalConf marks each error as a fault of that file, or of the key that it
// names.
func ofGlobalConf(err error) error {
	var out []error
	for _, e := range each(err) {
		var k *keyError
		if !errors.As(e, &k) {
			e = &keyError{"sx1302.global_conf", e}
		}
		out = append(out, e)
	}
	return errors.Join(out...)
}

// readGlobalConf reads the file. It is called for several keys; the file is small.
func (s *SX1302) readGlobalConf() (board.GlobalConf, error) {
	text, err := os.ReadFile(s.GlobalConf)
	if err != nil {
		return board.GlobalConf{}, err
	}
	return board.ParseGlobalConf(s.GlobalConf, text)
}

// checkRegion returns an error if a file is for another region than the plan: all
// its channels must be within the plan's range, and at least one must be a channel
// of the plan.
func checkRegion(g *board.GlobalConf, p *region.Plan) error {
	planned := 0
	for _, h := range g.Heard {
		if slices.ContainsFunc(p.Channels(), func(ch region.Channel) bool { return ch.Frequency == h.Frequency }) {
			planned++
		} else if _, err := p.SubBand(h.Frequency); err != nil {
			return fmt.Errorf("%s: %w: is the file for the region of frequency_plan?", h.Place, err)
		}
	}
	if planned == 0 {
		return fmt.Errorf("none of its %d channels is one of %s: is the file for the region of frequency_plan?", len(g.Heard),
			p.ID())
	}
	return nil
}

// antennaGain returns the gain for a gateway without the key, dBi: that of the
// file, which lowers the power as in the packet forwarder, or none.
func (s *SX1302) antennaGain() *float64 {
	var dBi float64
	if s != nil && s.GlobalConf != "" {
		if g, err := s.readGlobalConf(); err == nil { // Check reports an error
			dBi = float64(g.AntennaGain) / 100
		}
	}
	return &dBi
}

// The frequencies of a radio that only provides the clock, when no channel is
// received: within the band of the SX1255, and of the others.
const (
	probedLow  radio.Frequency = 470_000_000
	probedHigh radio.Frequency = 868_500_000
)

// Probed is Concentrator for callers that only reset the chip and read its
// identity: the board needs no gains for the plan.
func (s *SX1302) Probed() (Concentrator, error) {
	var c Concentrator
	var err error
	if c.Board, err = s.find(board.FindLines); err != nil {
		return c, err
	}
	clock := c.Board.ClockSource
	r := sx1302.Radio{Enabled: true, Type: c.Board.Radios[clock].Type, Frequency: probedHigh}
	if r.Type == sx1302.SX1255 {
		r.Frequency = probedLow
	}
	c.Chip = sx1302.Config{ClockSource: clock}
	c.Chip.Radios[clock] = r
	return c, errors.Join(s.override(&c.Board), c.Chip.Validate())
}

// find returns the row in the table. Without a board it returns what the
// global_conf.json says, which is everything but the lines.
func (s *SX1302) find(in func(name string) (board.Board, error)) (board.Board, error) {
	switch {
	case s.Board == "" && s.GlobalConf != "":
		g, err := s.readGlobalConf()
		if err != nil {
			return board.Board{}, ofGlobalConf(err)
		}
		if s.Device == "" && !deviceForm.MatchString(g.Device) {
			return board.Board{}, &keyError{
				"sx1302.device",
				fmt.Errorf("missing, and com_path of the global_conf.json is %.60q, must be as \"/dev/spidev0.0\"", g.Device),
			}
		}
		return board.Board{Name: filepath.Base(s.GlobalConf), Device: g.Device, ClockSource: g.ClockSource, Radios: g.Radios},
			nil
	case s.Board == "":
		return board.Board{}, &keyError{"sx1302.board", errors.New("missing; such as \"rak2287\"")}
	}
	b, err := in(s.Board)
	if err != nil {
		return b, &keyError{"sx1302.board", err}
	}
	return b, nil
}

func boardRegion(p *region.Plan) string {
	return cmp.Or(regions[p.BandID()], strings.Replace(p.BandID(), "AS_923", "AS923", 1))
}

// wanted returns the channels of a plan.
func wanted(p *region.Plan) []board.Wanted {
	var out []board.Wanted
	for _, ch := range p.Channels() {
		dr, err := p.DataRate(ch.MinDR)
		if err != nil {
			continue
		}
		out = append(out, board.Wanted{Frequency: ch.Frequency, DataRate: dr, AllSF: ch.MinDR != ch.MaxDR})
	}
	return out
}

// boardKey is a key of [gateway.sx1302] that overrides what the table says of a board.
type boardKey struct {
	key, given string
	field      *string
	form       *regexp.Regexp
	example    string
}

// override applies the keys that are not about the radios.
func (s *SX1302) override(b *board.Board) error {
	keys := []boardKey{
		{"device", s.Device, &b.Device, deviceForm, `"/dev/spidev0.0", or "usb" or a tty for a USB bridge`},
		{"reset", s.Reset, &b.Reset, resetForm, `"gpiochip0:17", "pinctrl-rp1:17", "exec:/path/reset.sh" or "none"`},
		{"power", s.Power, &b.Power, lineForm, `"gpiochip0:18" or "none"`},
		{"sx1261", s.SX1261, &b.SX1261, listenerForm, `"/dev/spidev0.1" or "none"`},
		{"sx1261_reset", s.SX1261Reset, &b.SX1261Reset, lineForm, `"gpiochip0:5" or "none"`},
		{"temperature", s.Temperature, &b.I2C, busForm, `"/dev/i2c-1" or "none"`},
	}
	if board.IsUSB(cmp.Or(s.Device, b.Device)) || s.Device == "" && b.USB {
		return s.overrideUSB(b, keys)
	}
	var errs []error
	for _, o := range keys {
		switch {
		case o.given == "":
		case !o.form.MatchString(o.given):
			errs = append(errs, &keyError{"sx1302." + o.key, fmt.Errorf("%.60q, must be as %s", o.given, o.example)})
		case o.given == None:
			*o.field = ""
		default:
			*o.field = o.given
		}
	}
	switch {
	case b.USB && s.Device != SimDevice:
		errs = append(errs, &keyError{
			"sx1302.device",
			fmt.Errorf("%q: %s is behind a USB bridge; leave the key out, or name the tty", s.Device, b.Name),
		})
	case s.Device == SimDevice && !Simulates:
		errs = append(errs, &keyError{
			"sx1302.device",
			errors.New(`"sim" needs a program that was built with the tag sim; see also demo --radio sx1302`),
		})
	}
	if steps, byTool := b.ResetSteps(); s.Reset == "" && (b.Reset == "" || byTool && len(steps) == 0) &&
		s.Device != SimDevice {
		errs = append(errs, &keyError{
			"sx1302.reset",
			fmt.Errorf("not known of %s on %s: give the GPIO line, or \"none\" if the chip is reset by others before each start",
				b.Name, b.Device),
		})
	}
	return errors.Join(errs...)
}

// chipForm matches the device of a GPIO chip, its label as gpiodetect prints it, or
// "header" for the chip with the lines of a Raspberry Pi's header. Labels are never
// so short that "exec" could be one.
const chipForm = `[\w.@-]{5,}`

// Forms of the keys.
var (
	deviceForm   = regexp.MustCompile(`^(/dev/spidev\d+\.\d+|/dev/tty\w+|/dev/serial/by-(id|path)/[^/\s]+|usb|sim)$`)
	listenerForm = regexp.MustCompile(`^(none|/dev/spidev\d+\.\d+)$`)
	lineForm     = regexp.MustCompile(`^(none|(/dev/gpiochip\d+|` + chipForm + `):\d+)$`)
	resetForm    = regexp.MustCompile(`^(none|(/dev/gpiochip\d+|` + chipForm + `):\d+|exec:/.+)$`)
	busForm      = regexp.MustCompile(`^(none|/dev/i2c-\d+)$`)
)

// overrideRadios applies the keys about the radios.
func (s *SX1302) overrideRadios(radios *[sx1302.Chains]sx1302.Radio, clock *uint8) error {
	var errs []error
	if c := s.ClockSource; c != nil {
		if *c >= sx1302.Chains {
			errs = append(errs, &keyError{"sx1302.clock_source", fmt.Errorf("%d, must be 0 or 1", *c)})
		}
		*clock = *c
	}
	if o := s.RSSIOffset; o != nil && !(*o >= minRSSIOffset && *o <= maxRSSIOffset) {
		errs = append(errs, &keyError{"sx1302.rssi_offset", fmt.Errorf("%v, must be %v to %v", *o, minRSSIOffset,
			maxRSSIOffset)})
	}
	if d := s.Silence.D(); d != 0 && (d < minSilence || d > maxSilence) {
		errs = append(errs, &keyError{"sx1302.silence", fmt.Errorf("%v, must be 0s or %v to %v", d, minSilence, maxSilence)})
	}
	gains, err := board.ParseGains(s.TxGains)
	if err != nil {
		errs = append(errs, &keyError{"sx1302.tx_gains", err})
	}
	for i := range radios {
		r := &radios[i]
		if s.SingleInput != nil {
			r.SingleInput = *s.SingleInput
		}
		if s.RSSIOffset != nil {
			r.RSSIOffset = radio.Decibel(math.Round(*s.RSSIOffset * 100))
		}
		if len(gains) > 0 && r.Transmit {
			r.Gains = gains
		}
	}
	return errors.Join(errs...)
}

// checkSX1302 checks the keys of a gateway with a chip on this host.
func (g *Gateway) checkSX1302(f *faults, at string) {
	s := g.SX1302
	if s == nil {
		s = &SX1302{}
	}
	if _, err := region.Lookup(g.FrequencyPlan); err != nil {
		return // reported before
	}
	c, err := s.Concentrator(g.FrequencyPlan)
	if err == nil {
		err = g.checkPower(&c)
	}
	for _, err := range each(err) {
		var k *keyError
		if errors.As(err, &k) {
			f.add(at+"."+k.key, "%v", k.err)
		}
	}
}

// dipole is the gain of a half-wave dipole, dBi. A gateway is told the limit, an
// EIRP, minus this and the antenna's gain, as The Things Stack does.
const dipole = radio.Decibel(215)

// PowerReserve returns by how much a gateway may exceed the power it is told, dB:
// the gain of its antenna is known, and yet the gain of a dipole was subtracted
// too.
func (g *Gateway) PowerReserve() radio.Decibel {
	if g.Antenna() == 0 {
		return 0
	}
	return dipole
}

// checkPower returns an error if even the lowest power of the board exceeds the
// limit. The driver refuses such packets.
func (g *Gateway) checkPower(c *Concentrator) error {
	plan, err := region.Lookup(g.FrequencyPlan)
	if err != nil {
		return err
	}
	allowed, at, ok := leastAllowed(plan)
	if !ok {
		return nil
	}
	allowed += g.PowerReserve() - dipole - radio.Decibel(math.Round(g.Antenna()*100))
	for i := range c.Chip.Radios {
		r := &c.Chip.Radios[i]
		if !r.Enabled || !r.Transmit || r.LeastPower() <= allowed {
			continue
		}
		key := "sx1302.tx_gains"
		if g.Antenna() > 0 {
			key = "antenna_gain"
		}
		return &keyError{key, fmt.Errorf("with an antenna of %v dBi no more than %s dBm may be sent at %s, and the least "+
			"that %s sends is %s dBm: "+
			"sx1302.tx_gains needs a lower entry, or the antenna a lower gain", g.Antenna(), allowed, at,
			cmp.Or(c.Board.Name, "the board"), r.LeastPower())}
	}
	return nil
}

// leastAllowed returns the lowest limit on the downlink frequencies of a plan, dBm
// EIRP, and the frequency.
func leastAllowed(p *region.Plan) (least radio.Decibel, at radio.Frequency, ok bool) {
	frequencies := []radio.Frequency{p.RX2().Frequency, p.BandRX2().Frequency}
	for _, ch := range p.Channels() {
		if w, err := p.RX1(ch.Frequency, ch.MaxDR, 0); err == nil {
			frequencies = append(frequencies, w.Frequency)
		}
	}
	for _, f := range frequencies {
		if sub, err := p.SubBand(f); err == nil && (!ok || sub.MaxEIRP < least) {
			least, at, ok = sub.MaxEIRP, f, true
		}
	}
	return least, at, ok
}
