package sx1302

import "slices"

// receiverSettings returns all fields of the receiver in the order of
// sx1302_hal, from the timestamps to the switch that starts the modems.
func (c *Chip) receiverSettings() []setting {
	return slices.Concat(
		c.timestampSettings(), c.gpioSettings(), frontEndSettings(), c.channeliserSettings(),
		c.correlatorSettings(), c.multiSFSettings(), c.serviceSettings(), c.fskSettings(), c.syncWordSettings(),
		[]setting{{multiSFModemEnable, 1}, {serviceModemEnable, 1}, {fskModemEnable, 1}, {globalEnable, 1}},
	)
}

// timestampSettings returns the settings of the timestamps. Without fine timestamps
// the counter is latched at the end of a frame, with them at the end of its header.
func (c *Chip) timestampSettings() []setting {
	if c.config.FineTimestamps == NoFineTimestamps {
		return []setting{{legacyTimestamp, 1}}
	}
	return []setting{{legacyTimestamp, 0}, {maxMetrics, 32}, {timestampEnable, 1}, {timestampSymbols, 0}}
}

// gpioSettings returns the settings of the pins: pin 0 shows "configured", 2
// transmission, 4 reception; 7 is the input for listen-before-talk. The look-up
// tables switch amplifiers.
func (c *Chip) gpioSettings() []setting {
	var list []setting
	for i, source := range [...]int{0, 0, 9, 0, 9, 0, 0, 1} { // 0 register, 1 AGC, 9 status
		list = append(list, setting{gpioSelect0.plus(i), source})
	}
	pa, lna := 0x04, 0x02
	if c.config.FullDuplex {
		pa, lna = 0x0C, 0x0F
	}
	return append(
		list, setting{gpioDirection, 0x7F},
		setting{paLUTA, pa}, setting{lnaLUTA, lna}, setting{paLUTB, 0x04}, setting{lnaLUTB, 0x02},
	)
}

func frontEndSettings() []setting {
	var list []setting
	for chain := range Chains {
		of := func(f field) field { return f.of(chain, radioFEStride) }
		list = append(
			list, setting{of(feBBAlphaA), 3}, setting{of(feDecAlphaA), 7}, setting{of(feRSSIDefaultA), 23},
			setting{of(feRSSIDecDefaultA), 66}, setting{of(feDCNotchA), 1}, setting{of(feHostGainA), 0x0B},
		)
	}
	return list
}

// ifRegister returns the register value of an offset from the centre: 13 bits,
// two's complement, in steps of 488.28125 Hz.
func ifRegister(hz int32) int { return int(int64(hz)*32/15625) & 0x1FFF }

// ifError returns the difference of an offset and its register value, Hz.
func ifError(hz int32) int32 { return hz - int32(int64(hz)*32/15625*15625/32) }

func (c *Chip) channeliserSettings() []setting {
	radios := 0
	var list []setting
	for i, ch := range c.config.Channels {
		ch = ch.orZero()
		radios |= int(ch.Chain) << i
		list = append(list, ifSettings(channelFreqMSB.plus(2*i), channelFreqLSB.plus(2*i), ch)...)
	}
	service, fsk := c.config.Service.orZero(), c.config.FSK.orZero()
	list = append(list, setting{channelRadio, radios}, setting{svcRadio, int(service.Chain)},
		setting{fskRadio, int(fsk.Chain)})
	list = append(list, ifSettings(svcFreqMSB, svcFreqLSB, service)...)
	list = append(list, ifSettings(fskFreqMSB, fskFreqLSB, fsk)...)
	return append(
		list, setting{rssiAlpha, 5}, setting{rssiDefault, 85}, setting{dagcMode, 1},
		setting{dagcHigh, 255}, setting{dagcLow, 0}, setting{dagcMaxAtten, 15}, setting{dagcMinAtten, 0},
	)
}

// orZero returns the channel, or zeros if it is not enabled.
func (ch Channel) orZero() Channel {
	if !ch.Enabled {
		return Channel{}
	}
	return ch
}

func ifSettings(msb, lsb field, ch Channel) []setting {
	v := ifRegister(ch.Offset)
	return []setting{{msb, v >> 8}, {lsb, v & 0xFF}}
}

