package sx1302

import (
	"errors"
	"fmt"

	"lorawand/radio"
)

// ErrConfig is the reason for refusing a configuration that is impossible with the
// chip.
var ErrConfig = errors.New("sx1302: configuration")

// crystal is the clock of the chip and of its radios, Hz.
const crystal = 32_000_000

// Chains and channels.
const (
	Chains         = 2 // radios: A is 0, B is 1
	MultiChannels  = 8 // channels of the multi-SF modems
	ServiceChannel = 8 // the channel of the LoRa service modem
	FSKChannel     = 9 // the channel of the FSK modem
	MaxGains       = 16
)

// Limits of the hardware.
const (
	radioBandwidth = 1_600_000     // Hz that a radio receives
	MinFrequency   = 100_000_000   // Hz
	MaxFrequency   = 1_000_000_000 // Hz

	maxSX1255Frequency = 510_000_000 // Hz
	MinBitRate         = 500         // bit/s, FSK
	MaxBitRate         = 250_000     // bit/s
	maxSyncWord        = 8           // bytes, FSK
)

// RadioType is a kind of radio chip.
type RadioType uint8

// Radio chips. The zero value is the common one.
const (
	SX1250 RadioType = iota
	SX1255           // 400 to 510 MHz
	SX1257           // 862 to 1020 MHz
)

// ParseRadioType returns the type of a name such as "SX1250".
func ParseRadioType(name string) (RadioType, error) {
	for t := SX1250; t <= SX1257; t++ {
		if t.String() == name {
			return t, nil
		}
	}
	return 0, fmt.Errorf("no such radio: %q", name)
}

// String returns the name of the chip.
func (t RadioType) String() string {
	switch t {
	case SX1250:
		return "SX1250"
	case SX1255:
		return "SX1255"
	case SX1257:
		return "SX1257"
	}
	return fmt.Sprintf("radio type %d", uint8(t))
}

// Radio has the settings of one of the two radios, and of its part of the board.
type Radio struct {
	Enabled   bool
	Type      RadioType
	Frequency radio.Frequency // centre

	// RSSIOffset is added to the measured RSSI. RSSITemperature has the
	// coefficients a to e of the correction (a·t^4 + b·t^3 + c·t^2 + d·t + e) /
	// 65536 dB at t °C, in thousandths.
	RSSIOffset      radio.Decibel
	RSSITemperature [5]int32

	SingleInput bool // SX1250 with a single-ended input, as on boards for 470 MHz
	Transmit    bool
	Gains       []Gain // by ascending power, up to MaxGains; needed to transmit

	// The range that it may transmit on; 0 is no limit.
	TxLow, TxHigh radio.Frequency
}

// Gain is a setting of the transmitter with the power that it gives.
type Gain struct {
	Power      int8  // dBm at the antenna connector
	PAGain     uint8 // external amplifier: on if above 0 (SX1250), 0 to 3 (SX1255, SX1257)
	PowerIndex uint8 // SX1250: 0 to 22
	DACGain    uint8 // SX1255, SX1257: 0 to 3
	MixGain    uint8 // SX1255, SX1257: 5 to 15
	DigGain    uint8 // SX1255, SX1257: 0 to 3
}

// DefaultGain is the only gain of a transmitting radio without a table, as in
// sx1302_hal (loragw_hal.c, lgw_context).
var DefaultGain = Gain{Power: 14, PAGain: 2, DACGain: 3, MixGain: 10}

// Channel is the frequency that a modem listens on.
type Channel struct {
	Enabled bool
	Chain   uint8 // radio
	Offset  int32 // Hz from the centre of the radio
}

// Service is the channel of the LoRa service modem, which receives one spreading
// factor.
type Service struct {
	Channel
	SpreadingFactor uint8  // 5 to 12
	Bandwidth       uint32 // Hz: 125 000, 250 000 or 500 000

	// Frames without a header are received only if all have these properties.
	Implicit           bool
	ImplicitLength     uint8 // bytes
	ImplicitCRC        bool
	ImplicitCodingRate radio.CodingRate
}

// FSKModem is the channel of the FSK modem.
type FSKModem struct {
	Channel
	BitRate      uint32 // bit/s, 500 to 250 000
	SyncWord     uint64 // default C194C1
	SyncWordSize uint8  // bytes, 1 to 8; default 3
}

// FineTimestamps says which frames get a fine timestamp from the SX1303.
type FineTimestamps uint8

