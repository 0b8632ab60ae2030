package sx1302test

import (
	"encoding/binary"
	"time"

	"lorawand/concentrator/air"
	"lorawand/radio"
)

// OnAirOptions configures a Chip on an air.
type OnAirOptions struct {
	// Receiver has the options of the antenna. The chip sets Hear and Counter.
	Receiver air.ReceiverOptions

	// RSSIOffset is the offset of the board, dB; the chip does not know it.
	RSSIOffset radio.Decibel

	// Latch returns how long after the end of a frame with a CRC the chip takes its
	// timestamp, which is also when it outputs the frame.
	Latch func(d radio.DataRate, c radio.CodingRate, size int) time.Duration

	// Power returns the power of the board for a setting of the transmitter
	// (AGC_TX_PWR), dBm; nil: 14 dBm.
	Power func(setting byte) radio.Decibel
}

// defaultPower is the power of an unknown board.
const defaultPower = 1400

// OnAir puts a new chip on an air. The chip receives on its configured channels
// once its programs run, and devices hear what it sends. Its time is that of the
// air. It supports radios of type SX1250, and no bare carriers.
func (c *Chip) OnAir(a *air.Air, o OnAirOptions) *air.Receiver {
	c.mu.Lock()
	defer c.mu.Unlock()
	if o.Power == nil {
		o.Power = func(byte) radio.Decibel { return defaultPower }
	}
	base := c.opts.Tick / ticksPerMicrosecond
	c.opts.Tick = base * ticksPerMicrosecond
	o.Receiver.Counter = base
	o.Receiver.Hear = func(up radio.Uplink) { c.hear(a, &up) }
	c.onAir = o
	c.antenna = a.Listen(o.Receiver)
	c.opts.Now = func() time.Duration {
		return (c.antenna.Counter(time.Now()) - radio.ConcentratorTime(base)).Sub(0)
	}
	return c.antenna
}

// hear handles a frame that has just ended. The frame enters the FIFO when the
// modem is done with it, unless the chip is reset in between.
func (c *Chip) hear(a *air.Air, up *radio.Uplink) {
	c.mu.Lock()
	channel, ok := c.channel(up.Frequency, up.DataRate)
	resets, shift := c.resets, uint32(c.shift/ticksPerMicrosecond)
	c.mu.Unlock()
	if !ok {
		return
	}
	latch := c.onAir.Latch(up.DataRate, up.CodingRate, len(up.PHYPayload))
	f := c.frame(up, channel)
	f.Ticks = (up.Time.Counter() + shift + uint32(latch.Microseconds())) * ticksPerMicrosecond
	record := f.Record()
	a.At(time.Now().Add(latch), func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.resets == resets && len(c.rx)+len(record) <= fifoSize {
			c.push(record)
			c.ends = append(c.ends, c.put)
			c.heard++
		}
	})
}

// Heard returns how many frames from the air entered the FIFO.
func (c *Chip) Heard() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.heard
}

// Modems of the channels beside the multi-SF ones.
const (
	serviceChannel = 8
	fskChannel     = 9
	serviceModem   = 16
	fskModem       = 17
)

// frame returns the frame as a modem receives it.
func (c *Chip) frame(up *radio.Uplink, channel uint8) Frame {
	r := up.Receptions[0]
	level := max(0, min(255, (r.RSSI-c.onAir.RSSIOffset+50)/100))
	f := Frame{
		Payload: up.PHYPayload, Channel: channel, Modem: channel, SF: up.DataRate.SpreadingFactor,
		CodingRate: uint8(up.CodingRate),
		SNR:        int8(max(-128, min(127, r.SNR/25))), RSSI: uint8(level), SignalRSSI: uint8(level),
	}
	switch channel {
	case serviceChannel:
		f.Modem = serviceModem
	case fskChannel:
		f.Modem = fskModem
	}
	return f
}

