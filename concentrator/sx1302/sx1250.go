package sx1302

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"lorawand/radio"
)

// Commands of the SX1250.
const (
	opWriteRegister   = 0x0D
	opGetDeviceErrors = 0x17
	opSetStandby      = 0x80
	opSetRx           = 0x82
	opSetFrequency    = 0x86
	opCalibrate       = 0x89
	opCalibrateImage  = 0x98
	opGetStatus       = 0xC0
)

const (
	standbyRC   = 0x00
	standbyXOSC = 0x01

	modeStandbyRC   = 2 // status, bits 6 to 4
	modeStandbyXOSC = 3

	imageCalibrationError = 1 << 4 // least significant byte of the errors
	commandGap            = time.Millisecond
	settle                = 10 * time.Millisecond // after a reset, calibration or change of mode
)

// sx1250Registers are written to each radio in this order: the highest bit rate,
// which shortens the change from transmission back to FS; pins with minimum drive,
// inputs off, no pulls, outputs on; fixed gain.
var sx1250Registers = [...]struct {
	addr  uint16
	value byte
}{
	{0x06A1, 0x01},
	{0x06A2, 0x00},
	{0x06A3, 0x00},
	{0x0582, 0x00},
	{0x0583, 0x00},
	{0x0584, 0x00},
	{0x0585, 0x00},
	{0x0580, 0x00},
	{0x08B6, 0x2A},
}

// imageBand returns the pair of bytes that calibrates a radio for its band.
func imageBand(f radio.Frequency) (low, high byte, ok bool) {
	for _, b := range [...]struct {
		above, below radio.Frequency
		low, high    byte
	}{
		{430_000_000, 440_000_000, 0x6B, 0x6F},
		{470_000_000, 510_000_000, 0x75, 0x81},
		{779_000_000, 787_000_000, 0xC1, 0xC5},
		{863_000_000, 870_000_000, 0xD7, 0xDB},
		{902_000_000, 928_000_000, 0xE1, 0xE9},
	} {
		if f > b.above && f < b.below {
			return b.low, b.high, true
		}
	}
	return 0, 0, false
}

// commands sends commands to an SX1250. The host cannot read its BUSY line, so
// there is a pause before each command.
func (c *Chip) commands(ctx context.Context, chain int, frames ...[]byte) error {
	for _, f := range frames {
		if err := c.sleep(ctx, commandGap); err != nil {
			return err
		}
		if err := c.tellRadio(chain, f...); err != nil {
			return err
		}
	}
	return nil
}

// inquire sends a command and returns the SX1250's answer of n bytes.
func (c *Chip) inquire(ctx context.Context, chain int, command byte, n int) ([]byte, error) {
	if err := c.sleep(ctx, commandGap); err != nil {
		return nil, err
	}
	return c.askRadio(chain, command, n)
}

func writeRegister(addr uint16, values ...byte) []byte {
	return append([]byte{opWriteRegister, byte(addr >> 8), byte(addr)}, values...)
}

// calibrateSX1250 calibrates the image rejection of a radio for its band.
func (c *Chip) calibrateSX1250(ctx context.Context, chain int) error {
	low, high, ok := imageBand(c.config.Radios[chain].Frequency)
	if !ok {
		return fmt.Errorf("%w: radio %s: no calibration for %s", ErrConfig, chainName(chain),
			c.config.Radios[chain].Frequency)
	}
	if _, err := c.inquire(ctx, chain, opGetStatus, 1); err != nil {
		return err
	}
	if err := c.commands(ctx, chain, []byte{opCalibrateImage, low, high}); err != nil {
		return err
	}
	if err := c.sleep(ctx, settle); err != nil {
		return err
	}
	answer, err := c.inquire(ctx, chain, opGetDeviceErrors, 3)
	if err != nil {
		return err
	}
	if answer[2]&imageCalibrationError != 0 {
		return fmt.Errorf("radio %s: image calibration failed", chainName(chain))
	}
	return nil
}

// setUpSX1250 brings a radio into continuous reception, in which it provides the
// chip's clock. From then on the AGC controls the gain.
func (c *Chip) setUpSX1250(ctx context.Context, chain int) error {
	if err := c.standby(ctx, chain, standbyRC, modeStandbyRC); err != nil {
		return err
	}
	if err := c.commands(ctx, chain, []byte{opCalibrate, 0x7F}); err != nil {
		return err
	}
	if err := c.sleep(ctx, settle); err != nil {
		return err
	}
	if err := c.standby(ctx, chain, standbyXOSC, modeStandbyXOSC); err != nil {
		return err
	}
	for _, r := range sx1250Registers {
		if err := c.commands(ctx, chain, writeRegister(r.addr, r.value)); err != nil {
			return err
		}
	}
	err := c.commands(
		ctx, chain,
		binary.BigEndian.AppendUint32([]byte{opSetFrequency}, frequencyWord(c.config.Radios[chain].Frequency)),
		writeRegister(0x088F, 0, 0, 0), // no frequency offset
		[]byte{opSetRx, 0xFF, 0xFF, 0xFF},
	)
	if err != nil {
		return err
	}
	if c.config.Radios[chain].SingleInput {
		if err := c.commands(ctx, chain, writeRegister(0x08E2, 0x0D)); err != nil {
			return err
		}
	}
	return c.commands(ctx, chain, writeRegister(0x0587, 0x0B)) // base band at the outputs
}

// standby puts a radio into a standby mode and checks the mode.
func (c *Chip) standby(ctx context.Context, chain int, mode byte, want int) error {
	if err := c.commands(ctx, chain, []byte{opSetStandby, mode}); err != nil {
		return err
	}
	if err := c.sleep(ctx, settle); err != nil {
		return err
	}
	answer, err := c.inquire(ctx, chain, opGetStatus, 1)
	if err != nil {
		return err
	}
	if got := int(answer[0] >> 4 & 0x07); got != want {
		return fmt.Errorf("radio %s: mode %d instead of standby (%d), status 0x%02x; check the reset line and the type "+
			"of the radio", chainName(chain), got, want, answer[0])
	}
	return nil
}
