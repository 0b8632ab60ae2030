package sx1302

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"

	"lorawand/radio"
)

// Commands of the SX1261. sx1250.go has those that both radios know.
const (
	op61SetPacketType   = 0x8A
	op61SetModulation   = 0x8B
	op61SetPacketParams = 0x8C
	op61SetBufferBase   = 0x8F
	op61Scan            = 0x9A
	op61SetFS           = 0xC1
	op61UpdateMemory    = 0xD9
	op61ReadRegister    = 0x1D
)

// Registers of the SX1261.
const (
	reg61Version     = 0x0320 // 15 letters; the last ones are those of the patch
	reg61Unlock      = 0x0610 // of the program memory
	reg61FSKBitSync  = 0x08AC
	reg61Frontend    = 0x089B
	reg61Patch       = 0x8000
	sx1261Version    = "2D06"
	sx1261VersionLen = 15
	sx1261StandbyRC  = 0x22
	sx1261StatusMask = 0x7E
)

// maxSX1261Frame is the longest frame to the SX1261, bytes: a read of the counts of a scan.
const maxSX1261Frame = 4 + 2*SpectrumLevels

// Bandwidths of its FSK receiver, with which it listens: 234 and 467 kHz.
const (
	fskBandwidth125 = 0x0A
	fskBandwidth250 = 0x09
)

// listenOn returns the commands that make it receive on a frequency.
func listenOn(f radio.Frequency, bandwidth byte) [][]byte {
	return [][]byte{
		writeRegister(reg61Frontend, 0),
		{op61SetFS},
		binary.BigEndian.AppendUint32([]byte{opSetFrequency}, frequencyWord(f)),
		writeRegister(reg61Frontend, 0x14),
		{op61SetPacketType, 0},
		{op61SetModulation, 0x00, 0x14, 0x00, 0x00, bandwidth, 0x02, 0xE9, 0x0F},
		{op61SetPacketParams, 0x00, 0x20, 0x05, 0x20, 0x00, 0x01, 0xFF, 0x00, 0x00},
		{opSetRx, 0xFF, 0xFF, 0xFF},
	}
}

// tell sends commands to the SX1261. The host cannot read its BUSY line, so there
// is a pause before each command.
func (c *Chip) tell(ctx context.Context, frames ...[]byte) error {
	for _, f := range frames {
		if err := c.sleep(ctx, commandGap); err != nil {
			return err
		}
		if err := c.sx1261.send(f); err != nil {
			return &busError{"SX1261 on " + c.sx1261.conn.String(), err}
		}
	}
	return nil
}

// askSX1261 sends a command and returns the SX1261's answer of n bytes.
func (c *Chip) askSX1261(ctx context.Context, n int, command ...byte) ([]byte, error) {
	if err := c.sleep(ctx, commandGap); err != nil {
		return nil, err
	}
	w := c.sx1261.frame(len(command) + n)
	copy(w, command)
	answer, err := c.sx1261.ask(w, len(command))
	if err != nil {
		return nil, &busError{"SX1261 on " + c.sx1261.conn.String(), err}
	}
	return answer, nil
}

// startSX1261 prepares the radio that scans. Without LBT the gateway works without it
// too; then SpectrumFault says why it cannot scan.
func (c *Chip) startSX1261(ctx context.Context) error {
	c.spectrum, c.spectrumFault = nil, nil
	switch {
	case c.config.LBT.Enabled:
		return c.setUpSX1261(ctx)
	case !c.config.Spectrum:
	case c.sx1261.conn == nil:
		c.spectrumFault = ErrNoSX1261
	case len(c.firmware.SX1261) != PatchSize:
		c.spectrumFault = fmt.Errorf("%w: %s", ErrNoFirmware, PatchSX1261)
	default:
		c.spectrumFault = c.setUpSX1261(ctx)
	}
	return ctx.Err()
}

