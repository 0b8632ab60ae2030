package config

import (
	"cmp"
	"errors"
	"fmt"

	"lorawand/concentrator/sx1302/board"
)

// overrideUSB is override for a board behind a USB bridge, which has the lines, the SX1261
// and the sensor: those can only be left out.
func (s *SX1302) overrideUSB(b *board.Board, keys []boardKey) error {
	var errs []error
	if s.Device != "" && !deviceForm.MatchString(s.Device) {
		errs = append(errs, &keyError{"sx1302.device", fmt.Errorf("%.60q, must be as %s", s.Device, keys[0].example)})
	}
	if !b.Bridge && s.Board != "" {
		errs = append(errs, &keyError{
			"sx1302.device", fmt.Errorf("%.60q: %s is not made with a USB bridge", s.Device, b.Name),
		})
	}
	b.UseUSB(cmp.Or(s.Device, b.Device))
	for _, o := range keys[1:] {
		switch {
		case o.given == None:
			*o.field = ""
		case o.given != "" && o.given != board.AnyUSB:
			errs = append(errs, &keyError{
				"sx1302." + o.key, fmt.Errorf("%.60q: the USB bridge of the board has it; leave the key out", o.given),
			})
		}
	}
	return errors.Join(errs...)
}