func (c *Chip) correlatorSettings() []setting {
	var list []setting
	for i := range 8 { // SF5 to SF12
		at := i * correlatorStride
		list = append(
			list, setting{corrAccPNR.plus(at), 52}, setting{corrMSPPNR.plus(at), 24},
			setting{corrMSPPeaks.plus(at), 7}, setting{corrMSP2Peaks.plus(at), 5},
		)
	}
	channels := 0
	for i, ch := range c.config.Channels {
		if ch.Enabled {
			channels |= 1 << i
		}
	}
	return append(
		list, setting{corrFirstEdge, 0xFF}, setting{corrAccClear, 0xFF},
		setting{corrSF, int(c.config.SpreadingFactors)}, setting{corrClocks, channels}, setting{corrEnable, channels},
	)
}

func (c *Chip) multiSFSettings() []setting {
	list := []setting{
		{dcNotch, 0},
		{defaultFIR, 1},
		{dagcDropComp, 1},
		{dagcTarget, 1},
		{otpModemEnable0, 0xFF},
		{otpModemEnable1, 0xFF},
		{syncDeltaMSB, 0},
		{syncDeltaLSB, 126},
	}
	for i, offset := range [MultiChannels]int{1, 5, 9, 13, 1, 5, 9, 13} {
		f := arbSyncOffset0
		if i%2 == 1 {
			f = arbSyncOffset1
		}
		list = append(list, setting{f.plus(i / 2), offset})
	}
	for i := range 8 { // SF5 to SF12: low data rate optimisation, frequency tracking
		ppm := 0
		if lowDataRate(uint8(5+i), 125_000) {
			ppm = 1
		}
		list = append(
			list, setting{perSF(ppmOffsetSF5, i), ppm},
			setting{perSF(trackASF5, i), 3}, // automatic
			setting{perSF(trackBSF5, i), 0}, // off in the copy for timestamps
		)
	}
	list = append(
		list,
		setting{timingAGainPAuto, 3}, setting{timingAGainPPayload, 3}, setting{timingAGainISF11, 1},
		setting{timingAGainISF12, 1},
		setting{freqSyncThreshold, 15}, setting{timingBGainISF11, 0}, setting{timingBGainISF12, 0},
		setting{timingBRounding, 1}, setting{timingBMode, 2}, // linear
		setting{timingBGainPAuto, 0}, setting{timingBGainPPreamble, 6}, setting{timingBGainPPayload, 2},
		setting{timingBGainIAuto, 0}, setting{timingBGainIPreamble, 1}, setting{timingBGainIPayload, 0},
		setting{preambleMSB, 0}, setting{preambleLSB, 10}, // covers 12 with SF5 and SF6, 8 with the others
	)
	list = append(list, c.driftSettings(driftMantMSB, driftMantLSB, driftExp, 125_000)...)
	return append(list, setting{invertTimeSymbol, 1}, setting{dftPeak, 3}) // 3 is automatic, as the timestamps assume
}

// perSF returns the field of the i-th spreading factor from SF5 on, where each
// byte holds four of two bits.
func perSF(sf5 field, i int) field {
	f := sf5.plus(i / 4)
	f.shift = uint8(i % 4 * 2)
	return f
}

// frequencyDrift returns the ratio between frequency errors and timing errors in
// the form that the modems use: bandwidth / centre · 2^20 as mant / 2^exp, with
// mant of 12 bits.
func frequencyDrift(centre, bandwidth uint32) (mant, exp int) {
	m := uint64(bandwidth) << 20 / uint64(centre)
	for m > 0 && m < 2048 {
		m *= 2
		exp++
	}
	return int(m), exp
}

// driftSettings uses one centre for all channels, as sx1302_hal does.
func (c *Chip) driftSettings(msb, lsb, exp field, bandwidth uint32) []setting {
	m, e := frequencyDrift(uint32(c.config.centre()), bandwidth)
	return []setting{{msb, m >> 8}, {lsb, m & 0xFF}, {exp, e}}
}