// Choices of FineTimestamps. A frame that gets one is demodulated twice.
const (
	NoFineTimestamps   FineTimestamps = iota
	FineTimestampsAll                 // all spreading factors
	FineTimestampsSF10                // SF5 to SF10, which leaves more modems to SF11 and SF12
)

// ParseFineTimestamps reads a choice as Semtech's files name it, or "off".
func ParseFineTimestamps(mode string) (FineTimestamps, error) {
	switch mode {
	case "off":
		return NoFineTimestamps, nil
	case "all_sf", "ALL_SF":
		return FineTimestampsAll, nil
	case "high_capacity", "HIGH_CAPACITY":
		return FineTimestampsSF10, nil
	}
	return NoFineTimestamps, fmt.Errorf("%.40q, must be one of all_sf, high_capacity, off", mode)
}

// Config is the set-up of the chip.
type Config struct {
	Radios      [Chains]Radio
	ClockSource uint8 // the chain that gives the clock
	FullDuplex  bool  // receives while it transmits; SX1255 and SX1257 only
	Private     bool  // sync word 0x12 instead of 0x34

	Channels [MultiChannels]Channel // 125 kHz each
	Service  Service
	FSK      FSKModem

	// SpreadingFactors has bit 0 set for SF5, to bit 7 for SF12. 0 is all.
	SpreadingFactors uint8
	FineTimestamps   FineTimestamps

	LBT LBT

	// Spectrum sets the SX1261 up for spectral scans, with and without LBT.
	Spectrum bool
}

// usesSX1261 reports whether the SX1261 of the board is set up.
func (c *Config) usesSX1261() bool { return c.LBT.Enabled || c.Spectrum }

// withDefaults replaces zero values by defaults.
func (c Config) withDefaults() Config {
	if c.SpreadingFactors == 0 {
		c.SpreadingFactors = 0xFF
	}
	if c.FSK.SyncWordSize == 0 {
		c.FSK.SyncWord, c.FSK.SyncWordSize = 0xC194C1, 3
	}
	return c
}

// sx125x reports whether the radio that gives the clock is an SX1255 or SX1257.
func (c *Config) sx125x() bool { return c.Radios[c.ClockSource].Type != SX1250 }

// centre returns the centre of radio A, or of radio B if only that one is enabled.
// It is used where the chip has one setting for both radios.
func (c *Config) centre() radio.Frequency {
	if c.Radios[0].Enabled {
		return c.Radios[0].Frequency
	}
	return c.Radios[1].Frequency
}

// Validate returns why the configuration is impossible, as an ErrConfig.
func (c Config) Validate() error {
	c = c.withDefaults()
	if err := c.validateRadios(); err != nil {
		return err
	}
	for i, ch := range c.Channels {
		if err := c.ValidateChannel(ch, 125_000); err != nil {
			return fmt.Errorf("%w: channel %d: %w", ErrConfig, i, err)
		}
	}
	if err := c.validateService(); err != nil {
		return fmt.Errorf("%w: service channel: %w", ErrConfig, err)
	}
	if err := c.validateFSK(); err != nil {
		return fmt.Errorf("%w: FSK channel: %w", ErrConfig, err)
	}
	if c.FineTimestamps > FineTimestampsSF10 {
		return fmt.Errorf("%w: no such choice of fine timestamps: %d", ErrConfig, c.FineTimestamps)
	}
	if err := c.LBT.Validate(); err != nil {
		return fmt.Errorf("%w: LBT: %w", ErrConfig, err)
	}
	return nil
}

func (c *Config) validateRadios() error {
	if c.ClockSource >= Chains || !c.Radios[c.ClockSource].Enabled {
		return fmt.Errorf("%w: the clock is to come from radio %d, which is not enabled", ErrConfig, c.ClockSource)
	}
	for i := range c.Radios {
		if r := &c.Radios[i]; r.Enabled {
			if _, err := r.Validate(c.FullDuplex); err != nil {
				return fmt.Errorf("%w: radio %s: %w", ErrConfig, chainName(i), err)
			}
		}
	}
	return nil
}

