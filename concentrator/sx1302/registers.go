package sx1302

// The fields of the register map that the driver uses. The comment behind each is
// Semtech's name for it, as in sx1302_hal 2.1.0, loragw_reg.c.

// field is a run of bits in one byte of the register map. The host splits registers
// of several bytes; a field then names the first byte.
type field struct {
	addr  uint16
	shift uint8
	width uint8
}

// mask returns the bits of the field in its byte.
func (f field) mask() byte { return byte(1<<f.width-1) << f.shift }

// plus returns the field of the same shape n bytes higher.
func (f field) plus(n int) field {
	f.addr += uint16(n)
	return f
}

// of returns the field of a chain, 0 or 1. stride is the distance from the field of
// chain 0 to that of chain 1, in bytes.
func (f field) of(chain, stride int) field { return f.plus(chain * stride) }

// setting is a value for a field.
type setting struct {
	field field
	value int
}

// Distances between blocks of equal fields.
const (
	radioEnableStride = 1     // AGC_MCU_RF_EN_A to _B
	radioFEStride     = 0x0D  // radio A to radio B in RADIO_FE
	txStride          = 0x200 // TX_TOP_A to TX_TOP_B
	correlatorStride  = 7     // one spreading factor to the next
)

// Memory windows.
const (
	agcMemory = 0x0000 // page 0
	arbMemory = 0x2000 // page 0
	rxFIFO    = 0x4000
	txBufferA = 0x5300 // that of B is txStride higher
)

// Clocks, radios and the chip itself.
var (
	page               = field{0x5600, 0, 2} // COMMON_PAGE_PAGE
	clk32Enable        = field{0x5601, 4, 1} // COMMON_CTRL0_CLK32_RIF_CTRL
	hostRadioCtrl      = field{0x5601, 3, 1} // COMMON_CTRL0_HOST_RADIO_CTRL
	radioModeB         = field{0x5601, 1, 1} // COMMON_CTRL0_SX1261_MODE_RADIO_B
	radioModeA         = field{0x5601, 0, 1} // COMMON_CTRL0_SX1261_MODE_RADIO_A
	globalEnable       = field{0x5605, 3, 1} // COMMON_GEN_GLOBAL_EN
	fskModemEnable     = field{0x5605, 2, 1} // COMMON_GEN_FSK_MODEM_ENABLE
	multiSFModemEnable = field{0x5605, 1, 1} // COMMON_GEN_CONCENTRATOR_MODEM_ENABLE
	serviceModemEnable = field{0x5605, 0, 1} // COMMON_GEN_MBWSSF_MODEM_ENABLE
	version            = field{0x5606, 0, 8} // COMMON_VERSION_VERSION
	clkDivEnable       = field{0x57c0, 2, 1} // CLK_CTRL_CLK_SEL_CLKDIV_EN
	clkRadioBSelect    = field{0x57c0, 1, 1} // CLK_CTRL_CLK_SEL_CLK_RADIO_B_SEL
	clkRadioASelect    = field{0x57c0, 0, 1} // CLK_CTRL_CLK_SEL_CLK_RADIO_A_SEL
	gpioDirection      = field{0x5641, 0, 8} // GPIO_GPIO_DIR_L_DIRECTION
	gpioOut            = field{0x5643, 0, 8} // GPIO_GPIO_OUT_L_OUT_VALUE
	gpioSelect0        = field{0x5648, 0, 4} // GPIO_GPIO_SEL_0_SELECTION
	otpAddress         = field{0x6180, 0, 8} // OTP_BYTE_ADDR_ADDR
	otpData            = field{0x6181, 0, 8} // OTP_RD_DATA_RD_DATA
	otpModemEnable0    = field{0x6188, 0, 8} // OTP_MODEM_EN_0_MODEM_EN
	otpModemEnable1    = field{0x6189, 0, 8} // OTP_MODEM_EN_1_MODEM_EN
)

