package enddevice

import (
	"math"

	"lorawand/bridge/session/macstate"
	"lorawand/radio"
)

// requestJSON is a MAC command of the network that the device has not answered. One
// member says what it asks; DevStatusReq asks nothing more.
//
// Not taken over is what The Things Stack does not tell: how often a request was sent,
// so that it is sent six times at the most once more. queued_responses are neither read nor
// written: they answer an uplink in its windows, which are over after a hand-over, and a
// device that needs an answer asks again.
type requestJSON struct {
	CID           enum[cidNames]     `json:"cid"`
	LinkADR       *linkADRJSON       `json:"link_adr_req,omitempty"`
	DutyCycle     *dutyCycleJSON     `json:"duty_cycle_req,omitempty"`
	RXParamSetup  *rxParamSetupJSON  `json:"rx_param_setup_req,omitempty"`
	NewChannel    *newChannelJSON    `json:"new_channel_req,omitempty"`
	RXTimingSetup *rxTimingSetupJSON `json:"rx_timing_setup_req,omitempty"`
	TxParamSetup  *txParamSetupJSON  `json:"tx_param_setup_req,omitempty"`
	DlChannel     *dlChannelJSON     `json:"dl_channel_req,omitempty"`
	ADRParamSetup *adrParamSetupJSON `json:"adr_param_setup_req,omitempty"`
	RejoinParam   *rejoinParamJSON   `json:"rejoin_param_setup_req,omitempty"`
}

type (
	linkADRJSON struct {
		DataRate number `json:"data_rate_index,omitzero"`
		Power    number `json:"tx_power_index,omitzero"`
		Mask     []bool `json:"channel_mask,omitempty"`
		Cntl     number `json:"channel_mask_control,omitzero"`
		NbTrans  number `json:"nb_trans,omitzero"`
	}
	dutyCycleJSON struct {
		Max enum[dutyCycleNames] `json:"max_duty_cycle,omitempty"`
	}
	rxParamSetupJSON struct {
		RX2DataRate  number    `json:"rx2_data_rate_index,omitzero"`
		RX1DROffset  number    `json:"rx1_data_rate_offset,omitzero"`
		RX2Frequency bigNumber `json:"rx2_frequency,omitzero"`
	}
	newChannelJSON struct {
		Index       number    `json:"channel_index,omitzero"`
		Frequency   bigNumber `json:"frequency,omitzero"`
		MinDataRate number    `json:"min_data_rate_index,omitzero"`
		MaxDataRate number    `json:"max_data_rate_index,omitzero"`
	}
	rxTimingSetupJSON struct {
		Delay number `json:"delay,omitzero"`
	}
	txParamSetupJSON struct {
		MaxEIRP       enum[eirpNames] `json:"max_eirp_index,omitempty"`
		UplinkDwell   yes             `json:"uplink_dwell_time,omitempty"`
		DownlinkDwell yes             `json:"downlink_dwell_time,omitempty"`
	}
	dlChannelJSON struct {
		Index     number    `json:"channel_index,omitzero"`
		Frequency bigNumber `json:"frequency,omitzero"`
	}
	adrParamSetupJSON struct {
		Limit enum[ackLimitNames] `json:"adr_ack_limit_exponent,omitempty"`
		Delay enum[ackDelayNames] `json:"adr_ack_delay_exponent,omitempty"`
	}
	rejoinParamJSON struct {
		Count enum[rejoinCounts] `json:"max_count_exponent,omitempty"`
		Time  enum[rejoinNames]  `json:"max_time_exponent,omitempty"`
	}
)

// The identifiers of the requests that have an answer (LoRaWAN L2 1.0.4, 5; 1.1, 5).
const (
	cidLinkADR       = 0x03
	cidDutyCycle     = 0x04
	cidRXParamSetup  = 0x05
	cidDevStatus     = 0x06
	cidNewChannel    = 0x07
	cidRXTimingSetup = 0x08
	cidTxParamSetup  = 0x09
	cidDlChannel     = 0x0a
	cidADRParamSetup = 0x0c
	cidRejoinParam   = 0x0f
)

