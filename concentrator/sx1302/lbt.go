package sx1302

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lorawand/concentrator"
	"lorawand/radio"
)

// LBT (listen before talk) is required of gateways in Japan and Korea. An SX1261
// beside the chip scans the channel of an armed packet, and the AGC sends the
// packet at its time only if the channel is free then. The zero value sends without
// LBT.
//
// Source: sx1302_hal 2.1.0, loragw_lbt.c and loragw_sx1261.c.
type LBT struct {
	Enabled    bool
	Target     radio.Decibel // dBm: a channel with more power is busy
	RSSIOffset radio.Decibel // of the board, dB: added to Target
	Channels   []LBTChannel  // the channels allowed
}

// LBTChannel is a channel allowed for sending, and its conditions.
type LBTChannel struct {
	Frequency radio.Frequency
	Bandwidth uint32        // Hz, 125 000 or 250 000
	Scan      time.Duration // length of the scan: 128 µs or 5 ms
	Airtime   time.Duration // longest packet, plus 1.5 ms
}

// LBTResult is the result of LBT for a packet.
type LBTResult uint8

// Values of LBTResult.
const (
	LBTPending LBTResult = iota // the time of the packet has not come
	LBTFree                     // the packet is on the air, or was
	LBTBusy                     // the packet was not sent
)

// ErrChannelBusy is the reason for not sending a packet: its channel was in use.
var ErrChannelBusy = errors.New("sx1302: the channel is busy")

// errNoChannel is the reason for refusing a packet on a frequency without an LBT
// channel.
var errNoChannel = errors.New("no channel of LBT")

// Limits and figures of LBT.
const (
	maxLBTChannels  = 32
	lbtMatch        = 10_000                  // largest distance of a packet from its channel, Hz
	lbtReserve      = 1500 * time.Microsecond // of LBTChannel.Airtime
	lbtDecidedAfter = 500 * time.Millisecond  // this long after its time a packet is on the air or refused
	lbtClearedAfter = 20 * time.Millisecond   // this long after the AGC was told, a result is cleared
	scanShort       = 128 * time.Microsecond
	scanLong        = 5 * time.Millisecond
	minLBTTarget    = -127_00 // dBm, with the offset
)

// lbtState is the state of LBT in a Chip.
//
//	         Send: the scan begins             the result is read and cleared
//	lbtIdle ───────────────────────▶ lbtScans ────────────────────────────────▶ lbtIdle
//	   ▲                                │ Abort, or an error: the scan ends
//	   └────────────────────────────── lbtStale
//	     a result that has come is cleared before the next Send
type lbtState uint8

// States of LBT.
const (
	lbtIdle  lbtState = iota // AGC_STATUS has no result and gets none
	lbtScans                 // the SX1261 scans for the armed packet
	lbtStale                 // AGC_STATUS may have a result that nobody waits for
)

// lbt is the state of LBT, with the chain it works for.
type lbt struct {
	state lbtState
	chain int // of the packet to scan for
}

// Bits of AGC_STATUS with the result of LBT for chain A.
const (
	agcTxStarted = 1 << 0
	agcTxBusy    = 1 << 6
)

// Validate returns why the SX1261 cannot scan so.
func (l *LBT) Validate() error {
	if !l.Enabled {
		return nil
	}
	if t := l.Target + l.RSSIOffset; t < minLBTTarget || t > 0 {
		return fmt.Errorf("a target of %s dBm is not within -127 to 0", t)
	}
	if len(l.Channels) == 0 || len(l.Channels) > maxLBTChannels {
		return fmt.Errorf("%d channels, need 1 to %d", len(l.Channels), maxLBTChannels)
	}
	for i := range l.Channels {
		if err := l.Channels[i].Validate(); err != nil {
			return fmt.Errorf("channel at %s: %w", l.Channels[i].Frequency, err)
		}
	}
	return nil
}

// Validate returns why a channel cannot be scanned.
func (ch *LBTChannel) Validate() error {
	switch {
	case ch.Frequency < MinFrequency || ch.Frequency > MaxFrequency:
		return errors.New("not within 100 to 1000 MHz")
	case ch.Bandwidth != 125_000 && ch.Bandwidth != 250_000:
		return fmt.Errorf("%d Hz cannot be scanned, only 125000 and 250000", ch.Bandwidth)
	case ch.Scan != scanShort && ch.Scan != scanLong:
		return fmt.Errorf("a scan lasts %v or %v, not %v", scanShort, scanLong, ch.Scan)
	case ch.Airtime <= lbtReserve:
		return fmt.Errorf("packets of up to %v leave no room for one", ch.Airtime)
	}
	return nil
}

