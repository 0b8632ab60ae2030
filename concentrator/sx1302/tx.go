package sx1302

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"lorawand/radio"
)

// ErrTransmission is the reason for refusing a transmission that is impossible with
// the chip.
var ErrTransmission = errors.New("sx1302: transmission")

// ErrBusy is the reason when a chain already has a packet.
var ErrBusy = errors.New("sx1302: the transmitter has a packet already")

// errRange is the reason for refusing a frequency outside of the radio's range.
var errRange = errors.New("the radio may not transmit there")

// errPower is the reason for refusing a power below the radio's lowest gain.
var errPower = errors.New("no gain is so low")

// Trigger says what starts a packet.
type Trigger uint8

// Kinds of triggers.
const (
	TriggerNow  Trigger = iota
	TriggerTime         // at a value of the counter
	TriggerPPS          // at the next pulse per second
)

// Transmission is a packet to send, or with Carrier a bare carrier until Abort.
type Transmission struct {
	Chain      uint8
	Frequency  radio.Frequency
	DataRate   radio.DataRate
	CodingRate radio.CodingRate // LoRa
	Power      radio.Decibel    // dBm at the antenna connector; the packet is sent with this power or less
	Payload    []byte           // 1 to 255 bytes

	Preamble       uint16 // LoRa: symbols, 0 is 8, at least 6; FSK: bytes, 0 is 5, at least 3
	NoCRC          bool
	ImplicitHeader bool   // LoRa
	InvertPolarity bool   // LoRa: for downlinks
	Deviation      uint32 // FSK: Hz, 1000 to 200 000

	// MayExceed sends with the lowest gain if that is more than Power, as
	// sx1302_hal does. Without it such a packet is refused, because power limits
	// are law.
	MayExceed bool

	Carrier       bool
	CarrierOffset int32 // Hz from Frequency, up to ±200 000

	Trigger Trigger
	Time    uint32 // µs of the counter, with TriggerTime: start of the packet
}

// Limits of transmissions.
const (
	maxPayload     = 255
	minDeviation   = 1_000   // Hz
	maxDeviation   = 200_000 // Hz
	minPreamble    = 6       // symbols
	loraPreamble   = 8       // symbols
	minFSKPreamble = 3       // bytes
	fskPreamble    = 5       // bytes
)

// StartDelay is how long before its time a packet must be triggered at the latest:
// the chip starts its radio that early.
const StartDelay = 1500 * time.Microsecond

// startDelayTicks is StartDelay in ticks.
const startDelayTicks = 48_000

// validate returns ErrTransmission for an impossible packet.
func (c *Chip) validate(t *Transmission) error {
	if err := c.validateRequest(t); err != nil || !c.config.LBT.Enabled {
		return err
	}
	_, err := c.config.LBT.channel(t)
	return err
}

func (c *Chip) validateRequest(t *Transmission) error {
	r := c.transmitter(t.Chain)
	if r == nil {
		return fmt.Errorf("%w: radio %d does not transmit", ErrTransmission, t.Chain)
	}
	if t.Frequency < MinFrequency || t.Frequency > MaxFrequency {
		return fmt.Errorf("%w: %s is not within 100 to 1000 MHz", ErrTransmission, t.Frequency)
	}
	if t.Frequency < r.TxLow || r.TxHigh > 0 && t.Frequency > r.TxHigh {
		return fmt.Errorf("%w: %w: %s is not within %s to %s", ErrTransmission, errRange, t.Frequency, r.TxLow, r.TxHigh)
	}
	if least := r.LeastPower(); t.Power < least && !t.MayExceed {
		return fmt.Errorf("%w: %w: %s dBm is less than the %s dBm of the lowest gain", ErrTransmission, errPower,
			t.Power, least)
	}
	if t.Trigger > TriggerPPS {
		return fmt.Errorf("%w: no such trigger: %d", ErrTransmission, t.Trigger)
	}
	if t.Carrier {
		if o := int64(t.CarrierOffset); max(o, -o) > maxDeviation {
			return fmt.Errorf("%w: carrier %d Hz off", ErrTransmission, t.CarrierOffset)
		}
		return nil
	}
	if len(t.Payload) == 0 || len(t.Payload) > maxPayload {
		return fmt.Errorf("%w: %d bytes, want 1 to %d", ErrTransmission, len(t.Payload), maxPayload)
	}
	return t.validateModulation()
}