// Registers of the channels.
const (
	regGen         = 0x5605
	regChannelFreq = 0x5800 // of channel 0; that of the next is 2 higher
	regRadioSelect = 0x5810
	regCorrelators = 0x5821
	regSF          = 0x5822
	regServiceFreq = 0x5B00
	regServiceSel  = 0x5B02
	regServiceRate = 0x5B21
	regFSKFreq     = 0x5B50
	regFSKSelect   = 0x5B54
	regFSKBitRate  = 0x5B5B

	globalEnable = 1 << 3 // regGen
)

// channelWidth is the greatest distance of a frame from the middle of its channel,
// Hz.
const channelWidth = 10_000

// channel returns the configured channel for a frame. The caller holds the lock.
func (c *Chip) channel(f radio.Frequency, d radio.DataRate) (uint8, bool) {
	if c.mem[regGen]&globalEnable == 0 || c.agc.running == 0 || c.arb.running != ARB {
		return 0, false
	}
	if d.Modulation == radio.FSK {
		rate := max(uint32(binary.BigEndian.Uint16(c.mem[regFSKBitRate:])), 1)
		return fskChannel, ticksPerSecond/rate == d.BitRate && c.near(f, regFSKFreq, int(c.mem[regFSKSelect]>>1&1))
	}
	if d.Bandwidth == 125_000 && c.mem[regSF]>>(d.SpreadingFactor-5)&1 != 0 {
		for i := range uint8(serviceChannel) {
			if c.mem[regCorrelators]>>i&1 != 0 && c.near(f, regChannelFreq+2*int(i), int(c.mem[regRadioSelect]>>i&1)) {
				return i, true
			}
		}
	}
	rate := c.mem[regServiceRate]
	return serviceChannel, rate&0x0F == d.SpreadingFactor && 125_000<<max(int(rate>>4)-4, 0) == d.Bandwidth &&
		c.near(f, regServiceFreq, int(c.mem[regServiceSel]&1))
}

// near reports whether a frequency is that of a channel. Two registers hold the
// offset of the channel from its radio: 13 bits, signed, in steps of 15625/32 Hz.
func (c *Chip) near(f radio.Frequency, register, chain int) bool {
	centre := int64(c.radios[chain].Frequency) * ticksPerSecond >> 25
	offset := int64(int16(binary.BigEndian.Uint16(c.mem[register:])<<3)>>3) * 15625 / 32
	off := int64(f) - centre - offset
	return off > -channelWidth && off < channelWidth
}

// emit sends a triggered packet on the air, if there is one. cut cancels it. The
// caller holds the lock.
func (c *Chip) emit(e *Emission) (cut func()) {
	if c.antenna == nil || e.continuousWave() {
		return nil
	}
	p := e.packet()
	payload := e.Payload
	if e.fsk() {
		payload = payload[min(1, len(payload)):]
	}
	cut, err := c.antenna.Emit(radio.Downlink{
		PHYPayload: payload, DataRate: p.DataRate, CodingRate: p.CodingRate,
		Time:      radio.ConcentratorTime(e.Begin - c.shift/ticksPerMicrosecond),
		Frequency: e.frequency(), Power: c.onAir.Power(e.Block[txPower]), Beacon: p.ImplicitHeader,
		Uplink: !e.fsk() && !p.ImplicitHeader && e.Block[txChirp]&chirpInvert == 0,
	})
	if err != nil {
		return nil // no receiver would take this for a frame
	}
	return cut
}

// Places in the block of a transmitter.
const (
	txPower     = 0x0D
	txFrequency = 0x25
	txChirp     = 0x69

	chirpInvert = 1 << 1 // txChirp
)

// frequencyGrid is the grid of the channels' frequencies, Hz. The transmitter has
// steps of 122 Hz.
const frequencyGrid = 500

// frequency returns the frequency on the grid that is closest to the one an SX1250
// or SX1257 sends on.
func (e *Emission) frequency() radio.Frequency {
	word := int64(e.Block[txFrequency])<<16 | int64(e.Block[txFrequency+1])<<8 | int64(e.Block[txFrequency+2])
	hz := word * ticksPerSecond >> 18
	return radio.Frequency((hz + frequencyGrid/2) / frequencyGrid * frequencyGrid)
}
