package macstate

import (
	"slices"

	"lorawand/radio"
	"lorawand/radio/region"
)

// MaxChannels is how many channels a device has in bands where they are told
// (RP002-1.0.4: 16 in most bands).
const MaxChannels = 16

// Channel is one of a device's channels.
type Channel struct {
	UplinkFrequency   radio.Frequency
	DownlinkFrequency radio.Frequency
	MinDataRate       uint8
	MaxDataRate       uint8
	Enabled           bool
}

// ChannelOn returns a channel in use, with RX1 on its own frequency.
func ChannelOn(f radio.Frequency, low, high uint8) Channel {
	return Channel{UplinkFrequency: f, DownlinkFrequency: f, MinDataRate: low, MaxDataRate: high, Enabled: true}
}

// FactoryChannels appends the channels that a device was made with, by number. The band's own
// come first, whatever the order in which they are told, and are off where they are not told:
// each device has them, and they cannot be moved (RP002-1.0.4, 2.4.2: EU868 channels 0 to 2).
// The Things Stack takes the place in the list for the number; a device of LoRaWAN 1.1 that was
// heard there tells its list in this order.
func FactoryChannels(frequencies []radio.Frequency, p *region.Plan, room []Channel) []Channel {
	for _, c := range p.DefaultChannels() {
		own := ChannelOn(c.Frequency, c.MinDR, c.MaxDR)
		own.Enabled = slices.Contains(frequencies, c.Frequency)
		room = append(room, own)
	}
	low, high := UsualRates(p)
	for _, f := range frequencies {
		at := func(c Channel) bool { return c.UplinkFrequency == f }
		if len(room) < MaxChannels && !slices.ContainsFunc(room, at) {
			room = append(room, ChannelOn(f, low, high))
		}
	}
	return room
}

// UsualRates returns the data rates of the band's own channels.
func UsualRates(p *region.Plan) (low, high uint8) {
	if c := p.DefaultChannels(); len(c) > 0 {
		return c[0].MinDR, c[0].MaxDR
	}
	return 0, 5
}

// MaskOf returns the channels of a band that lays them down whose frequency is in use.
func MaskOf(p *region.Plan, uses func(radio.Frequency) bool) (mask region.ChannelMask) {
	for n, own := range p.DefaultChannels() {
		if uses(own.Frequency) {
			mask.Set(n)
		}
	}
	return mask
}

// UsedOf returns those of a list that are in use.
func UsedOf(channels []Channel, p *region.Plan) region.ChannelMask {
	return MaskOf(p, func(f radio.Frequency) bool {
		return slices.ContainsFunc(channels, func(c Channel) bool { return c.Enabled && c.UplinkFrequency == f })
	})
}

// FixedChannels returns all channels that a band lays down, of which those of a mask are in
// use.
func FixedChannels(mask region.ChannelMask, p *region.Plan) (channels []Channel) {
	for n, own := range p.DefaultChannels() {
		c := ChannelOn(own.Frequency, own.MinDR, own.MaxDR)
		if w, err := p.RX1(own.Frequency, own.MinDR, 0); err == nil {
			c.DownlinkFrequency = w.Frequency
		}
		c.Enabled = mask.Has(n)
		channels = append(channels, c)
	}
	return channels
}
