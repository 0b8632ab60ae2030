package config

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"lorawand/concentrator/sx1302"
	"lorawand/radio"
	"lorawand/radio/region"
)

// listening returns how a plan makes the gateway listen before talk: on all its
// channels, those of RX2, and that of beacons and ping slots.
func listening(p *region.Plan) sx1302.LBT {
	l, ok := p.LBT()
	if !ok {
		return sx1302.LBT{}
	}
	out := sx1302.LBT{Enabled: true, Target: l.Target}
	add := func(f radio.Frequency) {
		for _, bandwidth := range downlinkBandwidths(p) {
			ch := sx1302.LBTChannel{Frequency: f, Bandwidth: bandwidth, Scan: l.Scan, Airtime: l.Airtime}
			if !slices.Contains(out.Channels, ch) {
				out.Channels = append(out.Channels, ch)
			}
		}
	}
	for _, w := range wanted(p) {
		add(w.Frequency)
	}
	add(p.RX2().Frequency)
	add(p.BandRX2().Frequency)
	if b, err := p.Beacon(0); err == nil { // no plan that asks for listening has several that take turns
		add(b.Frequency)
	}
	return out
}

// downlinkBandwidths returns the bandwidths of the downlink data rates, Hz. FSK
// counts as the narrowest bandwidth of LoRa.
func downlinkBandwidths(p *region.Plan) []uint32 {
	var out []uint32
	for index := range uint8(16) {
		dr, err := p.DataRate(index)
		if _, sizeErr := p.DownlinkMaxMACPayload(index); err != nil || sizeErr != nil || dr.Modulation != radio.LoRa {
			continue
		}
		if !slices.Contains(out, dr.Bandwidth) {
			out = append(out, dr.Bandwidth)
		}
	}
	return out
}

// checkListening returns what is missing for listen before talk. The simulated
// board has the radio for it.
func (s *SX1302) checkListening(c *Concentrator, p *region.Plan) error {
	switch _, asked := p.LBT(); {
	case asked && !c.Chip.LBT.Enabled:
		return &keyError{
			"sx1302.global_conf",
			fmt.Errorf("the plan %s asks for listening before talking, which sx1261_conf of the file does not enable", p.ID()),
		}
	case c.Chip.LBT.Enabled && c.Board.SX1261 == "" && s.Device != SimDevice:
		return &keyError{
			"sx1302.sx1261",
			errors.New("missing: listening before talking needs the SX1261 of the board, such as \"/dev/spidev0.1\"; boards " +
				"without one cannot be used with this plan"),
		}
	}
	return nil
}

// Limits of noise_floor: a survey of eight channels takes half a minute.
const (
	minNoiseFloor = time.Minute
	maxNoiseFloor = 24 * time.Hour
)

// checkNoise returns why the noise floor cannot be measured.
func (s *SX1302) checkNoise(c *Concentrator) error {
	switch every := s.NoiseFloor.D(); {
	case every == 0:
		return nil
	case every < minNoiseFloor || every > maxNoiseFloor:
		return &keyError{
			"sx1302.noise_floor", fmt.Errorf("%v, must be 0s or %v to %v", every, minNoiseFloor, maxNoiseFloor),
		}
	case c.Board.SX1261 == "" && s.Device != SimDevice:
		return &keyError{
			"sx1302.sx1261",
			errors.New("missing: noise floor and scans need the SX1261 of the board, such as \"/dev/spidev0.1\"; boards " +
				"without one cannot measure"),
		}
	}
	return nil
}