func (t *Transmission) validateModulation() error {
	switch r := t.DataRate; r.Modulation {
	case radio.LoRa:
		if _, ok := bandwidthCode(r.Bandwidth); !ok || r.SpreadingFactor < 5 || r.SpreadingFactor > 12 {
			return fmt.Errorf("%w: no such data rate: %s", ErrTransmission, r)
		}
		if t.CodingRate < radio.CodingRate45 || t.CodingRate > radio.CodingRate48 {
			return fmt.Errorf("%w: no such coding rate: %d", ErrTransmission, t.CodingRate)
		}
	case radio.FSK:
		if r.BitRate < MinBitRate || r.BitRate > MaxBitRate {
			return fmt.Errorf("%w: %d bit/s is not within %d to %d", ErrTransmission, r.BitRate, MinBitRate, MaxBitRate)
		}
		if t.Deviation < minDeviation || t.Deviation > maxDeviation {
			return fmt.Errorf("%w: a deviation of %d Hz is not within %d to %d", ErrTransmission, t.Deviation, minDeviation,
				maxDeviation)
		}
	default:
		return fmt.Errorf("%w: %s is not sent", ErrTransmission, r.Modulation)
	}
	return nil
}

// PreambleLength returns the length of the preamble: symbols with LoRa, bytes with
// FSK.
func (t *Transmission) PreambleLength() int {
	least, usual := minPreamble, loraPreamble
	if t.DataRate.Modulation == radio.FSK {
		least, usual = minFSKPreamble, fskPreamble
	}
	if t.Preamble == 0 {
		return usual
	}
	return max(int(t.Preamble), least)
}

// transmitter returns the radio of a chain, or nil if it does not transmit.
func (c *Chip) transmitter(chain uint8) *Radio {
	if chain >= Chains || !c.config.Radios[chain].Enabled || !c.config.Radios[chain].Transmit {
		return nil
	}
	return &c.config.Radios[chain]
}

// LeastPower returns the power of the lowest gain of a transmitting radio, dBm.
func (r *Radio) LeastPower() radio.Decibel { return radio.Decibel(r.Gains[0].Power) * 100 }

// gain returns the index of the highest gain that does not exceed a power, or 0.
func (r *Radio) gain(power radio.Decibel) int {
	best := 0
	for i, g := range r.Gains {
		if radio.Decibel(g.Power)*100 <= power {
			best = i
		}
	}
	return best
}

// setting returns a gain in the form of AGC_TX_PWR.
func (g *Gain) setting(t RadioType) byte {
	if t == SX1250 {
		return byte(bit(g.PAGain > 0)<<6) | g.PowerIndex
	}
	return g.PAGain<<6 | g.DACGain<<4 | g.MixGain
}

// Emits returns the power of a value of AGC_TX_PWR, dBm, for simulations of the
// chip. A value that is not in the table gets an impossible power.
func (r *Radio) Emits(setting byte) radio.Decibel {
	for i := range r.Gains {
		if g := &r.Gains[i]; g.setting(r.Type) == setting {
			return radio.Decibel(g.Power) * 100
		}
	}
	return math.MaxInt32
}

// txFrequency returns a frequency in steps of crystal / 2^18, or of half of that
// for the SX1255.
func txFrequency(t RadioType, f radio.Frequency) uint32 {
	hz := uint64(f)
	if t == SX1255 {
		hz *= 2
	}
	return uint32(hz << 18 / crystal)
}

// deviationWord returns a deviation in steps of crystal / 2^18.
func deviationWord(hz uint32) int { return int(uint64(hz) << 18 / crystal) }

// Sources of the base band.
const (
	sourceCarrier = 0
	sourceLoRa    = 1
	sourceFSK     = 2

	agcWideBand = 1 << 7 // AGC_TX_BW: FSK or a carrier
)

