package sx1302

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lorawand/radio"
)

// ErrChannelTaken is the reason for a packet that was not sent because its
// channel was in use.
var ErrChannelTaken = errors.New("sx1302: the channel is taken")

// errNoChannel is the reason for a packet on a frequency that is not in LBT.
var errNoChannel = errors.New("no channel that is listened to before sending")

// LBT is listening before talking, as Japan and Korea want it: an SX1261 beside
// the chip listens to the channel, and the chip lets a packet go only if the
// channel is free then. The zero value sends without listening.
type LBT struct {
	Enabled    bool
	Target     radio.Decibel // dBm: a channel with more is taken
	RSSIOffset radio.Decibel // of the board, dB: what is added to Target
	Channels   []LBTChannel  // that may be sent on
}

// LBTChannel is a channel that may be sent on, and how.
type LBTChannel struct {
	Frequency radio.Frequency
	Bandwidth uint32        // Hz, 125 000 or 250 000
	Scan      time.Duration // how long is listened: 128 µs or 5 ms
	Airtime   time.Duration // less 1.5 ms: how long a packet may last
}

// Limits and figures of listening before talking.
const (
	maxLBTChannels  = 32
	lbtMatch        = 10_000                  // Hz that a packet may be off its channel
	lbtReserve      = 1500 * time.Microsecond // of LBTChannel.Airtime
	lbtDecidedAfter = 500 * time.Millisecond  // its time, a packet is on the air or refused
	clearedWithin   = 20 * time.Millisecond   // a verdict is, when the AGC is told
	scanShort       = 128 * time.Microsecond
	scanLong        = 5 * time.Millisecond
	minLBTTarget    = -127_00 // dBm, with the offset
)

// Validate says how the SX1261 cannot listen.
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

// Validate says why a channel cannot be listened to.
func (ch *LBTChannel) Validate() error {
	switch {
	case ch.Frequency < MinFrequency || ch.Frequency > MaxFrequency:
		return errors.New("not within 100 to 1000 MHz")
	case ch.Bandwidth != 125_000 && ch.Bandwidth != 250_000:
		return fmt.Errorf("%d Hz cannot be listened to, only 125000 and 250000", ch.Bandwidth)
	case ch.Scan != scanShort && ch.Scan != scanLong:
		return fmt.Errorf("listening lasts %v or %v, not %v", scanShort, scanLong, ch.Scan)
	case ch.Airtime <= lbtReserve:
		return fmt.Errorf("packets of up to %v leave no room for one", ch.Airtime)
	}
	return nil
}

// threshold is the target as the SX1261 has it: in steps of -0.5 dBm.
func (l *LBT) threshold() byte { return byte(-(l.Target + l.RSSIOffset) / 50) }

// channel returns the channel that a packet is to be sent on, or ErrTransmission
// if there is none or the packet lasts too long for it.
func (l *LBT) channel(t *Transmission) (*LBTChannel, error) {
	if t.Carrier {
		return nil, fmt.Errorf("%w: a carrier does not listen before it talks", ErrTransmission)
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
			return nil, fmt.Errorf("%w: %v on the air is more than %v at %s", ErrTransmission, air, ch.Airtime-lbtReserve, ch.Frequency)
		}
		return ch, nil
	}
	return nil, fmt.Errorf("%w: %w: %s with %d Hz", ErrTransmission, errNoChannel, t.Frequency, bandwidth)
}

// packet returns what the time on air depends on.
func (t *Transmission) packet() radio.Packet {
	return radio.Packet{
		DataRate: t.DataRate, CodingRate: t.CodingRate, Size: len(t.Payload),
		Preamble: t.PreambleLength(), NoCRC: t.NoCRC, ImplicitHeader: t.ImplicitHeader,
	}
}

// Clearance is what listening before talking has come to.
type Clearance uint8

// Values of Clearance.
const (
	Undecided    Clearance = iota // the time of the packet has not come
	ChannelFree                   // the packet is on the air, or was
	ChannelTaken                  // the packet was not sent
)

// Clearance returns whether the last packet of a chain may be sent. Send begins
// to listen; once it is decided, Clearance ends that, which the next Send needs:
// what is decided holds, even if ending that is an error. A chip that does not
// listen before it talks finds all channels free.
func (c *Chip) Clearance(ctx context.Context, chain int) (Clearance, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.started {
		return Undecided, ErrNotStarted
	}
	if !c.listening || c.listensFor != chain {
		return ChannelFree, nil
	}
	status, err := c.get(agcStatus)
	if err != nil || status&(agcTxStarted<<chain) == 0 {
		return Undecided, err
	}
	if err := c.acknowledgeVerdict(ctx); err != nil {
		return Undecided, err
	}
	if status&(agcTxRefused<<chain) != 0 {
		return ChannelTaken, c.endListening(ctx)
	}
	return ChannelFree, c.endListening(ctx)
}

// forgetListening ends listening for a packet that was taken back.
func (c *Chip) forgetListening(ctx context.Context, chain int) error {
	if !c.listening || c.listensFor != chain {
		return nil
	}
	return errors.Join(c.forgetVerdict(ctx), c.endListening(ctx))
}

// forgetVerdict has the AGC clear what it says of a packet that nobody asks for
// any more, so that it is not taken for a verdict on the next one.
func (c *Chip) forgetVerdict(ctx context.Context) error {
	if !c.verdictDue {
		return nil
	}
	status, err := c.get(agcStatus)
	if err != nil || status&(agcTxStarted|agcTxStarted<<1) == 0 {
		return err
	}
	return c.acknowledgeVerdict(ctx)
}

// Bits of AGC_STATUS that listening before talking sets, those of chain A.
const (
	agcTxStarted = 1 << 0
	agcTxRefused = 1 << 6
)

// acknowledgeVerdict has the AGC clear its status for the next packet.
func (c *Chip) acknowledgeVerdict(ctx context.Context) error {
	if err := c.sleep(ctx, pollEvery); err != nil {
		return err
	}
	if err := c.mail(0xFF); err != nil {
		return err
	}
	if err := c.awaitWithin(ctx, agcMCU, 0x00, clearedWithin); err != nil {
		return err
	}
	if err := c.sleep(ctx, pollEvery); err != nil {
		return err
	}
	c.verdictDue = false
	return c.mail(0x00)
}

// AwaitClearance waits until it is decided whether the last packet of a chain
// may be sent, which is at its time. It returns ErrChannelTaken if it may not;
// if it is not decided within half a second, the packet is taken back.
func (c *Chip) AwaitClearance(ctx context.Context, chain int) error {
	for waited := time.Duration(0); waited <= lbtDecidedAfter; waited += pollEvery {
		verdict, err := c.Clearance(ctx, chain)
		switch {
		case err != nil:
			return err
		case verdict == ChannelFree:
			return nil
		case verdict == ChannelTaken:
			return ErrChannelTaken
		}
		if err := c.sleep(ctx, pollEvery); err != nil {
			return err
		}
	}
	return errors.Join(fmt.Errorf("sx1302: listening on radio %s: %w", chainName(chain), ErrNoAnswer), c.Abort(ctx, chain))
}
