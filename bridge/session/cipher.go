package session

import (
	"slices"

	"lorawand/bridge/session/macstate"
	"lorawand/radio"
	"lorawand/radio/frame"
	"lorawand/radio/region"
)

// Cipher returns what checks, decrypts and makes the frames of the session. It
// is made with its first use, and kept.
func (s *Session) Cipher(v Version) *frame.Cipher {
	if s.cipher == nil {
		s.cipher = frame.NewCipher(s.Keys, v >= V1_1)
	}
	return s.cipher
}

// Reception is how a frame was sent, as the gateway tells it.
type Reception struct {
	DataRate  radio.DataRate
	Frequency radio.Frequency
	Source    Source
}

// context is what the MIC of an uplink covers with LoRaWAN 1.1. A data rate or
// channel that the device cannot have used gives 0, and no MIC is right then.
func (m *candidate) context(d *frame.Data, r Reception) (c frame.Context) {
	if m.device.Version < V1_1 {
		return c
	}
	if d.ACK {
		c.ConfFCnt = m.confFCnt()
	}
	plan, err := m.device.FrequencyPlan()
	if err != nil {
		return c
	}
	if c.TxDR, err = plan.UplinkDataRate(r.DataRate); err != nil {
		return c
	}
	if n := m.channel(plan, r.Frequency, c.TxDR); n >= 0 {
		c.TxCh = uint8(n)
		return c
	}
	if ch, err := plan.UplinkChannel(r.Frequency, c.TxDR); err == nil {
		c.TxCh = uint8(ch)
	}
	return c
}

// channel is the number that the device gives a channel which is not the plan's:
// one that it was told of, or has from its factory where it was told of none. It
// is -1 where there is none.
func (m *candidate) channel(plan *region.Plan, f radio.Frequency, dr uint8) int {
	if p := m.session.Parameters; p != nil && len(p.Channels) > 0 {
		return slices.IndexFunc(p.Channels, func(ch Channel) bool {
			return ch.UplinkFrequency == f && ch.MinDataRate <= dr && dr <= ch.MaxDataRate
		})
	}
	if m.device.SupportsJoin || plan.FixedChannels() || len(m.device.Settings.Frequencies) == 0 {
		return -1
	}
	var room [macstate.MaxChannels]Channel
	has := macstate.FactoryChannels(m.device.Settings.Frequencies, plan, room[:0])
	return slices.IndexFunc(has, func(ch Channel) bool { return ch.UplinkFrequency == f })
}

// confFCnt is the counter of the confirmed downlink that an acknowledgement is of. A frame that
// comes once more says what it has said before, whatever was sent since.
func (m *candidate) confFCnt() uint16 {
	if m.verdict == repeated {
		return m.session.confFCnt
	}
	if it := m.device.Queue.Awaiting(); it != nil {
		return uint16(it.SentFCnt)
	}
	return uint16(m.session.ConfFCntDown)
}
