package enddevice

import (
	"fmt"

	"lorawand/bridge/session"
	"lorawand/bridge/v3/enddevice/sheet"
)

// ErrField is the reason for a field that a device does not have.
var ErrField = sheet.ErrField

// Columns returns the names of all columns of a table: see sheet.Columns.
func Columns() []string { return sheet.Columns() }

// ParseFields sets fields of a device by the names that they have in a CSV
// file. It names one that is wrong, and may have set others then.
func ParseFields(d *session.Device, fields map[string]string) error { return sheet.Fields(d, fields) }

// SetFields is ParseFields for a whole device, which is completed and checked
// as those of a file are. It returns what the owner is to know.
func SetFields(d *session.Device, fields map[string]string, o Options) (notes []string, err error) {
	before, had := d.Settings, d.Session != nil
	if err := ParseFields(d, fields); err != nil {
		return nil, err
	}
	if _, addressed := fields[sheet.DevAddr]; d.Session != nil && !had && !addressed {
		return nil, fmt.Errorf("%s: %w", sheet.DevAddr, ErrMissing)
	}
	use(d, before)
	o.defaults(d)
	var r reader
	err = finish(d, o, r.note)
	return r.notes, err
}

// use has a device go by what a table has just said of its receive windows.
// before are the settings before that: what stands there only once was said by
// others.
//
// One that was personalised uses it from then on. One that joins is told it by its
// next join, which leaves the session that it has as it is; only where a table has
// a session without more, it is what that session uses too.
func use(d *session.Device, before session.Settings) {
	is, wish := &d.Settings, &d.Settings.Desired
	bare := d.Session != nil && d.Session.Parameters == nil
	switch s := d.Session; {
	case d.SupportsJoin:
		move := func(said **uint8, was *uint8, into **uint8) {
			if *said == was {
				return
			}
			*into = *said
			if !bare {
				*said = nil
			}
		}
		move(&is.RX1Delay, before.RX1Delay, &wish.RX1Delay)
		move(&is.RX1DROffset, before.RX1DROffset, &wish.RX1DROffset)
		move(&is.RX2DataRate, before.RX2DataRate, &wish.RX2DataRate)
	case s != nil && !bare:
		said := *is
		if said.RX1Delay == before.RX1Delay {
			said.RX1Delay = nil
		}
		if said.RX1DROffset == before.RX1DROffset {
			said.RX1DROffset = nil
		}
		if said.RX2DataRate == before.RX2DataRate {
			said.RX2DataRate = nil
		}
		if said.RX2Frequency == before.RX2Frequency {
			said.RX2Frequency = nil
		}
		p := *s.Parameters
		said.Apply(&p)
		s.Parameters = &p
	}
}
