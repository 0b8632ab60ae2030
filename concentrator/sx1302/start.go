package sx1302

import (
	"context"
	"fmt"
	"time"
)

// resetHold is how long a radio is held in reset. Semtech gives no shorter time
// that is known to work.
const resetHold = 500 * time.Millisecond

// Start resets the chip and starts to receive. It takes 2 to 3 s. After an error
// the state of the chip is unknown, and it must be started again.
func (c *Chip) Start(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.started, c.lbt = false, lbt{}
	if err := c.firmware.validate(&c.config); err != nil {
		return err
	}
	if err := c.reset(ctx); err != nil {
		return err
	}
	version, err := c.firstReading()
	if err == nil {
		err = c.checkVersion(version)
	}
	if err != nil {
		return err
	}
	id, err := c.identify(version)
	if err != nil {
		return err
	}
	if err := c.bringUp(ctx); err != nil {
		return fmt.Errorf("sx1302: start: %w", err)
	}
	id.Short = c.shortened()
	c.identity = id
	c.receiver.begin()
	c.started = true
	return nil
}

// bringUp follows the order of lgw_start in sx1302_hal.
func (c *Chip) bringUp(ctx context.Context) error {
	if err := c.quiet(); err != nil {
		return err
	}
	if err := c.set(gpioOut, 0x00); err != nil {
		return err
	}
	if err := c.calibrateRadios(ctx); err != nil {
		return fmt.Errorf("calibrate: %w", err)
	}
	for chain := range c.config.Radios {
		if err := c.setUpRadio(ctx, chain); err != nil {
			return err
		}
	}
	if err := c.selectClock(); err != nil {
		return err
	}
	if err := c.set(hostRadioCtrl, 0); err != nil { // the AGC owns the radios now
		return err
	}
	if err := c.checkModel(); err != nil {
		return err
	}
	if err := c.setAll(c.receiverSettings()); err != nil {
		return err
	}
	if err := c.startAGC(ctx); err != nil {
		return err
	}
	if err := c.startARB(ctx); err != nil {
		return err
	}
	if err := c.setAll(c.transmitterSettings()); err != nil {
		return err
	}
	if err := c.setAll([]setting{{ppsEnable, 1}, {ppsPolarity, 1}}); err != nil {
		return err
	}
	if err := c.startSX1261(ctx); err != nil {
		return err
	}
	return c.set(gpioOut, 0x01)
}

// quiet undoes an earlier start if nobody has reset the chip since: it gives the
// radios back to the host and stops modems and transmitters. After a reset it
// changes nothing.
func (c *Chip) quiet() error {
	list := []setting{{hostRadioCtrl, 1}, {globalEnable, 0}}
	for chain := range Chains {
		for _, trigger := range []field{txTrigImmediate, txTrigDelayed, txTrigPPS} {
			list = append(list, setting{trigger.of(chain, txStride), 0})
		}
	}
	return c.setAll(list)
}

// checkModel refuses fine timestamps if the chip has none.
func (c *Chip) checkModel() error {
	if c.config.FineTimestamps == NoFineTimestamps {
		return nil
	}
	m, err := c.otp(otpModel)
	if err == nil && !Model(m).SX1303() {
		err = fmt.Errorf("%w: fine timestamps need an SX1303, this is an %s", ErrConfig, Model(m))
	}
	return err
}

// calibrateRadios resets the radios, starts their clock and calibrates them while the
// host controls the front end.
func (c *Chip) calibrateRadios(ctx context.Context) error {
	for chain := range c.config.Radios {
		if err := c.resetRadio(ctx, chain); err != nil {
			return err
		}
	}
	if err := c.selectClock(); err != nil {
		return err
	}
	if err := c.setAll([]setting{{agcForceHostFE, 1}, {paEnableA, 0}, {lnaEnableA, 0}}); err != nil {
		return err
	}
	if c.sx125x() {
		if err := c.calibrateSX125x(ctx); err != nil {
			return err
		}
	}
	for chain := range c.config.Radios {
		if r := &c.config.Radios[chain]; r.Enabled && r.Type == SX1250 {
			if err := c.calibrateSX1250(ctx, chain); err != nil {
				return err
			}
		}
	}
	return c.set(agcForceHostFE, 0)
}

// resetRadio resets an enabled radio and sets its type in the chip. The line is
// NRESET for the SX1250 and RESET for the others, so its final level differs.
func (c *Chip) resetRadio(ctx context.Context, chain int) error {
	r := &c.config.Radios[chain]
	if !r.Enabled {
		return nil
	}
	enable, line := radioEnableA.of(chain, radioEnableStride), radioResetA.of(chain, radioEnableStride)
	if err := c.setAll([]setting{{clk32Enable, 0}, {enable, 1}, {line, 1}}); err != nil {
		return err
	}
	if err := c.sleep(ctx, resetHold); err != nil {
		return err
	}
	if err := c.set(line, 0); err != nil {
		return err
	}
	if err := c.sleep(ctx, settle); err != nil {
		return err
	}
	if r.Type != SX1250 {
		return c.set(modeBit(chain), 0)
	}
	if err := c.set(line, 1); err != nil {
		return err
	}
	if err := c.sleep(ctx, settle); err != nil {
		return err
	}
	return c.set(modeBit(chain), 1)
}

// modeBit returns the field that says that a radio is an SX1250.
func modeBit(chain int) field {
	if chain == 0 {
		return radioModeA
	}
	return radioModeB
}

func (c *Chip) setUpRadio(ctx context.Context, chain int) error {
	r := &c.config.Radios[chain]
	if !r.Enabled {
		return nil
	}
	if err := c.resetRadio(ctx, chain); err != nil {
		return err
	}
	if r.Type == SX1250 {
		return c.setUpSX1250(ctx, chain)
	}
	return c.setUpSX125x(ctx, chain)
}

// selectClock selects the radio that provides the clock, and starts the clock.
func (c *Chip) selectClock() error {
	a, b := 1, 0
	if c.config.ClockSource == 1 {
		a, b = 0, 1
	}
	return c.setAll([]setting{{clkRadioASelect, a}, {clkRadioBSelect, b}, {clkDivEnable, 1}, {clk32Enable, 1}})
}

// transmitterSettings returns the settings that are the same for all packets.
func (c *Chip) transmitterSettings() []setting {
	var list []setting
	for chain := range Chains {
		if c.sx125x() {
			list = append(list, setting{txIFDest.of(chain, txStride), 0})
		} else {
			list = append(list, setting{txPLLDivAGC.of(chain, txStride), 1}, setting{txIFDest.of(chain, txStride), 1})
		}
		list = append(list, setting{txMode.of(chain, txStride), 1}, setting{txClockEdge.of(chain, txStride), 0})
	}
	return list
}
