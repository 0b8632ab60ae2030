package macstate

import (
	"lorawand/radio"
	"lorawand/radio/region"
)

// Wish is what the owner wants of a device in the session at hand, and goes before the
// settings and the plan (mac_state.desired_parameters of The Things Stack). nil and none
// leave it to these. It ends with the session, or when the device begins anew.
type Wish struct {
	RX1Delay      *uint8           `json:",omitempty"` // s
	RX1DROffset   *uint8           `json:",omitempty"`
	RX2DataRate   *uint8           `json:",omitempty"` // index
	RX2Frequency  *radio.Frequency `json:",omitempty"`
	MaxDutyCycle  *uint8           `json:",omitempty"` // as in Settings
	MaxEIRP       *radio.Decibel   `json:",omitempty"` // dBm
	UplinkDwell   *bool            `json:",omitempty"` // frames of at most 400 ms
	DownlinkDwell *bool            `json:",omitempty"`
	ADRAckLimit   *uint8           `json:",omitempty"` // as in Settings
	ADRAckDelay   *uint8           `json:",omitempty"` // as in Settings
	RejoinTime    *uint8           `json:",omitempty"` // a rejoin-request each 2^(n+10) s, n 0 to 15
	RejoinCount   *uint8           `json:",omitempty"` // and each 2^(n+4) frames, n 0 to 15
	PingFrequency *radio.Frequency `json:",omitempty"` // of ping slots; 0: that of the band
	PingDataRate  *uint8           `json:",omitempty"` // index, of ping slots
	Beacon        *radio.Frequency `json:",omitempty"` // 0: that of the band
	ForceRejoin   *uint8           `json:",omitempty"` // a rejoin-request of this type now: 0 or 2
	Channels      []Channel        `json:",omitempty"` // by number; one left out, or without frequency, is taken away

	// The channels to use, of a band that lays all down.
	Mask *region.ChannelMask `json:",omitempty"`
}

// Over returns w, and of under what w does not name.
func (w *Wish) Over(under Wish) Wish {
	if w == nil {
		return under
	}
	out := *w
	or(&out.RX1Delay, under.RX1Delay)
	or(&out.RX1DROffset, under.RX1DROffset)
	or(&out.RX2DataRate, under.RX2DataRate)
	or(&out.RX2Frequency, under.RX2Frequency)
	or(&out.MaxDutyCycle, under.MaxDutyCycle)
	or(&out.MaxEIRP, under.MaxEIRP)
	or(&out.UplinkDwell, under.UplinkDwell)
	or(&out.DownlinkDwell, under.DownlinkDwell)
	or(&out.ADRAckLimit, under.ADRAckLimit)
	or(&out.ADRAckDelay, under.ADRAckDelay)
	or(&out.RejoinTime, under.RejoinTime)
	or(&out.RejoinCount, under.RejoinCount)
	or(&out.PingFrequency, under.PingFrequency)
	or(&out.PingDataRate, under.PingDataRate)
	or(&out.Beacon, under.Beacon)
	or(&out.ForceRejoin, under.ForceRejoin)
	or(&out.Mask, under.Mask)
	if len(out.Channels) == 0 {
		out.Channels = under.Channels
	}
	return out
}

func or[T any](p **T, under *T) {
	if *p == nil {
		*p = under
	}
}

// Decision is what ADR has asked a device for, and why.
type Decision struct {
	FCntUp                   uint32
	Static                   bool          `json:",omitempty"` // the owner has laid it down
	From                     uint8         // data rate index that the device had
	SNR                      radio.Decibel // dB, the best of the uplinks
	Margin                   radio.Decibel // dB, above the demodulation floor
	Heard                    uint8         // uplinks
	Lost, Of                 uint32
	DataRate, Power, NbTrans uint8
}
