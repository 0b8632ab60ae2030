package board

import (
	"context"
	"strings"
)

// Values of Board.Reset that are not a line: the steps of the maker's tool, and a
// script.
const (
	commandPrefix = "command: "
	ExecPrefix    = "exec:"
)

// MakersTool sets the lines of MultiTech's gateways.
const MakersTool = "mts-io-sysfs"

// Step is a line that the maker's tool sets, and its value.
type Step struct{ Line, Value string }

// ResetSteps returns how to reset a board whose lines only the maker's tool
// reaches. Steps behind the name of a device are for the slot of that device: steps
// for other slots, which may be empty, are left out. There are no steps if the slot
// of the board's device is unknown.
func (b *Board) ResetSteps() (steps []Step, ok bool) {
	text, ok := strings.CutPrefix(b.Reset, commandPrefix)
	if !ok {
		return nil, false
	}
	device := b.Device
	for word := range strings.FieldsSeq(text) {
		if strings.HasPrefix(word, "/") {
			device = word
			continue
		}
		if device == b.Device {
			line, value, _ := strings.Cut(word, "=")
			steps = append(steps, Step{line, value})
		}
	}
	return steps, true
}

// reset returns the function that resets the board: it toggles the board's lines,
// and then runs a script or, for boards whose lines only the maker's tool reaches,
// the commands.
func (b *Board) reset(h Host, pins Pins) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := pins.Cycle(ctx); err != nil {
			return err
		}
		if script, ok := strings.CutPrefix(b.Reset, ExecPrefix); ok {
			return h.Run(ctx, script)
		}
		steps, _ := b.ResetSteps()
		for _, s := range steps {
			if err := h.Run(ctx, MakersTool, "store", s.Line, s.Value); err != nil {
				return err
			}
		}
		return nil
	}
}

// Toggled returns the names of all lines that a reset of the board sets.
func (b *Board) Toggled() []string {
	reset := b.Reset
	if steps, byTool := b.ResetSteps(); byTool {
		reset = "by " + MakersTool
		for i, s := range steps {
			if i == 0 || s.Line != steps[i-1].Line {
				reset += " " + s.Line
			}
		}
	}
	var out []string
	for _, l := range [][2]string{{"power", b.Power}, {"reset", reset}, {"SX1261 reset", b.SX1261Reset}} {
		if l[1] != "" {
			out = append(out, l[0]+" "+l[1])
		}
	}
	return out
}
