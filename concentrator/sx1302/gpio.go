package sx1302

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/warthog618/go-gpiocdev"
)

// ErrPin is the reason for a text that names no GPIO line.
var ErrPin = errors.New("sx1302: no GPIO line")

// Line is a GPIO line of the kernel's character device.
type Line struct {
	name string
	line *gpiocdev.Line
}

var _ Pin = (*Line)(nil)

// parsePin takes "/dev/gpiochip0:17" apart.
func parsePin(name string) (chip string, offset int, err error) {
	chip, number, ok := strings.Cut(name, ":")
	offset, err = strconv.Atoi(number)
	if !ok || err != nil || offset < 0 || chip == "" {
		return "", 0, fmt.Errorf("%w: %q; it is named as in /dev/gpiochip0:17", ErrPin, name)
	}
	return strings.TrimPrefix(chip, "/dev/"), offset, nil
}

// OpenLine takes a line, named as in "/dev/gpiochip0:17", as an output. It has
// that level at once.
func OpenLine(name string, high bool) (*Line, error) {
	chip, offset, err := parsePin(name)
	if err != nil {
		return nil, err
	}
	l, err := gpiocdev.RequestLine(chip, offset, gpiocdev.AsOutput(bit(high)), gpiocdev.WithConsumer("lorawand"))
	if err != nil {
		return nil, fmt.Errorf("sx1302: GPIO %s: %w; check that the line is right and that no other program holds it", name, err)
	}
	return &Line{name, l}, nil
}

// Set implements Pin.
func (l *Line) Set(high bool) error {
	if err := l.line.SetValue(bit(high)); err != nil {
		return fmt.Errorf("GPIO %s: %w", l.name, err)
	}
	return nil
}

// Close gives the line back. What level it has then is the kernel's affair.
func (l *Line) Close() error { return l.line.Close() }

// OpenPins takes the lines of the board, power on and nothing in reset. The
// function gives them back. A board that is reset by a command has none.
func (b *Board) OpenPins() (Pins, func() error, error) {
	var p Pins
	var open []*Line
	closeAll := func() error {
		var err error
		for _, l := range open {
			err = errors.Join(err, l.Close())
		}
		return err
	}
	for _, want := range []struct {
		name string
		high bool
		pin  *Pin
	}{
		{b.Power, true, &p.Power}, {b.Reset, false, &p.Reset}, {b.SX1261Reset, true, &p.SX1261Reset}, {b.DACReset, true, &p.DACReset},
	} {
		if want.name == "" || strings.HasPrefix(want.name, commandPrefix) || strings.HasPrefix(want.name, scriptPrefix) {
			continue
		}
		l, err := OpenLine(want.name, want.high)
		if err != nil {
			return Pins{}, nil, errors.Join(err, closeAll())
		}
		open = append(open, l)
		*want.pin = l
	}
	return p, closeAll, nil
}

// Prefixes of what is no line: steps of the maker's tool, and a script.
const (
	commandPrefix = "command: "
	scriptPrefix  = "exec:"
)

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