const maskSize = 16 // channels in a LinkADRReq

// maxFrequency is the highest that a command can tell: 24 bits of 100 Hz.
const maxFrequency = (1<<24 - 1) * 100

// nibbles are two numbers of 4 bits.
func nibbles(high, low uint8) byte { return high<<4 | low&0x0f }

func tellFrequency(f radio.Frequency) (low, middle, high byte) {
	n := uint32(f / 100)
	return byte(n), byte(n >> 8), byte(n >> 16)
}

func toldFrequency(b []byte) radio.Frequency {
	return radio.Frequency(uint32(b[0])|uint32(b[1])<<8|uint32(b[2])<<16) * 100
}

// command returns what is sent. ok is false for what nothing here asks for.
func (j *requestJSON) command(r *reader) (c macstate.Command, ok bool) {
	small := func(name string, n number, limit uint64) uint8 {
		return uint8(r.number("mac_state.pending_requests."+name, n, limit))
	}
	bit := map[yes]uint8{true: 1}
	switch {
	case j.CID == "CID_DEV_STATUS":
		return macstate.New(cidDevStatus), true
	case j.CID == "CID_LINK_ADR" && j.LinkADR != nil:
		q, mask := j.LinkADR, uint16(0)
		for i, on := range q.Mask[:min(len(q.Mask), maskSize)] {
			if on {
				mask |= 1 << i
			}
		}
		rate, power := small("data_rate_index", q.DataRate, 15), small("tx_power_index", q.Power, 15)
		cntl, nbTrans := small("channel_mask_control", q.Cntl, 7), small("nb_trans", q.NbTrans, 15)
		return macstate.New(cidLinkADR, nibbles(rate, power), byte(mask), byte(mask>>8), nibbles(cntl, nbTrans)), true
	case j.CID == "CID_DUTY_CYCLE" && j.DutyCycle != nil:
		return macstate.New(cidDutyCycle, *zeroOr(j.DutyCycle.Max.exponent())), true
	case j.CID == "CID_RX_TIMING_SETUP" && j.RXTimingSetup != nil:
		return macstate.New(cidRXTimingSetup, small("delay", j.RXTimingSetup.Delay, 15)), true
	case j.CID == "CID_TX_PARAM_SETUP" && j.TxParamSetup != nil:
		q := j.TxParamSetup
		dwell := bit[q.DownlinkDwell]<<1 | bit[q.UplinkDwell]
		return macstate.New(cidTxParamSetup, nibbles(dwell, *zeroOr(q.MaxEIRP.exponent()))), true
	case j.CID == "CID_ADR_PARAM_SETUP" && j.ADRParamSetup != nil:
		q := j.ADRParamSetup
		return macstate.New(cidADRParamSetup, nibbles(*zeroOr(q.Limit.exponent()), *zeroOr(q.Delay.exponent()))), true
	case j.CID == "CID_REJOIN_PARAM_SETUP" && j.RejoinParam != nil:
		q := j.RejoinParam
		return macstate.New(cidRejoinParam, nibbles(*zeroOr(q.Time.exponent()), *zeroOr(q.Count.exponent()))), true
	}
	return j.channelCommand(r, small)
}