// Validate returns what is wrong with a radio, and the key in global_conf.json that
// sets it.
func (r *Radio) Validate(fullDuplex bool) (key string, err error) {
	switch {
	case r.Type > SX1257:
		return "type", fmt.Errorf("unknown %s", r.Type)
	case r.Frequency < MinFrequency || r.Frequency > MaxFrequency:
		return "freq", fmt.Errorf("centre %s is not within 100 to 1000 MHz", r.Frequency)
	case r.Type == SX1255 && r.Frequency > maxSX1255Frequency:
		return "freq", fmt.Errorf("centre %s is above 510 MHz, the limit of the SX1255", r.Frequency)
	case r.Type == SX1250 && fullDuplex:
		return "type", errors.New("the SX1250 cannot work in full duplex")
	case r.Type != SX1250 && r.SingleInput:
		return "single_input_mode", fmt.Errorf("the %s has no single input", r.Type)
	case r.Transmit && (len(r.Gains) == 0 || len(r.Gains) > MaxGains):
		return "tx_gain_lut", fmt.Errorf("%d gains to transmit with, need 1 to %d", len(r.Gains), MaxGains)
	case r.TxHigh > 0 && r.TxLow > r.TxHigh:
		return "tx_freq_max", fmt.Errorf("%s is below the lowest frequency to transmit on, %s", r.TxHigh, r.TxLow)
	}
	if _, _, ok := imageBand(r.Frequency); r.Type == SX1250 && !ok {
		return "freq", fmt.Errorf("centre %s is in none of the bands that the SX1250 can be calibrated for", r.Frequency)
	}
	for i, g := range r.Gains {
		if i > 0 && g.Power < r.Gains[i-1].Power {
			return "tx_gain_lut", fmt.Errorf("gains are not in ascending order at %d dBm", g.Power)
		}
		if err := g.Validate(r.Type); err != nil {
			return "tx_gain_lut", fmt.Errorf("gain for %d dBm: %w", g.Power, err)
		}
	}
	return "", nil
}

// Validate returns which value a radio of this type does not have.
func (g Gain) Validate(t RadioType) error {
	switch {
	case t == SX1250 && g.PowerIndex > 22:
		return fmt.Errorf("power index %d is above 22", g.PowerIndex)
	case t != SX1250 && (g.PAGain > 3 || g.DACGain > 3 || g.MixGain < 5 || g.MixGain > 15 || g.DigGain > 3):
		return fmt.Errorf("PA %d, DAC %d, mixer %d, digital %d is out of range", g.PAGain, g.DACGain, g.MixGain, g.DigGain)
	}
	return nil
}

// ValidateChannel returns why a channel with this bandwidth, in Hz, cannot be
// received.
func (c *Config) ValidateChannel(ch Channel, bandwidth uint32) error {
	switch {
	case !ch.Enabled:
		return nil
	case ch.Chain >= Chains || !c.Radios[ch.Chain].Enabled:
		return fmt.Errorf("radio %d is not enabled", ch.Chain)
	case max(int64(ch.Offset), -int64(ch.Offset))+int64(bandwidth)/2 > radioBandwidth/2:
		return fmt.Errorf("%d Hz from the centre is outside of the 1.6 MHz of the radio", ch.Offset)
	}
	return nil
}

func (c *Config) validateService() error {
	s := &c.Service
	if !s.Enabled {
		return nil
	}
	if _, ok := bandwidthCode(s.Bandwidth); !ok {
		return fmt.Errorf("no such bandwidth: %d Hz", s.Bandwidth)
	}
	if s.SpreadingFactor < 5 || s.SpreadingFactor > 12 {
		return fmt.Errorf("no such spreading factor: %d", s.SpreadingFactor)
	}
	if s.ImplicitCodingRate > radio.CodingRate48 {
		return fmt.Errorf("no such coding rate: %d", s.ImplicitCodingRate)
	}
	return c.ValidateChannel(s.Channel, s.Bandwidth)
}

func (c *Config) validateFSK() error {
	f := &c.FSK
	if f.SyncWordSize > maxSyncWord {
		return fmt.Errorf("a sync word of %d bytes is too long", f.SyncWordSize)
	}
	if !f.Enabled {
		return nil
	}
	if f.BitRate < MinBitRate || f.BitRate > MaxBitRate {
		return fmt.Errorf("%d bit/s is not within %d to %d", f.BitRate, MinBitRate, MaxBitRate)
	}
	return c.ValidateChannel(f.Channel, 125_000)
}

// bandwidthCode returns the modems' code of a LoRa bandwidth in Hz.
func bandwidthCode(hz uint32) (code int, ok bool) {
	switch hz {
	case 125_000:
		return 4, true
	case 250_000:
		return 5, true
	case 500_000:
		return 6, true
	}
	return 0, false
}

// lowDataRate reports whether low data rate optimisation is on: SF11 and SF12
// at 125 kHz, SF12 at 250 kHz.
func lowDataRate(sf uint8, bandwidth uint32) bool {
	return bandwidth == 125_000 && sf >= 11 || bandwidth == 250_000 && sf == 12
}