// The gain controller (AGC) and the arbiter (ARB).
var (
	agcForceHostFE = field{0x5780, 3, 1} // AGC_MCU_CTRL_FORCE_HOST_FE_CTRL
	agcClear       = field{0x5780, 2, 1} // AGC_MCU_CTRL_MCU_CLEAR
	agcHostProg    = field{0x5780, 1, 1} // AGC_MCU_CTRL_HOST_PROG
	agcParity      = field{0x5780, 0, 1} // AGC_MCU_CTRL_PARITY_ERROR
	agcStatus      = field{0x5781, 0, 8} // AGC_MCU_MCU_AGC_STATUS_MCU_AGC_STATUS
	radioResetA    = field{0x5783, 3, 1} // AGC_MCU_RF_EN_A_RADIO_RST
	radioEnableA   = field{0x5783, 2, 1} // AGC_MCU_RF_EN_A_RADIO_EN
	paEnableA      = field{0x5783, 1, 1} // AGC_MCU_RF_EN_A_PA_EN
	lnaEnableA     = field{0x5783, 0, 1} // AGC_MCU_RF_EN_A_LNA_EN
	paLUTA         = field{0x5785, 4, 4} // AGC_MCU_LUT_TABLE_A_PA_LUT
	lnaLUTA        = field{0x5785, 0, 4} // AGC_MCU_LUT_TABLE_A_LNA_LUT
	paLUTB         = field{0x5786, 4, 4} // AGC_MCU_LUT_TABLE_B_PA_LUT
	lnaLUTB        = field{0x5786, 0, 4} // AGC_MCU_LUT_TABLE_B_LNA_LUT
	mailWrite3     = field{0x5789, 0, 8} // AGC_MCU_MCU_MAIL_BOX_WR_DATA_BYTE3_MCU_MAIL_BOX_WR_DATA
	mailRead3      = field{0x578d, 0, 8} // AGC_MCU_MCU_MAIL_BOX_RD_DATA_BYTE3_MCU_MAIL_BOX_RD_DATA
	arbClear       = field{0x6080, 2, 1} // ARB_MCU_CTRL_MCU_CLEAR
	arbHostProg    = field{0x6080, 1, 1} // ARB_MCU_CTRL_HOST_PROG
	arbParity      = field{0x6080, 0, 1} // ARB_MCU_CTRL_PARITY_ERROR
	arbStatus      = field{0x6081, 0, 8} // ARB_MCU_MCU_ARB_STATUS_MCU_ARB_STATUS
	arbConfig0     = field{0x6089, 0, 8} // ARB_MCU_ARB_DEBUG_CFG_0_ARB_DEBUG_CFG_0
	arbConfig1     = field{0x608a, 0, 8} // ARB_MCU_ARB_DEBUG_CFG_1_ARB_DEBUG_CFG_1
	arbConfig2     = field{0x608b, 0, 8} // ARB_MCU_ARB_DEBUG_CFG_2_ARB_DEBUG_CFG_2
	arbConfig3     = field{0x608c, 0, 8} // ARB_MCU_ARB_DEBUG_CFG_3_ARB_DEBUG_CFG_3
	arbVersion     = field{0x608d, 0, 8} // ARB_MCU_ARB_DEBUG_STS_0_ARB_DEBUG_STS_0
	arbSyncOffset0 = field{0x609d, 0, 4} // ARB_MCU_CHANNEL_SYNC_OFFSET_01_CHANNEL_0_OFFSET
	arbSyncOffset1 = field{0x609d, 4, 4} // ARB_MCU_CHANNEL_SYNC_OFFSET_01_CHANNEL_1_OFFSET
)

// The front end of radio A; that of B is radioFEStride higher.
var (
	feDCNotchA        = field{0x5701, 5, 1} // RADIO_FE_CTRL0_RADIO_A_DC_NOTCH_EN
	feHostGainA       = field{0x5701, 0, 4} // RADIO_FE_CTRL0_RADIO_A_HOST_FILTER_GAIN
	feRSSIDefaultA    = field{0x5702, 0, 8} // RADIO_FE_RSSI_DB_DEF_RADIO_A_RSSI_DB_DEFAULT_VALUE
	feRSSIDecDefaultA = field{0x5703, 0, 8} // RADIO_FE_RSSI_DEC_DEF_RADIO_A_RSSI_DEC_DEFAULT_VALUE
	feBBAlphaA        = field{0x5707, 0, 5} // RADIO_FE_RSSI_BB_FILTER_ALPHA_RADIO_A_RSSI_BB_FILTER_ALPHA
	feDecAlphaA       = field{0x5708, 0, 5} // RADIO_FE_RSSI_DEC_FILTER_ALPHA_RADIO_A_RSSI_DEC_FILTER_ALPHA
	feIQAmpA          = field{0x5709, 0, 6} // RADIO_FE_IQ_COMP_AMP_COEFF_RADIO_A_AMP_COEFF
	feIQPhiA          = field{0x570a, 0, 6} // RADIO_FE_IQ_COMP_PHI_COEFF_RADIO_A_PHI_COEFF
	sigAnaRadio       = field{0x571b, 1, 1} // RADIO_FE_SIG_ANA_CFG_RADIO_SEL
)