// channelCommand returns one of the commands with a frequency.
func (j *requestJSON) channelCommand(
	r *reader, small func(name string, n number, limit uint64) uint8,
) (c macstate.Command, ok bool) {
	told := func(name string, n bigNumber) (low, middle, high byte) {
		return tellFrequency(radio.Frequency(r.number("mac_state.pending_requests."+name, n.number, maxFrequency)))
	}
	switch {
	case j.CID == "CID_RX_PARAM_SETUP" && j.RXParamSetup != nil:
		q := j.RXParamSetup
		l, m, h := told("rx2_frequency", q.RX2Frequency)
		offset, rate := small("rx1_data_rate_offset", q.RX1DROffset, 7), small("rx2_data_rate_index", q.RX2DataRate, 15)
		return macstate.New(cidRXParamSetup, nibbles(offset, rate), l, m, h), true
	case j.CID == "CID_NEW_CHANNEL" && j.NewChannel != nil:
		q := j.NewChannel
		l, m, h := told("frequency", q.Frequency)
		rates := nibbles(small("max_data_rate_index", q.MaxDataRate, 15), small("min_data_rate_index", q.MinDataRate, 15))
		return macstate.New(cidNewChannel, small("channel_index", q.Index, math.MaxUint8), l, m, h, rates), true
	case j.CID == "CID_DL_CHANNEL" && j.DlChannel != nil:
		q := j.DlChannel
		l, m, h := told("frequency", q.Frequency)
		return macstate.New(cidDlChannel, small("channel_index", q.Index, math.MaxUint8), l, m, h), true
	}
	return c, false
}

// requestOf is the way back.
func requestOf(c macstate.Command) (j requestJSON, ok bool) {
	b := c.Payload[:]
	high, low := b[0]>>4, b[0]&0x0f
	j.CID = enum[cidNames](cidNames{}.name(uint64(c.CID)))
	switch c.CID {
	case cidDevStatus:
	case cidLinkADR:
		q := &linkADRJSON{DataRate: some(high), Power: some(low), Cntl: some(b[3] >> 4 & 7), NbTrans: some(b[3] & 0x0f)}
		for i := range maskSize {
			q.Mask = append(q.Mask, b[1+i/8]>>(i%8)&1 == 1)
		}
		j.LinkADR = q
	case cidDutyCycle:
		j.DutyCycle = &dutyCycleJSON{wordOf[dutyCycleNames](&low)}
	case cidRXParamSetup:
		j.RXParamSetup = &rxParamSetupJSON{some(low), some(high & 7), frequency(toldFrequency(b[1:]))}
	case cidNewChannel:
		j.NewChannel = &newChannelJSON{some(b[0]), frequency(toldFrequency(b[1:])), some(b[4] & 0x0f), some(b[4] >> 4)}
	case cidRXTimingSetup:
		j.RXTimingSetup = &rxTimingSetupJSON{some(low)}
	case cidTxParamSetup:
		j.TxParamSetup = &txParamSetupJSON{wordOf[eirpNames](&low), b[0]>>4&1 == 1, b[0]>>5&1 == 1}
	case cidDlChannel:
		j.DlChannel = &dlChannelJSON{some(b[0]), frequency(toldFrequency(b[1:]))}
	case cidADRParamSetup:
		j.ADRParamSetup = &adrParamSetupJSON{wordOf[ackLimitNames](&high), wordOf[ackDelayNames](&low)}
	case cidRejoinParam:
		j.RejoinParam = &rejoinParamJSON{wordOf[rejoinCounts](&low), wordOf[rejoinNames](&high)}
	default:
		return j, false
	}
	return j, true
}

// asked reads the requests that are open. They were sent in the windows of the last
// uplink: the next one may have the answers.
func (m *macStateJSON) asked(r *reader, fCntUp uint32) (asked []macstate.Request) {
	for i := range m.Pending[:min(len(m.Pending), macstate.MaxAsked)] {
		if c, ok := m.Pending[i].command(r); ok {
			asked = append(asked, macstate.Request{Command: c, Tries: 1, FCntUp: fCntUp})
		}
	}
	return asked
}

// pendingOf writes the requests whose answers would be taken.
func pendingOf(s *macstate.State) (out []requestJSON) {
	for i := range s.Asked {
		c := s.Asked[i].Command
		for _, open := range s.Open(c.CID, math.MaxUint32) {
			if j, ok := requestOf(c); ok && open == c {
				out = append(out, j)
			}
		}
	}
	return out
}
