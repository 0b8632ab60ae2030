package config

import (
	"errors"
	"fmt"
	"regexp"

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
	return nil
}
