package board

import (
	"errors"
	"fmt"
	"slices"
	"sort"

	"lorawand/concentrator/sx1302"
	"lorawand/radio"
)

// Wanted is a channel to receive.
type Wanted struct {
	Frequency radio.Frequency
	DataRate  radio.DataRate // if there are several, one of them
	AllSF     bool           // LoRa of 125 kHz with any spreading factor
}

// width returns how much of a radio's 1.6 MHz a channel needs, Hz.
func (w *Wanted) width() int64 {
	if w.DataRate.Modulation == radio.LoRa {
		return int64(w.DataRate.Bandwidth)
	}
	return 125_000
}

// oneRadio is the widest range of channels for one radio, Hz. Two radios share a
// wider range, so that no channel is at the edge of the filters.
const oneRadio = 1_000_000

// centreGrid is the grid of the radios' centres, Hz.
const centreGrid = 100_000

// Arrange sets up the radios and modems of a board for up to eight channels with
// all spreading factors, one for the LoRa service modem and one for FSK. It returns
// ErrConfig if they do not fit.
func Arrange(b *Board, wanted []Wanted) (sx1302.Config, error) {
	c := sx1302.Config{Radios: b.Radios, ClockSource: b.ClockSource}
	if len(wanted) == 0 {
		return c, fmt.Errorf("%w: no channel is to be heard", sx1302.ErrConfig)
	}
	sorted := slices.Clone(wanted)
	sort.SliceStable(sorted, func(i, j int) bool { return sorted[i].Frequency < sorted[j].Frequency })
	split := bestSplit(sorted)
	for chain, part := range [sx1302.Chains][]Wanted{sorted[:split], sorted[split:]} {
		if len(part) == 0 && chain != int(b.ClockSource) {
			continue
		}
		if len(part) == 0 {
			part = sorted // a radio that only provides the clock is tuned to any frequency
		}
		low, high := edges(part)
		c.Radios[chain].Enabled = true
		c.Radios[chain].Frequency = radio.Frequency(((low+high)/2 + centreGrid/2) / centreGrid * centreGrid)
	}
	channels := 0
	for i := range wanted {
		w := &wanted[i]
		chain := 0
		if slices.Contains(sorted[split:], *w) {
			chain = 1
		}
		ch := sx1302.Channel{
			Enabled: true, Chain: uint8(chain),
			Offset: int32(int64(w.Frequency) - int64(c.Radios[chain].Frequency)),
		}
		if err := add(&c, w, ch, &channels); err != nil {
			return c, fmt.Errorf("%w: %s at %s: %w", sx1302.ErrConfig, w.Frequency, w.DataRate, err)
		}
	}
	return c, c.Validate()
}

// edges returns the lower and upper edge of the channels, Hz.
func edges(part []Wanted) (low, high int64) {
	for i := range part {
		w := &part[i]
		l, h := int64(w.Frequency)-w.width()/2, int64(w.Frequency)+w.width()/2
		if i == 0 || l < low {
			low = l
		}
		high = max(high, h)
	}
	return low, high
}

// bestSplit returns how many of the channels, sorted by frequency, radio A
// receives: all of them if they fit one radio, or so many that the wider of both
// ranges is as narrow as possible.
func bestSplit(sorted []Wanted) int {
	low, high := edges(sorted)
	best, width := len(sorted), high-low
	if width <= oneRadio {
		return best
	}
	for n := 1; n < len(sorted); n++ {
		lowA, highA := edges(sorted[:n])
		lowB, highB := edges(sorted[n:])
		if w := max(highA-lowA, highB-lowB); w < width {
			best, width = n, w
		}
	}
	return best
}

// add gives a channel to a modem that can receive it.
func add(c *sx1302.Config, w *Wanted, ch sx1302.Channel, channels *int) error {
	switch {
	case w.DataRate.Modulation == radio.FSK:
		if c.FSK.Enabled {
			return errors.New("there is only one FSK modem")
		}
		c.FSK.Channel, c.FSK.BitRate = ch, w.DataRate.BitRate
	case w.DataRate.Modulation != radio.LoRa:
		return errors.New("there is no modem for it")
	case w.AllSF && w.DataRate.Bandwidth == 125_000:
		if *channels == sx1302.MultiChannels {
			return fmt.Errorf("there are only %d channels for all spreading factors", sx1302.MultiChannels)
		}
		c.Channels[*channels] = ch
		*channels++
	case c.Service.Enabled:
		return errors.New("there is only one LoRa service modem")
	default:
		c.Service.Channel, c.Service.SpreadingFactor, c.Service.Bandwidth = ch, w.DataRate.SpreadingFactor,
			w.DataRate.Bandwidth
	}
	return nil
}