// threshold returns the target in the unit of the SX1261: steps of -0.5 dBm.
func (l *LBT) threshold() byte { return byte(-(l.Target + l.RSSIOffset) / 50) }

// channel returns the LBT channel of a packet. It returns ErrTransmission if there
// is none, or if the packet is too long for it.
func (l *LBT) channel(t *Transmission) (*LBTChannel, error) {
	if t.Carrier {
		return nil, fmt.Errorf("%w: a carrier cannot be sent with LBT", ErrTransmission)
	}
	bandwidth := t.DataRate.Bandwidth
	if t.DataRate.Modulation == radio.FSK {
		bandwidth = 125_000
	}
	for i := range l.Channels {
		ch := &l.Channels[i]
		if off := int64(ch.Frequency) - int64(t.Frequency); max(off, -off) > lbtMatch || ch.Bandwidth != bandwidth {
			continue
		}
		air, err := radio.TimeOnAir(t.packet())
		if err != nil || air > ch.Airtime-lbtReserve {
			return nil, fmt.Errorf("%w: %v on the air is more than %v at %s", ErrTransmission, air, ch.Airtime-lbtReserve,
				ch.Frequency)
		}
		return ch, nil
	}
	return nil, fmt.Errorf("%w: %w: %s with %d Hz", ErrTransmission, errNoChannel, t.Frequency, bandwidth)
}

// Carries returns why a downlink can never be sent with LBT, or nil.
func (l *LBT) Carries(d *radio.Downlink) error {
	if !l.Enabled {
		return nil
	}
	t := transmission(d)
	_, err := l.channel(&t)
	return err
}

// packet returns the properties that the time on air depends on.
func (t *Transmission) packet() radio.Packet {
	return radio.Packet{
		DataRate: t.DataRate, CodingRate: t.CodingRate, Size: len(t.Payload),
		Preamble: t.PreambleLength(), NoCRC: t.NoCRC, ImplicitHeader: t.ImplicitHeader,
	}
}

// armAfterScan starts the scan of a packet's channel and arms the packet.
func (c *Chip) armAfterScan(t *Transmission) error {
	channel, err := c.config.LBT.channel(t)
	if err != nil {
		return err
	}
	ctx := context.Background()
	if err := c.clearStale(ctx); err != nil {
		return err
	}
	if err = c.startScan(ctx, channel, int(t.Chain)); err == nil {
		err = c.arm(t)
	}
	if err != nil {
		err = errors.Join(err, c.endScan(ctx))
	}
	return err
}

// Scans of 128 µs and of 5 ms in the unit of the SX1261.
const (
	scanCountShort = 24
	scanCountLong  = 715
)

// startScan makes the SX1261 scan a channel, and waits until the first scan is
// complete. Scanning goes on until endScan.
func (c *Chip) startScan(ctx context.Context, ch *LBTChannel, chain int) error {
	bandwidth, count := byte(fskBandwidth125), scanCountLong
	if ch.Bandwidth == 250_000 {
		bandwidth = fskBandwidth250
	}
	if ch.Scan == scanShort {
		count = scanCountShort
	}
	c.lbt, c.spectrum = lbt{lbtScans, chain}, nil
	err := c.tell(ctx, append(
		listenOn(ch.Frequency, bandwidth),
		[]byte{op61Scan, 11, byte(count >> 8), byte(count), c.config.LBT.threshold(), 1},
	)...)
	if err != nil {
		return err
	}
	return c.sleep(ctx, ch.Scan)
}

// endScan stops the SX1261.
func (c *Chip) endScan(ctx context.Context) error {
	if c.lbt.state == lbtScans {
		c.lbt.state = lbtStale
	}
	return c.restSX1261(ctx)
}

// LBTResult returns whether the last packet of a chain is sent. Send starts a scan;
// when there is a result, LBTResult ends the scan, so it must be called before the
// next Send. The result holds even if ending the scan fails. Without LBT all
// channels are free.
func (c *Chip) LBTResult(ctx context.Context, chain int) (LBTResult, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.started {
		return LBTPending, ErrNotStarted
	}
	if c.lbt.state != lbtScans || c.lbt.chain != chain {
		return LBTFree, nil
	}
	status, err := c.get(agcStatus)
	if err != nil || status&(agcTxStarted<<chain) == 0 {
		return LBTPending, err
	}
	if err := c.clearResult(ctx); err != nil {
		return LBTPending, err
	}
	if status&(agcTxBusy<<chain) != 0 {
		return LBTBusy, c.endScan(ctx)
	}
	return LBTFree, c.endScan(ctx)
}