// Send programs a packet and arms its trigger. The chip has no queue: with
// TriggerTime the packet is sent when the counter next has this value, so up to 134
// s later if the value is past. The caller must check that more than StartDelay is
// left, or abort. Unless the board is full duplex, it receives nothing while it
// transmits.
//
// With Config.LBT it first starts a scan of the channel, which takes 10 to 20 ms.
// Whether the packet is sent is known at its time: call LBTResult before the next
// Send.
//
// Errors that leave everything unchanged are ErrTransmission, ErrBusy and
// ErrNotStarted.
func (c *Chip) Send(t Transmission) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.started {
		return ErrNotStarted
	}
	if err := c.validate(&t); err != nil {
		return err
	}
	status, err := c.get(txStatus.of(int(t.Chain), txStride))
	if err != nil {
		return err
	}
	if txState(status) != TxFree || c.lbt.state == lbtScans {
		return ErrBusy
	}
	if c.config.LBT.Enabled {
		return c.armAfterScan(&t)
	}
	return c.arm(&t)
}

func (c *Chip) arm(t *Transmission) error {
	delay, err := c.program(t)
	if err != nil {
		return err
	}
	return c.trigger(t, delay)
}

// program writes all registers and the payload. It returns the start delay in
// ticks.
func (c *Chip) program(t *Transmission) (delay uint16, err error) {
	list := c.commonTxSettings(t)
	payload := t.Payload
	switch {
	case t.Carrier:
		step := (max(t.CarrierOffset, -t.CarrierOffset) + 9_999) / 10_000 * 10_000
		list = append(list, carrierSettings(t, step)...)
		if err := c.mailDeviation(uint32(step)); err != nil {
			return 0, err
		}
	case t.DataRate.Modulation == radio.FSK:
		list = append(list, c.fskTxSettings(t)...)
		payload = append([]byte{byte(len(payload))}, payload...)
		if err := c.mailDeviation(t.Deviation); err != nil {
			return 0, err
		}
	default:
		var lora []setting
		lora, delay = c.loraTxSettings(t)
		list = append(list, lora...)
	}
	chain := int(t.Chain)
	if err := c.setBlock(uint16(txStride*chain), list); err != nil {
		return 0, err
	}
	if err := c.set(txWriteBuffer.of(chain, txStride), 1); err != nil {
		return 0, err
	}
	if err := c.write(uint16(txBufferA+txStride*chain), payload); err != nil {
		return 0, err
	}
	return delay, c.set(txWriteBuffer.of(chain, txStride), 0)
}

// mailDeviation tells the AGC the deviation in steps of crystal / 2^25. It does not
// change byte 3 of the mailbox.
func (c *Chip) mailDeviation(hz uint32) error {
	v := int(uint64(hz) << 25 / crystal)
	return c.mail(v&0xFF, v>>8&0xFF, v>>16&0xFF)
}

// commonTxSettings returns the settings of power and frequency.
func (c *Chip) commonTxSettings(t *Transmission) []setting {
	r := &c.config.Radios[t.Chain]
	i := r.gain(t.Power)
	g := r.Gains[i]
	var offset dcOffset
	if r.Type != SX1250 && i < len(c.offsets[t.Chain]) {
		offset = c.offsets[t.Chain][i]
	}
	f := txFrequency(r.Type, t.Frequency)
	return []setting{
		{txModulation, bit(!t.Carrier && t.DataRate.Modulation == radio.FSK)},
		{txAGCPower, int(g.setting(r.Type))},
		{txIQGain, int(g.DigGain)},
		{txIOffset, int(byte(offset.i))},
		{txIOffset.plus(1), int(byte(offset.q))},
		{txFreqH, int(f >> 16 & 0xFF)},
		{txFreqH.plus(1), int(f >> 8 & 0xFF)},
		{txFreqH.plus(2), int(f & 0xFF)},
	}
}

func deviationSettings(word int) []setting {
	return []setting{{txDeviationH, word >> 8}, {txDeviationL, word & 0xFF}}
}

// carrierSettings returns the settings of a carrier. A carrier off the centre is
// modulated with an offset in 1/64 of the deviation.
func carrierSettings(t *Transmission, step int32) []setting {
	code, _ := bandwidthCode(t.DataRate.Bandwidth)
	offset := 0
	if step != 0 {
		offset = int(int64(t.CarrierOffset) * 64 / int64(step))
	}
	list := []setting{{txIFSource, sourceCarrier}, {txAGCBandwidth, agcWideBand | code}, {txTestModFreq, offset}}
	return append(list, deviationSettings(deviationWord(uint32(step)))...)
}