// Timestamps.
var (
	ppsPolarity      = field{0x6100, 1, 1} // TIMESTAMP_GPS_CTRL_GPS_POL
	ppsEnable        = field{0x6100, 0, 1} // TIMESTAMP_GPS_CTRL_GPS_EN
	counters         = field{0x6101, 0, 8} // TIMESTAMP_TIMESTAMP_PPS_MSB2_TIMESTAMP_PPS
	legacyTimestamp  = field{0x58c0, 2, 1} // RX_TOP_RX_BUFFER_LEGACY_TIMESTAMP
	maxMetrics       = field{0x58c1, 0, 8} // RX_TOP_RX_BUFFER_TIMESTAMP_CFG_MAX_TS_METRICS
	timestampEnable  = field{0x58b3, 3, 1} // RX_TOP_TIMESTAMP_ENABLE
	timestampSymbols = field{0x58b3, 0, 3} // RX_TOP_TIMESTAMP_NB_SYMB
	rxBytes          = field{0x58c8, 0, 5} // RX_TOP_RX_BUFFER_NB_BYTES_MSB_RX_BUFFER_NB_BYTES
)

// The channeliser. The frequency of channel i is 2i higher.
var (
	channelFreqMSB = field{0x5800, 0, 5} // RX_TOP_FREQ_0_MSB_IF_FREQ_0
	channelFreqLSB = field{0x5801, 0, 8} // RX_TOP_FREQ_0_LSB_IF_FREQ_0
	channelRadio   = field{0x5810, 0, 8} // RX_TOP_RADIO_SELECT_RADIO_SELECT
	rssiAlpha      = field{0x5811, 3, 5} // RX_TOP_RSSI_CONTROL_RSSI_FILTER_ALPHA
	rssiDefault    = field{0x5812, 0, 8} // RX_TOP_RSSI_DEF_VALUE_CHAN_RSSI_DEF_VALUE
	dagcHigh       = field{0x5813, 0, 8} // RX_TOP_CHANN_DAGC_CFG1_CHAN_DAGC_THRESHOLD_HIGH
	dagcLow        = field{0x5814, 0, 8} // RX_TOP_CHANN_DAGC_CFG2_CHAN_DAGC_THRESHOLD_LOW
	dagcMaxAtten   = field{0x5815, 4, 4} // RX_TOP_CHANN_DAGC_CFG3_CHAN_DAGC_MAX_ATTEN
	dagcMinAtten   = field{0x5815, 0, 4} // RX_TOP_CHANN_DAGC_CFG3_CHAN_DAGC_MIN_ATTEN
	dagcMode       = field{0x5817, 0, 2} // RX_TOP_CHANN_DAGC_CFG5_CHAN_DAGC_MODE
)

// The correlators. Those of the next spreading factor are correlatorStride higher.
var (
	corrClocks    = field{0x5820, 0, 8} // RX_TOP_CORR_CLOCK_ENABLE_CLK_EN
	corrEnable    = field{0x5821, 0, 8} // RX_TOP_CORRELATOR_EN_CORR_EN
	corrSF        = field{0x5822, 0, 8} // RX_TOP_CORRELATOR_SF_EN_CORR_SF_EN
	corrFirstEdge = field{0x5823, 0, 8} // RX_TOP_CORRELATOR_ENABLE_ONLY_FIRST_DET_EDGE_ENABLE_ONLY_FIRST_DET_EDGE
	corrAccClear  = field{0x5824, 0, 8} // RX_TOP_CORRELATOR_ENABLE_ACC_CLEAR_ENABLE_CORR_ACC_CLEAR
	corrAccPNR    = field{0x5826, 0, 7} // RX_TOP_SF5_CFG2_ACC_PNR
	corrMSPPNR    = field{0x5828, 0, 7} // RX_TOP_SF5_CFG4_MSP_PNR
	corrMSPPeaks  = field{0x582a, 3, 3} // RX_TOP_SF5_CFG6_MSP_PEAK_NB
	corrMSP2Peaks = field{0x582b, 2, 3} // RX_TOP_SF5_CFG7_MSP2_PEAK_NB
)

