package sx1302

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lorawand/radio"
)

// Fields of the SX1255 and SX1257.
var (
	xMode       = field{0x00, 0, 8}
	xRxFreq     = field{0x01, 0, 8} // MSB; MID and LSB follow
	xTxFreq     = field{0x04, 0, 8} // likewise
	xVersion    = field{0x07, 0, 8}
	xDACGain    = field{0x08, 4, 3}
	xMixGain    = field{0x08, 0, 4}
	xTxPLLBW    = field{0x0A, 5, 2}
	xTxAnaBW    = field{0x0A, 0, 5}
	xTxDACBW    = field{0x0B, 0, 8}
	xLNAGain    = field{0x0C, 5, 3}
	xBBGain     = field{0x0C, 1, 4}
	xLNAZin     = field{0x0C, 0, 1}
	xADCBW      = field{0x0D, 5, 3}
	xADCTrim    = field{0x0D, 2, 3}
	xBBBW       = field{0x0D, 0, 2}
	xRxPLLBW    = field{0x0E, 1, 2}
	xADCTemp    = field{0x0E, 0, 1}
	xClkSelect  = field{0x10, 0, 8}
	xRFLoopback = field{0x10, 2, 1}
	xDACClock   = field{0x10, 0, 1}
	xRxLocked   = field{0x11, 1, 1}
	xTxLocked   = field{0x11, 0, 1}
)

// xOscillator returns the fields of XOSC_TEST, which has another address in each
// type.
func xOscillator(t RadioType) (startup, disable field) {
	addr := uint16(0x26)
	if t == SX1255 {
		addr = 0x28
	}
	return field{addr, 0, 4}, field{addr, 4, 3}
}

// clockOutput is CLK_SELECT of the radio that provides the clock.
const clockOutput = 2

// lockAttempts is how often the PLL is asked whether it has locked, every
// millisecond.
const lockAttempts = 5

// errUnlocked is the reason when a PLL does not lock.
var errUnlocked = errors.New("the PLL does not lock; check the type of the radio and its frequency")

// xGet reads a field of an SX1255 or SX1257.
func (c *Chip) xGet(chain int, f field) (int, error) {
	answer, err := c.askRadio(chain, byte(f.addr), 1)
	if err != nil {
		return 0, err
	}
	return int(answer[0]&f.mask()) >> f.shift, nil
}

// xSet writes a field of an SX1255 or SX1257 and reads it back.
func (c *Chip) xSet(chain int, f field, value int) error {
	whole := field{f.addr, 0, 8}
	b := byte(value<<f.shift) & f.mask()
	if f.width < 8 {
		old, err := c.xGet(chain, whole)
		if err != nil {
			return err
		}
		b |= byte(old) &^ f.mask()
	}
	if err := c.tellRadio(chain, writeBit|byte(f.addr), b); err != nil {
		return err
	}
	back, err := c.xGet(chain, whole)
	if err != nil {
		return err
	}
	if byte(back) != b {
		return fmt.Errorf("radio %s: register 0x%02x holds 0x%02x after 0x%02x was written; check the type of the radio",
			chainName(chain), f.addr, back, b)
	}
	return nil
}

func (c *Chip) xSetAll(chain int, list []setting) error {
	for _, s := range list {
		if err := c.xSet(chain, s.field, s.value); err != nil {
			return err
		}
	}
	return nil
}

// xFrequency writes a frequency in the unit of the radio: steps of crystal / 2^20
// (SX1255) or 2^19 (SX1257).
func (c *Chip) xFrequency(chain int, msb field, f radio.Frequency) error {
	shift := 19
	if c.config.Radios[chain].Type == SX1255 {
		shift = 20
	}
	word := int(uint64(f) << shift / crystal)
	return c.xSetAll(chain, []setting{
		{msb, word >> 16 & 0xFF},
		{msb.plus(1), word >> 8 & 0xFF},
		{msb.plus(2), word & 0xFF},
	})
}

// xSettings are the constant settings of reception and transmission.
var xSettings = []setting{
	{xMixGain, 14},
	{xDACGain, 2},
	{xTxAnaBW, 0},
	{xTxPLLBW, 1},
	{xTxDACBW, 5},
	{xLNAZin, 0},
	{xBBGain, 15},
	{xLNAGain, 1},
	{xBBBW, 0},
	{xADCTrim, 6},
	{xADCBW, 7},
	{xADCTemp, 0},
	{xRxPLLBW, 0},
}

// setUpSX125x brings a radio into reception and waits until its PLL has locked.
func (c *Chip) setUpSX125x(ctx context.Context, chain int) error {
	r := &c.config.Radios[chain]
	clock := 0
	if int(c.config.ClockSource) == chain {
		clock = clockOutput
	}
	if _, err := c.xGet(chain, xVersion); err != nil {
		return err
	}
	startup, disable := xOscillator(r.Type)
	if err := c.xSetAll(chain, []setting{{xClkSelect, clock}, {startup, 13}, {disable, 2}}); err != nil {
		return err
	}
	if err := c.xSetAll(chain, xSettings); err != nil {
		return err
	}
	if err := c.xFrequency(chain, xRxFreq, r.Frequency); err != nil {
		return err
	}
	for range lockAttempts {
		if err := c.xSetAll(chain, []setting{{xMode, 1}, {xMode, 3}}); err != nil {
			return err
		}
		if err := c.sleep(ctx, time.Millisecond); err != nil {
			return err
		}
		if locked, err := c.xGet(chain, xRxLocked); locked == 1 || err != nil {
			return err
		}
	}
	return fmt.Errorf("radio %s: %w", chainName(chain), errUnlocked)
}
