package config

import (
	"errors"
	"fmt"
	"regexp"

	"lorawand/radio"
	"lorawand/radio/region"
)

// gnssForm matches a device.
var gnssForm = regexp.MustCompile(`^/dev/[\w./:-]+$`)

// findGNSS finds the satellite receiver. The key goes before the global_conf.json.
func (s *SX1302) findGNSS(c *Concentrator, p *region.Plan) error {
	if s.GNSS == nil {
		return nil
	}
	switch device := s.GNSS.Device; {
	case device == None:
		c.GNSS = ""
	case device != "" && !gnssForm.MatchString(device):
		return &keyError{"sx1302.gnss.device", fmt.Errorf("%.60q, must be as \"/dev/ttyAMA0\" or \"none\"", device)}
	case device != "":
		c.GNSS = device
	case c.GNSS == "":
		return &keyError{"sx1302.gnss.device", errors.New("missing; such as \"/dev/ttyAMA0\"")}
	}
	if !s.GNSS.Beacon {
		return nil
	}
	if c.GNSS == "" {
		return &keyError{"sx1302.gnss.beacon", errors.New("needs the device of a receiver: a beacon goes by GPS time")}
	}
	if _, err := p.Beacon(0); err != nil {
		return &keyError{"sx1302.gnss.beacon", fmt.Errorf("the plan has no beacons: %w", err)}
	}
	if err := c.Chip.LBT.Carries(beacon(p)); err != nil {
		return &keyError{"sx1302.gnss.beacon", fmt.Errorf("sx1261_conf of the global_conf.json lets no beacon out: %w", err)}
	}
	return nil
}

// beacon returns a downlink of the size, and on the channel, of the beacons of a plan that has some.
// Where channels take turns it is the first one: no such plan asks for listening before talking.
func beacon(p *region.Plan) *radio.Downlink {
	b, err := p.Beacon(0)
	if err != nil {
		return &radio.Downlink{} // not reached: the plan was asked before
	}
	rate, _ := p.DataRate(b.DataRate) // a plan knows its own
	return &radio.Downlink{Beacon: true, Frequency: b.Frequency, DataRate: rate, PHYPayload: make([]byte, b.Size())}
}