// The multi-SF modems.
var (
	dcNotch              = field{0x5860, 0, 1} // RX_TOP_DC_NOTCH_CFG1_ENABLE
	defaultFIR           = field{0x5875, 3, 1} // RX_TOP_RX_DFE_AGC1_FORCE_DEFAULT_FIR
	dagcTarget           = field{0x5878, 6, 2} // RX_TOP_DAGC_CFG_TARGET_LVL
	dagcDropComp         = field{0x5878, 4, 1} // RX_TOP_DAGC_CFG_GAIN_DROP_COMP
	preambleLSB          = field{0x5883, 0, 8} // RX_TOP_TXRX_CFG6_PREAMBLE_SYMB_NB
	preambleMSB          = field{0x5884, 0, 8} // RX_TOP_TXRX_CFG7_PREAMBLE_SYMB_NB
	dftPeak              = field{0x5887, 4, 2} // RX_TOP_RX_CFG0_DFT_PEAK_EN
	syncSF5Peak1         = field{0x588a, 0, 5} // RX_TOP_FRAME_SYNCH0_SF5_PEAK1_POS_SF5
	syncSF5Peak2         = field{0x588b, 0, 5} // RX_TOP_FRAME_SYNCH1_SF5_PEAK2_POS_SF5
	syncSF6Peak1         = field{0x588c, 0, 5} // RX_TOP_FRAME_SYNCH0_SF6_PEAK1_POS_SF6
	syncSF6Peak2         = field{0x588d, 0, 5} // RX_TOP_FRAME_SYNCH1_SF6_PEAK2_POS_SF6
	syncPeak1            = field{0x588e, 0, 5} // RX_TOP_FRAME_SYNCH0_SF7TO12_PEAK1_POS_SF7TO12
	syncPeak2            = field{0x588f, 0, 5} // RX_TOP_FRAME_SYNCH1_SF7TO12_PEAK2_POS_SF7TO12
	timingAGainPAuto     = field{0x5892, 6, 2} // RX_TOP_FINE_TIMING_A_1_GAIN_P_AUTO
	timingAGainPPayload  = field{0x5892, 3, 3} // RX_TOP_FINE_TIMING_A_1_GAIN_P_PAYLOAD
	timingAGainISF12     = field{0x5896, 6, 2} // RX_TOP_FINE_TIMING_A_5_GAIN_I_EN_SF12
	timingAGainISF11     = field{0x5896, 4, 2} // RX_TOP_FINE_TIMING_A_5_GAIN_I_EN_SF11
	timingBRounding      = field{0x5899, 6, 1} // RX_TOP_FINE_TIMING_B_0_ROUNDING
	timingBMode          = field{0x5899, 0, 2} // RX_TOP_FINE_TIMING_B_0_MODE
	timingBGainPAuto     = field{0x589a, 6, 2} // RX_TOP_FINE_TIMING_B_1_GAIN_P_AUTO
	timingBGainPPayload  = field{0x589a, 3, 3} // RX_TOP_FINE_TIMING_B_1_GAIN_P_PAYLOAD
	timingBGainPPreamble = field{0x589a, 0, 3} // RX_TOP_FINE_TIMING_B_1_GAIN_P_PREAMB
	timingBGainIAuto     = field{0x589b, 6, 2} // RX_TOP_FINE_TIMING_B_2_GAIN_I_AUTO
	timingBGainIPayload  = field{0x589b, 3, 3} // RX_TOP_FINE_TIMING_B_2_GAIN_I_PAYLOAD
	timingBGainIPreamble = field{0x589b, 0, 3} // RX_TOP_FINE_TIMING_B_2_GAIN_I_PREAMB
	timingBGainISF12     = field{0x589e, 6, 2} // RX_TOP_FINE_TIMING_B_5_GAIN_I_EN_SF12
	timingBGainISF11     = field{0x589e, 4, 2} // RX_TOP_FINE_TIMING_B_5_GAIN_I_EN_SF11
	driftMantMSB         = field{0x58a0, 0, 4} // RX_TOP_FREQ_TO_TIME0_FREQ_TO_TIME_DRIFT_MANT
	driftMantLSB         = field{0x58a1, 0, 8} // RX_TOP_FREQ_TO_TIME1_FREQ_TO_TIME_DRIFT_MANT
	driftExp             = field{0x58a2, 0, 3} // RX_TOP_FREQ_TO_TIME2_FREQ_TO_TIME_DRIFT_EXP
	invertTimeSymbol     = field{0x58a3, 2, 1} // RX_TOP_FREQ_TO_TIME3_FREQ_TO_TIME_INVERT_TIME_SYMB
	trackASF5            = field{0x58a5, 0, 2} // RX_TOP_FREQ_TRACK_A_0_FREQ_TRACK_EN_SF5
	trackBSF5            = field{0x58a7, 0, 2} // RX_TOP_FREQ_TRACK_B_0_FREQ_TRACK_EN_SF5
	freqSyncThreshold    = field{0x58ab, 0, 4} // RX_TOP_FREQ_TRACK4_FREQ_SYNCH_THR
	syncDeltaMSB         = field{0x58b7, 0, 3} // RX_TOP_MODEM_SYNC_DELTA_MSB_MODEM_SYNC_DELTA
	syncDeltaLSB         = field{0x58b8, 0, 8} // RX_TOP_MODEM_SYNC_DELTA_LSB_MODEM_SYNC_DELTA
	ppmOffsetSF5         = field{0x58b9, 0, 2} // RX_TOP_MODEM_PPM_OFFSET1_PPM_OFFSET_SF5
)