func (c *Chip) serviceSettings() []setting {
	s := &c.config.Service
	if !s.Enabled {
		return nil
	}
	fineSync, preamble, gainP, gainI := 0, 8, 6, 0
	switch {
	case s.SpreadingFactor <= 6:
		fineSync, preamble, gainP = 1, 12, 4
	case s.SpreadingFactor >= 11:
		code, _ := bandwidthCode(s.Bandwidth)
		gainP, gainI = 7, code-3 // 1 at 125 kHz, 2 at 250 kHz, 3 at 500 kHz
	}
	bandwidth, _ := bandwidthCode(s.Bandwidth)
	list := []setting{
		{svcMSPPeaks, 7},
		{svcMSP2Peaks, 5},
		{svcGainSymbol, 1},
		{svcFineSync, fineSync},
		{svcAccPNR, 52},
		{svcDCNotch, 0},
		{svcDefaultFIR, 1},
		{svcDAGCDropComp, 1},
		{svcDAGCTarget, 1},
		{svcGainPAuto, 3},
		{svcGainIPayload, 3},
		{svcGainPPreamble, gainP},
		{svcGainIEnable, gainI},
		{svcImplicit, bit(s.Implicit)},
		{svcCRC, bit(s.ImplicitCRC)},
		{svcCodingRate, int(s.ImplicitCodingRate)},
		{svcPayloadLength, int(s.ImplicitLength)},
		{svcSF, int(s.SpreadingFactor)},
		{svcBW, bandwidth},
		{svcPPMOffset, bit(lowDataRate(s.SpreadingFactor, s.Bandwidth))},
		{svcPreambleMSB, preamble >> 8},
		{svcPreambleLSB, preamble & 0xFF},
	}
	list = append(list, c.driftSettings(svcDriftMantMSB, svcDriftMantLSB, svcDriftExp, s.Bandwidth)...)
	return append(
		list, setting{svcInvertTimeSymbol, 1}, setting{svcDAGCInComp, 1}, setting{svcEnable, 1},
		setting{svcCADRXTX, 1}, setting{svcStart, 1}, setting{svcDFTPeak, 3},
	)
}

// bit returns a flag as the value of a field.
func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// fskPattern returns a sync word as the modems hold it: its bits first in 64.
func fskPattern(word uint64, size uint8) uint64 { return word << (8 * (maxSyncWord - uint(size))) }

func (c *Chip) fskSettings() []setting {
	f := &c.config.FSK
	if !f.Enabled {
		return nil
	}
	list := []setting{{fskSyncSize, int(f.SyncWordSize) - 1}}
	pattern := fskPattern(f.SyncWord, f.SyncWordSize)
	for i := range 8 { // byte 7, the most significant one, has the lowest address
		list = append(list, setting{fskSyncWord7.plus(i), int(pattern>>(56-8*i)) & 0xFF})
	}
	rate := crystal / int(f.BitRate)
	return append(
		list, setting{fskBitRateMSB, rate >> 8}, setting{fskBitRateLSB, rate & 0xFF},
		setting{fskBandwidth, 3}, // for any configured bandwidth
		setting{fskInvert, 0}, setting{fskInvertIQ, 0}, setting{fskRSSILength, 4},
		setting{fskPacketMode, 1}, // of variable length
		setting{fskCRC, 1}, setting{fskWhitening, 2}, setting{fskCRCIBM, 0}, setting{fskOSRTolerance, 10},
		setting{fskMaxLength, 255}, setting{fskNodeAddress, 0}, setting{fskBroadcast, 0}, setting{fskAFC, 1},
		setting{fskTimeoutMSB, 0}, setting{fskTimeoutLSB, 128},
	)
}

// syncPeaks returns the positions of the two peaks of the sync word: each nibble times
// two. Public networks have 0x34, private ones 0x12; SF5 and SF6 always have 0x12.
func syncPeaks(private bool, sf uint8) (peak1, peak2 int) {
	if private || sf <= 6 {
		return 2, 4
	}
	return 6, 8
}

func (c *Chip) syncWordSettings() []setting {
	five1, five2 := syncPeaks(c.config.Private, 5)
	seven1, seven2 := syncPeaks(c.config.Private, 7)
	sf := uint8(7)
	if c.config.Service.Enabled {
		sf = c.config.Service.SpreadingFactor
	}
	service1, service2 := syncPeaks(c.config.Private, sf)
	return []setting{
		{syncSF5Peak1, five1},
		{syncSF5Peak2, five2},
		{syncSF6Peak1, five1},
		{syncSF6Peak2, five2},
		{syncPeak1, seven1},
		{syncPeak2, seven2},
		{svcSyncPeak1, service1},
		{svcSyncPeak2, service2},
	}
}