// listensFor reports whether the SX1261 scans for a packet of a chain.
func (c *Chip) listensFor(chain int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lbt.state == lbtScans && c.lbt.chain == chain
}

// AwaitLBT waits for the result of LBT for the last packet of a chain, which comes
// at the packet's time. It returns ErrChannelBusy if the packet was not sent. It
// aborts the packet if there is no result within half a second.
func (c *Chip) AwaitLBT(ctx context.Context, chain int) error {
	for waited := time.Duration(0); waited <= lbtDecidedAfter; waited += pollEvery {
		result, err := c.LBTResult(ctx, chain)
		switch {
		case err != nil:
			return err
		case result == LBTFree:
			return nil
		case result == LBTBusy:
			return ErrChannelBusy
		}
		if err := c.sleep(ctx, pollEvery); err != nil {
			return err
		}
	}
	return errors.Join(fmt.Errorf("sx1302: LBT on radio %s: %w", chainName(chain), ErrNoAnswer), c.Abort(ctx, chain))
}

// abortScan ends the scan for an aborted packet.
func (c *Chip) abortScan(ctx context.Context, chain int) error {
	if c.lbt.state != lbtScans || c.lbt.chain != chain {
		return nil
	}
	return errors.Join(c.clearStale(ctx), c.endScan(ctx))
}

// clearStale clears a result that nobody waits for, so that it does not count for
// the next packet.
func (c *Chip) clearStale(ctx context.Context) error {
	if c.lbt.state == lbtIdle {
		return nil
	}
	status, err := c.get(agcStatus)
	if err != nil || status&(agcTxStarted|agcTxStarted<<1) == 0 {
		return err
	}
	return c.clearResult(ctx)
}

// clearResult makes the AGC clear its status for the next packet.
func (c *Chip) clearResult(ctx context.Context) error {
	if err := c.sleep(ctx, pollEvery); err != nil {
		return err
	}
	if err := c.mail(0xFF); err != nil {
		return err
	}
	if err := c.awaitWithin(ctx, agcMCU, 0x00, lbtClearedAfter); err != nil {
		return err
	}
	if err := c.sleep(ctx, pollEvery); err != nil {
		return err
	}
	c.lbt.state = lbtIdle
	return c.mail(0x00)
}

// lbtArming is the additional time to arm a packet with LBT: nine commands with a
// pause before each, which kernels with coarse timers lengthen, and the scan.
const lbtArming = 30 * time.Millisecond

// lbtTurns is the least time between the starts of packets of different radios, which
// share the SX1261: a poll shows that the first has started, and the second is armed.
const lbtTurns = lbtArming + 20*time.Millisecond

// jitOptions returns the options of the queue.
func (c *Config) jitOptions() concentrator.JITOptions {
	if !c.LBT.Enabled {
		return concentrator.JITOptions{}
	}
	return concentrator.JITOptions{
		Lead: 40*time.Millisecond + lbtArming, MinLead: 15*time.Millisecond + lbtArming,
		MinArm: 3*time.Millisecond + lbtArming, Gap: 8*time.Millisecond + lbtArming,
		Turns: lbtTurns,
	}
}

// lbtOutcome returns what became of a packet that was armed with LBT. It aborts a
// packet without a result after some time.
func (s *session) lbtOutcome(chain int, p *armed) (result radio.TxResult, known bool) {
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	found, err := s.driver.chip.LBTResult(ctx, chain)
	switch {
	case found == LBTFree:
		return radio.TxOK, true
	case found == LBTBusy:
		s.driver.count(func(s *DriverStats) { s.ChannelBusy++ })
		s.driver.log.Info("downlink not sent: its channel is busy", "gateway", s.eui, "frequency", p.downlink.Frequency)
		return radio.TxChannelBusy, true
	case s.clock.at(s.driver.opts.Now()) < p.downlink.Time.Add(lbtDecidedAfter):
		return 0, false
	}
	why := "there is no result of LBT"
	if err != nil {
		why = err.Error()
	}
	s.miss(chain, p, why)
	return radio.TxUnknownError, true
}