// The LoRa service modem.
var (
	svcFreqMSB          = field{0x5b00, 0, 5} // RX_TOP_LORA_SERVICE_FSK_LORA_SERVICE_FREQ_MSB_IF_FREQ_0
	svcFreqLSB          = field{0x5b01, 0, 8} // RX_TOP_LORA_SERVICE_FSK_LORA_SERVICE_FREQ_LSB_IF_FREQ_0
	svcRadio            = field{0x5b02, 0, 1} // RX_TOP_LORA_SERVICE_FSK_LORA_SERVICE_RADIO_SEL_RADIO_SELECT
	svcDCNotch          = field{0x5b03, 0, 1} // RX_TOP_LORA_SERVICE_FSK_DC_NOTCH_CFG1_ENABLE
	svcDefaultFIR       = field{0x5b18, 3, 1} // RX_TOP_LORA_SERVICE_FSK_RX_DFE_AGC1_FORCE_DEFAULT_FIR
	svcDAGCInComp       = field{0x5b19, 6, 1} // RX_TOP_LORA_SERVICE_FSK_RX_DFE_AGC2_DAGC_IN_COMP
	svcDAGCTarget       = field{0x5b1b, 6, 2} // RX_TOP_LORA_SERVICE_FSK_DAGC_CFG_TARGET_LVL
	svcDAGCDropComp     = field{0x5b1b, 4, 1} // RX_TOP_LORA_SERVICE_FSK_DAGC_CFG_GAIN_DROP_COMP
	svcBW               = field{0x5b21, 4, 4} // RX_TOP_LORA_SERVICE_FSK_TXRX_CFG0_MODEM_BW
	svcSF               = field{0x5b21, 0, 4} // RX_TOP_LORA_SERVICE_FSK_TXRX_CFG0_MODEM_SF
	svcPPMOffset        = field{0x5b22, 4, 2} // RX_TOP_LORA_SERVICE_FSK_TXRX_CFG1_PPM_OFFSET
	svcEnable           = field{0x5b22, 3, 1} // RX_TOP_LORA_SERVICE_FSK_TXRX_CFG1_MODEM_EN
	svcCodingRate       = field{0x5b22, 0, 3} // RX_TOP_LORA_SERVICE_FSK_TXRX_CFG1_CODING_RATE
	svcFineSync         = field{0x5b23, 5, 1} // RX_TOP_LORA_SERVICE_FSK_TXRX_CFG2_FINE_SYNCH_EN
	svcStart            = field{0x5b23, 4, 1} // RX_TOP_LORA_SERVICE_FSK_TXRX_CFG2_MODEM_START
	svcCADRXTX          = field{0x5b23, 2, 2} // RX_TOP_LORA_SERVICE_FSK_TXRX_CFG2_CADRXTX
	svcImplicit         = field{0x5b23, 1, 1} // RX_TOP_LORA_SERVICE_FSK_TXRX_CFG2_IMPLICIT_HEADER
	svcCRC              = field{0x5b23, 0, 1} // RX_TOP_LORA_SERVICE_FSK_TXRX_CFG2_CRC_EN
	svcPayloadLength    = field{0x5b24, 0, 8} // RX_TOP_LORA_SERVICE_FSK_TXRX_CFG3_PAYLOAD_LENGTH
	svcPreambleLSB      = field{0x5b27, 0, 8} // RX_TOP_LORA_SERVICE_FSK_TXRX_CFG6_PREAMBLE_SYMB_NB
	svcPreambleMSB      = field{0x5b28, 0, 8} // RX_TOP_LORA_SERVICE_FSK_TXRX_CFG7_PREAMBLE_SYMB_NB
	svcDFTPeak          = field{0x5b2a, 4, 2} // RX_TOP_LORA_SERVICE_FSK_RX_CFG0_DFT_PEAK_EN
	svcSyncPeak1        = field{0x5b2e, 0, 5} // RX_TOP_LORA_SERVICE_FSK_FRAME_SYNCH0_PEAK1_POS
	svcSyncPeak2        = field{0x5b2f, 0, 5} // RX_TOP_LORA_SERVICE_FSK_FRAME_SYNCH1_PEAK2_POS
	svcGainPAuto        = field{0x5b32, 6, 2} // RX_TOP_LORA_SERVICE_FSK_FINE_TIMING1_GAIN_P_AUTO
	svcGainPPreamble    = field{0x5b32, 0, 3} // RX_TOP_LORA_SERVICE_FSK_FINE_TIMING1_GAIN_P_PREAMB
	svcGainIEnable      = field{0x5b33, 6, 2} // RX_TOP_LORA_SERVICE_FSK_FINE_TIMING2_GAIN_I_EN
	svcGainIPayload     = field{0x5b33, 3, 3} // RX_TOP_LORA_SERVICE_FSK_FINE_TIMING2_GAIN_I_PAYLOAD
	svcDriftMantMSB     = field{0x5b36, 0, 4} // RX_TOP_LORA_SERVICE_FSK_FREQ_TO_TIME0_FREQ_TO_TIME_DRIFT_MANT
	svcDriftMantLSB     = field{0x5b37, 0, 8} // RX_TOP_LORA_SERVICE_FSK_FREQ_TO_TIME1_FREQ_TO_TIME_DRIFT_MANT
	svcDriftExp         = field{0x5b38, 0, 3} // RX_TOP_LORA_SERVICE_FSK_FREQ_TO_TIME2_FREQ_TO_TIME_DRIFT_EXP
	svcInvertTimeSymbol = field{0x5b39, 2, 1} // RX_TOP_LORA_SERVICE_FSK_FREQ_TO_TIME3_FREQ_TO_TIME_INVERT_TIME_SYMB
	svcMSP2Peaks        = field{0x5b40, 4, 3} // RX_TOP_LORA_SERVICE_FSK_DETECT_MSP2_MSP2_PEAK_NB
	svcMSPPeaks         = field{0x5b40, 0, 3} // RX_TOP_LORA_SERVICE_FSK_DETECT_MSP2_MSP_PEAK_NB
	svcGainSymbol       = field{0x5b42, 7, 1} // RX_TOP_LORA_SERVICE_FSK_DETECT_ACC1_USE_GAIN_SYMB
	svcAccPNR           = field{0x5b42, 0, 7} // RX_TOP_LORA_SERVICE_FSK_DETECT_ACC1_ACC_PNR
)

