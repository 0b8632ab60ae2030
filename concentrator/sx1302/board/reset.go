package board

import (
	"context"
	"strings"
)

// Forms of Board.Reset that name no line: the steps of the maker's tool, and a script.
const (
	commandPrefix = "command: "
	ExecPrefix    = "exec:"
)

// MakersTool sets the lines of MultiTech's gateways.
const MakersTool = "mts-io-sysfs"

// Step is a line that the maker's tool sets, and the value.
type Step struct{ Line, Value string }

// ResetSteps returns how a board is reset whose lines only the tool of its maker
// reaches. Steps behind a device are of the slot that has it: those of others,
// where there may be no card, are left out. There are none if the slot of the
// board's device is not known.
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

// reset returns what resets the board: its lines, and then a script, or the commands
// of boards whose lines only the maker's tool reaches.
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

// Toggled names all that is set when a board is reset.
func (b *Board) Toggled() []string {
	if IsUSB(b.Device) {
		return []string{"power and both resets by the USB bridge"}
	}
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