// loraTxSettings returns the settings of the LoRa modulator and its start delay.
func (c *Chip) loraTxSettings(t *Transmission) ([]setting, uint16) {
	sf, bandwidth := t.DataRate.SpreadingFactor, t.DataRate.Bandwidth
	code, _ := bandwidthCode(bandwidth)
	preamble := t.PreambleLength()
	lowpass := 6
	if sf >= 10 {
		lowpass = 7
	}
	peak1, peak2 := syncPeaks(c.config.Private, sf)
	delay := c.startDelay(int(t.Chain), bandwidth, lowpass)
	list := []setting{
		{txStartDelay, int(delay >> 8)},
		{txStartDelay.plus(1), int(delay & 0xFF)},
		{txIFSource, sourceLoRa},
		{txAGCBandwidth, code},
		{txBW, code},
		{txSF, int(sf)},
		{txPreambleMSB, preamble >> 8},
		{txPreambleLSB, preamble & 0xFF},
		{txChirpLowpass, lowpass},
		{txCodingRate, int(t.CodingRate)},
		{txModemEnable, 1},
		{txCADRXTX, 2},
		{txModemStart, 1},
		{txContinuous, 0},
		{txChirpInvert, bit(t.InvertPolarity)},
		{txImplicit, bit(t.ImplicitHeader)},
		{txCRC, bit(!t.NoCRC)},
		{txSyncPeak1, peak1},
		{txSyncPeak2, peak2},
		{txFineSync, bit(sf <= 6)},
		{txPayloadLength, len(t.Payload)},
		{txPPMHeader, 0},
		{txPPMOffset, bit(lowDataRate(sf, bandwidth))},
	}
	return append(list, deviationSettings(deviationWord(bandwidth/2))...), delay
}

// startDelay returns how long before its time a packet is triggered, in ticks: 1.5
// ms minus the delays of radio, filter and modem.
func (c *Chip) startDelay(chain int, bandwidth uint32, lowpass int) uint16 {
	i := int(bandwidth / 250_000) // 0, 1, 2 for 125, 250, 500 kHz
	ofRadio := [3]int{19, 24, 21}[i]
	if c.config.Radios[chain].Type != SX1250 {
		ofRadio = [3]int{100, 106, 100}[i]
	}
	filter := (1<<lowpass - 1) * 1_000_000 / int(bandwidth)
	return uint16(startDelayTicks - ofRadio - filter - 64>>i)
}

func (c *Chip) fskTxSettings(t *Transmission) []setting {
	preamble := t.PreambleLength()
	code, _ := bandwidthCode(t.DataRate.Bandwidth) // 0 if there is none, as in sx1302_hal's packet forwarder
	rate := crystal / int(t.DataRate.BitRate)
	size := c.config.FSK.SyncWordSize
	list := []setting{
		{txIFSource, sourceFSK},
		{txAGCBandwidth, agcWideBand | code},
		{txFSKPacketMode, 1},
		{txFSKCRC, bit(!t.NoCRC)},
		{txFSKCRCIBM, 0},
		{txFSKWhitening, 2},
		{txFSKGaussian, 1},
		{txFSKGaussianBT, 2},
		{txFSKSyncEnable, 1},
		{txFSKSyncSize, int(size) - 1},
		{txFSKPreambleSeq, 0},
		{txFSKBitRate, rate >> 8},
		{txFSKBitRate.plus(1), rate & 0xFF},
		{txFSKPreamble, preamble >> 8},
		{txFSKPreamble.plus(1), preamble & 0xFF},
		{txFSKLength, len(t.Payload)},
	}
	pattern := fskPattern(c.config.FSK.SyncWord, size)
	for i := range 8 {
		list = append(list, setting{txFSKSyncWord7.plus(i), int(pattern>>(56-8*i)) & 0xFF})
	}
	return append(list, deviationSettings(deviationWord(t.Deviation))...)
}

// trigger arms the packet. The chip reacts to a rising bit.
func (c *Chip) trigger(t *Transmission, delay uint16) error {
	f := [...]field{
		TriggerNow: txTrigImmediate, TriggerTime: txTrigDelayed,
		TriggerPPS: txTrigPPS,
	}[t.Trigger].of(int(t.Chain), txStride)
	if t.Trigger == TriggerTime {
		ticks := binary.BigEndian.AppendUint32(nil, t.Time*ticksPerMicrosecond-uint32(delay))
		if err := c.writeBytes(txTimer3.of(int(t.Chain), txStride), ticks); err != nil {
			return err
		}
	}
	return c.setAll([]setting{{f, 0}, {f, 1}})
}