// The FSK modem.
var (
	fskFreqMSB      = field{0x5b50, 0, 5} // RX_TOP_LORA_SERVICE_FSK_FSK_FREQ_MSB_IF_FREQ_0
	fskFreqLSB      = field{0x5b51, 0, 8} // RX_TOP_LORA_SERVICE_FSK_FSK_FREQ_LSB_IF_FREQ_0
	fskCRCIBM       = field{0x5b52, 4, 1} // RX_TOP_LORA_SERVICE_FSK_FSK_CFG_0_CRC_IBM
	fskWhitening    = field{0x5b52, 2, 2} // RX_TOP_LORA_SERVICE_FSK_FSK_CFG_0_DCFREE_ENC
	fskCRC          = field{0x5b52, 1, 1} // RX_TOP_LORA_SERVICE_FSK_FSK_CFG_0_CRC_EN
	fskPacketMode   = field{0x5b52, 0, 1} // RX_TOP_LORA_SERVICE_FSK_FSK_CFG_0_PKT_MODE
	fskSyncSize     = field{0x5b53, 3, 3} // RX_TOP_LORA_SERVICE_FSK_FSK_CFG_1_PSIZE
	fskBandwidth    = field{0x5b53, 0, 3} // RX_TOP_LORA_SERVICE_FSK_FSK_CFG_1_CH_BW_EXPO
	fskInvertIQ     = field{0x5b54, 3, 1} // RX_TOP_LORA_SERVICE_FSK_FSK_CFG_3_MODEM_INVERT_IQ
	fskAFC          = field{0x5b54, 2, 1} // RX_TOP_LORA_SERVICE_FSK_FSK_CFG_3_AUTO_AFC
	fskRadio        = field{0x5b54, 1, 1} // RX_TOP_LORA_SERVICE_FSK_FSK_CFG_3_RADIO_SELECT
	fskInvert       = field{0x5b54, 0, 1} // RX_TOP_LORA_SERVICE_FSK_FSK_CFG_3_RX_INVERT
	fskRSSILength   = field{0x5b55, 5, 3} // RX_TOP_LORA_SERVICE_FSK_FSK_CFG_4_RSSI_LENGTH
	fskOSRTolerance = field{0x5b55, 0, 5} // RX_TOP_LORA_SERVICE_FSK_FSK_CFG_4_ERROR_OSR_TOL
	fskNodeAddress  = field{0x5b56, 0, 8} // RX_TOP_LORA_SERVICE_FSK_FSK_NODE_ADRS_NODE_ADRS
	fskBroadcast    = field{0x5b57, 0, 8} // RX_TOP_LORA_SERVICE_FSK_FSK_BROADCAST_BROADCAST
	fskMaxLength    = field{0x5b58, 0, 8} // RX_TOP_LORA_SERVICE_FSK_FSK_PKT_LENGTH_PKT_LENGTH
	fskTimeoutMSB   = field{0x5b59, 0, 2} // RX_TOP_LORA_SERVICE_FSK_FSK_TIMEOUT_MSB_TIMEOUT
	fskTimeoutLSB   = field{0x5b5a, 0, 8} // RX_TOP_LORA_SERVICE_FSK_FSK_TIMEOUT_LSB_TIMEOUT
	fskBitRateMSB   = field{0x5b5b, 0, 8} // RX_TOP_LORA_SERVICE_FSK_BIT_RATE_MSB_BIT_RATE
	fskBitRateLSB   = field{0x5b5c, 0, 8} // RX_TOP_LORA_SERVICE_FSK_BIT_RATE_LSB_BIT_RATE
	fskSyncWord7    = field{0x5b5d, 0, 8} // RX_TOP_LORA_SERVICE_FSK_FSK_REF_PATTERN_BYTE7_FSK_REF_PATTERN
)