// setUpSX1261 patches the program of the SX1261, calibrates it and sets it up.
func (c *Chip) setUpSX1261(ctx context.Context) error {
	if err := c.patchSX1261(ctx); err != nil {
		return err
	}
	if err := c.calibrateSX1261(ctx); err != nil {
		return err
	}
	if err := c.standbySX1261(ctx); err != nil {
		return err
	}
	return c.tell(ctx, []byte{op61SetBufferBase, 0x80, 0x80}, writeRegister(reg61FSKBitSync, 0xCB))
}

// standbySX1261 puts the SX1261 into standby and checks the mode.
func (c *Chip) standbySX1261(ctx context.Context) error {
	if err := c.tell(ctx, []byte{opSetStandby, standbyRC}); err != nil {
		return err
	}
	answer, err := c.askSX1261(ctx, 1, opGetStatus)
	if err != nil {
		return err
	}
	if got := answer[0] & sx1261StatusMask; got != sx1261StandbyRC {
		return fmt.Errorf("SX1261 on %s: status 0x%02x instead of standby; check its device node, its reset line and "+
			"that the board has one", c.sx1261.conn, answer[0])
	}
	return nil
}

// patchSX1261 writes the patch word by word, makes the radio use it, and compares
// the version that the radio then reports.
func (c *Chip) patchSX1261(ctx context.Context) error {
	if err := c.standbySX1261(ctx); err != nil {
		return err
	}
	if _, err := c.versionSX1261(ctx); err != nil {
		return err
	}
	if err := c.tell(ctx, writeRegister(reg61Unlock, 0x10)); err != nil {
		return err
	}
	for at := 0; at < len(c.firmware.SX1261); at += 4 {
		if err := c.tell(ctx, writeRegister(uint16(reg61Patch+at), c.firmware.SX1261[at:at+4]...)); err != nil {
			return err
		}
	}
	if err := c.tell(ctx, writeRegister(reg61Unlock, 0x00), []byte{op61UpdateMemory}); err != nil {
		return err
	}
	v, err := c.versionSX1261(ctx)
	if err == nil && !strings.HasSuffix(v, sx1261Version) {
		err = fmt.Errorf("SX1261 on %s: version %q after the patch, want one that ends in %s", c.sx1261.conn, v,
			sx1261Version)
	}
	return err
}

func (c *Chip) versionSX1261(ctx context.Context) (string, error) {
	answer, err := c.askSX1261(ctx, 1+sx1261VersionLen, op61ReadRegister, reg61Version>>8, reg61Version&0xFF)
	if err != nil {
		return "", err
	}
	return string(answer[1:]), nil
}

// calibrateSX1261 calibrates its image rejection for the band of the radios.
func (c *Chip) calibrateSX1261(ctx context.Context) error {
	low, high, ok := imageBand(c.config.centre())
	if !ok {
		return fmt.Errorf("%w: SX1261: no calibration for %s", ErrConfig, c.config.centre())
	}
	if _, err := c.askSX1261(ctx, 1, opGetStatus); err != nil {
		return err
	}
	if err := c.tell(ctx, []byte{opCalibrateImage, low, high}); err != nil {
		return err
	}
	if err := c.sleep(ctx, settle); err != nil {
		return err
	}
	answer, err := c.askSX1261(ctx, 3, opGetDeviceErrors)
	if err != nil {
		return err
	}
	if answer[2]&imageCalibrationError != 0 {
		return fmt.Errorf("SX1261 on %s: image calibration failed", c.sx1261.conn)
	}
	return nil
}

// frequencyWord returns a frequency in the unit of the SX1250 and the SX1261: steps
// of crystal / 2^25.
func frequencyWord(f radio.Frequency) uint32 { return uint32(uint64(f) << 25 / crystal) }

// patchWords is the length of the SX1261's patch in words of 32 bits.
const patchWords = 386

// PatchSize is the length of the patch, bytes: words of 32 bits, big-endian.
const PatchSize = 4 * patchWords
