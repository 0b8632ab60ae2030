package board

import (
	"context"
	"fmt"
	"time"

	"lorawand/concentrator/sx1302"
)

// Pin is an output line of a GPIO chip, or a substitute for one.
type Pin interface {
	Set(high bool) error
}

// Pins are the lines of a board; lines that it does not have are nil.
type Pins struct {
	Power       Pin // high is on
	Reset       Pin // of the SX1302; high is reset
	SX1261Reset Pin // low is reset

	// Sleep waits between steps; the default uses the clock of package time.
	Sleep func(ctx context.Context, d time.Duration) error
}

// pinHold is how long each level is held.
const pinHold = 100 * time.Millisecond

// Cycle switches the power on and resets all chips of the board: it toggles the
// reset line. It is the Reset of sx1302.Options.
func (p Pins) Cycle(ctx context.Context) error {
	wait := p.Sleep
	if wait == nil {
		wait = sx1302.Sleep
	}
	for _, s := range []struct {
		name string
		pin  Pin
		high bool
	}{
		{"power", p.Power, true},
		{"SX1302 reset", p.Reset, true},
		{"SX1302 reset", p.Reset, false},
		{"SX1261 reset", p.SX1261Reset, false},
		{"SX1261 reset", p.SX1261Reset, true},
	} {
		if s.pin == nil {
			continue
		}
		if err := s.pin.Set(s.high); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		if err := wait(ctx, pinHold); err != nil {
			return err
		}
	}
	return nil
}