// The transmitter of radio A; that of B is txStride higher.
var (
	txTrigPPS        = field{0x5200, 2, 1} // TX_TOP_A_TX_TRIG_TX_TRIG_GPS
	txTrigDelayed    = field{0x5200, 1, 1} // TX_TOP_A_TX_TRIG_TX_TRIG_DELAYED
	txTrigImmediate  = field{0x5200, 0, 1} // TX_TOP_A_TX_TRIG_TX_TRIG_IMMEDIATE
	txTimer3         = field{0x5201, 0, 8} // TX_TOP_A_TIMER_TRIG_BYTE3_TIMER_DELAYED_TRIG
	txStartDelay     = field{0x5205, 0, 8} // TX_TOP_A_TX_START_DELAY_MSB_TX_START_DELAY
	txWriteBuffer    = field{0x5207, 0, 1} // TX_TOP_A_TX_CTRL_WRITE_BUFFER
	txModulation     = field{0x5209, 0, 1} // TX_TOP_A_GEN_CFG_0_MODULATION_TYPE
	txAGCBandwidth   = field{0x520c, 0, 8} // TX_TOP_A_AGC_TX_BW_AGC_TX_BW
	txAGCPower       = field{0x520d, 0, 8} // TX_TOP_A_AGC_TX_PWR_AGC_TX_PWR
	txStatus         = field{0x5211, 0, 8} // TX_TOP_A_TX_FSM_STATUS_TX_STATUS
	txClockEdge      = field{0x5220, 4, 1} // TX_TOP_A_TX_RFFE_IF_CTRL_TX_CLK_EDGE
	txMode           = field{0x5220, 3, 1} // TX_TOP_A_TX_RFFE_IF_CTRL_TX_MODE
	txIFDest         = field{0x5220, 2, 1} // TX_TOP_A_TX_RFFE_IF_CTRL_TX_IF_DST
	txIFSource       = field{0x5220, 0, 2} // TX_TOP_A_TX_RFFE_IF_CTRL_TX_IF_SRC
	txPLLDivAGC      = field{0x5221, 0, 1} // TX_TOP_A_TX_RFFE_IF_CTRL2_PLL_DIV_CTRL_AGC
	txIQGain         = field{0x5222, 0, 2} // TX_TOP_A_TX_RFFE_IF_IQ_GAIN_IQ_GAIN
	txIOffset        = field{0x5223, 0, 8} // TX_TOP_A_TX_RFFE_IF_I_OFFSET_I_OFFSET
	txFreqH          = field{0x5225, 0, 8} // TX_TOP_A_TX_RFFE_IF_FREQ_RF_H_FREQ_RF
	txDeviationH     = field{0x5228, 0, 4} // TX_TOP_A_TX_RFFE_IF_FREQ_DEV_H_FREQ_DEV
	txDeviationL     = field{0x5229, 0, 8} // TX_TOP_A_TX_RFFE_IF_FREQ_DEV_L_FREQ_DEV
	txTestModFreq    = field{0x522a, 0, 8} // TX_TOP_A_TX_RFFE_IF_TEST_MOD_FREQ
	txFSKLength      = field{0x5240, 0, 8} // TX_TOP_A_FSK_PKT_LEN_PKT_LENGTH
	txFSKCRCIBM      = field{0x5241, 4, 1} // TX_TOP_A_FSK_CFG_0_CRC_IBM
	txFSKWhitening   = field{0x5241, 2, 2} // TX_TOP_A_FSK_CFG_0_DCFREE_ENC
	txFSKCRC         = field{0x5241, 1, 1} // TX_TOP_A_FSK_CFG_0_CRC_EN
	txFSKPacketMode  = field{0x5241, 0, 1} // TX_TOP_A_FSK_CFG_0_PKT_MODE
	txFSKPreamble    = field{0x5242, 0, 8} // TX_TOP_A_FSK_PREAMBLE_SIZE_MSB_PREAMBLE_SIZE
	txFSKBitRate     = field{0x5244, 0, 8} // TX_TOP_A_FSK_BIT_RATE_MSB_BIT_RATE
	txFSKSyncSize    = field{0x5246, 5, 3} // TX_TOP_A_FSK_MOD_FSK_REF_PATTERN_SIZE
	txFSKPreambleSeq = field{0x5246, 4, 1} // TX_TOP_A_FSK_MOD_FSK_PREAMBLE_SEQ
	txFSKSyncEnable  = field{0x5246, 3, 1} // TX_TOP_A_FSK_MOD_FSK_REF_PATTERN_EN
	txFSKGaussianBT  = field{0x5246, 1, 2} // TX_TOP_A_FSK_MOD_FSK_GAUSSIAN_SELECT_BT
	txFSKGaussian    = field{0x5246, 0, 1} // TX_TOP_A_FSK_MOD_FSK_GAUSSIAN_EN
	txFSKSyncWord7   = field{0x5247, 0, 8} // TX_TOP_A_FSK_REF_PATTERN_BYTE7_FSK_REF_PATTERN
	txBW             = field{0x5260, 4, 4} // TX_TOP_A_TXRX_CFG0_0_MODEM_BW
	txSF             = field{0x5260, 0, 4} // TX_TOP_A_TXRX_CFG0_0_MODEM_SF
	txPPMHeader      = field{0x5261, 6, 2} // TX_TOP_A_TXRX_CFG0_1_PPM_OFFSET_HDR_CTRL
	txPPMOffset      = field{0x5261, 4, 2} // TX_TOP_A_TXRX_CFG0_1_PPM_OFFSET
	txCodingRate     = field{0x5261, 0, 3} // TX_TOP_A_TXRX_CFG0_1_CODING_RATE
	txFineSync       = field{0x5262, 7, 1} // TX_TOP_A_TXRX_CFG0_2_FINE_SYNCH_EN
	txModemEnable    = field{0x5262, 6, 1} // TX_TOP_A_TXRX_CFG0_2_MODEM_EN
	txCADRXTX        = field{0x5262, 4, 2} // TX_TOP_A_TXRX_CFG0_2_CADRXTX
	txImplicit       = field{0x5262, 1, 1} // TX_TOP_A_TXRX_CFG0_2_IMPLICIT_HEADER
	txCRC            = field{0x5262, 0, 1} // TX_TOP_A_TXRX_CFG0_2_CRC_EN
	txPayloadLength  = field{0x5263, 0, 8} // TX_TOP_A_TXRX_CFG0_3_PAYLOAD_LENGTH
	txModemStart     = field{0x5265, 7, 1} // TX_TOP_A_TXRX_CFG1_1_MODEM_START
	txPreambleLSB    = field{0x5266, 0, 8} // TX_TOP_A_TXRX_CFG1_2_PREAMBLE_SYMB_NB
	txPreambleMSB    = field{0x5267, 0, 8} // TX_TOP_A_TXRX_CFG1_3_PREAMBLE_SYMB_NB
	txChirpLowpass   = field{0x5269, 4, 3} // TX_TOP_A_TX_CFG0_0_CHIRP_LOWPASS
	txChirpInvert    = field{0x5269, 1, 1} // TX_TOP_A_TX_CFG0_0_CHIRP_INVERT
	txContinuous     = field{0x5269, 0, 1} // TX_TOP_A_TX_CFG0_0_CONTINUOUS
	txSyncPeak1      = field{0x526d, 0, 5} // TX_TOP_A_FRAME_SYNCH_0_PEAK1_POS
	txSyncPeak2      = field{0x526e, 0, 5} // TX_TOP_A_FRAME_SYNCH_1_PEAK2_POS
)
